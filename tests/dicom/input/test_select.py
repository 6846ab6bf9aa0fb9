"""The series to score: the best STIR, and a sentence that helps where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import Discovery, discover
from sparcc_pipeline.dicom.input.select import find_stir, find_t1
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import AmbiguousSeriesError, NotSemicoronalError, NotStirError, SeriesNotFoundError
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]
SPAIR: dict[str, Any] = {"ScanningSequence": "SE", "ScanOptions": "FS", "InversionTime": None, "SeriesDescription": ""}
T1: dict[str, Any] = {"ScanningSequence": "SE", "InversionTime": None, "RepetitionTime": 600, "EchoTime": 11}


class Study:
    """A folder that grows by series of one study."""

    def __init__(self, folder: Path, make_volume: Callable[..., Volume], edit: Edit) -> None:
        self.folder, self.make_volume, self.edit = folder, make_volume, edit

    def add(
        self,
        number: int,
        *,
        slices: int = 8,
        tilt: float = 40,
        spacing: float = 3.3,
        patient: str = "P",
        **elements: Any,
    ) -> str:
        """Add a series and return its UID."""
        folder = self.folder / f"{patient}{number}"
        volume = self.make_volume((slices, 12, 10), tilt)
        geometry = replace(volume.geometry, spacing_mm=(spacing, *volume.geometry.in_plane_mm))
        volume = replace(volume, geometry=geometry)
        files = write_mr_series(volume, folder, style="siemens", patient_id=patient, seed="s", series_number=number)
        if elements:
            self.edit(*files, **elements)
        return discover(files).series[0].series_uid

    def t1_of(self, stir: str) -> str | None:
        """UID of the T1 series that belongs to a STIR series."""
        discovery = self.discover()
        found = find_t1(discovery, find_stir(discovery, series_uid=stir).series)
        return found.series_uid if found else None

    def discover(self) -> Discovery:
        return discover(p for p in self.folder.rglob("*") if p.is_file())


@pytest.fixture
def study(tmp_path: Path, make_volume: Callable[..., Volume], edit: Edit) -> Study:
    return Study(tmp_path, make_volume, edit)


def test_the_only_stir_is_taken_and_the_others_listed(study: Study) -> None:
    t1, stir, spair = study.add(2, **T1), study.add(3), study.add(4, **SPAIR)
    found = find_stir(study.discover())
    assert found.series.series_uid == stir and found.reasons[0] == "the only STIR series"
    assert [(o.series.series_uid, o.series.kind) for o in found.others] == [
        (t1, SeriesKind.T1),
        (spair, SeriesKind.FAT_SUPPRESSED),
    ]
    assert all(o.reason for o in found.others)


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        ({"tilt": 85}, "semicoronal"),
        ({"slices": 5}, "at least 6 slices"),
        ({"PixelSpacing": ["1.2", "1.2"]}, "pixels are smaller"),
        ({"slices": 7, "ImageType": ["DERIVED", "PRIMARY", "OTHER"]}, "not derived"),
    ],
    ids=str,
)
def test_the_better_of_two_stir_series_is_taken(study: Study, worse: dict[str, Any], reason: str) -> None:
    good, other = study.add(3), study.add(9, **worse)
    found = find_stir(study.discover())
    assert found.series.series_uid == good
    assert reason in found.reasons[0] and "best of 2" in found.reasons[0]
    assert [o.series.series_uid for o in found.others] == [other]


def test_an_incomplete_stir_gives_way(study: Study) -> None:
    good = study.add(3)
    study.add(4)
    (study.folder / "P4" / "IM_0003.dcm").unlink()
    assert find_stir(study.discover()).series.series_uid == good


def test_larger_coverage_wins(study: Study) -> None:
    large = study.add(3, slices=14)
    study.add(4, slices=8)
    found = find_stir(study.discover())
    assert found.series.series_uid == large and "covers more" in found.reasons[0]


def test_of_equal_series_the_later_is_taken(study: Study) -> None:
    study.add(3)
    later = study.add(4)
    assert find_stir(study.discover()).series.series_uid == later


def test_a_series_can_be_asked_for(study: Study) -> None:
    earlier, later = study.add(3), study.add(4)
    found = find_stir(study.discover(), series_uid=earlier)
    assert found.series.series_uid == earlier and "asked for" in found.reasons[0]
    assert found.others[0].series.series_uid == later and found.others[0].reason == "another series was asked for"


def test_an_unknown_uid_lists_what_there_is(study: Study) -> None:
    uid = study.add(3)
    with pytest.raises(SeriesNotFoundError, match=uid):
        find_stir(study.discover(), series_uid="1.2.3")


def test_a_t1_cannot_be_asked_for(study: Study) -> None:
    t1 = study.add(3, **T1)
    study.add(4)
    with pytest.raises(NotStirError, match="T1"):
        find_stir(study.discover(), series_uid=t1)


def test_an_axial_series_cannot_be_asked_for(study: Study) -> None:
    axial = study.add(3, tilt=85)
    study.add(4)
    with pytest.raises(NotSemicoronalError, match="axial"):
        find_stir(study.discover(), series_uid=axial)


def test_fat_suppressed_only_when_accepted_and_marked(study: Study) -> None:
    spair = study.add(3, **SPAIR)
    with pytest.raises(NotStirError, match="--accept-fat-suppressed"):
        find_stir(study.discover())
    with pytest.raises(NotStirError, match="--accept-fat-suppressed"):
        find_stir(study.discover(), series_uid=spair)
    found = find_stir(study.discover(), accept_fat_suppressed=True)
    assert found.series.series_uid == spair and any("not STIR" in w for w in found.series.warnings)


def test_stir_is_preferred_to_fat_suppressed(study: Study) -> None:
    stir = study.add(3)
    study.add(4, **SPAIR)
    assert find_stir(study.discover(), accept_fat_suppressed=True).series.series_uid == stir


def test_no_stir_names_what_was_found_and_why(study: Study) -> None:
    study.add(2, **T1)
    study.add(3, InversionTime=2500, RepetitionTime=9000, EchoTime=90)
    study.add(4, ScanningSequence=["GR", "IR"], InversionTime=1000, EchoTime=2.5)
    with pytest.raises(NotStirError) as caught:
        find_stir(study.discover())
    message = str(caught.value)
    assert all(word in message for word in ("FLAIR", "MPRAGE", "TR 600 ms", "series 2", "send the STIR"))
    assert "--accept-fat-suppressed" not in message


def test_an_axial_stir_alone_is_not_semicoronal(study: Study) -> None:
    study.add(2, **T1)
    study.add(3, tilt=85)
    with pytest.raises(NotSemicoronalError, match="axial"):
        find_stir(study.discover())


def test_two_studies_with_stir_are_ambiguous(study: Study) -> None:
    first = study.add(3, patient="A")
    study.add(3, patient="B")
    with pytest.raises(AmbiguousSeriesError, match="--series"):
        find_stir(study.discover())
    assert find_stir(study.discover(), series_uid=first).series.series_uid == first


def test_one_of_two_studies_with_stir_is_taken(study: Study) -> None:
    study.add(3, patient="A", **T1)
    stir = study.add(3, patient="B")
    assert find_stir(study.discover()).series.series_uid == stir


def test_a_source_without_images_is_refused_with_its_content(tmp_path: Path, series: Path) -> None:
    with pytest.raises(SeriesNotFoundError, match="empty"):
        find_stir(discover([]))
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    with pytest.raises(SeriesNotFoundError, match="no DICOM among 1 files"):
        find_stir(discover([text]))
    cut = Path(shutil.copy(next(series.iterdir()), tmp_path / "cut.dcm"))
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(SeriesNotFoundError, match=r"damaged, cut off or missing DICOM files \(cut.dcm\)"):
        find_stir(discover([cut, text]))


def test_a_series_without_orientation_is_left_to_the_reader(study: Study) -> None:
    unknown = study.add(3, ImageOrientationPatient=None)
    assert find_stir(study.discover()).series.series_uid == unknown
    known = study.add(4)
    assert find_stir(study.discover()).series.series_uid == known


def test_of_equal_series_without_numbers_the_one_acquired_later_is_taken(study: Study) -> None:
    later = study.add(3, SeriesNumber=None, AcquisitionTime="120000")
    study.add(4, SeriesNumber=None, AcquisitionTime="115959")
    study.add(5, SeriesNumber=None, AcquisitionDate="", SeriesDate="", StudyDate="")
    found = find_stir(study.discover())
    assert found.series.series_uid == later and "it was acquired later" in found.reasons[0]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    "worse",
    [
        {"tilt": 25},  # semicoronal, but 15 degrees off the STIR
        {"tilt": 85},
        {"SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"},
        {"slices": 7},
        {"slices": 14, "FrameOfReferenceUID": "1.2.3"},
        {"slices": 14, "ImageType": ["DERIVED", "PRIMARY", "OTHER"]},
        {"slices": 14, "ScanOptions": "FS"},
        {"slices": 14, "spacing": 1.0},
        {"PixelSpacing": ["1.2", "1.2"]},
        {"ScanningSequence": "GR"},
        {"RepetitionTime": 4000, "EchoTime": 90},
    ],
    ids=str,
)
def test_the_t1_that_fits_the_stir_best_is_found(study: Study, worse: dict[str, Any], before: bool) -> None:
    study.add(2 if before else 9, **(T1 | worse))
    stir, good = study.add(3), study.add(5, tilt=44, **T1)
    assert study.t1_of(stir) == good


@pytest.mark.parametrize("silent", [{"AcquisitionTime": "100000"}, {"SeriesNumber": None}], ids=["number", "time"])
def test_of_equal_t1_the_first_is_taken(study: Study, silent: dict[str, Any]) -> None:
    natives = {study.add(number, **T1, **silent): number for number in (9, 8, 4, 5, 7)}
    found = study.t1_of(study.add(3))
    assert found is not None and natives[found] == 4


def test_a_t1_stored_from_behind_is_in_the_same_plane(study: Study) -> None:
    turned = lambda ds: [-float(v) for v in ds.ImageOrientationPatient[:3]] + list(ds.ImageOrientationPatient[3:])  # noqa: E731
    stir, t1 = study.add(3), study.add(4, **T1, ImageOrientationPatient=turned)
    assert study.t1_of(stir) == t1


def test_a_t1_is_found_for_the_stir_of_its_own_study(study: Study) -> None:
    pairs = [(study.add(3, patient=patient), study.add(4, patient=patient, **T1)) for patient in "AB"]
    assert [study.t1_of(stir) for stir, _ in pairs] == [t1 for _, t1 in pairs]


@pytest.mark.parametrize(
    "other",
    [
        {"tilt": 29},
        {"tilt": 51},
        {"tilt": 85},
        {"slices": 5},
        {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"},
        {"ImageOrientationPatient": None},
        {"ScanningSequence": "GR"},
    ],
    ids=str,
)
def test_a_t1_that_does_not_fit_is_none(study: Study, other: dict[str, Any]) -> None:
    stir = study.add(3)
    assert study.t1_of(stir) is None
    study.add(4, **(T1 | other))
    assert study.t1_of(stir) is None


def test_an_axial_t1_is_none_even_beside_a_steep_stir(study: Study) -> None:
    stir = study.add(3, tilt=69)
    study.add(4, tilt=72, **T1)
    assert study.t1_of(stir) is None


def test_a_t1_with_a_slice_missing_is_none(study: Study) -> None:
    stir = study.add(3)
    t1 = study.add(4, **T1)
    assert study.t1_of(stir) == t1
    (study.folder / "P4" / "IM_0003.dcm").unlink()
    assert study.t1_of(stir) is None


def test_without_the_orientation_of_the_stir_no_t1_is_known_to_fit(study: Study) -> None:
    stir = study.add(3, ImageOrientationPatient=None)
    study.add(4, **T1)
    assert study.t1_of(stir) is None
