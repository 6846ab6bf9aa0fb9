"""Flags on the quality of the images: a figure, the limit that it exceeds, and words for the reader of the score.

Images that are refused are in `plausibility.py`, with the scans on which its limits and these were measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel, Side
from sparcc_pipeline.imaging.plausibility import DOUBTFUL_CERTAINTY, FLUID_WEAK, body, fluid_contrast
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints
from sparcc_pipeline.volume import (
    BoolArray,
    Float32Array,
    FloatArray,
    Geometry,
    LabelArray,
    TissueMaps,
    Volume,
    sacroiliac_bones,
)

FAT_SIDES: Final = (2.0, 1.25)
"""One side is brighter if, against the other side, more than this many times as much of its soft tissue exceeds
FAT_OVER_MARROW, and its median signal is more than this many times as high. Seven people: up to 1.4 and 1.23;
suppression that failed on one side: 2.3-14 and 1.39-2.3."""
FAT_OVER_MARROW: Final = 1.4

GHOST_PEAK: Final = 12.0
GHOST_SHIFTS: Final = (0.12, 0.45)
"""Height of the peak that periodic motion leaves in the cepstrum along rows or columns, over its median, and the shifts
of the ghosts (as a share of the image) that are searched: nearer or farther ghosts look like anatomy. 2-5 on seven
people, up to 10 on phantoms, which have regular shapes; 10-35 with ghosts of a quarter of the moving signal."""

NOISE_WINDOW_MM: Final = 4.0
NOISE_PERCENTILE: Final = 20
SMALLEST_SNR: Final = 5.0
"""Normal marrow over its noise, which is the spread within small windows of even marrow: 6.6-13.3 on seven people,
4.1-6.5 with their noise doubled."""

SHADING_PER_10_CM: Final = 0.30
"""Slope of the logarithm of the signal of soft tissue and marrow: up to 0.20 on seven people, 0.27 on
phantoms (whose soft tissue is brighter below), 0.22-0.39 where a coil's signal falls by 60 % across the image."""

LARGEST_TURN_DEGREES: Final = 5.0
"""Rotation of the slices against the line through the middles of both joints: up to 2.7 degrees on seven people, 6.9
and 11.4 on two of them with slices rotated by 15 (the ends of the stack hide a part of it)."""

FEWEST_SLICES_OF_A_SIDE: Final = 0.5
"""Slices with a joint on one side, as a share of those on the other side. Decision of this project."""

_SPARSE: Final = 6
"""The fit of the shading uses every sixth row and column: the slope is smooth."""

_ROUNDS: Final = 8


@dataclass(frozen=True)
class QualityFlag:
    """A property of the images that makes the score less dependable.

    Parameters
    ----------
    code : for programs
    words : for readers, with the figure
    value, limit : the measured figure, and the limit that it exceeds
    """

    code: str
    words: Message
    value: float
    limit: float


def assess_quality(volume: Volume, tissue: TissueMaps, joints: Joints) -> tuple[QualityFlag, ...]:
    """Return the flags of a scan that can be scored all the same, the most serious first."""
    return tuple(_flags(volume, tissue, joints))


def _flags(volume: Volume, tissue: TissueMaps, joints: Joints) -> Iterator[QualityFlag]:
    """Flags of contrast and bones, then of the joints, then of the signal."""
    signal, anatomy = volume.signal, tissue.anatomy
    fluid = fluid_contrast(signal)
    if fluid < FLUID_WEAK:
        words = Message(
            "fluid is only {value:.1f} times as bright as the other bright tissue (at least {limit:g} on STIR): fat "
            "is hardly suppressed, or the contrast is another; check the sequence",
            value=fluid,
            limit=FLUID_WEAK,
        )
        yield QualityFlag("contrast", words, fluid, FLUID_WEAK)
    if tissue.bones_certainty is not None and tissue.bones_certainty < DOUBTFUL_CERTAINTY:
        words = Message(
            "the bones were found with a certainty of {value:.2f} only (at least {limit:g} is usual): look at the "
            "joint lines",
            value=tissue.bones_certainty,
            limit=DOUBTFUL_CERTAINTY,
        )
        yield QualityFlag("bones", words, tissue.bones_certainty, DOUBTFUL_CERTAINTY)
    yield from _joint_flags(anatomy, joints)
    marrow = tissue.normal_marrow
    if marrow is None:
        return
    yield from _side_flags(signal, anatomy, marrow)
    yield from _signal_flags(volume, anatomy, marrow)


def _joint_flags(anatomy: LabelArray, joints: Joints) -> Iterator[QualityFlag]:
    """Flags of joints that are missing, rotated against the slices or cut."""
    counts = {side: len(joints.slices(side)) for side in Side}
    fewer = min(Side, key=lambda side: counts[side])
    most = max(counts.values())
    if counts[fewer] < FEWEST_SLICES_OF_A_SIDE * most:
        words = Message(
            "the {side} joint was found on {value} slices only, the other on {most}: check that side by eye",
            side=fewer.value,
            value=counts[fewer],
            most=most,
        )
        yield QualityFlag("one_joint", words, float(counts[fewer]), FEWEST_SLICES_OF_A_SIDE * most)
    turn = _turn_degrees(joints)
    if turn > LARGEST_TURN_DEGREES:
        words = Message(
            "the right and the left joint lie on different slices, as where slices are turned by {value:.0f} "
            "degrees: six slices cannot show both as they should; check both sides by eye",
            value=turn,
        )
        yield QualityFlag("turned", words, turn, LARGEST_TURN_DEGREES)
    cut = sum(_is_cut(anatomy[joint.slice_index] > 0, joint.surface_distance_mm) for joint in joints)
    if cut:
        words = Message(
            "the field of view cuts bone within {reach:g} mm of the joint on {value} joint-slices: edema there is "
            "not seen; scan with a larger field of view",
            reach=QUADRANT_REACH_MM,
            value=cut,
        )
        yield QualityFlag("field_of_view", words, float(cut), 0.0)


def _is_cut(bone: BoolArray, distance_mm: Float32Array) -> bool:
    """True if bone (rows, columns) within reach of the joint touches the edge of the image."""
    near = bone & (distance_mm <= QUADRANT_REACH_MM)
    return bool(near[[0, -1]].any() or near[:, [0, -1]].any())


def _side_flags(signal: Float32Array, anatomy: LabelArray, marrow: float) -> Iterator[QualityFlag]:
    """Flag of fat suppression that failed on one side: its soft tissue is brighter, and more of it is bright."""
    soft = body(signal) & ~ndimage.binary_dilation(anatomy > 0, np.ones((1, 7, 7), dtype=bool))
    middle = float(np.nonzero(anatomy == AnatomyLabel.SACRUM)[2].mean())
    halves = {Side.RIGHT: slice(None, int(middle)), Side.LEFT: slice(int(middle), None)}
    values = {side: signal[:, :, half][soft[:, :, half]] for side, half in halves.items()}
    if min(each.size for each in values.values()) == 0:
        return
    median = {side: float(np.median(each)) for side, each in values.items()}
    bright = {side: float((each > FAT_OVER_MARROW * marrow).mean()) for side, each in values.items()}
    side, other = sorted(Side, key=lambda each: -median[each])
    brighter = median[side] / median[other] if median[other] > 0 else float("inf")
    more = bright[side] / bright[other] if bright[other] > 0 else float("inf")
    if brighter > FAT_SIDES[1] and more > FAT_SIDES[0]:
        words = Message(
            "soft tissue on the patient's {side} is {value:.1f} times as bright as on the other side: fat "
            "suppression failed there, or a coil; check the edema of that side by eye",
            side=side.value,
            value=brighter,
        )
        yield QualityFlag("one_side_brighter", words, brighter, FAT_SIDES[1])


def _signal_flags(volume: Volume, anatomy: LabelArray, marrow: float) -> Iterator[QualityFlag]:
    """Flags of ghosts, noise and shading."""
    signal = volume.signal
    for axis, direction in ((1, Message("feet-head")), (2, Message("right-left"))):
        peak = ghost_peak(signal, axis, marrow)
        if peak > GHOST_PEAK:
            words = Message(
                "ghosts of something that moved, {direction}: they may look like edema or hide it; check the edema "
                "by eye",
                direction=direction,
            )
            yield QualityFlag("ghosts", words, peak, GHOST_PEAK)
    noise = noise_signal(volume, anatomy)
    snr = marrow / noise if noise > 0 else float("inf")
    if snr < SMALLEST_SNR:
        words = Message(
            "marrow is only {value:.1f} times as bright as its noise (at least {limit:g}): faint edema is lost in "
            "it; look for faint edema by eye",
            value=snr,
            limit=SMALLEST_SNR,
        )
        yield QualityFlag("noise", words, snr, SMALLEST_SNR)
    slope = float(np.abs(shading_slope(signal, anatomy, marrow, volume.geometry)).max())
    if slope > SHADING_PER_10_CM:
        words = Message(
            "the signal changes by {percent:.0f} % over 10 cm (coil shading): the reference marrow may not stand "
            "for the marrow beside the joints; check the edema by eye",
            percent=100 * float(np.expm1(slope)),
        )
        yield QualityFlag("shading", words, slope, SHADING_PER_10_CM)


def ghost_peak(signal: Float32Array, axis: int, marrow: float) -> float:
    """Return the height of the largest peak of the cepstrum along an axis, over its median: high if the image repeats.

    A ghost is a shifted copy of the image. It modulates the lines of k-space periodically, which is a peak in the
    Fourier transform of the logarithm of their power. Source: [Bogert1963].

    Parameters
    ----------
    signal : (slices, rows, columns)
    axis : 1 for ghosts along rows (feet-head), 2 along columns (right-left)
    marrow : normal marrow signal, in the units of `signal`
    """
    count = signal.shape[axis]
    # Limited, so that fluid does not dominate; a window, so that the edges of the image make no peak of their own.
    lines = np.moveaxis(np.minimum(signal, 4 * marrow), axis, -1).reshape(-1, count)
    lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(count).astype(np.float32)
    power = np.abs(np.fft.rfft(lines, axis=1)) ** 2
    spectrum = np.log(power + 1e-6 * power.mean() + np.finfo(np.float32).tiny).mean(axis=0)
    # Anatomy makes the slow part of the spectrum, which is removed.
    cepstrum = np.abs(np.fft.irfft(spectrum - ndimage.gaussian_filter1d(spectrum, 6)))
    seen = cepstrum[int(GHOST_SHIFTS[0] * count) : int(GHOST_SHIFTS[1] * count)]
    usual = float(np.median(seen)) if seen.size else 0.0
    return float(seen.max()) / usual if usual > 0 else 0.0


def noise_signal(volume: Volume, anatomy: LabelArray) -> float:
    """Return the standard deviation of the noise, in the units of the volume: the spread within even windows of marrow.

    It is an upper limit, because it includes the texture of marrow; 0 without marrow. `anatomy` is (slices, rows,
    columns) codes of `AnatomyLabel`.
    """
    size = (1, *(max(round(NOISE_WINDOW_MM / mm), 3) for mm in volume.geometry.in_plane_mm))
    signal = volume.signal.astype(np.float64)
    mean = ndimage.uniform_filter(signal, size)
    variance = ndimage.uniform_filter(signal**2, size) - mean**2
    marrow = ndimage.binary_erosion(sacroiliac_bones(anatomy), np.ones(size))
    return float(np.sqrt(max(np.percentile(variance[marrow], NOISE_PERCENTILE), 0.0))) if marrow.any() else 0.0


def shading_slope(signal: Float32Array, anatomy: LabelArray, marrow: float, geometry: Geometry) -> FloatArray:
    """Return the slope (2,) of the log signal of marrow and soft tissue along rows and columns, per 10 cm.

    A plane is fitted to the pixels about as bright as marrow, on the slices with bone: least squares with Cauchy
    weights.

    Parameters
    ----------
    signal : (slices, rows, columns)
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    marrow : normal marrow signal, in the units of `signal`
    """
    held = signal[(anatomy > 0).any(axis=(1, 2))][:, ::_SPARSE, ::_SPARSE]
    usable = (held > 0.5 * marrow) & (held < 1.6 * marrow)
    if usable.sum() < 100:
        return np.zeros(2)
    _, rows, columns = np.nonzero(usable)
    log = np.log(held[usable].astype(np.float64) / marrow)
    place = [axis * _SPARSE * mm / 100 for axis, mm in zip((rows, columns), geometry.in_plane_mm, strict=True)]
    design = np.column_stack([np.ones(len(log)), *place])
    # Iterated: pixels off the plane (fat, fluid) lose weight, which the next fit uses.
    weight: FloatArray = np.ones(len(log))
    plane: FloatArray = np.zeros(3)
    for _ in range(_ROUNDS):
        plane = np.asarray(np.linalg.lstsq(design * weight[:, None], log * weight, rcond=None)[0], dtype=np.float64)
        rest = log - design @ plane
        spread = 2 * 1.4826 * float(np.median(np.abs(rest)))
        if spread == 0:
            break
        weight = 1 / np.sqrt(1 + (rest / spread) ** 2)
    return plane[1:]


def _turn_degrees(joints: Joints) -> float:
    """Angle between the slices and the line through the middles of both joints, weighted by the height of the joint."""
    slice_mm, _, _ = joints.geometry.spacing_mm
    middles = []
    for side in Side:
        found = [joint for joint in joints if joint.side is side]
        place = [(joint.slice_index * slice_mm, float(joint.joint_line[:, 1].mean())) for joint in found]
        middles.append(np.average(place, axis=0, weights=[joint.height_mm for joint in found]))
    along, across = np.abs(middles[1] - middles[0])
    return float(np.degrees(np.arctan2(along, across)))
