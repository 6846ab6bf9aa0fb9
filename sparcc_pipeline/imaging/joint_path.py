"""The joint line on T1: the dark path between two marrows, near the line that the network found.

Method, for each joint-slice:

1. The image is resampled beside the network's joint line: a row for each step along the joint, a column for each offset
   across it (`_straighten`).
2. At each step, an offset is the more likely, the darker the image is there than the marrow on both sides
   (`dark_contrast`), and the closer it is to the network's line.
3. A path takes one offset at each step, and its offset changes little from step to step. The joint is the mean offset
   over all paths, weighted by their likelihood: the forward-backward algorithm (`mean_path`). Source: [Rabiner1989].
4. Sacrum and ilium are cut along the joint (`_cut_along`).

A mean is finer than a pixel, falls between two equally dark lines, and is the network's line where the image shows
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Side
from sparcc_pipeline.imaging.alignment.second_contrast import Resampled
from sparcc_pipeline.sparcc.joint_line import LINE_STEP_MM, find_joint_line, line_normals
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, LabelArray

REACH_MM: Final = 4.0
"""Largest distance of the joint from the network's line. Decision of this project."""

OFFSET_STEP_MM: Final = 0.25
"""Distance of the offsets across the joint."""

MARROW_FROM_MM: Final = 2.5
MARROW_TO_MM: Final = 5.5
"""Range of distances from a possible joint where its marrow is measured: clear of a joint of LARGEST_JOINT_WIDTH_MM."""

BLUR_ACROSS_MM: Final = 0.6
BLUR_ALONG_MM: Final = 1.5
"""Smoothing (sigma) of the image before the comparison: half the width of a joint; along the joint, against noise."""

LEAST_CONTRAST: Final = 0.1
LARGEST_CONTRAST: Final = 1.0
"""Limits of the log of marrow over joint: a less dark line is no joint, and a darker one is no more likely."""

CONTRAST_WEIGHT: Final = 10.0
OFFSET_WEIGHT: Final = 0.04
BEND_WEIGHT: Final = 1.0
"""Log odds for each mm along the joint: of one unit of contrast, of one mm2 of offset, and of a squared slope of 1
against the network's line. Of nine settings, these best restored lines that had been moved by a smooth 2 mm; the second
best was 0.01 mm worse. Decision of this project."""

NEIGHBOUR_WEIGHT: Final = 0.25
"""Weight of the contrast on the same rows of a neighbouring slice, which shows the same joint; the slice has 1."""

LIGAMENTOUS: Final = 0.8
"""Slices that are this likely behind the transitional slice are not changed: ligament there is not a dark line."""

LEAST_SHIFT_MM: Final = 0.3
"""Half a pixel: a smaller shift changes nothing."""

_AROUND_MM: Final = 1.0
"""Unevenness of the network's border around its smooth line."""


@dataclass(frozen=True, eq=False)
class _Band:
    """The image beside one joint line.

    Parameters
    ----------
    line : (n, 2) (row_mm, column_mm)
    normals : (n, 2) unit vectors into the ilium
    contrast : (n, offsets), see `dark_contrast`
    """

    slice_index: int
    side: Side
    line: FloatArray
    normals: FloatArray
    contrast: FloatArray


def follow_joints(anatomy: LabelArray, geometry: Geometry, t1: Resampled, ligamentous: Float32Array) -> LabelArray:
    """Return the anatomy with sacrum and ilia cut along the joint that T1 shows; a new array (slices, rows, columns).

    Only the border between the bones moves: bone remains bone.

    Parameters
    ----------
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    t1 : on the same voxels; slices that it does not cover are not changed
    ligamentous : (slices,) probability that the slice shows the ligamentous part of the joints
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


def _straighten(
    image: Float32Array, line: FloatArray, normals: FloatArray, in_plane_mm: tuple[float, float]
) -> FloatArray:
    """(n, offsets) signal beside a joint line, a row for each of its points; `image` is (rows, columns)."""
    # Wider than the path by the marrow beside its outermost offsets.
    across = _offsets_to(REACH_MM + MARROW_TO_MM)
    points = (line[:, None] + across[None, :, None] * normals[:, None]) / in_plane_mm
    straight: FloatArray = ndimage.map_coordinates(
        image, np.moveaxis(points, -1, 0), output=np.float64, order=1, mode="nearest"
    )
    return straight


def dark_contrast(straight: FloatArray) -> FloatArray:
    """Return the contrast of a dark line at each offset of the path; (n, path offsets), 0 without a dark line.

    It is the log of the darker of both marrows over the signal, limited to LEAST_CONTRAST and LARGEST_CONTRAST, less
    LEAST_CONTRAST. The darker marrow, so that a step from bright to dark tissue does not count as a line.

    Parameters
    ----------
    straight : (n, offsets) signal beside the joint line, at offsets up to REACH_MM + MARROW_TO_MM on both sides
    """
    smooth = ndimage.gaussian_filter1d(straight, BLUR_ALONG_MM / LINE_STEP_MM, axis=0, mode="nearest")
    here = ndimage.gaussian_filter1d(smooth, BLUR_ACROSS_MM / OFFSET_STEP_MM, axis=1, mode="nearest")
    # A running mean as wide as the range of the marrow: its value in the middle of the range is the mean of the marrow.
    # The arrays below are views of it, shifted by that middle to either side, one column for each offset of the path.
    width = round((MARROW_TO_MM - MARROW_FROM_MM) / OFFSET_STEP_MM)
    marrow = ndimage.uniform_filter1d(smooth, width + 1, axis=1, mode="nearest")
    beside, edge = round((MARROW_TO_MM + MARROW_FROM_MM) / 2 / OFFSET_STEP_MM), round(MARROW_TO_MM / OFFSET_STEP_MM)
    count = straight.shape[1] - 2 * edge
    towards_sacrum = marrow[:, edge - beside : edge - beside + count]
    towards_ilium = marrow[:, edge + beside : edge + beside + count]
    # Keeps the logarithm finite where the image is 0.
    smallest = max(float(straight.max()) * 1e-3, np.finfo(float).tiny)
    darker_marrow = np.maximum(np.minimum(towards_sacrum, towards_ilium), smallest)
    contrast = np.log(darker_marrow / np.maximum(here[:, edge : edge + count], smallest))
    return np.asarray(np.clip(contrast, LEAST_CONTRAST, LARGEST_CONTRAST) - LEAST_CONTRAST)


def _offsets(bands: list[_Band]) -> list[FloatArray]:
    """(n,) offset in mm, positive towards the ilium, of the joint from each band's line."""
    at = {band.slice_index: band for band in bands}
    offsets, longest = _offsets_to(REACH_MM), max(len(band.line) for band in bands)
    # One array for all bands of a side, as long as the longest line. Past the end of a shorter line nothing is known:
    # every offset has the same likelihood.
    likely = np.ones((len(bands), longest, len(offsets)))
    for i, band in enumerate(bands):
        log_odds = CONTRAST_WEIGHT * _with_neighbours(band, at) - OFFSET_WEIGHT * offsets**2
        # Only ratios within a step matter: with a largest value of 1, the exponential cannot overflow.
        log_odds -= log_odds.max(axis=1, keepdims=True)
        likely[i, : len(band.line)] = np.exp(LINE_STEP_MM * log_odds)
    mean = mean_path(likely) @ offsets
    return [mean[i, : len(band.line)] for i, band in enumerate(bands)]


def _with_neighbours(band: _Band, at: dict[int, _Band]) -> FloatArray:
    """(n, path offsets) contrast of a band, averaged with the neighbouring slices where they show the same rows."""
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
    """Return the probability that the path takes each offset, given all steps; (joints, steps, offsets).

    The path is a hidden Markov model: the offset is its state, `likely` the probability of the image given the state,
    and a change of offset by one step has a normal distribution. Source: [Rabiner1989], section III.

    Parameters
    ----------
    likely : (joints, steps, offsets) likelihood of each offset from its own step alone, up to a factor for each step
    """
    # The transition kernel exp(-BEND_WEIGHT * step * slope^2), cut at three standard deviations.
    largest = round(3 / np.sqrt(2 * BEND_WEIGHT * LINE_STEP_MM) * LINE_STEP_MM / OFFSET_STEP_MM)
    slope = np.arange(-largest, largest + 1) * OFFSET_STEP_MM / LINE_STEP_MM
    bend = np.exp(-BEND_WEIGHT * LINE_STEP_MM * slope**2)
    steps = likely.shape[1]
    # forward: offset given this and all earlier steps; backward: likelihood of all later steps given the offset. The
    # transition depends on the difference of offsets alone, so each step is a correlation with the kernel. Every step
    # is divided by its maximum, or the products would underflow on a long line.
    forward, backward = np.empty_like(likely), np.ones_like(likely)
    forward[:, 0] = likely[:, 0]
    for s in range(1, steps):
        reached = ndimage.correlate1d(forward[:, s - 1], bend, axis=1, mode="constant") * likely[:, s]
        forward[:, s] = reached / reached.max(axis=1, keepdims=True)
    for s in range(steps - 2, -1, -1):
        ahead = ndimage.correlate1d(backward[:, s + 1] * likely[:, s + 1], bend, axis=1, mode="constant")
        backward[:, s] = ahead / ahead.max(axis=1, keepdims=True)
    both = forward * backward
    return np.asarray(both / both.sum(axis=2, keepdims=True))


def _cut_along(labels: LabelArray, band: _Band, offsets: FloatArray, in_plane_mm: tuple[float, float]) -> None:
    """Relabel the bone between a line and its joint, in place: each pixel gets the label of its side of the joint.

    `labels` is (rows, columns); `offsets` (n,) is the offset of the joint in mm from each point of the line.
    """
    ilium = ILIUM_LABEL[band.side]
    wide = REACH_MM + _AROUND_MM
    low = np.maximum(np.floor((band.line.min(axis=0) - wide) / in_plane_mm).astype(int), 0)
    high = np.ceil((band.line.max(axis=0) + wide) / in_plane_mm).astype(int) + 1
    # Only the box around the line is searched.
    part = labels[low[0] : high[0], low[1] : high[1]]
    bone = np.argwhere(np.isin(part, [AnatomyLabel.SACRUM, ilium]))
    places = (bone + low) * in_plane_mm
    distance, nearest = cKDTree(band.line).query(places, distance_upper_bound=wide)
    inside = np.isfinite(distance)
    bone, places, nearest = bone[inside], places[inside], nearest[inside]
    # In the frame of the nearest point of the line: `across` is the distance along the normal, towards the ilium.
    away = places - band.line[nearest]
    across = (away * band.normals[nearest]).sum(axis=1)
    # Beyond its ends, a line has no joint: pixels there are off the normal of the end point.
    beside = np.linalg.norm(away, axis=1) - np.abs(across) <= LINE_STEP_MM
    joint = offsets[nearest]
    between = (across > np.minimum(joint, 0) - _AROUND_MM) & (across < np.maximum(joint, 0) + _AROUND_MM)
    moved = beside & between & (np.abs(joint) >= LEAST_SHIFT_MM)
    part[tuple(bone[moved & (across > joint)].T)] = ilium
    part[tuple(bone[moved & (across < joint)].T)] = AnatomyLabel.SACRUM
