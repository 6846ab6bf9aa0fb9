"""Intensity: one point a joint and slice where edema is as bright as the reference, 0-12.

Source: clinical reference section 2. The reference is the signal of presacral vessels (as used by Lin 2024,
PMID 38168061) by project decision; its kind and value are stored with every score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.volume import BoolArray, Float32Array

SMALLEST_INTENSE_MM2: Final = 2.0
"""Area of edema that must reach the reference: more than a noisy pixel (project decision)."""

SMALLEST_VESSEL_MM3: Final = 100.0
"""Less vessel than this gives no dependable reference signal (project decision)."""


@dataclass(frozen=True)
class ReferenceSignal:
    """Signal from which edema is intense: `kind` "presacral_vessels", `value` in the units of the volume."""

    kind: str
    value: float


def measure_reference_signal(signal: Float32Array, vessel: BoolArray, voxel_mm3: float) -> ReferenceSignal | None:
    """Median signal of the presacral vessels; None where too little of them is visible.

    `signal` and `vessel` are (slices, rows, columns).
    """
    if vessel.sum() * voxel_mm3 < SMALLEST_VESSEL_MM3:
        return None
    return ReferenceSignal("presacral_vessels", float(np.median(signal[vessel])))


def intensity_point(scored_edema: BoolArray, signal: Float32Array, reference: ReferenceSignal | None,
                    pixel_area_mm2: float) -> int | None:  # fmt: skip
    """1 where edema of one joint-slice is intense, 0 where not, None where the reference could not be measured.

    Parameters
    ----------
    scored_edema : (rows, columns) bool, edema inside the quadrants that have a point
    signal : (rows, columns) float32
    """
    if not scored_edema.any():
        return 0
    if reference is None:
        return None
    return int((scored_edema & (signal >= reference.value)).sum() * pixel_area_mm2 >= SMALLEST_INTENSE_MM2)
