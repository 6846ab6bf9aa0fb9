"""Orientation of a stack of slices, and its conversion to the project's axes.

Semicoronal slices are parallel to the dorsal cortex of S2, so their upper edge leans forward and their signed tilt is
positive. Oblique axial slices of the same joints are perpendicular to them and have a negative tilt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.errors import GeometryError, NotSemicoronalError, TooFewSlicesError
from sparcc_pipeline.volume import UNIT_TOLERANCE, FloatArray, Geometry, StorageOrder

MIN_SLICES: Final = 6
"""Slices that SPARCC scores. Source: [SpaImaging]."""

TILT_RANGE_DEGREES: Final = (-30.0, 70.0)
"""Signed tilt of semicoronal slices from the coronal plane, positive where the upper edge leans forward.

Decision of this project. The 20 studies at hand have 27 to 52 degrees; coronal is 0, axial 90. Oblique axial slices
are perpendicular to the sacrum, so they have 52 - 90 = -38 degrees or less, and the lower limit is above that. The
upper limit leaves 18 degrees for a steeper sacrum and stays 20 degrees from axial.
"""

MAX_LEFT_RIGHT_OBLIQUITY_DEGREES: Final = 20.0
"""Largest angle between the patient's left-right axis and the slice plane; the studies at hand have up to 5."""

MAX_IN_PLANE_ROTATION_DEGREES: Final = 30.0
"""Largest angle in the slice plane between the direction of columns and left-right; from 45 on, rows and columns
would swap."""


class Plane(Enum):
    """The plane of a stack of slices."""

    SEMICORONAL = "semicoronal"
    AXIAL = "axial"
    SAGITTAL = "sagittal"
    OBLIQUE = "oblique"


@dataclass(frozen=True)
class StoredStack:
    """A stack as its source stored it, with one entry for each source axis.

    Parameters
    ----------
    shape : voxels along each source axis
    directions : (3, 3) unit LPS vectors of growing index along each source axis
    spacing_mm : distance of voxel centres along each source axis
    origin_mm : LPS position of the centre of voxel [0, 0, 0]
    slice_axis : the source axis that counts the slices
    frame_of_reference_uid : DICOM frame of reference; None where the source has none
    """

    shape: tuple[int, int, int]
    directions: FloatArray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    slice_axis: int
    frame_of_reference_uid: str | None = None


def signed_tilt_degrees(normal: Sequence[float] | FloatArray) -> float:
    """Return the tilt (-90..90) of a slice plane about the left-right axis, from its LPS normal (3,) of either sense.

    0 is coronal, 90 is axial; positive where the upper edge of the slice leans forward.

    Examples
    --------
    >>> round(signed_tilt_degrees((0.0, 0.8, 0.6)), 1)
    36.9
    >>> signed_tilt_degrees((0.0, 0.0, 1.0))
    90.0
    """
    _, posterior, superior = (float(v) for v in normal)
    if posterior < 0:
        posterior, superior = -posterior, -superior
    return math.degrees(math.atan2(superior, posterior))


def left_right_obliquity_degrees(normal: Sequence[float] | FloatArray) -> float:
    """Return the angle (0..90) between the left-right axis and the slice plane, from its LPS normal (3,)."""
    length = float(np.linalg.norm(np.asarray(normal, dtype=float)))
    return math.degrees(math.asin(min(1.0, abs(float(normal[0])) / length)))


def slice_plane(normal: Sequence[float] | FloatArray) -> Plane:
    """Return the plane of slices with this LPS normal (3,).

    The limits are `TILT_RANGE_DEGREES` and `MAX_LEFT_RIGHT_OBLIQUITY_DEGREES`.
    """
    lowest, highest = TILT_RANGE_DEGREES
    upright = left_right_obliquity_degrees(normal) <= MAX_LEFT_RIGHT_OBLIQUITY_DEGREES
    if upright and lowest <= signed_tilt_degrees(normal) <= highest:
        return Plane.SEMICORONAL
    nearest = int(np.argmax(np.abs(np.asarray(normal, dtype=float))))
    return (Plane.SAGITTAL, Plane.OBLIQUE, Plane.AXIAL)[nearest]


def describe_plane(normal: Sequence[float] | FloatArray) -> str:
    """Return the plane and its angles as text, from the LPS normal (3,) of the slices."""
    return (
        f"{slice_plane(normal).value} slices (tilt {signed_tilt_degrees(normal):.0f} degrees from coronal, "
        f"{left_right_obliquity_degrees(normal):.0f} degrees off the left-right axis)"
    )


def place_stack(stack: StoredStack) -> tuple[Geometry, StorageOrder]:
    """Return the geometry of a stack in the project's axes, and how the source stored these axes.

    Raises
    ------
    TooFewSlicesError : fewer than `MIN_SLICES` slices
    GeometryError : directions are not perpendicular unit vectors, or a size or spacing is not positive
    NotSemicoronalError : the slices are axial, sagittal, too oblique, or rotated too far in their plane
    """
    directions = np.asarray(stack.directions, dtype=float)
    if not np.allclose(directions @ directions.T, np.eye(3), atol=UNIT_TOLERANCE):
        raise GeometryError(
            f"expected three perpendicular unit directions, found {np.round(directions, 4).tolist()}; "
            "export the original slices again (a sheared stack cannot be scored)"
        )
    slices = stack.shape[stack.slice_axis]
    if slices < MIN_SLICES:
        raise TooFewSlicesError(
            f"expected at least {MIN_SLICES} slices, found {slices}; send the whole semicoronal series"
        )
    normal = directions[stack.slice_axis]
    if slice_plane(normal) is not Plane.SEMICORONAL:
        raise NotSemicoronalError(
            f"expected semicoronal slices (parallel to the sacrum), found {describe_plane(normal)}; "
            "choose the semicoronal STIR series"
        )
    storage = _storage_order(directions, stack.slice_axis)
    return _geometry(stack, directions, storage), storage


def _storage_order(directions: NDArray[np.float64], slice_axis: int) -> StorageOrder:
    """Source axes and flips for slices towards posterior, rows towards inferior, columns towards the left."""
    in_plane = [axis for axis in range(3) if axis != slice_axis]
    column_axis = max(in_plane, key=lambda axis: abs(directions[axis, 0]))
    row_axis = in_plane[1 - in_plane.index(column_axis)]
    turn = math.degrees(math.atan2(abs(directions[row_axis, 0]), abs(directions[column_axis, 0])))
    if turn > MAX_IN_PLANE_ROTATION_DEGREES:
        raise NotSemicoronalError(
            f"expected columns that run from the patient's right to left, found them turned by {turn:.0f} degrees "
            f"in the slice plane (limit {MAX_IN_PLANE_ROTATION_DEGREES:.0f}); send an upright series"
        )
    flipped = (
        bool(directions[slice_axis, 1] < 0),
        bool(directions[row_axis, 2] > 0),
        bool(directions[column_axis, 0] < 0),
    )
    return StorageOrder((slice_axis, row_axis, column_axis), flipped)


def _geometry(stack: StoredStack, directions: NDArray[np.float64], storage: StorageOrder) -> Geometry:
    """The stack's geometry with its axes reordered and flipped by `storage`."""
    origin = np.array(stack.origin_mm, dtype=float)
    ordered = []
    for axis, flip in zip(storage.source_axis, storage.flipped, strict=True):
        if flip:
            origin += directions[axis] * stack.spacing_mm[axis] * (stack.shape[axis] - 1)
        direction = -directions[axis] if flip else directions[axis]
        ordered.append((float(direction[0]), float(direction[1]), float(direction[2])))
    first, second, third = storage.source_axis
    return Geometry(
        shape=(stack.shape[first], stack.shape[second], stack.shape[third]),
        origin_mm=(float(origin[0]), float(origin[1]), float(origin[2])),
        directions=(ordered[0], ordered[1], ordered[2]),
        spacing_mm=(stack.spacing_mm[first], stack.spacing_mm[second], stack.spacing_mm[third]),
        frame_of_reference_uid=stack.frame_of_reference_uid,
    )
