"""Intensity: one point for each joint and slice where edema is as bright as the reference, 0-12.

Source: [SpaImaging]; [Maksymowych2005]. The reference is the signal of presacral vessels, as in [Lin2024]; where they
cannot be measured it is cerebrospinal fluid, then the L5-S1 disc, as in [SpaImaging]. This order is a decision of this
project. Kind and value of the reference are stored with every score.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, TissueMaps

VESSELS: Final = "presacral_vessels"
CSF: Final = "csf"
DISC: Final = "disc"

REFERENCE_NAMES: Final = {
    VESSELS: Message("presacral vessels"),
    CSF: Message("cerebrospinal fluid"),
    DISC: Message("L5-S1 disc"),
}
"""Kinds of reference, as reports name them."""

SMOOTHING_MM: Final = 1.0
"""Standard deviation of the smoothing, in the plane, with which edema and reference are compared: as bright means the
tissue and not its noise. Its full width at half maximum, 2.4 mm, is about two pixels of the coarsest usual protocol
(1 mm) and less than the width of a vessel. It averages 12.6 mm2 (4 pi times the variance), so with pixels of 1 mm it
divides noise by 3.5: a scan of half the signal-to-noise ratio is still compared with less noise than single pixels of
the better one. Decision of this project, from resolution and noise and not from agreement with readers."""

SMALLEST_INTENSE_MM2: Final = 2.0
"""Area of edema that must reach the reference after smoothing. Decision of this project."""

SMALLEST_REFERENCE_MM3: Final = 100.0
"""A smaller volume of a tissue gives no reliable reference signal. Decision of this project."""

FEWEST_SLICES: Final = 2
"""Vessels on fewer slices are doubtful. Decision of this project."""

LARGEST_SPREAD: Final = 1.5
"""Vessels that are this many times as bright on one slice as on another (90th over 10th percentile) are doubtful: it
was 1.2-1.4 in nine people. Decision of this project."""

CLEARLY_OVER_MARROW: Final = 2.3
"""Vessels less than this many times as bright as normal marrow are doubtful: their search begins at 2.0, so most of
what it found would be just over its limit. In nine people they were 2.6-3.4 times as bright. Decision of this
project."""

DOUBTFUL_FACTOR: Final = 1.25
"""The true signal of a doubtful reference may be this many times higher or lower, or as far as its slices differ.
Decision of this project."""


@dataclass(frozen=True)
class ReferenceSignal:
    """Signal from which edema is intense.

    Parameters
    ----------
    kind : a key of REFERENCE_NAMES
    value : in the units of the volume
    doubts : reasons why it may not be the signal of the tissue that it should be; intensity is then unsure
    low, high : limits of the true signal; both are `value` where there is no doubt
    """

    kind: str
    value: float
    doubts: tuple[Message, ...] = ()
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        if not self.doubts:
            object.__setattr__(self, "low", self.value)
            object.__setattr__(self, "high", self.value)

    @property
    def possible(self) -> tuple[float, ...]:
        """The values that the true signal may have, alike in probability: one where there is no doubt, else three."""
        return (self.low, self.value, self.high) if self.doubts else (self.value,)


def reference_tissue(tissue: TissueMaps) -> dict[str, BoolArray]:
    """Return the tissues that can be the reference, (slices, rows, columns) bool by kind, in the order of preference.

    Cerebrospinal fluid comes before the disc, because any disc may have lost its water.
    """
    looked_for = ((VESSELS, tissue.vessel), (CSF, tissue.csf), (DISC, tissue.disc))
    return {kind: region for kind, region in looked_for if region is not None}


def tissue_signal(signal: Float32Array, weight: FloatArray, in_plane_mm: tuple[float, float]) -> Float32Array:
    """Return the mean signal of a tissue about each pixel of one slice, (rows, columns) float32; 0 outside it.

    The mean is weighted by distance (a Gaussian of SMOOTHING_MM) and by `weight`, so that neighbouring tissue does not
    dim a thin vessel or the border of a lesion.

    Parameters
    ----------
    signal : (rows, columns) float32
    weight : (rows, columns) share or probability of the tissue

    Examples
    --------
    Noise of one pixel is averaged; the dark neighbours are another tissue:

    >>> signal = np.full((1, 9), 20.0, dtype=np.float32)
    >>> signal[0, 2:7] = 500.0, 500.0, 900.0, 500.0, 500.0
    >>> smooth = tissue_signal(signal, (signal > 100).astype(float), (1.0, 1.0))
    >>> smooth.round().astype(int).tolist()
    [[0, 0, 531, 603, 661, 603, 531, 0, 0]]
    """
    deviation = [SMOOTHING_MM / step for step in in_plane_mm]
    weighted = ndimage.gaussian_filter(weight * signal, deviation, mode="constant")
    weights = ndimage.gaussian_filter(np.asarray(weight, dtype=np.float64), deviation, mode="constant")
    inside = weight > 0
    smooth = np.zeros(signal.shape, dtype=np.float32)
    np.divide(weighted, weights, out=smooth, where=inside & (weights > 0), casting="same_kind")
    return smooth


def measure_reference_signal(
    signal: Float32Array,
    candidates: Mapping[str, BoolArray],
    spacing_mm: tuple[float, float, float],
    marrow: float | None = None,
) -> ReferenceSignal | None:
    """Return the median signal of the first of `candidates` that is large enough; None where none is.

    `signal` is (slices, rows, columns) float32, each candidate (slices, rows, columns) bool; the signal is smoothed
    inside the candidate as edema is. `marrow` is the signal of normal marrow. Vessels are checked (see
    `ReferenceSignal.doubts`): other reference tissues have a warning of their own.

    Examples
    --------
    The vessels fill 80 mm3, less than SMALLEST_REFERENCE_MM3, so cerebrospinal fluid is the reference:

    >>> signal = np.full((2, 10, 10), 300.0, dtype=np.float32)
    >>> vessels, fluid = np.zeros((2, 2, 10, 10), dtype=bool)
    >>> vessels[0, 0, :8] = True
    >>> fluid[:, 5, :] = True
    >>> signal[fluid] = 900.0
    >>> found = measure_reference_signal(signal, {VESSELS: vessels, CSF: fluid}, spacing_mm=(10.0, 1.0, 1.0))
    >>> found.kind, found.value, found.doubts
    ('csf', 900.0, ())
    """
    for kind, region in candidates.items():
        if region.sum() * np.prod(spacing_mm) < SMALLEST_REFERENCE_MM3:
            continue
        slices = np.flatnonzero(region.any(axis=(1, 2)))
        in_plane = spacing_mm[1], spacing_mm[2]
        found = [tissue_signal(signal[k], region[k].astype(float), in_plane)[region[k]] for k in slices]
        value = float(np.median(np.concatenate(found)))
        if kind != VESSELS:
            return ReferenceSignal(kind, value)
        low, high = (float(each) for each in np.percentile([np.median(on_slice) for on_slice in found], (10, 90)))
        doubts = tuple(_vessel_doubts(value, low, high, len(slices), marrow))
        return ReferenceSignal(
            kind, value, doubts, min(low, value / DOUBTFUL_FACTOR), max(high, value * DOUBTFUL_FACTOR)
        )
    return None


def _vessel_doubts(value: float, low: float, high: float, slices: int, marrow: float | None) -> Iterator[Message]:
    """Yield the reasons why what was taken for presacral vessels may be something else."""
    if slices < FEWEST_SLICES:
        yield Message("they were found on one slice only")
    if high > LARGEST_SPREAD * low:
        yield Message("they are {ratio:.1f} times as bright on one slice as on another", ratio=high / low)
    if marrow and value < CLEARLY_OVER_MARROW * marrow:
        yield Message("they are only {ratio:.1f} times as bright as normal marrow", ratio=value / marrow)


def reference_region(tissue: TissueMaps, reference: ReferenceSignal | None) -> BoolArray:
    """Return the voxels on which the reference was measured, (slices, rows, columns) bool; none without a reference."""
    if reference is None:
        return np.zeros(tissue.geometry.shape, dtype=bool)
    return reference_tissue(tissue)[reference.kind]


def edema_signal(
    joint: JointSlice, probability: Float32Array, signal: Float32Array, geometry: Geometry
) -> Float32Array:
    """Return the signal of the edema beside one joint on its slice, (rows, columns) float32, see `tissue_signal`.

    `probability` and `signal` are (rows, columns) float32 of the slice. The mean is weighted by the probability of
    edema, inside the quadrants that are scored.
    """
    shown = np.logical_or.reduce([joint.quadrants[quadrant] for quadrant in joint.evaluable])
    return tissue_signal(signal, np.where(shown, probability, 0.0), geometry.in_plane_mm)


def intensity_point(
    scored_edema: BoolArray, signal: Float32Array, reference: ReferenceSignal | None, pixel_area_mm2: float
) -> int | None:
    """Return 1 where edema of one joint-slice is intense, 0 where not, None where edema has no reference.

    Parameters
    ----------
    scored_edema : (rows, columns) bool, edema inside the quadrants that have a point
    signal : (rows, columns) float32, of the edema: smoothed inside it, see `tissue_signal`

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
