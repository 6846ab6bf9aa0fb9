"""Normal marrow at each height: the reference for raised signal beside the joint.

Edema is brighter than marrow of the sacrum between the foramina at the same height.
Source: [Maksymowych2005], not read in full: documented default.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry

BAND_MM: Final = 20.0
"""Height of the band of marrow whose median is the value at its middle: half a joint, the height of a quadrant."""

STEP_MM: Final = 5.0
"""Distance of the bands."""

HALF_TRUSTED_MM3: Final = 1500.0
"""Volume of marrow in a band that has the same weight as the value of the whole study: 20 x 8 mm on three slices of
3.3 mm. Decision of this project."""

SMOOTHING_MM: Final = 8.0
"""Spread of the smoothing over heights: neighbouring bands share most of their marrow."""


def marrow_by_height(signal: Float32Array, region: BoolArray, geometry: Geometry, marrow: float) -> Float32Array:
    """Return the signal of normal marrow at each row of each slice, in the units of `signal`; (slices, rows) float32.

    It is the median of `region` within a band of BAND_MM on the slice and its two neighbours, shrunk towards the value
    of the whole study: the less marrow, the more. Rows run from superior to inferior, so that one row is one height (in
    a patient who lies straight).

    Parameters
    ----------
    signal : (slices, rows, columns)
    region : (slices, rows, columns) bool, normal marrow of the sacrum (`normalize.normal_marrow_region`)
    marrow : its median over the whole study
    """
    slices, rows = signal.shape[:2]
    voxel_mm3 = float(np.prod(geometry.spacing_mm))
    half = BAND_MM / 2 / geometry.spacing_mm[1]
    middles = np.arange(0, rows - 1 + STEP_MM / geometry.spacing_mm[1], STEP_MM / geometry.spacing_mm[1])
    log_ratio = np.zeros((slices, len(middles)))
    for k in np.flatnonzero(ndimage.maximum_filter1d(region.any(axis=(1, 2)).astype(np.uint8), 3)):
        near = slice(max(int(k) - 1, 0), int(k) + 2)
        _, row, _ = found = np.nonzero(region[near])
        order = np.argsort(row, kind="stable")
        row, value = row[order], signal[near][found][order]
        first, last = np.searchsorted(row, middles - half), np.searchsorted(row, middles + half, side="right")
        log_ratio[k] = [_shrunk_log_ratio(value[a:b], marrow, voxel_mm3) for a, b in zip(first, last, strict=True)]
    smooth = ndimage.gaussian_filter1d(log_ratio, SMOOTHING_MM / STEP_MM, axis=1, mode="nearest")
    at = np.arange(rows)
    by_row = np.stack([np.interp(at, middles, each) for each in smooth])
    profile: Float32Array = (marrow * np.exp(by_row)).astype(np.float32)
    return profile


def _shrunk_log_ratio(values: FloatArray | Float32Array, marrow: float, voxel_mm3: float) -> float:
    """Logarithm of the median of a band over the value of the study, shrunk towards 0 where the band is small."""
    if not values.size:
        return 0.0
    middle = float(np.median(values))
    volume = values.size * voxel_mm3
    return float(np.log(middle / marrow)) * volume / (volume + HALF_TRUSTED_MM3) if middle > 0 else 0.0
