"""Presacral vessels, the reference for intense edema: bright, tubular, in front of and below the sacrum."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, LabelArray

NEAR_SACRUM_MM: Final = 25.0
CLEAR_OF_BONE_MM: Final = 3.0
LARGEST_CALIBRE_MM: Final = 8.0
"""What stays when tubes of this width are opened away is no vessel but bladder, bowel or dural sac."""

BRIGHTER_THAN_MARROW: Final = 2.0
SMALLEST_VESSEL_MM2: Final = 4.0


def find_presacral_vessels(signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float) -> BoolArray:
    """(slices, rows, columns) bool: bright tubular structures between the ilia, near the sacrum, outside bone.

    Parameters
    ----------
    marrow : normal marrow signal, in the units of `signal`

    Slices on which the spinal canal can lie beside the sacrum (the posterior third of the sacrum) are left out, so
    that cerebrospinal fluid is never taken for a vessel.
    """
    vessel = np.zeros(signal.shape, dtype=bool)
    slices = np.flatnonzero((anatomy == AnatomyLabel.SACRUM).any(axis=(1, 2)))
    if not slices.size:
        return vessel
    for k in slices[: max(int(np.ceil(len(slices) * 2 / 3)), 1)]:
        vessel[k] = _on_slice(signal[k], anatomy[k], geometry, marrow)
    return vessel


def _on_slice(signal: Float32Array, anatomy: LabelArray, geometry: Geometry, marrow: float) -> BoolArray:
    in_plane = geometry.in_plane_mm
    sacrum = anatomy == AnatomyLabel.SACRUM
    near = ndimage.distance_transform_edt(~sacrum, sampling=in_plane) <= NEAR_SACRUM_MM
    clear = ndimage.distance_transform_edt(anatomy == AnatomyLabel.BACKGROUND, sampling=in_plane) >= CLEAR_OF_BONE_MM
    # Below the top of the sacrum: above it lie discs and the dural sac, as bright as vessels.
    rows = np.flatnonzero(sacrum.any(axis=1))
    below_top = np.arange(len(signal))[:, None] >= rows[0]
    bright = (signal >= BRIGHTER_THAN_MARROW * marrow) & near & clear & below_top & _between_ilia(anatomy)
    if not bright.any():
        return np.zeros(signal.shape, dtype=bool)
    ball = _disc(LARGEST_CALIBRE_MM / 2, in_plane)
    # Opening and dilation look three radii far: beyond that around the bright pixels nothing changes what is wide.
    window = tuple(
        slice(max(int(found[0]) - 3 * reach - 1, 0), int(found[-1]) + 3 * reach + 2)
        for found, reach in ((np.flatnonzero(bright.any(axis=1 - axis)), ball.shape[axis] // 2) for axis in (0, 1))
    )
    wide = np.zeros_like(bright)
    seen = signal[window] >= BRIGHTER_THAN_MARROW * marrow
    wide[window] = ndimage.binary_dilation(ndimage.binary_opening(seen, ball), ball)
    tubes, count = ndimage.label(bright & ~wide)
    if not count:
        return np.zeros(signal.shape, dtype=bool)
    area = ndimage.sum_labels(tubes > 0, tubes, np.arange(1, count + 1)) * geometry.pixel_area_mm2
    kept = np.isin(tubes, 1 + np.flatnonzero(area >= SMALLEST_VESSEL_MM2))
    # Partial volume dims the wall of a vessel: its brighter half is its own signal.
    return kept & (signal >= np.median(signal[kept])) if kept.any() else kept


def _between_ilia(anatomy: LabelArray) -> BoolArray:
    """(rows, columns) bool: between the median columns of both ilia; the image border stands in for a missing one."""
    right = np.flatnonzero((anatomy == AnatomyLabel.RIGHT_ILIUM).any(axis=0))
    left = np.flatnonzero((anatomy == AnatomyLabel.LEFT_ILIUM).any(axis=0))
    columns = np.arange(anatomy.shape[1])[None, :]
    first = np.median(right) if right.size else 0
    last = np.median(left) if left.size else anatomy.shape[1]
    return np.broadcast_to((columns > first) & (columns < last), anatomy.shape)


def _disc(radius_mm: float, in_plane_mm: tuple[float, float]) -> BoolArray:
    reach = [int(np.ceil(radius_mm / step)) for step in in_plane_mm]
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    return np.asarray((rows * in_plane_mm[0]) ** 2 + (columns * in_plane_mm[1]) ** 2 <= radius_mm**2)
