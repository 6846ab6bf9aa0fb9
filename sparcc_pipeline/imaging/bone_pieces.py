"""Selection of the pieces that are sacrum and ilia, and of the part of a large field of view to search."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.sparcc.joint_line import LARGEST_JOINT_WIDTH_MM
from sparcc_pipeline.volume import BoolArray, Geometry, LabelArray

FIELD_MM: Final = 210.0
LARGE_FIELD_MM: Final = 300.0
"""The networks were trained on fields of view of 200 mm (seven people), and of up to 305 mm on T1. A field larger than
LARGE_FIELD_MM is cut to FIELD_MM. Decision of this project."""

WINDOW_STEP_MM: Final = 60.0
WINDOW_SLICES: Final = 5
"""Largest distance of the parts of a large field of view, and the number of middle slices that are searched."""

_SMALLEST_PIECE: Final = 0.1
"""Pieces of a bone smaller than this share of its largest piece are noise."""

APART_MM: Final = 20.0
"""Pieces of a bone farther than this from its main piece are another bone (a femur, a rib) or no bone."""

_ROUNDING_MM: Final = 1e-6

Place = tuple[slice, ...]
"""Slices, rows and columns of a part of a volume."""


def without_noise(anatomy: LabelArray, spacing_mm: tuple[float, float, float]) -> LabelArray:
    """Return the anatomy without pieces that are small or far from the main piece of their bone.

    `anatomy` and the result are (slices, rows, columns) codes of `AnatomyLabel`; pieces are connected in three
    dimensions. The main piece is the largest one. Where there is one, it is the piece of the sacrum that faces most of
    the ilia, and the largest piece of an ilium that is beside the sacrum.
    """
    clean = np.zeros_like(anatomy)
    for label, place in zip(range(1, len(AnatomyLabel)), ndimage.find_objects(anatomy), strict=False):
        if place is None:
            continue
        pieces, count = ndimage.label(anatomy[place] == label)
        large = [1] if count == 1 else _kept(pieces, AnatomyLabel(label), anatomy, clean, place, spacing_mm)
        keep = np.zeros(count + 1, dtype=bool)
        keep[large] = True
        clean[place][keep[pieces]] = label
    return clean


def _kept(
    pieces: NDArray[np.int32],
    label: AnatomyLabel,
    anatomy: LabelArray,
    clean: LabelArray,
    place: Place,
    spacing_mm: tuple[float, float, float],
) -> list[int]:
    """The numbers of the pieces of one bone that are not noise.

    `pieces` are those in `place`, a part of `anatomy`; `clean` holds the bones of smaller codes, without their noise.
    """
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    main = int(sizes.argmax())
    if label is AnatomyLabel.SACRUM:
        main = _facing_most(pieces, anatomy, place, spacing_mm) or main
    # A piece larger than the sacrum that faces the ilia is something else.
    others = [int(n) for n in np.argsort(-sizes) if _SMALLEST_PIECE * sizes[main] <= sizes[n] <= sizes[main]]
    large = [main, *(number for number in others if number != main)]
    if len(large) > 1:
        first = np.array([side.start for side in place])
        if label in ILIUM_LABEL.values():
            sacrum = _surface(clean == AnatomyLabel.SACRUM) - first
            large = _beside(pieces, large, sacrum, spacing_mm) or large
        large = _beside(pieces, large, _surface(pieces == large[0]), spacing_mm)
    return large


def _facing_most(
    pieces: NDArray[np.int32], anatomy: LabelArray, place: Place, spacing_mm: tuple[float, float, float]
) -> int:
    """Number of the piece that faces most of the ilia across a joint, in the plane of the slices; 0 for none.

    Behind the joints a network may label soft tissue as sacrum, in a piece larger than the sacrum.
    """
    across = [0, *(round(LARGEST_JOINT_WIDTH_MM / mm) for mm in spacing_mm[1:])]
    around = tuple(
        slice(max(side.start - reach, 0), side.stop + reach) for side, reach in zip(place, across, strict=True)
    )
    inner = tuple(
        slice(side.start - wide.start, side.stop - wide.start) for side, wide in zip(place, around, strict=True)
    )
    ilia = np.isin(anatomy[around], list(ILIUM_LABEL.values()))
    near = ndimage.maximum_filter(ilia, size=[2 * reach + 1 for reach in across])[inner]
    beside = near & (pieces > 0)
    return int(np.bincount(pieces[beside]).argmax()) if beside.any() else 0


def _beside(
    pieces: NDArray[np.int32], numbers: list[int], place: NDArray[np.int_], spacing_mm: tuple[float, float, float]
) -> list[int]:
    """The numbers of the pieces that come within APART_MM of a place, (n, 3) voxels; the first piece may be it."""
    if not len(place):
        return []
    tree = cKDTree(place * spacing_mm)
    near = []
    for number in numbers:
        away, _ = tree.query(_surface(pieces == number) * spacing_mm, distance_upper_bound=APART_MM + _ROUNDING_MM)
        if away.min() <= APART_MM:
            near.append(number)
    return near


def _surface(part: BoolArray) -> NDArray[np.int_]:
    """(n, 3) voxels of a part (slices, rows, columns) with a neighbour outside it: the nearest voxel is among them."""
    padded = np.pad(part, 1)
    inner = part.copy()
    for axis in range(part.ndim):
        for shift in (-1, 1):
            inner &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(part & ~inner)


def fields_within(geometry: Geometry) -> list[tuple[slice, slice]]:
    """Return rows and columns of overlapping parts of FIELD_MM that cover a large field of view; [] for a usual one."""
    sizes = [count * mm for count, mm in zip(geometry.shape[1:], geometry.in_plane_mm, strict=True)]
    if max(sizes) <= LARGE_FIELD_MM:
        return []
    sides = []
    for count, mm, size in zip(geometry.shape[1:], geometry.in_plane_mm, sizes, strict=True):
        length = min(round(FIELD_MM / mm), count)
        parts = int(np.ceil(max(size - FIELD_MM, 0) / WINDOW_STEP_MM)) + 1
        sides.append([slice(int(first), int(first) + length) for first in np.linspace(0, count - length, parts)])
    return [(rows, columns) for rows in sides[0] for columns in sides[1]]


def field_about(sacrum: BoolArray, geometry: Geometry) -> tuple[slice, slice] | None:
    """Return rows and columns of FIELD_MM around the middle of the sacrum; None for a field of view of usual size.

    `sacrum` is (slices, rows, columns) bool.
    """
    sizes = [count * mm for count, mm in zip(geometry.shape[1:], geometry.in_plane_mm, strict=True)]
    if max(sizes) <= LARGE_FIELD_MM or not sacrum.any():
        return None
    sides = []
    for axis, mm in enumerate(geometry.in_plane_mm, start=1):
        middle, reach = float(np.nonzero(sacrum)[axis].mean()), FIELD_MM / 2 / mm
        first, last = max(round(middle - reach), 0), min(round(middle + reach), geometry.shape[axis])
        sides.append(slice(first, last))
    return sides[0], sides[1]
