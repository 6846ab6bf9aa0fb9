"""Files of any kind -> series, with everything that is no image counted or named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.orientation import Plane
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


def test_series_are_grouped_by_study_and_series(tmp_path: Path, volume: Volume) -> None:
    for patient in ("A", "B"):
        for number in (3, 4):
            write_mr_series(
                volume, tmp_path / f"{patient}{number}", style="ge", patient_id=patient, seed="s", series_number=number
            )
    found = discover(tmp_path.rglob("*.dcm")).series
    assert [s.series_number for s in found] == [3, 4, 3, 4]
    assert len({s.study_uid for s in found}) == 2 and len({s.series_uid for s in found}) == 4
    assert {s.stack.slices for s in found} == {8}


def test_the_stack_is_summarised(series: Path) -> None:
    (found,) = discover(series.iterdir()).series
    assert found.kind is SeriesKind.STIR and found.stack.plane is Plane.SEMICORONAL and found.stack.complete
    assert found.stack.spacing_mm == pytest.approx(3.3) and found.stack.coverage_mm == pytest.approx(7 * 3.3)
    assert found.stack.pixel_mm == pytest.approx(0.7)


def test_other_files_are_counted_and_damaged_ones_named(series: Path) -> None:
    (series / "README.txt").write_text("not an image")
    (series / "empty").write_bytes(b"")
    (series / "cut").write_bytes(next(series.glob("*.dcm")).read_bytes()[:400])
    (series / "noise.dcm").write_bytes(b"\0" * 128 + b"DICM" + bytes(range(256)) * 4)
    found = discover(series.iterdir())
    assert (found.files, found.not_dicom, found.damaged) == (12, 1, ("cut", "empty", "noise.dcm"))
    assert "damaged" in found.series[0].warnings[0]


@pytest.mark.parametrize("size", range(0, 1500, 37))
def test_a_file_cut_anywhere_is_never_an_exception(series: Path, tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(next(series.iterdir()).read_bytes()[:size])
    found = discover([cut])
    assert found.not_dicom + len(found.damaged) + len(found.series) == 1


def test_a_missing_file_is_damaged(tmp_path: Path) -> None:
    assert discover([tmp_path / "gone"]).damaged == ("gone",)


def test_an_incomplete_stack_is_seen(series: Path) -> None:
    (series / "IM_0004.dcm").unlink()
    assert not discover(series.iterdir()).series[0].stack.complete


def test_images_of_several_kinds_in_one_series_are_reported(series: Path, edit: Edit) -> None:
    edit(*sorted(series.iterdir())[:2], ScanningSequence="SE", InversionTime=None, RepetitionTime=600, EchoTime=10)
    t1, stir = sorted(discover(series.iterdir()).series, key=lambda s: s.stack.slices)
    assert (stir.kind, t1.kind) == (SeriesKind.STIR, SeriesKind.T1)
    assert any("several kinds: 2 were left out" in w for w in stir.warnings)


def test_a_dicomdir_among_the_files_is_no_fault(disc: Path) -> None:
    found = discover(p for p in disc.rglob("*") if p.is_file())
    assert len(found.series) == 1 and found.files == 9 and not found.damaged and not found.not_dicom


def test_order_of_files_does_not_matter(series: Path) -> None:
    files = sorted(series.iterdir())
    assert discover(files) == discover(reversed(files))


def test_a_series_that_is_no_image(series: Path, tmp_path: Path, edit: Edit) -> None:
    report = Path(shutil.copy(next(series.iterdir()), tmp_path / "report"))
    edit(report, SeriesInstanceUID="1.2.3", Modality="SR", PixelData=None, Rows=None, Columns=None)
    (found,) = discover([report]).series
    assert found.kind is SeriesKind.OTHER


def test_a_series_was_acquired_when_its_first_image_was(series: Path, edit: Edit) -> None:
    first, second, third, *others = sorted(series.iterdir())
    edit(*others, AcquisitionTime="120000")
    edit(third, AcquisitionTime="115959")
    edit(first, AcquisitionDate="", SeriesDate=None, StudyDate="")
    edit(second, AcquisitionDate="20260302", AcquisitionTime="000000")
    assert discover(series.iterdir()).series[0].acquired == "2026-03-01T11:59:59"
    edit(*series.iterdir(), AcquisitionDate=None, SeriesDate=None, StudyDate=None)
    assert discover(series.iterdir()).series[0].acquired is None


def test_every_identifier_of_a_series_is_noticed(series: Path, edit: Edit) -> None:
    (one,) = discover(series.iterdir()).series[0].persons
    edit(sorted(series.iterdir())[0], PatientID="")
    assert discover(series.iterdir()).series[0].persons == (one,)
    # A copy of an image counts once, but not its identifier.
    edit(Path(shutil.copy(sorted(series.iterdir())[2], series / "copy")), PatientID="P2")
    (found,) = discover(series.iterdir()).series
    assert found.stack.slices == 8 and len(found.persons) == 2 and one in found.persons
    edit(*series.iterdir(), PatientID=None)
    assert discover(series.iterdir()).series[0].persons == ()
