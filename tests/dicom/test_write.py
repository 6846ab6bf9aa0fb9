"""Written series are valid, and the same seed gives the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.dicom.vendor_headers import Style
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.volume import StorageOrder, Volume


def written(volume: Volume, folder: Path, **options: object) -> list[pydicom.FileDataset]:
    defaults: dict[str, object] = {"style": "siemens", "patient_id": "P1", "seed": "s"}
    return [pydicom.dcmread(p) for p in write_mr_series(volume, folder, **(defaults | options))]  # type: ignore[arg-type]


@pytest.mark.parametrize("style", ["siemens", "ge", "philips"])
@pytest.mark.parametrize("enhanced", [False, True])
def test_every_style_is_recognized_as_stir(tmp_path: Path, volume: Volume, style: Style, enhanced: bool) -> None:
    files = write_mr_series(volume, tmp_path, style=style, patient_id="P1", seed="s", enhanced=enhanced)
    (series,) = discover(files).series
    assert series.kind is SeriesKind.STIR and not series.warnings
    assert len(files) == (1 if enhanced else 8)


@pytest.mark.parametrize("style", ["siemens", "ge", "philips"])
def test_a_t1_belongs_to_the_study_of_its_stir(tmp_path: Path, volume: Volume, style: Style) -> None:
    stir = write_mr_series(volume, tmp_path, style=style, patient_id="P1", seed="s")
    t1 = write_mr_series(
        volume, tmp_path / "t1", style=style, patient_id="P1", seed="s", series_number=9, contrast="t1"
    )
    found = discover([*stir, *t1]).series
    assert [series.kind for series in found] == [SeriesKind.STIR, SeriesKind.T1]
    headers = [pydicom.dcmread(files[0]) for files in (stir, t1)]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert headers[0][keyword].value == headers[1][keyword].value
    assert "InversionTime" not in headers[1]


def test_a_t1_as_one_multiframe_file_is_refused(tmp_path: Path, volume: Volume) -> None:
    with pytest.raises(ValueError, match="multi-frame"):
        write_mr_series(volume, tmp_path, style="ge", patient_id="P", seed="s", contrast="t1", enhanced=True)
    assert not list(tmp_path.iterdir())


def test_one_seed_gives_the_same_bytes_another_gives_other_uids(tmp_path: Path, volume: Volume) -> None:
    first = [p.read_bytes() for p in write_mr_series(volume, tmp_path / "1", style="ge", patient_id="P", seed="a")]
    again = [p.read_bytes() for p in write_mr_series(volume, tmp_path / "2", style="ge", patient_id="P", seed="a")]
    assert first == again
    (one,), (other,) = ({ds.SeriesInstanceUID for ds in written(volume, tmp_path / s, seed=s)} for s in "ab")
    assert one != other


def test_uids_are_valid_and_differ(tmp_path: Path, volume: Volume) -> None:
    datasets = written(volume, tmp_path)
    assert len({ds.SOPInstanceUID for ds in datasets}) == len(datasets)
    assert all(pydicom.uid.UID(u).is_valid for u in (datasets[0].StudyInstanceUID, derived_uid("a", 1)))


def test_series_of_one_study_share_study_and_frame_of_reference(tmp_path: Path, volume: Volume) -> None:
    third, fourth = (written(volume, tmp_path / str(n), series_number=n)[0] for n in (3, 4))
    assert third.StudyInstanceUID == fourth.StudyInstanceUID
    assert third.FrameOfReferenceUID == fourth.FrameOfReferenceUID == volume.geometry.frame_of_reference_uid
    assert third.SeriesInstanceUID != fourth.SeriesInstanceUID


def test_instance_numbers_can_decrease_from_file_to_file(tmp_path: Path, volume: Volume) -> None:
    assert [ds.InstanceNumber for ds in written(volume, tmp_path / "a")] == list(range(1, 9))
    reverse = written(volume, tmp_path / "b", reverse_instance_numbers=True)
    assert [ds.InstanceNumber for ds in reverse] == list(range(8, 0, -1))


def test_the_stored_order_is_the_requested_one(tmp_path: Path, volume: Volume) -> None:
    order = StorageOrder((0, 2, 1), (True, False, True))
    stored = np.stack([ds.pixel_array for ds in written(volume, tmp_path, stored=order)])
    assert np.array_equal(stored, order.to_source(volume.signal).astype(np.uint16))


def test_decimal_strings_have_at_most_16_characters(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    for ds in written(make_volume(tilt_degrees=37.123456789), tmp_path):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert all(len(str(v.original_string)) <= 16 for v in ds[keyword].value)


def test_existing_files_are_not_replaced(tmp_path: Path, volume: Volume) -> None:
    written(volume, tmp_path)
    with pytest.raises(OutputError, match="choose another folder"):
        written(volume, tmp_path)


@pytest.mark.parametrize("value", [-1.0, 65536.0])
def test_signal_out_of_range_is_refused(tmp_path: Path, volume: Volume, value: float) -> None:
    signal = volume.signal.copy()
    signal[0, 0, 0] = value
    with pytest.raises(OutputError, match="0 to 65535"):
        written(Volume(signal, volume.geometry, volume.series), tmp_path)
    assert not list(tmp_path.iterdir())


def test_moving_the_slice_axis_is_refused(tmp_path: Path, volume: Volume) -> None:
    with pytest.raises(OutputError, match="first stored axis"):
        written(volume, tmp_path, stored=StorageOrder((1, 0, 2)))


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize(
    ("acquired", "expected"),
    [("2027-11-30", "2027-11-30T10:04:00"), ("2027-11-30T23:59:07", "2027-11-30T23:59:07")],
)
def test_the_date_is_the_requested_one(
    tmp_path: Path, volume: Volume, enhanced: bool, acquired: str, expected: str
) -> None:
    options = {"series_number": 4, "enhanced": enhanced, "acquired": acquired}
    ds = written(volume, tmp_path / "later", **options)[0]
    (found,) = discover((tmp_path / "later").iterdir()).series
    assert found.acquired == expected
    assert {ds[k].value for k in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")} == {"20271130"}
    earlier = written(volume, tmp_path / "earlier", series_number=4)[0]
    assert earlier.StudyInstanceUID != ds.StudyInstanceUID and earlier.StudyDate == "20260301"


def test_an_invalid_date_is_refused(tmp_path: Path, volume: Volume) -> None:
    with pytest.raises(ValueError, match="day is out of range"):
        written(volume, tmp_path, acquired="2026-02-30")
    assert not list(tmp_path.iterdir())
