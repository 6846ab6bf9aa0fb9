"""Intensity: one point a joint and slice where edema is as bright as the reference, 0-12.

Source: clinical reference section 2. The reference is the signal of presacral vessels (as used by Lin 2024,
PMID 38168061) by project decision; where they cannot be measured it is cerebrospinal fluid, then the L5-S1 disc
(spa-imaging.org). Its kind and value are stored with every score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import BoolArray, Float32Array, TissueMaps

VESSELS: Final = "presacral_vessels"
CSF: Final = "csf"
DISC: Final = "disc"

REFERENCE_NAMES: Final = {
    VESSELS: Message("presacral vessels"),
    CSF: Message("cerebrospinal fluid"),
    DISC: Message("L5-S1 disc"),
}
"""Kinds of reference as a reader knows them."""

SMALLEST_INTENSE_MM2: Final = 2.0
"""Area of edema that must reach the reference: more than a noisy pixel (project decision)."""

SMALLEST_REFERENCE_MM3: Final = 100.0
"""Less of a tissue than this gives no dependable reference signal (project decision)."""


@dataclass(frozen=True)
class ReferenceSignal:
    """Signal from which edema is intense: `kind` of REFERENCE_NAMES, `value` in the units of the volume."""

    kind: str
    value: float


def reference_tissue(tissue: TissueMaps) -> dict[str, BoolArray]:
    """(slices, rows, columns) bool by kind: what may serve as reference, in the order in which it is tried.

    The order is a project decision: vessels are the default of the clinical reference, cerebrospinal fluid is next as
    every disc may have lost its water.
    """
    looked_for = ((VESSELS, tissue.vessel), (CSF, tissue.csf), (DISC, tissue.disc))
    return {kind: region for kind, region in looked_for if region is not None}


def measure_reference_signal(
    signal: Float32Array, candidates: Mapping[str, BoolArray], voxel_mm3: float
) -> ReferenceSignal | None:
    """Median signal of the first of `candidates` that is large enough; None where none is.

    `signal` and each candidate are (slices, rows, columns).
    """
    for kind, region in candidates.items():
        if region.sum() * voxel_mm3 >= SMALLEST_REFERENCE_MM3:
            return ReferenceSignal(kind, float(np.median(signal[region])))
    return None


def reference_region(tissue: TissueMaps, reference: ReferenceSignal | None) -> BoolArray:
    """(slices, rows, columns) bool: what the reference was measured on; nothing where none could be measured."""
    if reference is None:
        return np.zeros(tissue.geometry.shape, dtype=bool)
    return reference_tissue(tissue)[reference.kind]


def intensity_point(
    scored_edema: BoolArray, signal: Float32Array, reference: ReferenceSignal | None, pixel_area_mm2: float
) -> int | None:
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
