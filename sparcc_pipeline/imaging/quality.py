"""Is this a STIR of the sacroiliac joints, and is it good enough: what the networks and simple physics say of a scan.

Two things are refused: another contrast, and another body part. The rest are flags: a figure, the limit it has passed,
and words for the reader of the score.

Every limit lies beyond what was measured on seven people as scanned (0.6 mm, 3.3 mm, one site) and on distortions of
them (`training/distortions.py`); the figures are given with each limit. What was measured on the other side of it: T1
of nine people, two coronal T1 pelves, T2 without fat suppression and failed suppression put together from STIR and T1,
upside down, turned, reformatted, cut and synthetic images, and heads. Nothing was measured on other scanners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import NotSacroiliacError, NotStirError
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, LabelArray, TissueMaps, Volume

FLUID_REFUSED: Final = 1.8
FLUID_WEAK: Final = 2.0
"""Signal that the brightest thousandth of the body reaches, over what the brightest twentieth reaches. With fat nulled
only fluid is bright: 2.6-4.2 on seven STIR, never under 2.1 on their distortions, 2.3-4.5 on phantoms. Fat that is not
nulled fills the brightest twentieth: 1.2-1.5 on T1, 1.4-1.7 on T2 without suppression, 2.0-2.9 with fat half nulled."""

SMALLEST_CERTAINTY: Final = 0.83
DOUBTFUL_CERTAINTY: Final = 0.86
"""Mean probability that the network gives to what it calls sacrum or ilium: 0.90-0.93 on seven STIR, 0.91-0.94 on their
T1, 0.94-0.98 on phantoms, 0.87 or more on the distortions of one of them. 0.81 and less on noise, spheres, heads,
images upside down or lying on their side, and the upper or lower third of the field of view."""

SIDEWAYS_MM: Final = (20.0, 110.0)
"""How far to the side of the middle of the sacrum the middle of each ilium lies: 61-71 mm on seven people,
30 mm where the image ends in the middle of the sacrum."""

SMALLEST_ILIUM: Final = 0.1
"""An ilium smaller than this share of the other counts as missing (project decision)."""

SMALLEST_OVERLAP: Final = 0.65
OVERLAP_UP_TO_MM: Final = 5.5
"""Overlap (Dice) of each bone on neighbouring slices, judged up to this distance of the slices: 0.80-0.91 on seven
people, 0.71 and more with slices 5.5 mm apart, 0.49-0.63 where the images are really axial."""

FAT_SIDES: Final = (2.0, 1.25)
"""One side is brighter: the share of its soft tissue that is brighter than FAT_OVER_MARROW is so many times that of the
other side, and its median signal so many times. Seven people: up to 1.4 and 1.23; suppression failed on one side:
2.3-14 and 1.39-2.3."""
FAT_OVER_MARROW: Final = 1.4

GHOST_PEAK: Final = 10.0
GHOST_SHIFTS: Final = (0.12, 0.45)
"""Height of the peak that periodic motion leaves in the cepstrum along rows or columns, over its median; ghosts nearer
or farther (as a share of the image) are not told from anatomy. Seven people and their distortions without ghosts: up to
GHOST_SEEN, ghosts of a quarter of what moves: 10-35."""

NOISE_WINDOW_MM: Final = 4.0
NOISE_PERCENTILE: Final = 20
SMALLEST_SNR: Final = 5.0
"""Normal marrow over its noise, the spread within small windows of the calmest marrow: 6.6-13.3 on seven people,
4.1-6.5 with their noise doubled."""

SHADING_PER_10_CM: Final = 0.25
"""Slope of the logarithm of the signal of soft tissue and marrow: up to 0.20 on seven people, 0.24-0.40 where a coil's
signal falls by 60 % across the image."""

LARGEST_TURN_DEGREES: Final = 8.0
"""Turn of the slices against the line through the middles of both ilia: up to 2.3 degrees on seven people (project
decision: at 8 degrees the joints, 9 cm apart, lie four slices apart)."""

FEWEST_SLICES_OF_A_SIDE: Final = 0.5
"""Slices with a joint on one side, as a share of those on the other (project decision)."""

_FOREGROUND: Final = 0.2
_SPARSE: Final = 6
_ROUNDS: Final = 8


@dataclass(frozen=True)
class QualityFlag:
    """Something about the images that makes the score less dependable.

    Parameters
    ----------
    code : for programs
    words : for readers, with the figure
    value, limit : what was measured, and what it passed
    """

    code: str
    words: Message
    value: float
    limit: float


@dataclass(frozen=True)
class BoneEvidence:
    """How sure the network is of the bones, and how they lie to each other.

    Parameters
    ----------
    certainty : mean probability of what is called sacrum or ilium, 0 where nothing is
    sideways_mm : how far the middle of each ilium lies to its side of the middle of the sacrum; None without one
    overlap : Dice of each bone on neighbouring slices, the lowest of the three; None where one is missing, or with
        slices too far apart to say
    """

    certainty: float
    sideways_mm: tuple[float | None, float | None]
    overlap: float | None


def body(signal: Float32Array) -> BoolArray:
    """(same shape) bool: what gives signal, air and noise left out."""
    return np.asarray(signal > _FOREGROUND * np.percentile(signal, 95))


def fluid_contrast(signal: Float32Array) -> float:
    """How far fluid stands above everything else that is bright; 1 where nothing does."""
    shown = signal[body(signal)]
    if not shown.size:
        return 1.0
    bright, brightest = np.percentile(shown, [95, 99.9])
    return float(brightest / bright) if bright > 0 else 1.0


def require_stir_contrast(volume: Volume) -> None:
    """Refuse images on which fat is as bright as fluid: T1, T2 or proton density without fat suppression.

    Raises
    ------
    NotStirError : whatever the headers say
    """
    contrast = fluid_contrast(volume.signal)
    if contrast < FLUID_REFUSED:
        raise NotStirError(
            "expected a STIR, on which only fluid is bright (the brightest thousandth of the body 2.6 to 4.2 times as "
            f"bright as the brightest twentieth), found {contrast:.1f} times: fat is not suppressed, or the image is "
            "empty; score the STIR series of this study"
        )


def bone_evidence(certainty: float, anatomy: LabelArray, geometry: Geometry) -> BoneEvidence:
    """Where the found bones lie; `anatomy` is (slices, rows, columns) codes of `AnatomyLabel`."""
    middle = _middle_column_mm(anatomy == AnatomyLabel.SACRUM, geometry)
    ilia = [anatomy == ILIUM_LABEL[side] for side in Side]
    largest = max(int(ilium.sum()) for ilium in ilia)
    sideways: list[float | None] = []
    for side, ilium in zip(Side, ilia, strict=True):
        place = _middle_column_mm(ilium, geometry) if ilium.sum() > SMALLEST_ILIUM * largest else None
        away = None if place is None or middle is None else place - middle
        sideways.append(away if away is None or side is Side.LEFT else -away)
    judged = None not in sideways and geometry.spacing_mm[0] <= OVERLAP_UP_TO_MM
    bones = (anatomy == AnatomyLabel.SACRUM, *ilia)
    overlap = min(_overlap_of_neighbours(bone) for bone in bones) if judged else None
    return BoneEvidence(certainty, (sideways[0], sideways[1]), overlap)


def require_sacroiliac(evidence: BoneEvidence) -> None:
    """Refuse what does not look like sacrum and ilia: another body part, or images that lie another way than they say.

    A bone that is missing is not refused here: then a joint is missing, which has an error of its own.

    Raises
    ------
    NotSacroiliacError : with the figure that says so
    """
    faults = []
    if evidence.certainty < SMALLEST_CERTAINTY:
        faults.append(f"bones with a certainty of {evidence.certainty:.2f} (at least {SMALLEST_CERTAINTY:g})")
    low, high = SIDEWAYS_MM
    for side, away in zip(Side, evidence.sideways_mm, strict=True):
        if away is not None and not low <= away <= high:
            faults.append(f"the {side.value} ilium {away:.0f} mm to the side of the sacrum ({low:g} to {high:g} mm)")
    if evidence.overlap is not None and evidence.overlap < SMALLEST_OVERLAP:
        faults.append(
            f"bones that overlap by {evidence.overlap:.2f} from slice to slice ({SMALLEST_OVERLAP:g} or more)"
        )
    if faults:
        raise NotSacroiliacError(
            f"expected the sacroiliac joints, found {', '.join(faults)}: another body part, or images that lie another "
            "way than their headers say; look at the series and choose another with --series"
        )


def assess_quality(volume: Volume, tissue: TissueMaps, joints: Joints) -> tuple[QualityFlag, ...]:
    """What is wrong with a scan that can be scored all the same, most doubtful first."""
    return tuple(_flags(volume, tissue, joints))


def _flags(volume: Volume, tissue: TissueMaps, joints: Joints) -> Iterator[QualityFlag]:
    signal, anatomy = volume.signal, tissue.anatomy
    fluid = fluid_contrast(signal)
    if fluid < FLUID_WEAK:
        words = Message(
            "fluid is only {value:.1f} times as bright as the other bright tissue (at least {limit:g} on STIR): fat is "
            "hardly suppressed, or the contrast is another",
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
    """Joints that are missing or cut."""
    counts = {side: len(joints.slices(side)) for side in Side}
    fewer = min(Side, key=lambda side: counts[side])
    most = max(counts.values())
    if counts[fewer] < FEWEST_SLICES_OF_A_SIDE * most:
        words = Message(
            "the {side} joint was found on {value} slices only, the other on {most}",
            side=fewer.value,
            value=counts[fewer],
            most=most,
        )
        yield QualityFlag("one_joint", words, float(counts[fewer]), FEWEST_SLICES_OF_A_SIDE * most)
    turn = _turn_degrees(anatomy, joints.geometry)
    if turn > LARGEST_TURN_DEGREES:
        words = Message(
            "the slices are turned by {value:.0f} degrees against the pelvis: the right and the left joint are seen on "
            "different slices, and six slices cannot show both as they should",
            value=turn,
        )
        yield QualityFlag("turned", words, turn, LARGEST_TURN_DEGREES)
    cut = sum(_is_cut(anatomy[joint.slice_index] > 0, joint.surface_distance_mm) for joint in joints)
    if cut:
        words = Message(
            "the field of view cuts bone within {reach:g} mm of the joint on {value} joint-slices: edema there is not "
            "seen",
            reach=QUADRANT_REACH_MM,
            value=cut,
        )
        yield QualityFlag("field_of_view", words, float(cut), 0.0)


def _is_cut(bone: BoolArray, distance_mm: Float32Array) -> bool:
    """Bone within reach of the joint lies on the edge of the image."""
    near = bone & (distance_mm <= QUADRANT_REACH_MM)
    return bool(near[[0, -1]].any() or near[:, [0, -1]].any())


def _side_flags(signal: Float32Array, anatomy: LabelArray, marrow: float) -> Iterator[QualityFlag]:
    """Fat suppression that failed on one side: its soft tissue is brighter, and more of it is bright."""
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
            "soft tissue on the patient's {side} is {value:.1f} times as bright as on the other side: fat suppression "
            "failed there, or a coil",
            side=side.value,
            value=brighter,
        )
        yield QualityFlag("one_side_brighter", words, brighter, FAT_SIDES[1])


def _signal_flags(volume: Volume, anatomy: LabelArray, marrow: float) -> Iterator[QualityFlag]:
    """Ghosts, noise, shading."""
    signal = volume.signal
    for axis, direction in ((1, Message("feet-head")), (2, Message("right-left"))):
        peak = ghost_peak(signal, axis, marrow)
        if peak > GHOST_PEAK:
            words = Message(
                "ghosts of something that moved, {direction}: they may look like edema or hide it", direction=direction
            )
            yield QualityFlag("ghosts", words, peak, GHOST_PEAK)
    noise = noise_signal(volume, anatomy)
    snr = marrow / noise if noise > 0 else float("inf")
    if snr < SMALLEST_SNR:
        words = Message(
            "marrow is only {value:.1f} times as bright as its noise (at least {limit:g}): faint edema is lost in it",
            value=snr,
            limit=SMALLEST_SNR,
        )
        yield QualityFlag("noise", words, snr, SMALLEST_SNR)
    slope = float(np.abs(shading_slope(signal, anatomy, marrow, volume.geometry)).max())
    if slope > SHADING_PER_10_CM:
        words = Message(
            "the signal changes by {percent:.0f} % over 10 cm (coil shading): the reference marrow may not stand for "
            "the marrow beside the joints",
            percent=100 * float(np.expm1(slope)),
        )
        yield QualityFlag("shading", words, slope, SHADING_PER_10_CM)


def ghost_peak(signal: Float32Array, axis: int, marrow: float) -> float:
    """Height of the largest peak of the cepstrum along an axis, over its median: high where the image repeats itself.

    A ghost is a copy of the image, shifted: its lines of k-space are modulated periodically, which is a peak in the
    Fourier transform of the logarithm of their power (Bogert, Healy and Tukey 1963, "quefrency alanysis").
    """
    count = signal.shape[axis]
    lines = np.moveaxis(np.minimum(signal, 4 * marrow), axis, -1).reshape(-1, count)
    lines = (lines - lines.mean(axis=1, keepdims=True)) * np.hanning(count).astype(np.float32)
    power = np.abs(np.fft.rfft(lines, axis=1)) ** 2
    spectrum = np.log(power + 1e-6 * power.mean() + np.finfo(np.float32).tiny).mean(axis=0)
    cepstrum = np.abs(np.fft.irfft(spectrum - ndimage.gaussian_filter1d(spectrum, 6)))
    seen = cepstrum[int(GHOST_SHIFTS[0] * count) : int(GHOST_SHIFTS[1] * count)]
    usual = float(np.median(seen)) if seen.size else 0.0
    return float(seen.max()) / usual if usual > 0 else 0.0


def noise_signal(volume: Volume, anatomy: LabelArray) -> float:
    """Standard deviation of the noise, in the units of the volume: the spread within the calmest windows of marrow.

    Marrow's own texture is in it, so that it is an upper limit; 0 where there is no marrow.
    """
    size = (1, *(max(round(NOISE_WINDOW_MM / mm), 3) for mm in volume.geometry.in_plane_mm))
    signal = volume.signal.astype(np.float64)
    mean = ndimage.uniform_filter(signal, size)
    variance = ndimage.uniform_filter(signal**2, size) - mean**2
    marrow = ndimage.binary_erosion(np.isin(anatomy, [AnatomyLabel.SACRUM, *ILIUM_LABEL.values()]), np.ones(size))
    return float(np.sqrt(max(np.percentile(variance[marrow], NOISE_PERCENTILE), 0.0))) if marrow.any() else 0.0


def shading_slope(signal: Float32Array, anatomy: LabelArray, marrow: float, geometry: Geometry) -> FloatArray:
    """(2,) slope of the logarithm of the signal of marrow and soft tissue along rows and columns, per 10 cm.

    A plane through what is about as bright as marrow, on the slices that hold bone: least squares, Cauchy weights.
    """
    held = signal[(anatomy > 0).any(axis=(1, 2))][:, ::_SPARSE, ::_SPARSE]
    usable = (held > 0.5 * marrow) & (held < 1.6 * marrow)
    if usable.sum() < 100:
        return np.zeros(2)
    _, rows, columns = np.nonzero(usable)
    log = np.log(held[usable].astype(np.float64) / marrow)
    place = [axis * _SPARSE * mm / 100 for axis, mm in zip((rows, columns), geometry.in_plane_mm, strict=True)]
    design = np.column_stack([np.ones(len(log)), *place])
    weight, plane = np.ones(len(log)), np.zeros(3)
    for _ in range(_ROUNDS):
        plane = np.linalg.lstsq(design * weight[:, None], log * weight, rcond=None)[0]
        rest = log - design @ plane
        spread = 2 * 1.4826 * float(np.median(np.abs(rest)))
        if spread == 0:
            break
        weight = 1 / np.sqrt(1 + (rest / spread) ** 2)
    slope: FloatArray = plane[1:]
    return slope


def _turn_degrees(anatomy: LabelArray, geometry: Geometry) -> float:
    """Angle between the slices and the line through the middles of both ilia, about the feet-head axis."""
    right, left = (np.argwhere(anatomy == ILIUM_LABEL[side]).mean(axis=0) * geometry.spacing_mm for side in Side)
    return float(np.degrees(np.arctan2(abs(left[0] - right[0]), abs(left[2] - right[2]))))


def _middle_column_mm(bone: BoolArray, geometry: Geometry) -> float | None:
    columns = np.nonzero(bone)[2]
    return float(columns.mean()) * geometry.spacing_mm[2] if columns.size else None


def _overlap_of_neighbours(bone: BoolArray) -> float:
    size = int(bone[:-1].sum()) + int(bone[1:].sum())
    return 2 * int((bone[:-1] & bone[1:]).sum()) / size if size else 0.0
