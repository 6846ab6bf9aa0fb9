"""Headers as sites send them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from sparcc_pipeline.dicom.input import headers
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.elements import take_person
from sparcc_pipeline.dicom.input.headers import read_header
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("t2_tirm_cor", {"stir"}),
        ("t2_tse_stir_cor", {"stir"}),
        ("STIR_TSE", {"stir"}),
        ("OCor STIR", {"stir"}),
        ("CORO  Stir_FIL", {"stir"}),
        ("T2_TIRM_CORONAAL", {"stir"}),
        ("t2_tirm_tra_dark-fluid", {"stir", "flair"}),
        ("Ax T2 FLAIR", {"flair"}),
        ("T2W_SPAIR_COR", {"spair"}),
        ("PD_SPIR", {"spir"}),
        ("t2 spiral", set()),
        ("T2 mDIXON_W", {"dixon"}),
        ("t2_tse_fs_cor", {"fat saturation"}),
        ("Cor T2 FatSat", {"fat saturation"}),
        ("t1_tse_cor", set()),
    ],
)
def test_words_of_the_sequence_are_found_in_names(series: Path, edit: Edit, name: str, words: set[str]) -> None:
    path = next(series.iterdir())
    edit(path, SeriesDescription=name, ProtocolName="")
    assert read_header(path).protocol.named == words


def test_enhanced_timing_is_read_from_functional_groups(tmp_path: Path, volume: Volume) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=True)
    found = read_header(path).protocol
    assert (found.repetition_time_ms, found.echo_time_ms, found.inversion_time_ms) == (5120, 42, 200)
    assert found.inversion_recovery is True and found.acquisition_contrast == "STIR"


def test_timing_of_single_frames_is_read_too(tmp_path: Path, volume: Volume) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    shared = ds.SharedFunctionalGroupsSequence[0]
    for group in ds.PerFrameFunctionalGroupsSequence:
        for keyword in ("MRModifierSequence", "MREchoSequence", "MRTimingAndRelatedParametersSequence"):
            setattr(group, keyword, shared[keyword].value)
    for keyword in ("MRModifierSequence", "MREchoSequence", "MRTimingAndRelatedParametersSequence"):
        delattr(shared, keyword)
    ds.save_as(path)
    found = read_header(path).protocol
    assert (found.repetition_time_ms, found.echo_time_ms, found.inversion_time_ms) == (5120, 42, 200)


@pytest.mark.filterwarnings("error")
def test_odd_values_are_missing_values(series: Path) -> None:
    path = next(series.iterdir())
    ds = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        ds.add(pydicom.DataElement("SeriesNumber", "LO", "three"))
        ds.add(pydicom.DataElement("EchoTime", "LO", "38,5"))
        ds.add(pydicom.DataElement("ImagePositionPatient", "LO", "1\\2"))
        ds.add(pydicom.DataElement("PixelSpacing", "LO", "0.6\\nan"))
        ds.add(pydicom.DataElement("InversionTime", "LO", ""))
        ds.save_as(path)
    found = read_header(path)
    assert found.series_number is None
    assert found.protocol.echo_time_ms == 38.5 and found.protocol.inversion_time_ms is None
    assert found.frames[0].position_mm is None and found.frames[0].pixel_spacing_mm is None


def test_frames_without_places_are_counted(series: Path, edit: Edit) -> None:
    path = next(series.iterdir())
    edit(path, NumberOfFrames=7)
    assert [f.position_mm for f in read_header(path).frames] == [None] * 7


def person(path: Path, edit: Edit, **elements: str | None) -> str | None:
    """The fingerprint of a file with these elements (nothing checked when they are written)."""
    with pydicom.config.disable_value_validation():
        edit(path, **({"PatientID": None, "IssuerOfPatientID": None} | elements))
    return read_header(path).person


def test_the_fingerprint_stays_what_it_was(series: Path, edit: Edit) -> None:
    # Saved studies keep it: another rule would make every participant another person. First digits of
    # printf 'sparcc person\\SPA-0042' | sha256sum. The issuer does not count: many an export leaves it out.
    path = next(series.iterdir())
    assert person(path, edit, PatientID="SPA-0042") == "9ceb"
    assert person(path, edit, PatientID="SPA-0042", IssuerOfPatientID="Hospital") == "9ceb"


@pytest.mark.parametrize("spelled", ["spa 0042", " SPA 0042", "SPA 0042  ", "SPA   0042", "Spa\t0042", "SPA 0042\0"])
def test_white_space_and_case_make_no_other_person(series: Path, edit: Edit, spelled: str) -> None:
    path = next(series.iterdir())
    assert person(path, edit, PatientID=spelled) == person(path, edit, PatientID="SPA 0042") is not None


def test_other_identifiers_are_other_persons(series: Path, edit: Edit) -> None:
    path = next(series.iterdir())
    identifiers = [f"SPA-{n:04d}" for n in range(12)]
    assert len({person(path, edit, PatientID=each) for each in identifiers}) == 12


@pytest.mark.parametrize("absent", [None, "", "   ", "\0"])
def test_without_an_identifier_there_is_no_fingerprint(series: Path, edit: Edit, absent: str | None) -> None:
    path = next(series.iterdir())
    assert person(path, edit, PatientID=absent) is None
    assert person(path, edit, PatientID=absent, IssuerOfPatientID="HOSPITAL") is None


@pytest.mark.filterwarnings("error")
def test_an_identifier_that_cannot_be_decoded_is_no_fault(series: Path) -> None:
    path = next(series.iterdir())
    path.write_bytes(path.read_bytes().replace(b"LO\x02\x00P1", b"LO\x02\x00\xff\xe9"))
    found = read_header(path).person
    assert found is not None and len(found) == 4


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_the_identifier_itself_is_nowhere(
    tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch, enhanced: bool, edit: Edit
) -> None:
    options: dict[str, Any] = {"style": "ge", "patient_id": "Zaphod42", "seed": "s", "enhanced": enhanced}
    paths = write_mr_series(volume, tmp_path, **options)
    edit(*paths, IssuerOfPatientID="Betelgeuse")
    after: list[pydicom.Dataset] = []
    taken = take_person

    def take(ds: pydicom.Dataset) -> str | None:
        found = taken(ds)
        after.append(ds)
        return found

    monkeypatch.setattr(headers, "take_person", take)
    discovery = discover(paths)
    (series,) = discovery.series
    (fingerprint,) = series.persons
    assert {f.person for f in series.files} == {fingerprint} and len(fingerprint) == 4
    # What is passed on, and what the reader of a header itself holds while it goes on.
    kept = pickle.dumps(discovery).lower() + repr((discovery, series.files)).lower().encode()
    assert b"zaphod" not in kept and b"betelgeuse" not in kept
    assert fingerprint not in repr((discovery, series.files))
    assert len(after) == len(paths)
    assert not any(keyword in ds for ds in after for keyword in ("PatientID", "IssuerOfPatientID", "PatientName"))


DATES: dict[str, str | None] = dict.fromkeys(
    (
        "AcquisitionDate",
        "AcquisitionTime",
        "AcquisitionDateTime",
        "SeriesDate",
        "SeriesTime",
        "StudyDate",
        "StudyTime",
        "ContentDate",
        "ContentTime",
    )
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "081559"}, "2025-03-17T08:15:59"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "081559.123456"}, "2025-03-17T08:15:59"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "0815"}, "2025-03-17T08:15:00"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "08"}, "2025-03-17T08:00:00"),
        ({"AcquisitionDate": "2025.03.17", "AcquisitionTime": "08:15:59"}, "2025-03-17T08:15:59"),
        ({"AcquisitionDate": "20250317"}, "2025-03-17"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": ""}, "2025-03-17"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "991559"}, "2025-03-17"),
        ({"AcquisitionDate": "20250317", "AcquisitionTime": "noon"}, "2025-03-17"),
        ({"AcquisitionDateTime": "20250317081559.120000"}, "2025-03-17T08:15:59"),
        ({"AcquisitionDateTime": "20250317081559-0500"}, "2025-03-17T08:15:59"),
        ({"AcquisitionDateTime": "202503170815+0100"}, "2025-03-17T08:15:00"),
        ({"AcquisitionDateTime": "20250317"}, "2025-03-17"),
        ({"AcquisitionDateTime": "2025"}, None),
        ({"SeriesDate": "20250317", "SeriesTime": "081559"}, "2025-03-17T08:15:59"),
        ({"StudyDate": "20250317", "StudyTime": "081559"}, "2025-03-17T08:15:59"),
        # The nearest to the acquisition counts, and one that is no date does not hide the next.
        ({"AcquisitionDate": "20250317", "AcquisitionDateTime": "20240101", "StudyDate": "20230101"}, "2025-03-17"),
        ({"AcquisitionDateTime": "20250317", "SeriesDate": "20240101"}, "2025-03-17"),
        ({"SeriesDate": "20250317", "StudyDate": "20240101", "StudyTime": "081559"}, "2025-03-17"),
        ({"AcquisitionDate": "00000000", "AcquisitionTime": "000000", "StudyDate": "20250317"}, "2025-03-17"),
        ({"AcquisitionDate": "", "AcquisitionDateTime": "", "SeriesDate": "20250317"}, "2025-03-17"),
        ({"ContentDate": "20250317", "ContentTime": "081559"}, None),
        ({"AcquisitionTime": "081559"}, None),
        ({}, None),
        *[({"AcquisitionDate": bad}, None) for bad in ("", "0", "00000000", "20251332", "20250229", "ANON", "2025-3")],
        *[({"AcquisitionDateTime": bad}, None) for bad in ("", "00000000000000", "20250229081559", "ANON", "-0500")],
    ],
    ids=str,
)
def test_when_it_was_acquired(
    tmp_path: Path, volume: Volume, edit: Edit, elements: dict[str, str], expected: str | None, enhanced: bool
) -> None:
    path = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=enhanced)[0]
    with pydicom.config.disable_value_validation():
        edit(path, **(DATES | elements))
    assert read_header(path).acquired == expected
