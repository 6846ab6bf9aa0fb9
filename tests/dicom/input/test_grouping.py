"""Series apart by kind and plane; one stack under several UIDs joined, or refused as partial."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir, find_t1
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import AmbiguousSeriesError, IncompleteSeriesError
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def read(folder: Path) -> Volume:
    return read_series(find_stir(discover(files(folder))).series)


def test_halves_under_two_uids_are_joined(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*files(series)[4:], SeriesInstanceUID="1.2.3")
    found = read(series)
    np.testing.assert_array_equal(found.signal, volume.signal)
    assert any("2 SeriesInstanceUIDs" in w and "joined" in w for w in found.series.warnings)


def test_interleaved_halves_are_joined(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*files(series)[::2], SeriesInstanceUID="1.2.3", SeriesNumber=9)
    np.testing.assert_array_equal(read(series).signal, volume.signal)


@pytest.mark.parametrize("study", [False, True], ids=["series", "series and study"])
def test_a_uid_for_every_slice_is_joined(series: Path, volume: Volume, edit: Edit, study: bool) -> None:
    for index, path in enumerate(files(series)):
        more = {"StudyInstanceUID": f"1.2.4.{index}"} if study else {}
        edit(path, SeriesInstanceUID=f"1.2.3.{index}", **more)
    found = read(series)
    np.testing.assert_array_equal(found.signal, volume.signal)
    assert any("8 SeriesInstanceUIDs" in w for w in found.series.warnings)


def test_halves_of_another_number_and_name_are_refused_as_partial(series: Path, edit: Edit) -> None:
    edit(*files(series)[4:], SeriesInstanceUID="1.2.3", SeriesNumber=9, SeriesDescription="STIR b", ProtocolName="b")
    with pytest.raises(IncompleteSeriesError, match="continue each other"):
        read(series)


def test_a_slice_lost_between_two_halves_is_noticed(series: Path, edit: Edit) -> None:
    edit(*files(series)[4:], SeriesInstanceUID="1.2.3")
    files(series)[3].unlink()
    with pytest.raises(IncompleteSeriesError, match="1 missing there"):
        read(series)


@pytest.mark.parametrize(
    "other",
    [
        {"FrameOfReferenceUID": "1.2.9"},
        {"EchoTime": 70},
        {"AcquisitionDate": "20260401"},
        {"PatientID": "P2"},
    ],
    ids=str,
)
def test_parts_that_differ_are_not_joined(series: Path, edit: Edit, other: dict[str, Any]) -> None:
    edit(*files(series)[4:], SeriesInstanceUID="1.2.3", **other)
    assert len(discover(files(series)).series) == 2


def test_two_repeats_under_two_uids_are_two_series(series: Path, edit: Edit) -> None:
    for index, path in enumerate(files(series)):
        edit(shutil.copy(path, series / f"b{index}"), SeriesInstanceUID="1.2.3", SOPInstanceUID=f"1.2.3.{index}")
    found = discover(files(series)).series
    assert [s.stack.slices for s in found] == [8, 8] and not any(s.partial for s in found)


SCOUT = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}


@pytest.mark.parametrize(
    "other",
    [
        SCOUT,
        {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 0]},
        {"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ImagePositionPatient": None},
        {"Modality": "KO", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59", "PixelData": None, "Rows": None},
        {"ImageType": ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "IR"]},
    ],
    ids=["localizer", "axial", "capture", "key object", "phase"],
)
def test_an_other_image_among_the_slices_is_left_out(
    series: Path, volume: Volume, edit: Edit, other: dict[str, Any]
) -> None:
    edit(shutil.copy(files(series)[3], series / "other"), SOPInstanceUID="1.2.3", **other)
    found = find_stir(discover(files(series))).series
    np.testing.assert_array_equal(read_series(found).signal, volume.signal)
    assert [each.name for each in found.left_out] == ["other"] and any("left out" in w for w in found.warnings)


@pytest.mark.parametrize("part", ["R_IR", "I_IR", "P_SE"])
def test_the_magnitude_is_taken_beside_other_parts_of_the_complex_image(
    series: Path, volume: Volume, edit: Edit, part: str
) -> None:
    for index, path in enumerate(files(series)):
        copy = shutil.copy(path, series / f"b{index}")
        edit(copy, SOPInstanceUID=f"1.2.3.{index}", ImageType=["ORIGINAL", "PRIMARY", part, "X", "IR"])
    np.testing.assert_array_equal(read(series).signal, volume.signal)


def test_of_a_filtered_and_an_unfiltered_copy_the_filtered_one_is_taken(series: Path, edit: Edit) -> None:
    for index, path in enumerate(files(series)):
        copy = shutil.copy(path, series / f"b{index}")
        edit(copy, SOPInstanceUID=f"1.2.3.{index}", ImageType=["ORIGINAL", "PRIMARY", "M", "NORM", "DIS2D"])
    found = find_stir(discover(files(series))).series
    assert found.stack.slices == 8 and {file.name[0] for file in found.files} == {"b"} and len(found.left_out) == 8


def test_a_t1_in_the_same_series_is_the_t1_beside_it(tmp_path: Path, volume: Volume, edit: Edit) -> None:
    stir = write_mr_series(volume, tmp_path / "a", style="siemens", patient_id="P", seed="s")
    t1 = write_mr_series(
        volume, tmp_path / "b", style="siemens", patient_id="P", seed="s", contrast="t1", series_number=4
    )
    edit(*t1, SeriesInstanceUID=pydicom.dcmread(stir[0]).SeriesInstanceUID)
    discovery = discover(files(tmp_path))
    found = find_stir(discovery).series
    beside = find_t1(discovery, found)
    assert found.kind is SeriesKind.STIR and beside is not None and beside.kind is SeriesKind.T1
    assert not found.cut.ends and len(found.left_out) == 8


def test_frames_of_another_kind_in_an_enhanced_object_are_left_out(tmp_path: Path, volume: Volume, edit: Edit) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="philips", patient_id="P", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    groups = list(ds.PerFrameFunctionalGroupsSequence)
    for group in groups[:2]:
        again = pydicom.Dataset()
        again.update(group)
        frame_type = pydicom.Dataset()
        frame_type.FrameType, frame_type.ComplexImageComponent = ["ORIGINAL", "PRIMARY", "OTHER", "NONE"], "PHASE"
        again.MRImageFrameTypeSequence = [frame_type]
        groups.append(again)
    ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = groups, len(groups)
    ds.PixelData = ds.PixelData + ds.PixelData[: 2 * ds.Rows * ds.Columns * 2]
    ds.save_as(path)
    found = find_stir(discover([path])).series
    np.testing.assert_array_equal(read_series(found).signal, volume.signal)
    assert [each.name for each in found.left_out] == [f"{path.name}, frame {n}" for n in (9, 10)]


def test_an_outer_slice_of_another_kind_cuts_the_stack(series: Path, edit: Edit) -> None:
    edit(files(series)[7], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found = find_stir(discover(files(series))).series
    assert found.cut.ends == {"posterior"}


def test_a_copy_under_a_new_uid_is_dropped_and_reported(series: Path, volume: Volume, edit: Edit) -> None:
    edit(shutil.copy(files(series)[2], series / "copy.dcm"), SOPInstanceUID="1.2.3")
    found = read(series)
    np.testing.assert_array_equal(found.signal, volume.signal)
    assert any("1 copies" in w for w in found.series.warnings)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("empty", [None, ""], ids=["missing", "empty"])
def test_a_missing_uid_is_derived_and_reported(
    series: Path, volume: Volume, edit: Edit, keyword: str, empty: str | None
) -> None:
    for path in files(series):
        ds = pydicom.dcmread(path)
        ds.pop(keyword) if empty is None else setattr(ds, keyword, empty)
        ds.save_as(path)
    found, again = read(series), read(series)
    np.testing.assert_array_equal(found.signal, volume.signal)
    assert any(keyword in w and "8 files" in w for w in found.series.warnings)
    assert found.series == again.series and len(set(found.series.sop_instance_uids)) == 8


@pytest.mark.parametrize("silent", [slice(None), slice(0, 3)], ids=["one a slice", "missing in some"])
def test_frames_of_reference_of_one_even_stack(series: Path, volume: Volume, edit: Edit, silent: slice) -> None:
    for index, path in enumerate(files(series)[silent]):
        edit(path, FrameOfReferenceUID=f"1.2.3.{index}" if silent == slice(None) else None)
    found = read(series)
    np.testing.assert_array_equal(found.signal, volume.signal)
    assert any("FrameOfReferenceUID" in w for w in found.series.warnings)


def test_the_semicoronal_stir_is_taken_before_a_larger_straight_one(
    tmp_path: Path, make_volume: Callable[..., Volume]
) -> None:
    for number, (slices, tilt) in enumerate(((8, 40), (20, 0)), start=3):
        write_mr_series(
            make_volume((slices, 12, 10), tilt),
            tmp_path / str(number),
            style="ge",
            patient_id="P",
            seed="s",
            series_number=number,
        )
    found = find_stir(discover(files(tmp_path)))
    assert found.series.series_number == 3 and "parallel to the sacrum" in found.reasons[0]


def test_two_studies_of_one_day_stay_two(tmp_path: Path, volume: Volume) -> None:
    for patient in ("A", "B"):
        write_mr_series(volume, tmp_path / patient, style="ge", patient_id=patient, seed="s")
    with pytest.raises(AmbiguousSeriesError):
        read(tmp_path)
