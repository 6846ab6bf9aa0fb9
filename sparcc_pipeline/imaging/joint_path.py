"""The joint line where the image shows it: the dark path between two marrows, near the line that the network found.

On T1 the joint is darker than the marrow on both of its sides. About the network's own joint line the image is laid out
straight: steps along the joint by offsets across it. On every step each offset is more or less likely: the more, the
darker the image is there than both marrows, and the nearer to the network's line; and the offset hardly changes from
one step to the next. The mean offset over all paths, each weighted by how likely it is (forward-backward algorithm:
Rabiner 1989, doi 10.1109/5.18626, section III), is the joint. It is finer than a pixel, lies between two lines that are
as dark, and is the network's line where the image shows none. Sacrum and ilium are then cut along it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Side
from sparcc_pipeline.imaging.alignment.second_contrast import Resampled
from sparcc_pipeline.sparcc.joint import LINE_STEP_MM, find_joint_line, line_normals
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, LabelArray

REACH_MM: Final = 4.0
"""The joint lies at most this far from the network's line (project decision)."""

OFFSET_STEP_MM: Final = 0.25

MARROW_FROM_MM: Final = 2.5
MARROW_TO_MM: Final = 5.5
"""Where marrow is looked at on both sides of what may be the joint: clear of a joint of LARGEST_JOINT_WIDTH_MM."""

BLUR_ACROSS_MM: Final = 0.6
BLUR_ALONG_MM: Final = 1.5
"""The image is smoothed by these (sigma) before it is compared: half a joint's width, and what noise needs."""

LEAST_CONTRAST: Final = 0.1
LARGEST_CONTRAST: Final = 1.0
"""Log of marrow over joint: what is less dark is no joint, what is darker says no more."""

CONTRAST_WEIGHT: Final = 10.0
OFFSET_WEIGHT: Final = 0.04
BEND_WEIGHT: Final = 1.0
"""Log odds, each mm of the joint: of a unit of contrast, of a mm2 of offset, of a squared slope against the network's
line (project decision: of nine settings the one that best brought lines back which had been moved by a smooth 2 mm; the
runner-up was 0.01 mm worse)."""

NEIGHBOUR_WEIGHT: Final = 0.25
"""Share of a neighbouring slice's contrast, on the same rows, against the slice's own: the joint goes on there."""

LIGAMENTOUS: Final = 0.8
"""Slices that are this likely behind the transitional one show ligament between the bones, which is no dark line."""

LEAST_SHIFT_MM: Final = 0.3
"""Half a pixel: less is not worth another cut."""

_AROUND_MM: Final = 1.0
"""The network's own border is uneven by so much about its smooth line."""


@dataclass(frozen=True, eq=False)
class _Band:
    """What lies about one joint line: (n, 2) points and normals into the ilium in mm, contrast (n, offsets)."""

    slice_index: int
    side: Side
    line: FloatArray
    normals: FloatArray
    contrast: FloatArray


def follow_joints(anatomy: LabelArray, geometry: Geometry, t1: Resampled, ligamentous: Float32Array) -> LabelArray:
    """The anatomy with sacrum and ilia cut along the joint that T1 shows; a new array, bone stays bone.

    Parameters
    ----------
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    t1 : on the same voxels; slices that it does not cover stay as they are
    ligamentous : (slices,) probability that the ligamentous part shows
    """
    cut, shown = anatomy.copy(), t1.covered & (ligamentous < LIGAMENTOUS)
    for side in Side:
        bands = []
        for k in np.flatnonzero(shown):
            line = find_joint_line(anatomy[k], geometry.in_plane_mm, side)
            if line is not None:
                normals = line_normals(line, side, Bone.ILIUM)
                contrast = dark_contrast(_straighten(t1.signal[k], line, normals, geometry.in_plane_mm))
                bands.append(_Band(int(k), side, line, normals, contrast))
        if bands:
            for band, offsets in zip(bands, _offsets(bands), strict=True):
                _cut_along(cut[band.slice_index], band, offsets, geometry.in_plane_mm)
    return cut


def _offsets_to(reach_mm: float) -> FloatArray:
    """Offsets across the joint in mm, OFFSET_STEP_MM apart, as far as `reach_mm` into either bone."""
    count = round(reach_mm / OFFSET_STEP_MM)
    offsets: FloatArray = np.arange(-count, count + 1, dtype=np.float64) * np.float64(OFFSET_STEP_MM)
    return offsets


def _straighten(image: Float32Array, line: FloatArray, normals: FloatArray,
                in_plane_mm: tuple[float, float]) -> FloatArray:  # fmt: skip
    """(n, offsets) signal beside a joint line: a row for each of its points, at the offsets of the path and
    of the marrow beside the outermost."""
    across = _offsets_to(REACH_MM + MARROW_TO_MM)
    points = (line[:, None] + across[None, :, None] * normals[:, None]) / in_plane_mm
    straight: FloatArray = ndimage.map_coordinates(
        image, np.moveaxis(points, -1, 0), output=np.float64, order=1, mode="nearest"
    )
    return straight


def dark_contrast(straight: FloatArray) -> FloatArray:
    """(n, path offsets) log of the darker marrow of both sides over the signal, from LEAST_ to LARGEST_CONTRAST, less
    LEAST_CONTRAST: 0 where there is no dark line."""
    smooth = ndimage.gaussian_filter1d(straight, BLUR_ALONG_MM / LINE_STEP_MM, axis=0, mode="nearest")
    here = ndimage.gaussian_filter1d(smooth, BLUR_ACROSS_MM / OFFSET_STEP_MM, axis=1, mode="nearest")
    width = round((MARROW_TO_MM - MARROW_FROM_MM) / OFFSET_STEP_MM)
    marrow = ndimage.uniform_filter1d(smooth, width + 1, axis=1, mode="nearest")
    beside, edge = round((MARROW_TO_MM + MARROW_FROM_MM) / 2 / OFFSET_STEP_MM), round(MARROW_TO_MM / OFFSET_STEP_MM)
    count = straight.shape[1] - 2 * edge
    towards_sacrum = marrow[:, edge - beside : edge - beside + count]
    towards_ilium = marrow[:, edge + beside : edge + beside + count]
    smallest = max(float(straight.max()) * 1e-3, np.finfo(float).tiny)
    darker_marrow = np.maximum(np.minimum(towards_sacrum, towards_ilium), smallest)
    contrast = np.log(darker_marrow / np.maximum(here[:, edge : edge + count], smallest))
    return np.asarray(np.clip(contrast, LEAST_CONTRAST, LARGEST_CONTRAST) - LEAST_CONTRAST)


def _offsets(bands: list[_Band]) -> list[FloatArray]:
    """(n,) mm towards the ilium of each band's joint from its line."""
    at = {band.slice_index: band for band in bands}
    offsets, longest = _offsets_to(REACH_MM), max(len(band.line) for band in bands)
    # Past the end of a shorter line nothing is known: every offset is as likely.
    likely = np.ones((len(bands), longest, len(offsets)))
    for i, band in enumerate(bands):
        log_odds = CONTRAST_WEIGHT * _with_neighbours(band, at) - OFFSET_WEIGHT * offsets**2
        log_odds -= log_odds.max(axis=1, keepdims=True)
        likely[i, : len(band.line)] = np.exp(LINE_STEP_MM * log_odds)
    mean = mean_path(likely) @ offsets
    return [mean[i, : len(band.line)] for i, band in enumerate(bands)]


def _with_neighbours(band: _Band, at: dict[int, _Band]) -> FloatArray:
    """(n, path offsets) contrast of a band, averaged with that of the slices beside it where they show those rows."""
    total, weight = band.contrast.copy(), np.ones((len(band.line), 1))
    for k in (band.slice_index - 1, band.slice_index + 1):
        if k in at:
            rows = at[k].line[:, 0]
            nearest = np.abs(rows[None, :] - band.line[:, :1]).argmin(axis=1)
            there = np.abs(rows[nearest] - band.line[:, 0])[:, None] <= 2 * LINE_STEP_MM
            total += NEIGHBOUR_WEIGHT * there * at[k].contrast[nearest]
            weight += NEIGHBOUR_WEIGHT * there
    return total / weight


def mean_path(likely: FloatArray) -> FloatArray:
    """(joints, steps, offsets) probability that the path takes each offset, from how likely each is on its own step."""
    largest = round(3 / np.sqrt(2 * BEND_WEIGHT * LINE_STEP_MM) * LINE_STEP_MM / OFFSET_STEP_MM)
    slope = np.arange(-largest, largest + 1) * OFFSET_STEP_MM / LINE_STEP_MM
    bend = np.exp(-BEND_WEIGHT * LINE_STEP_MM * slope**2)
    steps = likely.shape[1]
    forward, backward = np.empty_like(likely), np.ones_like(likely)
    forward[:, 0] = likely[:, 0]
    for s in range(1, steps):
        came = ndimage.correlate1d(forward[:, s - 1], bend, axis=1, mode="constant") * likely[:, s]
        forward[:, s] = came / came.max(axis=1, keepdims=True)
    for s in range(steps - 2, -1, -1):
        goes = ndimage.correlate1d(backward[:, s + 1] * likely[:, s + 1], bend, axis=1, mode="constant")
        backward[:, s] = goes / goes.max(axis=1, keepdims=True)
    both = forward * backward
    return np.asarray(both / both.sum(axis=2, keepdims=True))


def _cut_along(labels: LabelArray, band: _Band, offsets: FloatArray, in_plane_mm: tuple[float, float]) -> None:
    """Give the bone between a line and the joint at `offsets` from it to the bone on whose side it lies, in place."""
    ilium = ILIUM_LABEL[band.side]
    wide = REACH_MM + _AROUND_MM
    low = np.maximum(np.floor((band.line.min(axis=0) - wide) / in_plane_mm).astype(int), 0)
    high = np.ceil((band.line.max(axis=0) + wide) / in_plane_mm).astype(int) + 1
    part = labels[low[0] : high[0], low[1] : high[1]]
    bone = np.argwhere(np.isin(part, [AnatomyLabel.SACRUM, ilium]))
    places = (bone + low) * in_plane_mm
    distance, nearest = cKDTree(band.line).query(places, distance_upper_bound=wide)
    inside = np.isfinite(distance)
    bone, places, nearest = bone[inside], places[inside], nearest[inside]
    away = places - band.line[nearest]
    across = (away * band.normals[nearest]).sum(axis=1)
    # Beyond its ends a line says nothing.
    beside = np.linalg.norm(away, axis=1) - np.abs(across) <= LINE_STEP_MM
    joint = offsets[nearest]
    between = (across > np.minimum(joint, 0) - _AROUND_MM) & (across < np.maximum(joint, 0) + _AROUND_MM)
    moved = beside & between & (np.abs(joint) >= LEAST_SHIFT_MM)
    part[tuple(bone[moved & (across > joint)].T)] = ilium
    part[tuple(bone[moved & (across < joint)].T)] = AnatomyLabel.SACRUM
