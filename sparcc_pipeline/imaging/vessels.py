"""Presacral vessels, the reference for intense edema: bright tubes in front of and below the sacrum.

Source of the reference: [Lin2024]; the rule that finds them is a decision of this project.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.sparcc.intensity import tissue_signal
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, LabelArray

NEAR_SACRUM_MM: Final = 25.0
CLEAR_OF_BONE_MM: Final = 3.0
LARGEST_CALIBRE_MM: Final = 8.0
"""What an opening with a disc of this width leaves is wider than a vessel: bladder, bowel or dural sac."""

BRIGHTER_THAN_MARROW: Final = 2.0

FORAMEN_RADIUS_MM: Final = 12.0
"""A notch of the bones that a disc of this radius does not enter is a sacral foramen or the L5-S1 disc: a bright tube
there is a nerve root or the disc. The presacral concavity is wider."""

STANDS_OUT: Final = 4 / 3
"""A vessel is at least this many times as bright as the tissue around it. Unsuppressed fat near the coil is bright as a
whole, and its noise is not a vessel. Decision of this project."""

SHORTEST_VESSEL_MM: Final = 10.0
SLENDER: Final = 3.0
"""A vessel is at least this long on its slice, and this many times as long as it is wide. Specks of noise, ends of
nerve roots and pieces of the wall of the bowel are shorter. Decision of this project."""

MEDIAL_BORDER: Final = 0.9
"""Share of the columns of an ilium that are lateral to its medial border, beyond which vessels of the buttocks lie.
Decision of this project."""

SURROUNDINGS_MM: Final = 27.0
"""Side of the square around a pixel that counts as the tissue around it."""

_SURROUNDINGS_STEP_MM: Final = 3.0
_ROUNDING: Final = 1e-5


def find_presacral_vessels(
    signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float, ligamentous: Float32Array
) -> BoolArray:
    """Return the bright tubes between the ilia, near the sacrum and outside bone; (slices, rows, columns) bool.

    Slices that can cut the sacral canal are left out (from the transitional slice on, and the posterior third of the
    sacrum), so that nerve roots and cerebrospinal fluid are never taken for a vessel.

    Parameters
    ----------
    signal : (slices, rows, columns) STIR
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    marrow : normal marrow signal, in the units of `signal`
    ligamentous : (slices,) probability that the slice shows the ligamentous part of the joints
    """
    vessel = np.zeros(signal.shape, dtype=bool)
    slices = np.flatnonzero((anatomy == AnatomyLabel.SACRUM).any(axis=(1, 2)))
    if not slices.size:
        return vessel
    for k in slices[: max(int(np.ceil(len(slices) * 2 / 3)), 1)]:
        if ligamentous[k] < 0.5:
            vessel[k] = _on_slice(signal[k], anatomy[k], geometry, marrow)
    return vessel


def _on_slice(signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float) -> BoolArray:
    """(rows, columns) bool: vessels on one slice: bright, long, slender, and brighter than their surroundings."""
    in_plane = geometry.in_plane_mm
    anywhere = signal >= BRIGHTER_THAN_MARROW * marrow
    bright = anywhere & _presacral(anatomy, in_plane)
    if not bright.any():
        return bright
    # The width is judged on the whole bright structure, and not on the part of it that is presacral.
    tubes, count = ndimage.label(bright & ~_wide(anywhere, bright, in_plane))
    if not count:
        return np.zeros(signal.shape, dtype=bool)
    inside = tubes > 0
    tube = tubes[inside]
    # Sums over the pixels of each tube: `own` and `around` share the factor 1 / area, so sums compare as means do.
    area = np.bincount(tube) * geometry.pixel_area_mm2
    own, around = (np.bincount(tube, image[inside]) for image in (signal, _surroundings(signal, in_plane)))
    length = np.array([0.0, *(_length_mm(box, in_plane) for box in ndimage.find_objects(tubes))])
    slender = (length >= SHORTEST_VESSEL_MM) & (length**2 >= SLENDER * area)
    kept = (slender & (own >= STANDS_OUT * around))[tubes] & inside
    return _core(kept, signal, in_plane) if kept.any() else kept


def _length_mm(box: tuple[slice, ...], in_plane: tuple[float, float]) -> float:
    """Diagonal of the box about a tube; its mean width is its area divided by that length."""
    return float(np.hypot(*((side.stop - side.start) * step for side, step in zip(box, in_plane, strict=True))))


def _core(vessel: BoolArray, signal: Float32Array, in_plane: tuple[float, float]) -> BoolArray:
    """(rows, columns) bool: the brighter half of the vessels of one slice, because partial volume dims their wall.

    It is chosen by the smoothed signal, because a choice by single pixels follows their noise.
    """
    smooth = tissue_signal(signal, vessel.astype(np.float64), in_plane)
    return np.asarray(vessel & (smooth >= (1 - _ROUNDING) * np.median(smooth[vessel])))


def _presacral(anatomy: LabelArray, in_plane: tuple[float, float]) -> BoolArray:
    """(rows, columns) bool: places for a presacral vessel, near the sacrum and outside foramina, discs and bone.

    Nothing above the top of the sacrum: discs and the dural sac there are as bright as vessels.
    """
    place = np.zeros(anatomy.shape, dtype=bool)
    sacrum = anatomy == AnatomyLabel.SACRUM
    rows, columns = (np.flatnonzero(sacrum.any(axis=axis)) for axis in (1, 0))
    reach = [int(np.ceil((NEAR_SACRUM_MM + FORAMEN_RADIUS_MM) / step)) + 1 for step in in_plane]
    # Distance transforms are slow: they run on the part around the sacrum, a third of the slice.
    window = (
        slice(max(int(rows[0]) - reach[0], 0), int(rows[-1]) + reach[0] + 1),
        slice(max(int(columns[0]) - reach[1], 0), int(columns[-1]) + reach[1] + 1),
    )
    bones = anatomy[window]
    near = ndimage.distance_transform_edt(~sacrum[window], sampling=in_plane) <= NEAR_SACRUM_MM
    clear = ndimage.distance_transform_edt(bones == AnatomyLabel.BACKGROUND, sampling=in_plane) >= CLEAR_OF_BONE_MM
    spine = np.isin(bones, [AnatomyLabel.SACRUM, AnatomyLabel.LUMBAR_VERTEBRA])
    place[window] = near & clear & ~_closed(spine, FORAMEN_RADIUS_MM, in_plane)
    place[: rows[0]] = False
    first, last = _columns_between_ilia(anatomy)
    inside = np.arange(anatomy.shape[1])
    between: BoolArray = (inside > first) & (inside < last)
    return place & between


def _closed(bones: BoolArray, radius_mm: float, in_plane: tuple[float, float]) -> BoolArray:
    """(rows, columns) bool: morphological closing with a disc of `radius_mm`, by distance transforms.

    A pixel is closed if every disc that covers it touches bone: the grown bones are shrunk by the same radius.
    """
    # Padding: there is no bone beyond the border of the image.
    grown = np.pad(ndimage.distance_transform_edt(~bones, sampling=in_plane) <= radius_mm, 1)
    deep = ndimage.distance_transform_edt(grown, sampling=in_plane)[1:-1, 1:-1] > radius_mm
    return np.asarray(bones | deep)


def _wide(seen: BoolArray, bright: BoolArray, in_plane: tuple[float, float]) -> BoolArray:
    """(rows, columns) bool: the parts of `seen` near `bright` that are wider than a vessel, with a rim around them."""
    ball = round_footprint(LARGEST_CALIBRE_MM / 2, in_plane)
    # An opening (two radii) and a dilation (one) depend on pixels at most three radii away: a window with that margin
    # around the bright pixels gives the same result as the whole slice.
    window = tuple(
        slice(max(int(found[0]) - 3 * reach - 1, 0), int(found[-1]) + 3 * reach + 2)
        for found, reach in ((np.flatnonzero(bright.any(axis=1 - axis)), ball.shape[axis] // 2) for axis in (0, 1))
    )
    wide = np.zeros_like(bright)
    wide[window] = ndimage.binary_dilation(ndimage.binary_opening(seen[window], ball), ball)
    return wide


def _surroundings(signal: Float32Array, in_plane: tuple[float, float]) -> Float32Array:
    """(rows, columns) median signal within SURROUNDINGS_MM: a median, because vessels are the smaller part of it.

    The median runs over means of blocks of about _SURROUNDINGS_STEP_MM, which is faster than over pixels.
    """
    step = [max(round(_SURROUNDINGS_STEP_MM / spacing), 1) for spacing in in_plane]
    rows, columns = (-(-length // size) for length, size in zip(signal.shape, step, strict=True))
    missing = ((0, rows * step[0] - signal.shape[0]), (0, columns * step[1] - signal.shape[1]))
    blocks = np.pad(signal, missing, mode="edge").reshape(rows, step[0], columns, step[1]).mean(axis=(1, 3))
    reach = [round(SURROUNDINGS_MM / 2 / (size * spacing)) for size, spacing in zip(step, in_plane, strict=True)]
    window = [2 * each + 1 for each in reach]
    around: Float32Array = ndimage.median_filter(blocks, window, mode="nearest")
    return around.repeat(step[0], axis=0).repeat(step[1], axis=1)[: signal.shape[0], : signal.shape[1]]


def _columns_between_ilia(anatomy: LabelArray) -> tuple[float, float]:
    """Columns of the medial borders of the right and the left ilium; the border of the image where one is missing."""
    right = np.flatnonzero((anatomy == AnatomyLabel.RIGHT_ILIUM).any(axis=0))
    left = np.flatnonzero((anatomy == AnatomyLabel.LEFT_ILIUM).any(axis=0))
    first = float(np.quantile(right, MEDIAL_BORDER)) if right.size else 0.0
    last = float(np.quantile(left, 1 - MEDIAL_BORDER)) if left.size else float(anatomy.shape[1])
    return first, last


def round_footprint(radius_mm: float, in_plane_mm: tuple[float, float]) -> BoolArray:
    """Return a disc (rows, columns) bool for the morphology of one slice."""
    reach = [int(np.ceil(radius_mm / step)) for step in in_plane_mm]
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((rows * in_plane_mm[0]) ** 2 + (columns * in_plane_mm[1]) ** 2 <= radius_mm**2)
