"""Intensity: one point for each joint and slice where edema is as bright as the reference, 0-12.

Source: [SpaImaging]; [Maksymowych2005]. The reference is the signal of presacral vessels, as in [Lin2024]; where they
cannot be measured it is cerebrospinal fluid, then the L5-S1 disc, as in [SpaImaging]. This order is a decision of this
project. Kind and value of the reference are stored with every score.
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
"""Kinds of reference, as reports name them."""

SMALLEST_INTENSE_MM2: Final = 2.0
"""Area of edema that must reach the reference: more than one noisy pixel. Decision of this project."""

SMALLEST_REFERENCE_MM3: Final = 100.0
"""A smaller volume of a tissue gives no reliable reference signal. Decision of this project."""


@dataclass(frozen=True)
class ReferenceSignal:
    """Signal from which edema is intense: `kind` is a key of REFERENCE_NAMES, `value` is in the units of the volume."""

    kind: str
    value: float


def reference_tissue(tissue: TissueMaps) -> dict[str, BoolArray]:
    """Return the tissues that can be the reference, (slices, rows, columns) bool by kind, in the order of preference.

    Cerebrospinal fluid comes before the disc, because any disc may have lost its water.
    """
    looked_for = ((VESSELS, tissue.vessel), (CSF, tissue.csf), (DISC, tissue.disc))
    return {kind: region for kind, region in looked_for if region is not None}


def measure_reference_signal(
    signal: Float32Array, candidates: Mapping[str, BoolArray], voxel_mm3: float
) -> ReferenceSignal | None:
    """Return the median signal of the first of `candidates` that is large enough; None where none is.

    `signal` is (slices, rows, columns) float32, each candidate (slices, rows, columns) bool.

    Examples
    --------
    The vessels fill 80 mm3, less than SMALLEST_REFERENCE_MM3, so cerebrospinal fluid is the reference:

    >>> signal = np.full((2, 10, 10), 300.0, dtype=np.float32)
    >>> vessels, fluid = np.zeros((2, 2, 10, 10), dtype=bool)
    >>> vessels[0, 0, :8] = True
    >>> fluid[:, 5, :] = True
    >>> signal[fluid] = 900.0
    >>> measure_reference_signal(signal, {VESSELS: vessels, CSF: fluid}, voxel_mm3=10.0)
    ReferenceSignal(kind='csf', value=900.0)
    """
    for kind, region in candidates.items():
        if region.sum() * voxel_mm3 >= SMALLEST_REFERENCE_MM3:
            return ReferenceSignal(kind, float(np.median(signal[region])))
    return None


def reference_region(tissue: TissueMaps, reference: ReferenceSignal | None) -> BoolArray:
    """Return the voxels on which the reference was measured, (slices, rows, columns) bool; none without a reference."""
    if reference is None:
        return np.zeros(tissue.geometry.shape, dtype=bool)
    return reference_tissue(tissue)[reference.kind]


def intensity_point(
    scored_edema: BoolArray, signal: Float32Array, reference: ReferenceSignal | None, pixel_area_mm2: float
) -> int | None:
    """Return 1 where edema of one joint-slice is intense, 0 where not, None where edema has no reference.

    Parameters
    ----------
    scored_edema : (rows, columns) bool, edema inside the quadrants that have a point
    signal : (rows, columns) float32

    Examples
    --------
    Two pixels of 1 mm2 reach the reference, then one:

    >>> edema = np.ones((1, 4), dtype=bool)
    >>> signal = np.array([[500.0, 700.0, 900.0, 910.0]], dtype=np.float32)
    >>> intensity_point(edema, signal, ReferenceSignal(VESSELS, 900.0), 1.0)
    1
    >>> intensity_point(edema, signal, ReferenceSignal(VESSELS, 905.0), 1.0)
    0
    >>> intensity_point(edema, signal, None, 1.0) is None
    True
    """
    if not scored_edema.any():
        return 0
    if reference is None:
        return None
    return int((scored_edema & (signal >= reference.value)).sum() * pixel_area_mm2 >= SMALLEST_INTENSE_MM2)
