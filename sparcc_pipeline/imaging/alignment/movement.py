"""In-plane shifts of the slices of one stack against each other: the patient moved during the scan.

A stack of 2D slices is usually acquired interleaved: every second slice first, then the slices between. A patient who
moves in between leaves neighbouring slices shifted against each other. Each slice is compared with the mean of its two
neighbours: anatomy that changes steadily from slice to slice shifts the two in opposite directions and cancels;
movement does not.

Method: translation by iterated weighted least squares on the logarithm of the signal, coarse to fine, with Cauchy
weights, so that structures on one slice only (bowel, lesions) hardly count. Source: [LucasKanade1981]. Phase
correlation, of the signal or of its gradient, was measured on the same scans: without movement, its shifts were several
times as large.

The result is used for a warning. It never moves a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.errors import GeometryError
from sparcc_pipeline.imaging.model.normalize import resample_in_plane
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Volume

MOVED_MM: Final = 1.5
"""`SliceMovement.largest_mm` from which the user is warned. Decision of this project.

Measured on seven people as scanned (slices 3.3 mm apart): largest 0.4 to 0.8 mm and median 0.2 to 0.3 mm in six of
them, which anatomy explains. The seventh, 1234, has a largest of 1.1 and a median of 0.8 mm: every second slice is
0.8 mm to the side, also away from the bones and hardly in the T1 images (0.2 mm), so this is movement; it stays below
the limit. Noise of 20 % of the marrow's signal adds at most 0.15 mm. Known shifts of every second slice by 2 mm were
always over the limit, of one slice alone by 2 mm in 13 of 14 trials.

The shifts that anatomy explains grow with the distance of the slices. Interpolated to 4.4 and 5.0 mm the same scans
stay below 1.2 mm; at 5.5 mm two of seven exceed the limit (1.6 and 2.2 mm), and with every second slice left out
(6.6 mm) the measure is useless.
"""

REGION_MARGIN_MM: Final = 15
"""Each slice is compared on the rectangle around its bones, widened by this."""

SMALLEST_BONES_MM2: Final = 400.0
"""A slice with less bone than this, on itself or a neighbour, is not measured."""

LARGEST_EMPTY_SHARE: Final = 0.1
"""A slice is not measured if more than this share of the rectangle is exactly 0: outside the imaged region."""

PIXEL_MM: Final = 1.0
LEVELS: Final = ((3, 3.0), (1, 0.5))
"""Step in pixels of PIXEL_MM and smoothing (standard deviation, mm) of the coarse and of the fine level."""

DARKEST: Final = 0.3
"""Share of the bones' signal below which the logarithm levels off, so that noise in dark tissue does not count."""

OUTLIER: Final = 2.0
"""Differences this many times their own spread have half of the weight, and larger ones less."""

SPARSE: Final = 5
"""Medians use every fifth pixel, which takes a fifth of the time."""

STEPS: Final = 20
LAST_STEP: Final = 0.02
"""The search ends with a step shorter than this, in pixels of the level."""

FARTHEST_MM: Final = 20.0
"""A longer shift is not believed: the search did not converge."""

WORST_CONDITION: Final = 1e8
"""With a larger condition number of the normal equations, the image does not determine the shift."""


@dataclass(frozen=True)
class SliceMovement:
    """In-plane shift of each slice against the mean of its two neighbours.

    If every second slice moved by d, each slice has a shift of d. If one slice moved by d, it has a shift of d and its
    two neighbours up to d / 2. If the patient moved by d between two halves of a stack that was acquired in order, the
    slices on both sides of the step have d / 2.

    Parameters
    ----------
    shift_mm : length of the shift of each slice that could be measured
    slices : slice_index of each; never the first or last slice, nor a slice with little bone or partly empty, nor a
        neighbour of one
    """

    shift_mm: tuple[float, ...]
    slices: tuple[int, ...]

    @property
    def largest_mm(self) -> float | None:
        """Largest shift; None if no slice could be measured."""
        return max(self.shift_mm, default=None)

    @property
    def median_mm(self) -> float | None:
        """Median shift, high if the whole stack moved; None if no slice could be measured."""
        return float(np.median(self.shift_mm)) if self.shift_mm else None


def slice_movement(volume: Volume, bones: BoolArray) -> SliceMovement:
    """Measure the in-plane shift of each slice against its two neighbours.

    Parameters
    ----------
    bones : (slices, rows, columns) bool, sacrum and ilia

    Raises
    ------
    GeometryError : `bones` has another shape than the volume
    """
    if bones.shape != volume.geometry.shape:
        raise GeometryError(f"expected bones of shape {volume.geometry.shape}, found {bones.shape}")
    area = bones.sum(axis=(1, 2)) * volume.geometry.pixel_area_mm2
    enough = area >= SMALLEST_BONES_MM2
    if not enough.any():
        return SliceMovement((), ())
    seen = _rectangle(bones, volume.geometry.in_plane_mm)
    enough &= (volume.signal[:, *seen] == 0).mean(axis=(1, 2)) <= LARGEST_EMPTY_SHARE
    middle = np.flatnonzero(enough[:-2] & enough[1:-1] & enough[2:]) + 1
    marrow = float(np.median(volume.signal[bones])) if middle.size else 0.0
    if marrow <= 0:
        return SliceMovement((), ())
    spacing = volume.geometry.in_plane_mm
    contrast = np.log(np.float32(DARKEST) + np.maximum(volume.signal[:, *seen] / np.float32(marrow), 0))
    contrast = resample_in_plane(contrast, spacing, PIXEL_MM)
    pyramid = [ndimage.gaussian_filter(contrast, (0, mm, mm))[:, ::step, ::step] for step, mm in LEVELS]
    found: dict[int, float] = {}
    for k in middle.tolist():
        window = _rectangle(bones[k - 1 : k + 2], spacing)
        corner_mm = [(w.start - s.start) * mm for w, s, mm in zip(window, seen, spacing, strict=True)]
        extent_mm = [(w.stop - w.start) * mm for w, mm in zip(window, spacing, strict=True)]
        shift = _shift_mm(pyramid, k, corner_mm, extent_mm)
        if shift is not None:
            found[k] = float(np.hypot(*shift))
    return SliceMovement(tuple(found.values()), tuple(found))


def _rectangle(bones: BoolArray, spacing: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns of the rectangle around `bones` (slices, rows, columns), widened by REGION_MARGIN_MM."""
    sides = []
    for axis in (1, 2):
        held = np.flatnonzero(bones.any(axis=(0, 3 - axis)))
        margin = int(np.ceil(REGION_MARGIN_MM / spacing[axis - 1]))
        sides.append(slice(max(int(held[0]) - margin, 0), min(int(held[-1]) + margin + 1, bones.shape[axis])))
    return sides[0], sides[1]


def _shift_mm(pyramid: list[Float32Array], k: int, corner_mm: list[float], extent_mm: list[float]) -> FloatArray | None:
    """(2,) shift (row_mm, column_mm) of slice k against the mean of its neighbours; None if it cannot be found.

    The fine level starts from the shift of the coarse one. `corner_mm` and `extent_mm` are the window on the level.
    """
    shift = np.zeros(2)
    for (step, _), level in zip(LEVELS, pyramid, strict=True):
        pixel = step * PIXEL_MM
        rows, columns = (
            slice(round(start / pixel), round((start + length) / pixel))
            for start, length in zip(corner_mm, extent_mm, strict=True)
        )
        before, here, after = level[k - 1 : k + 2, rows, columns].astype(np.float64)
        found = _translation((before + after) / 2, here, shift / pixel)
        if found is None:
            return None
        shift = found * pixel
        if np.hypot(*shift) > FARTHEST_MM:
            return None
    return shift


def _translation(fixed: FloatArray, moving: FloatArray, start: FloatArray) -> FloatArray | None:
    """(2,) translation (row, column) in pixels with moving(x) = fixed(x - translation) + constant; None if not found.

    `fixed` and `moving` are (rows, columns). Each round shifts `moving` back by the translation so far, and finds what
    remains by least squares, with `fixed` taken as linear near each pixel (Gauss-Newton).
    """
    if min(fixed.shape) < 3:
        return None
    # Derivatives of the difference by row shift, column shift and constant. They are those of `fixed`, which stays, and
    # not of `moving`, so they are computed once.
    slopes = np.stack([*(-g.ravel() for g in np.gradient(fixed)), np.ones(fixed.size)])
    translation = start
    for _ in range(STEPS):
        difference = (ndimage.shift(moving, -translation, order=1, mode="nearest") - fixed).ravel()
        difference -= np.median(difference[::SPARSE])
        spread = 1.4826 * float(np.median(np.abs(difference[::SPARSE])))
        # Cauchy weights, from a robust standard deviation (1.4826 times the median deviation). Without any spread (no
        # noise, no movement) all pixels have the same weight.
        weighted = slopes / (1.0 + (difference / (OUTLIER * spread)) ** 2) if spread > 0 else slopes
        normal = weighted @ slopes.T
        if np.linalg.cond(normal) > WORST_CONDITION:
            return None
        step = np.linalg.solve(normal, weighted @ difference)[:2]
        length = float(np.hypot(*step))
        # At most one pixel a round: the linear model holds no farther.
        translation = translation + step / max(length, 1.0)
        if length < LAST_STEP:
            break
    return translation
