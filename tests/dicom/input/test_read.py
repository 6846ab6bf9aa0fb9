"""A series on disk gives the volume that was written, or a named refusal."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import uid

from sparcc_pipeline.dicom.input.classify import SeriesKind
from sparcc_pipeline.dicom.input.discover import SeriesCandidate, discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.vendor_headers import Style
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import (
    AmbiguousSeriesError,
    GeometryError,
    IncompleteSeriesError,
    InputError,
    NotSemicoronalError,
    TooFewSlicesError,
    UnreadablePixelsError,
)
from sparcc_pipeline.volume import StorageOrder, Volume

Edit = Callable[..., None]

ORDERS = [
    StorageOrder(axes, (slices, rows, columns))
    for axes in ((0, 1, 2), (0, 2, 1))
    for slices, rows, columns in itertools.product((False, True), repeat=3)
]


def only_series(folder: Path) -> SeriesCandidate:
    (series,) = discover(files(folder)).series
    return series


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def read(folder: Path) -> Volume:
    return read_series(only_series(folder))


def assert_same(found: Volume, expected: Volume) -> None:
    assert_array_equal(found.signal, expected.signal)
    assert_allclose(found.geometry.affine, expected.geometry.affine, atol=1e-6)


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("against", [False, True], ids=["numbers along", "numbers against"])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_every_stored_orientation_gives_the_same_volume(
    tmp_path: Path, volume: Volume, order: StorageOrder, against: bool, enhanced: bool
) -> None:
    write_mr_series(
        volume,
        tmp_path,
        style="ge",
        patient_id="P1",
        seed="s",
        stored=order,
        reverse_instance_numbers=against,
        enhanced=enhanced,
    )
    found = read(tmp_path)
    assert_same(found, volume)
    # The way back is right too: the signal in the file's own axes, slice by position along the normal.
    stored = found.storage.to_source(found.signal)
    first = pydicom.dcmread(files(tmp_path)[0])
    pixels = first.pixel_array[0] if enhanced else first.pixel_array
    assert any(np.array_equal(stored[k], pixels) for k in (0, -1))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    slices=st.integers(6, 9),
    rows=st.integers(2, 9),
    columns=st.integers(2, 9),
    tilt=st.floats(-29, 69),
    order=st.sampled_from(ORDERS),
)
def test_write_then_read_is_identity(
    tmp_path_factory: pytest.TempPathFactory,
    make_volume: Callable[..., Volume],
    slices: int,
    rows: int,
    columns: int,
    tilt: float,
    order: StorageOrder,
) -> None:
    folder = tmp_path_factory.mktemp("identity")
    volume = make_volume((slices, rows, columns), tilt)
    write_mr_series(volume, folder, style="philips", patient_id="P1", seed="s", stored=order)
    assert_same(read(folder), volume)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_marker_on_the_patients_left_stays_left(
    tmp_path: Path, make_volume: Callable[..., Volume], order: StorageOrder
) -> None:
    blank = make_volume()
    signal = np.ones(blank.geometry.shape, dtype=np.float32)
    signal[2, 1, 8] = 900  # anterior, superior, left
    marked = Volume(signal, blank.geometry, blank.series)
    write_mr_series(marked, tmp_path, style="siemens", patient_id="P1", seed="s", stored=order)
    found = read(tmp_path)
    assert np.argwhere(found.signal == found.signal.max()).tolist() == [[2, 1, 8]]
    # Independently of our reader: where the files' own headers put the marker.
    for path in files(tmp_path):
        ds = pydicom.dcmread(path)
        if ds.pixel_array.max() == 900:
            row, column = np.argwhere(ds.pixel_array == 900)[0]
            step = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
            place = (
                np.array(ds.ImagePositionPatient, dtype=float)
                + step[0] * column * float(ds.PixelSpacing[1])
                + step[1] * row * float(ds.PixelSpacing[0])
            )
            assert_allclose(place, (found.geometry.affine @ [2, 1, 8, 1])[:3], atol=1e-5)
            assert place[0] > (found.geometry.affine @ [2, 1, 4, 1])[0]  # x grows to the patient's left


def test_slice_zero_is_the_most_anterior_and_uids_follow(series: Path, edit: Edit) -> None:
    found = read(series)
    by_uid = {
        ds.SOPInstanceUID: float(ds.ImagePositionPatient[1])
        for ds in (pydicom.dcmread(p, stop_before_pixels=True) for p in files(series))
    }
    posterior = [by_uid[u] for u in found.series.sop_instance_uids]
    assert posterior == sorted(posterior) and len(posterior) == 8
    assert found.geometry.slice_position_mm(0) < found.geometry.slice_position_mm(7)


def test_enhanced_frames_are_numbered_anterior_to_posterior(tmp_path: Path, volume: Volume) -> None:
    order = StorageOrder((0, 1, 2), (True, False, False))
    write_mr_series(volume, tmp_path, style="siemens", patient_id="P1", seed="s", stored=order, enhanced=True)
    found = read(tmp_path).series
    assert found.frame_numbers == (8, 7, 6, 5, 4, 3, 2, 1)
    assert len(set(found.sop_instance_uids)) == 1 and len(found.sop_instance_uids) == 8


def test_names_and_numbers_do_not_matter(series: Path, volume: Volume, tmp_path: Path, edit: Edit) -> None:
    deep = tmp_path / "a" / "b.c" / "d e"
    deep.mkdir(parents=True)
    for index, path in enumerate(reversed(files(series))):
        edit(path, InstanceNumber=7)
        shutil.move(path, deep / f"{index * 37 % 11}")
    assert_same(read(tmp_path), volume)


@pytest.mark.parametrize(
    "syntax",
    [
        uid.ImplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEG2000Lossless,
        uid.JPEGLSLossless,
    ],
    ids=lambda u: str(u.name),
)
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_lossless_transfer_syntaxes(
    tmp_path: Path, make_volume: Callable[..., Volume], syntax: uid.UID, enhanced: bool
) -> None:
    volume = make_volume((8, 64, 64))
    write_mr_series(volume, tmp_path, style="siemens", patient_id="P1", seed="s", enhanced=enhanced)
    for path in files(tmp_path):
        ds = pydicom.dcmread(path)
        if syntax.is_encapsulated:
            try:
                ds.compress(syntax, generate_instance_uid=False)
            except RuntimeError:
                pytest.skip(f"no encoder for {syntax.name}")
            ds.save_as(path)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
            ds.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    found = read(tmp_path)
    assert_same(found, volume)
    assert found.series.facts["transfer_syntax"] == syntax.name
    assert not found.series.warnings


def test_jpeg_lossless(series: Path, volume: Volume) -> None:
    gdcm = pytest.importorskip("gdcm")
    for path in files(series):
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    found = read(series)
    assert_same(found, volume)
    assert "JPEG Lossless" in str(found.series.facts["transfer_syntax"])


def test_big_endian(series: Path, volume: Volume) -> None:
    for path in files(series):
        ds = pydicom.dcmread(path)
        ds.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
        ds["PixelData"].VR = "OW"
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=False)
    assert_same(read(series), volume)


def test_files_without_a_preamble(series: Path, volume: Volume) -> None:
    for path in files(series):
        ds = pydicom.dcmread(path)
        del ds.file_meta
        ds.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert_same(read(series), volume)


def test_lossy_compression_is_flagged(series: Path, edit: Edit) -> None:
    edit(*files(series), LossyImageCompression="01")
    assert any("lossy" in w for w in read(series).series.warnings)


def test_rescale_of_each_slice_is_applied(series: Path, volume: Volume, edit: Edit) -> None:
    for index, path in enumerate(files(series)):
        edit(path, RescaleSlope=f"{index + 2}", RescaleIntercept="-500.5")
    expected = volume.signal * np.arange(2, 10)[:, None, None] - 500.5
    assert_array_equal(read(series).signal, expected)


def test_rescale_of_each_frame_is_applied(tmp_path: Path, volume: Volume, edit: Edit) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="philips", patient_id="P1", seed="s", enhanced=True)
    ds = pydicom.dcmread(path)
    for index, group in enumerate(ds.PerFrameFunctionalGroupsSequence):
        group.PixelValueTransformationSequence[0].RescaleSlope = index + 1
        group.PixelValueTransformationSequence[0].RescaleIntercept = -19595
    ds.save_as(path)
    assert_array_equal(read(tmp_path).signal, volume.signal * np.arange(1, 9)[:, None, None] - 19595)


def test_signed_pixels(series: Path, volume: Volume, edit: Edit) -> None:
    shifted = lambda ds: (ds.pixel_array.astype(np.int32) - 400).astype("<i2").tobytes()  # noqa: E731
    edit(*files(series), PixelData=shifted, PixelRepresentation=1)
    assert_array_equal(read(series).signal, volume.signal - 400)


def refused(folder: Path, error: type[Exception], *words: str) -> str:
    with pytest.raises(error) as caught:
        read(folder)
    message = str(caught.value)
    assert "expected" in message and "found" in message and ";" in message
    assert all(word in message for word in words), message
    return message


def other_pixels(ds: pydicom.Dataset) -> bytes:
    """Pixels of another acquisition of the same place."""
    return (ds.pixel_array + 1).astype("<u2").tobytes()


def test_a_missing_slice_is_refused(series: Path) -> None:
    files(series)[3].unlink()
    refused(series, IncompleteSeriesError, "gap of 6.60 mm", "after slice 3", "1 missing")


def test_every_second_slice_missing_is_refused(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    for path in write_mr_series(make_volume((14, 4, 4)), tmp_path, style="ge", patient_id="P1", seed="s")[1::2]:
        path.unlink()
    refused(tmp_path, IncompleteSeriesError, "one slice in 2")


def test_a_spacing_that_states_the_gap_is_no_missing_slice(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*files(series), SpacingBetweenSlices="0.3", SliceThickness="3")
    assert_same(read(series), volume)


def test_an_uneven_stack_is_refused(series: Path, edit: Edit) -> None:
    path = files(series)[3]
    edit(
        path,
        ImagePositionPatient=lambda ds: [v + d for v, d in zip(ds.ImagePositionPatient, (0, 0.7, 0.6), strict=True)],
    )
    refused(series, IncompleteSeriesError, "evenly spaced")


def test_a_doubled_slice_is_refused(series: Path, edit: Edit) -> None:
    copy = shutil.copy(files(series)[2], series / "copy.dcm")
    edit(copy, SOPInstanceUID="1.2.3.99", PixelData=other_pixels)
    refused(series, IncompleteSeriesError, "1 of 9 images at the place of another")


def test_a_copy_of_a_file_is_read_once(series: Path, volume: Volume) -> None:
    shutil.copy(files(series)[2], series / "copy.dcm")
    assert_same(read(series), volume)


@pytest.mark.parametrize(
    ("keyword", "value"), [("AcquisitionNumber", 2), ("EchoNumbers", 2), ("TemporalPositionIdentifier", 2)]
)
def test_two_acquisitions_in_one_series_are_refused(series: Path, edit: Edit, keyword: str, value: int) -> None:
    for index, path in enumerate(files(series)):
        copy = shutil.copy(path, series / f"second_{index}")
        edit(copy, SOPInstanceUID=f"1.2.3.{index}", **{keyword: value})
    refused(series, AmbiguousSeriesError, keyword, "8 of 16")


def test_two_acquisitions_without_a_distinguishing_tag(series: Path, edit: Edit) -> None:
    for index, path in enumerate(files(series)):
        edit(shutil.copy(path, series / f"second_{index}"), SOPInstanceUID=f"1.2.3.{index}", PixelData=other_pixels)
    refused(series, AmbiguousSeriesError, "several acquisitions")


def test_one_uid_for_all_slices_is_refused(series: Path, edit: Edit) -> None:
    edit(*files(series), SOPInstanceUID="1.2.3")
    refused(series, AmbiguousSeriesError, "SOPInstanceUID")


def test_mixed_orientation_is_refused(series: Path, edit: Edit) -> None:
    def lean(ds: pydicom.Dataset) -> list[str]:
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        turned = column + 0.05 * np.cross(row, column)
        return [f"{v:.8f}" for v in (*row, *(turned / np.linalg.norm(turned)))]

    edit(files(series)[4], ImageOrientationPatient=lean)
    refused(series, GeometryError, "1 of 8", "another orientation")


def test_a_slice_of_another_plane_leaves_a_gap(series: Path, edit: Edit) -> None:
    edit(files(series)[4], ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"])
    with pytest.raises(IncompleteSeriesError, match="1 missing there"):
        read_series(find_stir(discover(series.iterdir())).series)


def test_rounded_orientations_are_accepted(series: Path, volume: Volume, edit: Edit) -> None:
    edit(
        *files(series)[::2],
        ImageOrientationPatient=lambda ds: [f"{float(v):.5f}" for v in ds.ImageOrientationPatient],
    )
    assert_array_equal(read(series).signal, volume.signal)


def test_mixed_size_is_refused(series: Path, edit: Edit) -> None:
    cut = lambda ds: ds.pixel_array[:-1].tobytes()  # noqa: E731
    edit(files(series)[4], PixelData=cut, Rows=11)
    refused(series, GeometryError, "11 x 10 and 12 x 10")


def test_mixed_spacing_is_refused(series: Path, edit: Edit) -> None:
    edit(files(series)[4], PixelSpacing=["0.61", "0.7"])
    refused(series, GeometryError, "one pixel spacing")


def test_a_sheared_stack_is_refused(series: Path, edit: Edit) -> None:
    for index, path in enumerate(files(series)):
        position = pydicom.dcmread(path).ImagePositionPatient
        edit(path, ImagePositionPatient=[position[0] + index, position[1], position[2]])
    refused(series, GeometryError, "sheared")


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
def test_missing_geometry_is_refused(series: Path, edit: Edit, keyword: str, value: str | None) -> None:
    edit(files(series)[5], **{keyword: value})
    refused(series, GeometryError, keyword, "1 of 8", "never guessed")


def test_zero_orientation_is_refused(series: Path, edit: Edit) -> None:
    edit(*files(series), ImageOrientationPatient=["0"] * 6)
    refused(series, GeometryError, "ImageOrientationPatient")


def test_five_slices_are_refused(series: Path) -> None:
    for path in files(series)[5:]:
        path.unlink()
    refused(series, TooFewSlicesError, "at least 6 slices, found 5")


def turned(matrix: np.ndarray) -> dict[str, Callable[[pydicom.Dataset], list[float]]]:
    """Elements that turn a slice in space."""
    return {
        "ImagePositionPatient": lambda ds: list(np.round(matrix @ np.array(ds.ImagePositionPatient, float), 6)),
        "ImageOrientationPatient": lambda ds: list(
            np.round((np.array(ds.ImageOrientationPatient, float).reshape(2, 3) @ matrix.T).ravel(), 8)
        ),
    }


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]), "tilt -50"),  # oblique axial, across the sacrum
        (np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), "sagittal"),
    ],
)
def test_other_planes_are_refused(series: Path, edit: Edit, turn: np.ndarray, words: str) -> None:
    edit(*files(series), **turned(turn))
    refused(series, NotSemicoronalError, words)


def test_axial_slices_are_refused(tmp_path: Path, make_volume: Callable[..., Volume]) -> None:
    write_mr_series(make_volume(tilt_degrees=85), tmp_path, style="ge", patient_id="P1", seed="s")
    refused(tmp_path, NotSemicoronalError, "axial", "tilt 85")


def test_two_frames_of_reference_are_refused(series: Path, edit: Edit) -> None:
    edit(files(series)[0], FrameOfReferenceUID="1.2.3.5")
    refused(series, GeometryError, "FrameOfReferenceUID")


def test_truncated_pixels_are_refused(series: Path) -> None:
    path = files(series)[4]
    path.write_bytes(path.read_bytes()[:-100])
    refused(series, UnreadablePixelsError, path.name)


def test_a_file_that_went_away_is_refused(series: Path) -> None:
    candidate = only_series(series)
    files(series)[0].unlink()
    with pytest.raises(UnreadablePixelsError, match="IM_0001"):
        read_series(candidate)


@pytest.mark.parametrize(
    "elements",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        {"RescaleSlope": "0"},
        {"PixelData": None},
        {"BitsAllocated": None},
    ],
    ids=str,
)
def test_undecodable_pixels_are_refused(series: Path, edit: Edit, elements: dict[str, Any]) -> None:
    edit(files(series)[1], **elements)
    refused(series, UnreadablePixelsError, "IM_0002")


def test_damaged_compressed_pixels_are_refused(series: Path) -> None:
    path = files(series)[1]
    ds = pydicom.dcmread(path)
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    ds.PixelData = pydicom.encaps.encapsulate([b"\xff" * 70])
    ds.save_as(path)
    refused(series, UnreadablePixelsError, "IM_0002")


def test_a_constant_image_is_refused_and_a_blank_slice_reported(series: Path, edit: Edit) -> None:
    blank = lambda ds: bytes(len(ds.PixelData))  # noqa: E731
    edit(files(series)[0], PixelData=blank)
    assert "1 of 8 slices are blank: check the export" in read(series).series.warnings
    edit(*files(series), PixelData=blank)
    refused(series, UnreadablePixelsError, "constant")


def test_announced_but_missing_images_are_reported(series: Path, edit: Edit) -> None:
    edit(*files(series), ImagesInAcquisition=25)
    assert any("announces 25" in w for w in read(series).series.warnings)


def test_two_patient_identifiers_in_one_series_are_refused(series: Path, edit: Edit) -> None:
    edit(*files(series)[:3], PatientID="Zaphod")
    message = refused(series, AmbiguousSeriesError, "files of 2 patient identifiers in one series", "export")
    assert "zaphod" not in message.lower() and not any(p in message for p in only_series(series).persons)


def test_a_copy_of_a_file_under_another_identifier_is_refused(series: Path, edit: Edit) -> None:
    edit(shutil.copy(files(series)[2], series / "copy.dcm"), PatientID="P2")
    refused(series, AmbiguousSeriesError, "2 patient identifiers")


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_person_and_date_go_with_the_volume_and_not_into_its_facts(
    tmp_path: Path, volume: Volume, edit: Edit, enhanced: bool
) -> None:
    options: dict[str, Any] = {"style": "ge", "seed": "s", "enhanced": enhanced, "acquired": "2027-11-30T23:59:07"}
    for patient in ("P1", "P2"):
        write_mr_series(volume, tmp_path / patient, patient_id=patient, **options)
    write_mr_series(volume, tmp_path / "again", patient_id=" p1", **options)
    one, other, again = (read(tmp_path / name).series for name in ("P1", "P2", "again"))
    assert one.person is not None and one.person == again.person != other.person is not None
    assert one.acquired == "2027-11-30T23:59:07"
    shown = repr((one.facts, one.warnings))
    assert one.person not in shown and "2027" not in shown and "person" not in one.facts and "acquired" not in one.facts
    assert one.person not in repr(one)
    edit(
        *files(tmp_path / "P1"),
        PatientID="",
        **dict.fromkeys(("AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "StudyDate"), ""),
    )
    nameless = read(tmp_path / "P1").series
    assert nameless.person is None and nameless.acquired is None


def test_facts_of_the_acquisition(series: Path) -> None:
    facts = read(series).series.facts
    assert facts["kind"] == "STIR"
    assert (facts["repetition_time_ms"], facts["echo_time_ms"], facts["inversion_time_ms"]) == (4560, 38, 150)
    assert facts["slice_spacing_mm"] == pytest.approx(3.3) and facts["slice_thickness_mm"] == pytest.approx(3.0)
    assert (facts["slices"], facts["rows"], facts["columns"]) == (8, 12, 10)
    assert facts["tilt_degrees"] == pytest.approx(40.0)


NAME = "Beeblebrox^Zaphod"
FREE_TEXT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientComments",
    "OtherPatientNames",
    "StudyID",
    "StudyDate",
    "SeriesDescription",
    "StudyDescription",
    "ProtocolName",
    "ReferringPhysicianName",
    "InstitutionName",
    "ImageComments",
    "AccessionNumber",
    "RequestedProcedureDescription",
    "PerformedProcedureStepDescription",
    "OperatorsName",
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "fault",
    ["none", "orientation", "position", "gap", "pixels", "five", "plane", "kind", "doubled", "slope", "persons"],
)
def test_a_persons_name_never_comes_out(
    series: Path, edit: Edit, fault: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = files(series)
    for path in paths:
        ds = pydicom.dcmread(path)
        with pydicom.config.disable_value_validation():
            for keyword in FREE_TEXT:
                setattr(ds, keyword, NAME)
            ds.save_as(path)
    faults: dict[str, Callable[[], object]] = {
        "none": lambda: None,
        "orientation": lambda: edit(paths[3], ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"]),
        "position": lambda: edit(paths[3], ImagePositionPatient=None),
        "gap": lambda: paths[3].unlink(),
        "pixels": lambda: paths[3].write_bytes(paths[3].read_bytes()[:-9]),
        "five": lambda: list(map(Path.unlink, paths[5:])),
        "plane": lambda: edit(*paths, **turned(np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]))),
        "kind": lambda: edit(*paths, ScanningSequence="SE", SequenceName=None, InversionTime=None),
        "doubled": lambda: edit(shutil.copy(paths[0], series / "copy"), SOPInstanceUID="1.2.3", PixelData=other_pixels),
        "slope": lambda: edit(paths[0], RescaleSlope="-1"),
        "persons": lambda: edit(paths[0], PatientID=NAME[::-1] + NAME),
    }
    with pydicom.config.disable_value_validation():
        faults[fault]()
    discovery = discover(files(series))
    output = repr(discovery) + caplog.text
    try:
        selection = find_stir(discovery)
        found = read_series(selection.series)
        output += repr(selection) + repr(found.series)
        assert fault == "none"
    except (InputError, NotSemicoronalError, TooFewSlicesError) as error:
        assert fault != "none"
        output += str(error)
    output += "".join(capfd.readouterr())
    assert "beeblebrox" not in output.lower() and "zaphod" not in output.lower()


@pytest.mark.parametrize("vendor", ["siemens", "ge", "philips"])
@pytest.mark.parametrize("patient", ["1007", "4386"])
def test_real_studies_in_each_vendors_style(shared_data: Path, tmp_path: Path, vendor: Style, patient: str) -> None:
    nibabel = pytest.importorskip("nibabel")
    tool = shared_data.parent / "tools" / "nifti_to_dicom.py"
    for contrast, folder in (("stir", "stir"), ("t1", "t1w")):
        source = next((shared_data / "sij_mri" / folder).glob(f"{patient}*"))
        command = [sys.executable, str(tool), str(source), str(tmp_path / contrast), "--vendor", vendor]
        subprocess.run([*command, "--contrast", contrast, "--patient", patient], check=True, capture_output=True)
    selection = find_stir(discover(files(tmp_path / "stir") + files(tmp_path / "t1")))
    assert [other.series.kind for other in selection.others] == [SeriesKind.T1]
    found = read_series(selection.series)
    image = nibabel.load(next((shared_data / "sij_mri" / "stir").glob(f"{patient}*")))
    values = np.rint(np.asarray(image.dataobj))
    # Voxel index i runs to the patient's left, j up, k backwards (data README).
    assert_array_equal(found.signal, values.transpose(2, 1, 0)[:, ::-1, :].astype(np.float32))
    corner = np.diag([-1, -1, 1, 1]) @ image.affine @ [0, image.shape[1] - 1, 0, 1]
    assert_allclose(found.geometry.origin_mm, corner[:3], atol=1e-3)
