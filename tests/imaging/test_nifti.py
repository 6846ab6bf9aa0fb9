"""NIfTI in and out: the grid of the source is restored, for any axes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparcc_pipeline.errors import (
    GeometryError,
    NotSemicoronalError,
    OutputError,
    TooFewSlicesError,
    UnreadablePixelsError,
)
from sparcc_pipeline.imaging.nifti import read_nifti, write_nifti
from sparcc_pipeline.volume import Geometry, SeriesRef, StorageOrder, Volume

SHAPE = (10, 12, 8)


def affine(tilt_degrees: float = 51.0) -> np.ndarray:
    """RAS affine of (left, up, back) axes, as in the real data: i leftwards, j up, k posterior."""
    tilt = np.radians(tilt_degrees)
    matrix = np.eye(4)
    matrix[:3, 0] = np.array([-1, 0, 0]) * 0.6
    matrix[:3, 1] = np.array([0, np.sin(tilt), np.cos(tilt)]) * 0.7
    matrix[:3, 2] = np.array([0, -np.cos(tilt), np.sin(tilt)]) * 3.3
    matrix[:3, 3] = [30, 20, -10]
    return matrix


def image(data: np.ndarray | None = None, matrix: np.ndarray | None = None) -> Any:
    values = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) if data is None else data
    make_image: Any = nib.Nifti1Image
    return make_image(values, affine() if matrix is None else matrix)


def load(path: Path) -> Any:
    """nibabel's classes are typed in part only."""
    return nib.load(path)


def reordered(axes: tuple[int, ...], flips: tuple[bool, ...]) -> Any:
    """The same image, stored with other axes."""
    original = image()
    codes = np.array([[axes.index(a), -1 if flips[a] else 1] for a in range(3)])
    return original.as_reoriented(codes)


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))), ids=str)
@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)), ids=str)
def test_every_orientation_gives_one_volume_and_is_restored(
    tmp_path: Path, axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    nib.save(image(), tmp_path / "plain.nii")
    nib.save(reordered(axes, flips), tmp_path / "other.nii.gz")
    plain, other = read_nifti(tmp_path / "plain.nii"), read_nifti(tmp_path / "other.nii.gz")
    assert_array_equal(other.signal, plain.signal)
    assert_allclose(other.geometry.affine, plain.geometry.affine, atol=1e-4)
    write_nifti(other.signal, other, tmp_path / "back.nii.gz")
    source, back = load(tmp_path / "other.nii.gz"), load(tmp_path / "back.nii.gz")
    assert_array_equal(np.asarray(back.dataobj), np.asarray(source.dataobj))
    assert_allclose(back.affine, source.affine, atol=1e-5)
    assert_allclose(back.get_qform(), source.affine, atol=1e-4)


def test_axes_and_position(tmp_path: Path) -> None:
    nib.save(image(), tmp_path / "a.nii")
    found = read_nifti(tmp_path / "a.nii")
    stored = np.asarray(image().dataobj)
    assert_array_equal(found.signal, stored.transpose(2, 1, 0)[:, ::-1])
    # Voxel [0, 0, 0] is the top right corner of the front slice: (i, j, k) = (0, 11, 0); RAS to LPS changes two signs.
    assert_allclose(found.geometry.origin_mm, (np.diag([-1, -1, 1, 1]) @ affine() @ [0, 11, 0, 1])[:3], atol=1e-4)
    assert found.geometry.directions[0][1] > 0 > found.geometry.directions[1][2]
    assert found.series.source_kind == "nifti" and "could not be checked" in found.series.warnings[0]


def test_a_marker_on_the_patients_left_stays_left(tmp_path: Path) -> None:
    data = np.zeros(SHAPE, dtype=np.int16)
    data[9, 11, 1] = 7  # i grows leftwards, j up, k backwards
    nib.save(image(data), tmp_path / "a.nii")
    assert np.argwhere(read_nifti(tmp_path / "a.nii").signal == 7).tolist() == [[1, 0, 9]]


def test_scale_factors_are_applied(tmp_path: Path) -> None:
    scaled = image()
    scaled.header.set_slope_inter(2, -3)
    nib.save(scaled, tmp_path / "a.nii")
    data = np.asarray(load(tmp_path / "a.nii").dataobj)
    assert_allclose(read_nifti(tmp_path / "a.nii").signal.max(), data.max())


def test_only_one_form_is_enough(tmp_path: Path) -> None:
    for form in ("sform", "qform"):
        one = image()
        one.set_sform(affine(), code=1 if form == "sform" else 0)
        one.set_qform(affine(), code=1 if form == "qform" else 0)
        nib.save(one, tmp_path / f"{form}.nii")
    a, b = read_nifti(tmp_path / "sform.nii"), read_nifti(tmp_path / "qform.nii")
    assert_allclose(a.geometry.affine, b.geometry.affine, atol=1e-4)


def test_a_trailing_axis_of_one_is_no_fourth_dimension(tmp_path: Path) -> None:
    nib.save(image(np.asarray(image().dataobj)[..., None]), tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii").signal.shape == (8, 12, 10)


def test_an_isotropic_image_takes_the_axis_nearest_to_the_back(tmp_path: Path) -> None:
    matrix = affine(30) @ np.diag([1 / 0.6, 1 / 0.7, 1 / 3.3, 1])
    nib.save(image(matrix=matrix), tmp_path / "a.nii")
    assert read_nifti(tmp_path / "a.nii").geometry.tilt_degrees == pytest.approx(30, abs=0.01)


RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def without_forms() -> Any:
    bare = image()
    bare.set_sform(None, code=0)
    bare.set_qform(None, code=0)
    return bare


SHEARED = affine()
SHEARED[:3, 0] += [0, 0.05, 0.1]
FEW = np.asarray(image().dataobj)[:, :, :5]
REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "time series": (lambda: image(np.ones((*SHAPE, 3), np.int16)), GeometryError, "three-dimensional"),
    "two-dimensional": (lambda: image(np.ones((4, 4), np.int16)), GeometryError, "three-dimensional"),
    "no orientation": (without_forms, GeometryError, "never guessed"),
    "sheared": (lambda: image(matrix=SHEARED), GeometryError, "sheared"),
    "five slices": (lambda: image(FEW), TooFewSlicesError, "found 5"),
    "axial": (lambda: image(matrix=affine(88)), NotSemicoronalError, "axial"),
    "sagittal": (lambda: image(matrix=affine(0)[[1, 0, 2, 3]]), NotSemicoronalError, "sagittal"),
    "colours": (lambda: image(np.zeros(SHAPE, RGB)), UnreadablePixelsError, "one gray value"),
    "complex": (lambda: image(np.ones(SHAPE, np.complex64)), UnreadablePixelsError, "one gray value"),
    "not a number": (lambda: image(np.full(SHAPE, np.nan, np.float32)), UnreadablePixelsError, "finite"),
    "constant": (lambda: image(np.full(SHAPE, 5, np.int16)), UnreadablePixelsError, "constant"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fault", REFUSED)
def test_refusals(tmp_path: Path, fault: str) -> None:
    make, error, words = REFUSED[fault]
    nib.save(make(), tmp_path / "a.nii.gz")
    with pytest.raises(error, match=words) as caught:
        read_nifti(tmp_path / "a.nii.gz")
    assert "expected" in str(caught.value) and ";" in str(caught.value)


@pytest.mark.parametrize("size", [0, 100, 348, 400, 600])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_files(tmp_path: Path, name: str, size: int) -> None:
    path = tmp_path / name
    nib.save(image(np.random.default_rng(1).integers(0, 999, SHAPE).astype(np.int16)), path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UnreadablePixelsError, match=name):
        read_nifti(path)


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("no image")
    (tmp_path / "b.nii.gz").write_bytes(b"\x1f\x8b no gzip")
    for name in ("a.nii", "b.nii.gz", "gone.nii"):
        with pytest.raises(UnreadablePixelsError, match=name):
            read_nifti(tmp_path / name)


def dicom_volume(storage: StorageOrder) -> Volume:
    geometry = Geometry((6, 4, 5), (1, 2, 3), ((0, 1, 0), (0, 0, -1), (1, 0, 0)), (3.0, 0.5, 0.6), "1.2")
    return Volume(np.arange(120, dtype=np.float32).reshape(6, 4, 5), geometry, SeriesRef("1", "2"), storage)


@pytest.mark.parametrize(
    "storage",
    [StorageOrder(), StorageOrder((0, 2, 1), (True, False, True)), StorageOrder((0, 1, 2), (True, True, False))],
)
def test_a_dicom_source_is_written_as_columns_upward_rows_slices(tmp_path: Path, storage: StorageOrder) -> None:
    volume = dicom_volume(storage)
    write_nifti(volume.signal, volume, tmp_path / "a.nii.gz")
    back = load(tmp_path / "a.nii.gz")
    stored = storage.to_source(volume.signal)  # (slice, row, column)
    assert_array_equal(np.asarray(back.dataobj), stored.transpose(2, 1, 0)[:, ::-1])
    # Every voxel keeps its place.
    assert_allclose(read_nifti(tmp_path / "a.nii.gz").geometry.affine, volume.geometry.affine, atol=1e-5)
    assert_array_equal(read_nifti(tmp_path / "a.nii.gz").signal, volume.signal)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_data_types_are_kept(tmp_path: Path, dtype: type) -> None:
    volume = dicom_volume(StorageOrder())
    write_nifti(volume.signal.astype(dtype), volume, tmp_path / "a.nii.gz")
    assert load(tmp_path / "a.nii.gz").get_data_dtype() == dtype


def test_masks_are_written_as_bytes(tmp_path: Path) -> None:
    volume = dicom_volume(StorageOrder())
    write_nifti(volume.signal > 5, volume, tmp_path / "a.nii.gz")
    assert load(tmp_path / "a.nii.gz").get_data_dtype() == np.uint8


def test_writing_faults(tmp_path: Path) -> None:
    volume = dicom_volume(StorageOrder())
    with pytest.raises(GeometryError, match="shape"):
        write_nifti(volume.signal[1:], volume, tmp_path / "a.nii")
    with pytest.raises(OutputError, match="a.nii"):
        write_nifti(volume.signal, volume, tmp_path / "gone" / "a.nii")


def test_real_studies_are_restored_on_their_own_grid(shared_data: Path, tmp_path: Path) -> None:
    for source in sorted((shared_data / "sij_mri" / "stir").glob("*.nii.gz")):
        volume = read_nifti(source)
        write_nifti(volume.signal, volume, tmp_path / source.name)
        original, back = load(source), load(tmp_path / source.name)
        assert_array_equal(np.asarray(back.dataobj), np.asarray(original.dataobj, dtype=np.float32))
        assert_array_equal(back.affine, original.affine)


@pytest.mark.parametrize("vendor", ["siemens", "ge", "philips"])
def test_real_studies_through_dicom_are_restored(shared_data: Path, tmp_path: Path, vendor: str) -> None:
    from sparcc_pipeline.dicom.input.discover import discover
    from sparcc_pipeline.dicom.input.read import read_series
    from sparcc_pipeline.dicom.input.select import find_stir

    source = shared_data / "sij_mri" / "stir" / "1013_STIR.nii.gz"
    tool = shared_data.parent / "tools" / "nifti_to_dicom.py"
    command = [sys.executable, str(tool), str(source), str(tmp_path / "dicom"), "--vendor", vendor]
    subprocess.run(command, check=True, capture_output=True)
    volume = read_series(find_stir(discover((tmp_path / "dicom").iterdir())).series)
    write_nifti(volume.signal, volume, tmp_path / "back.nii.gz")
    original, back = load(source), load(tmp_path / "back.nii.gz")
    assert_array_equal(np.asarray(back.dataobj), np.rint(np.asarray(original.dataobj)))
    assert_allclose(back.affine, original.affine, atol=1e-3)
