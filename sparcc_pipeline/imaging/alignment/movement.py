"""How far the slices of one stack lie shifted in-plane against each other: the patient moved during the scan.

A stack of 2D slices is acquired slice by slice, as a rule interleaved (every second slice first, then those between).
Whoever moves in between leaves neighbouring slices shifted against each other. Each slice is laid over the mean of its
two neighbours: anatomy that changes steadily from slice to slice shifts the two in opposite directions and cancels,
movement between them does not.

Method: translation by iterated weighted least squares on the logarithm of the signal, coarse to fine (Lucas and Kanade
1981, IJCAI, 674-679), with Cauchy weights, so that what is on one slice only (bowel, lesions) hardly counts. Phase
correlation, of the signal or of its gradient, was measured on the same scans and left a floor several times as high.

No pixel is ever moved by it: what comes out is for a warning.
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
"""`SliceMovement.largest_mm` from which a warning is justified: a project decision.

Measured on seven people as scanned (slices 3.3 mm apart): largest 0.4 to 0.8 mm and median 0.2 to 0.3 mm in six of
them, the floor that anatomy leaves. The seventh, 1234, has a largest of 1.1 and a median of 0.8 mm: every second slice
lies 0.8 mm to the side, also in the image away from the bones and hardly in its T1 images (0.2 mm), so it is no
anatomy; it stays below. Noise of 20 % of the marrow's signal adds at most 0.15 mm. Known shifts of every second slice
by 2 mm were always over it, of one slice alone by 2 mm in 13 of 14 trials.

The floor grows with the distance of the slices. Interpolated to 4.4 and 5.0 mm the same scans stay below 1.2 mm; at
5.5 mm two of seven exceed it (1.6 and 2.2 mm), and with every second slice left out (6.6 mm) nothing can be said.
"""

REGION_MARGIN_MM: Final = 15
"""Seen of each slice: the rectangle about the bones and this much around it."""

SMALLEST_BONES_MM2: Final = 400.0
"""Less bone than this on a slice or on a neighbour of it, and the slice is not measured."""

LARGEST_EMPTY_SHARE: Final = 0.1
"""With more of the rectangle without any signal (exactly 0: outside of what was imaged), a slice is not measured."""

PIXEL_MM: Final = 1.0
LEVELS: Final = ((3, 3.0), (1, 0.5))
"""Step in pixels of PIXEL_MM and smoothing (standard deviation, mm) of the coarse and of the fine level."""

DARKEST: Final = 0.3
"""Share of the bones' signal below which the logarithm levels off, so that noise in dark tissue does not count."""

OUTLIER: Final = 2.0
"""Differences this many times their own spread have a fifth of the weight."""

SPARSE: Final = 5
"""Every fifth pixel is enough for a median, and costs a fifth of the time."""

STEPS: Final = 20
LAST_STEP: Final = 0.02
"""In pixels of the level; the search ends with a shorter step."""

FARTHEST_MM: Final = 20.0
"""A longer shift is no finding: the search has lost its way."""

WORST_CONDITION: Final = 1e8


@dataclass(frozen=True)
class SliceMovement:
    """In-plane shift of each slice against the mean of its two neighbours.

    Where every second slice moved by d, each of them says d. A slice that moved alone says d, and its two neighbours up
    to d / 2. A step between two halves of a stack (slices acquired in their order) says d / 2 on both sides of it.

    Parameters
    ----------
    shift_mm : length of the shift, one a slice that could be measured
    slices : slice_index of each; never the first or last slice, nor one where it or a neighbour holds hardly any bone
        or is partly empty
    """

    shift_mm: tuple[float, ...]
    slices: tuple[int, ...]

    @property
    def largest_mm(self) -> float | None:
        """Shift of the slice that moved farthest; None where no slice could be measured."""
        return max(self.shift_mm, default=None)

    @property
    def median_mm(self) -> float | None:
        """Half of the slices moved at least this far: high where the whole stack did; None as above."""
        return float(np.median(self.shift_mm)) if self.shift_mm else None


def slice_movement(volume: Volume, bones: BoolArray) -> SliceMovement:
    """Measure how far each slice lies shifted in-plane against its two neighbours.

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
    """Rows and columns of the rectangle about `bones` (slices, rows, columns) and REGION_MARGIN_MM around it."""
    sides = []
    for axis in (1, 2):
        held = np.flatnonzero(bones.any(axis=(0, 3 - axis)))
        margin = int(np.ceil(REGION_MARGIN_MM / spacing[axis - 1]))
        sides.append(slice(max(int(held[0]) - margin, 0), min(int(held[-1]) + margin + 1, bones.shape[axis])))
    return sides[0], sides[1]


def _shift_mm(pyramid: list[Float32Array], k: int, corner_mm: list[float], extent_mm: list[float]) -> FloatArray | None:
    """(row, column) shift of slice k against the mean of its neighbours; None where it cannot be found."""
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
    """(row, column) in pixels such that moving(x) = fixed(x - translation) + constant; None where nothing shows it."""
    if min(fixed.shape) < 3:
        return None
    slopes = np.stack([*(-g.ravel() for g in np.gradient(fixed)), np.ones(fixed.size)])
    translation = start
    for _ in range(STEPS):
        difference = (ndimage.shift(moving, -translation, order=1, mode="nearest") - fixed).ravel()
        difference -= np.median(difference[::SPARSE])
        spread = 1.4826 * float(np.median(np.abs(difference[::SPARSE])))
        # Without any spread (no noise, nothing moved) all pixels weigh the same.
        weighted = slopes / (1.0 + (difference / (OUTLIER * spread)) ** 2) if spread > 0 else slopes
        normal = weighted @ slopes.T
        if np.linalg.cond(normal) > WORST_CONDITION:
            return None
        step = np.linalg.solve(normal, weighted @ difference)[:2]
        length = float(np.hypot(*step))
        translation = translation + step / max(length, 1.0)
        if length < LAST_STEP:
            break
    return translation
