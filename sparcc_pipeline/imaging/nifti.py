"""NIfTI files in and out: the only door to nibabel.

NIfTI coordinates are RAS (left to right, posterior to anterior, inferior to superior); those of the project are LPS. A
NIfTI file does not record which axis holds the slices, nor how the images were acquired.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.nifti1 import Nifti1Image
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from sparcc_pipeline.errors import GeometryError, OutputError, UnreadablePixelsError
from sparcc_pipeline.message import Message, printable
from sparcc_pipeline.orientation import StoredStack, place_stack, signed_tilt_degrees
from sparcc_pipeline.volume import FloatArray, SeriesRef, StorageOrder, Volume

RAS_TO_LPS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])

THICK_SLICE_RATIO: Final = 1.5
"""An axis with a spacing this many times that of both others holds the slices (STIR for SPARCC: 5 to 8)."""

UNVERIFIED: Final = Message("a NIfTI file does not record how it was acquired: that this is STIR could not be checked")


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI file (.nii, .nii.gz) as a stack of semicoronal slices.

    Raises
    ------
    UnreadablePixelsError : not a NIfTI file, cut off, not one gray value a voxel, or without signal
    GeometryError : not three-dimensional, no orientation in the header, or sheared
    NotSemicoronalError, TooFewSlicesError : the method does not apply to this stack
    """
    image, stored = _load(path)
    stack = _stored_stack(image, path)
    geometry, storage = place_stack(stack)
    return Volume(
        signal=np.ascontiguousarray(storage.from_source(stored), dtype=np.float32),
        geometry=geometry,
        series=SeriesRef(
            study_uid=None,
            series_uid=None,
            source_kind="nifti",
            facts={
                "row_spacing_mm": geometry.spacing_mm[1],
                "column_spacing_mm": geometry.spacing_mm[2],
                "slice_spacing_mm": geometry.spacing_mm[0],
                "slices": geometry.shape[0],
                "rows": geometry.shape[1],
                "columns": geometry.shape[2],
                "tilt_degrees": signed_tilt_degrees(geometry.directions[0]),
            },
            warnings=(UNVERIFIED,),
        ),
        storage=storage,
    )


def write_nifti(array: NDArray[Any], volume: Volume, path: Path) -> None:
    """Write an array (slices, rows, columns) on the grid of `volume` as NIfTI (.nii or .nii.gz), with its data type.

    For a NIfTI source the file has the axes, shape and affine of the source. For a DICOM source it has the axes
    (column, row upwards, slice) in the order of the series, as dcm2niix writes them.

    Raises
    ------
    GeometryError : the array is not of the volume's shape
    OutputError : the file cannot be written
    """
    if array.shape != volume.geometry.shape:
        raise GeometryError(f"expected an array of shape {volume.geometry.shape}, found {array.shape}; pass its volume")
    order = volume.storage if volume.series.source_kind == "nifti" else _dicom_to_nifti(volume.storage)
    stored = np.asarray(order.to_source(array))
    if stored.dtype == np.bool_:
        stored = stored.astype(np.uint8)
    # nibabel's classes are untyped.
    make_image: Any = Nifti1Image
    image = make_image(np.ascontiguousarray(stored), _ras_affine(volume, order))
    image.header.set_xyzt_units("mm")
    image.header.set_dim_info(slice=order.source_axis[0])
    image.set_sform(image.affine, code="scanner")
    image.set_qform(image.affine, code="scanner")
    try:
        nib.save(image, path)
    except OSError as error:
        raise OutputError(
            f"expected a writable place for {printable(path.name)}, found {error.strerror}; choose another folder"
        ) from error


def _load(path: Path) -> tuple[Nifti1Image, NDArray[np.float32]]:
    """The image and its three-dimensional signal in the file's axes, scale factors applied."""
    try:
        image = nib.load(path)
        if not isinstance(image, Nifti1Image):
            raise UnreadablePixelsError(
                f"expected a NIfTI file, found {type(image).__name__} ({printable(path.name)}); convert it"
            )
        if len(image.shape) < 3 or any(size > 1 for size in image.shape[3:]):
            raise GeometryError(
                f"expected one three-dimensional image, found shape {image.shape} in {printable(path.name)}; "
                "send one volume (not a time series or several echoes)"
            )
        proxy: Any = image.dataobj
        stored_type = np.dtype(proxy.dtype)
        if stored_type.kind not in "iuf":
            raise UnreadablePixelsError(
                f"expected one gray value a voxel, found {stored_type} in {printable(path.name)}; convert it again"
            )
        signal = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
    except (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadablePixelsError(
            f"expected a complete NIfTI file, found one missing, damaged or of another kind ({printable(path.name)}); "
            "convert or copy it again"
        ) from error
    if not np.isfinite(signal).all() or np.ptp(signal) == 0:
        raise UnreadablePixelsError(
            f"expected finite signal that varies, found not-a-number or one constant value in {printable(path.name)}; "
            "convert it again"
        )
    return image, signal


def _stored_stack(image: Nifti1Image, path: Path) -> StoredStack:
    """Geometry of the axes of the file in LPS, with the axis that holds the slices."""
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        raise GeometryError(
            f"expected an orientation (sform or qform code), found none in {printable(path.name)}; "
            "convert the DICOM series again: left and right are never guessed"
        )
    affine = RAS_TO_LPS @ np.asarray(image.affine, dtype=float)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() <= 0:
        raise GeometryError(
            f"expected a finite affine with positive spacing, found {np.round(affine, 3).tolist()} in "
            f"{printable(path.name)}; "
            "convert the DICOM series again"
        )
    directions = (affine[:3, :3] / spacing).T
    return StoredStack(
        shape=(image.shape[0], image.shape[1], image.shape[2]),
        directions=directions,
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin_mm=(float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3])),
        slice_axis=_slice_axis(spacing, directions),
    )


def _slice_axis(spacing: FloatArray, directions: FloatArray) -> int:
    """The axis with thick slices; in a nearly isotropic image the axis closest to anterior-posterior.

    The direction alone would be wrong for thick slices: semicoronal slices tilt by up to 52 degrees, where their normal
    is closer to superior. `spacing` is (3,), `directions` (3, 3).
    """
    finer, coarsest = np.sort(spacing)[1:]
    if coarsest >= THICK_SLICE_RATIO * finer:
        return int(np.argmax(spacing))
    return int(np.argmax(np.abs(directions[:, 1])))


def _dicom_to_nifti(stored: StorageOrder) -> StorageOrder:
    """From DICOM's (slice, row, column) to NIfTI's (column, row upwards, slice)."""
    axes = tuple(2 - axis for axis in stored.source_axis)
    flipped = tuple(flip != (source == 1) for flip, source in zip(stored.flipped, stored.source_axis, strict=True))
    return StorageOrder((axes[0], axes[1], axes[2]), (flipped[0], flipped[1], flipped[2]))


def _ras_affine(volume: Volume, order: StorageOrder) -> FloatArray:
    """(4, 4) affine of the stored axes (i, j, k) to RAS mm."""
    # RAS_TO_LPS is its own inverse. A flipped axis runs the other way from the other end: -step, and its last voxel as
    # the corner.
    own = RAS_TO_LPS @ volume.geometry.affine
    affine = np.eye(4)
    corner = np.ones(4)
    for axis, (source, flip) in enumerate(zip(order.source_axis, order.flipped, strict=True)):
        corner[axis] = volume.geometry.shape[axis] - 1 if flip else 0
        affine[:3, source] = -own[:3, axis] if flip else own[:3, axis]
    affine[:3, 3] = (own @ corner)[:3]
    return affine
