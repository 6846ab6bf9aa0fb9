"""Synthetic STIR studies whose score is known by construction. For tests and the demo, no claim of accuracy.

Slices are drawn in a frame of their own, in mm: u to the patient's left of the midline, v downwards from the top of the
image. Each joint is a straight stretch of its height on which sacrum and ilium meet; beyond its ends the bones part.
Lesions are boxes along that stretch, so that area, depth and brightness are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Quadrant, Side
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.volume import FloatArray, Geometry, SeriesRef, TissueMaps, Volume

SIX: Final = 6
EDEMA_THRESHOLD: Final = 0.5
LIGAMENTOUS_BEHIND_MM: Final = 4.0

SIGNAL: Final[Mapping[str, float]] = {
    "air": 4.0, "fat": 45.0, "muscle": 80.0, "marrow": 120.0, "joint": 40.0, "cortex": 25.0,
    "ligament": 60.0, "disc": 260.0, "vessel": 480.0, "bladder": 620.0,
}  # fmt: skip
"""Signal of each tissue in the units of the phantom: what STIR shows, fat dark, fluid bright."""

Points = dict[Quadrant, int | None]


@dataclass(frozen=True)
class Lesion:
    """A box of raised signal in one quadrant.

    Parameters
    ----------
    slice_index : 0-based from the most anterior slice
    depth_mm : how far from the joint line it reaches, at right angles to it
    start_mm : how far from the joint line it begins
    length_mm : extent along the joint, about the middle of the quadrant's half
    signal : multiple of the presacral vessels' signal; edema of 1 and more is intense
    """

    slice_index: int
    side: Side
    quadrant: Quadrant
    depth_mm: float = 6.0
    start_mm: float = 0.0
    length_mm: float = 9.0
    signal: float = 0.6


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that makes a phantom.

    Parameters
    ----------
    shape : (slices, rows, columns)
    spacing_mm : of slices, rows, columns
    tilt_degrees : of the slices from the straight coronal plane
    transitional_slice : the most posterior of the six
    heights_mm : visible height of the joint on each slice, 0 where there is none
    joint_angle_degrees : of both joints from the vertical, the lower end medial
    lumbar_edema : raise the signal of the end plate of L5, which does not score
    vessels : draw presacral vessels
    csf : signal of cerebrospinal fluid in the canal behind the vertebral bodies, 0 for no canal
    noise, bias : spread of the noise and strength of the smooth gain, as shares of the marrow's signal
    """

    shape: tuple[int, int, int] = (16, 256, 288)
    spacing_mm: tuple[float, float, float] = (4.0, 0.8, 0.8)
    tilt_degrees: float = 35.0
    transitional_slice: int = 9
    heights_mm: tuple[float, ...] = ()
    joint_angle_degrees: float = 18.0
    half_width_mm: float = 48.0
    lesions: tuple[Lesion, ...] = ()
    lumbar_edema: bool = False
    vessels: bool = True
    csf: float = 0.0
    signal: Mapping[str, float] = field(default_factory=lambda: SIGNAL)
    noise: float = 0.06
    bias: float = 0.08
    gain: float = 1.0
    seed: int = 0

    def height_mm(self, slice_index: int) -> float:
        """Visible height of the joint: as given, else low in front and behind and high between."""
        if self.heights_mm:
            return self.heights_mm[slice_index]
        from_middle = (slice_index - self.transitional_slice + 2) * self.spacing_mm[0]
        return float(max(44.0 - 0.055 * from_middle**2, 0.0)) if abs(from_middle) <= 26.0 else 0.0

    @property
    def reference(self) -> float | None:
        """Signal from which edema is intense: of the vessels, else of cerebrospinal fluid; None without both."""
        return self.signal["vessel"] if self.vessels else self.csf or None


@dataclass(frozen=True, eq=False)
class Phantom:
    """The images, and the tissue they were drawn from."""

    spec: PhantomSpec
    volume: Volume
    tissue: TissueMaps


@dataclass(frozen=True)
class KnownScore:
    """What SPARCC must be, from the specification alone; points by (slice within the six, side)."""

    first_slice: int
    edema: Mapping[tuple[int, Side], Points]
    intense: Mapping[tuple[int, Side], int | None]
    deep: Mapping[tuple[int, Side], int | None]

    @property
    def total(self) -> int:
        """SPARCC, 0-72."""
        edema = sum(point or 0 for points in self.edema.values() for point in points.values())
        return edema + sum(p or 0 for p in self.intense.values()) + sum(p or 0 for p in self.deep.values())


def known_score(spec: PhantomSpec) -> KnownScore:
    """The score of a phantom by the rules of the clinical reference, written down again and apart from `sparcc/`.

    A lesion of at least 8 mm2 outside the joint space (1.5 mm) gives its quadrant a point; joints lower than 30 mm
    have upper quadrants only, joints of 10 mm or less none; intense from the reference signal on (not evaluable
    without one where there is edema); deep from 10 mm on for a lesion that touches the joint (within 3 mm).
    """
    first = spec.transitional_slice - SIX + 1
    edema: dict[tuple[int, Side], Points] = {}
    intense: dict[tuple[int, Side], int | None] = {}
    deep: dict[tuple[int, Side], int | None] = {}
    for position in range(SIX):
        height = spec.height_mm(first + position)
        for side in Side:
            scored = [q for q in Quadrant if height >= 30 or (height > 10 and q.level is Level.UPPER)]
            here = [
                lesion
                for lesion in spec.lesions
                if (lesion.slice_index, lesion.side) == (first + position, side)
                and lesion.quadrant in scored
                and lesion.length_mm * (lesion.depth_mm - max(lesion.start_mm, 1.5)) >= 8
            ]
            hit = {lesion.quadrant for lesion in here}
            edema[position, side] = {q: int(q in hit) if q in scored else None for q in Quadrant}
            bright = [lesion.signal * spec.signal["vessel"] for lesion in here]
            intense[position, side] = _known_intense(bright, spec.reference) if scored else None
            reach = [lesion.depth_mm for lesion in here if lesion.start_mm <= 3]
            deep[position, side] = int(max(reach, default=0) >= 10) if scored else None
    return KnownScore(first, edema, intense, deep)


def _known_intense(signals: list[float], reference: float | None) -> int | None:
    if not signals:
        return 0
    return None if reference is None else int(max(signals) >= reference)


def make_phantom(spec: PhantomSpec) -> Phantom:
    """Draw a phantom.

    Raises
    ------
    ConfigError : the six slices, a lesion or the anatomy do not fit into the stack
    """
    _require_room(spec)
    random = np.random.default_rng(spec.seed)
    anatomy = np.zeros(spec.shape, dtype=np.uint8)
    signal = np.empty(spec.shape, dtype=np.float32)
    edema = np.zeros(spec.shape, dtype=np.float32)
    vessel, csf = np.zeros(spec.shape, dtype=bool), np.zeros(spec.shape, dtype=bool)
    for k in range(spec.shape[0]):
        drawn = _Slice(spec, k)
        anatomy[k], edema[k], vessel[k], csf[k] = drawn.anatomy, drawn.edema, drawn.vessel, drawn.csf
        signal[k] = ndimage.gaussian_filter(drawn.signal, 0.4)
    signal = _acquire(signal, spec, random)
    geometry = _geometry(spec)
    behind_mm = (np.arange(spec.shape[0]) - spec.transitional_slice + 0.5) * spec.spacing_mm[0]
    ligamentous = (1 / (1 + np.exp(-behind_mm / LIGAMENTOUS_BEHIND_MM))).astype(np.float32)
    return Phantom(
        spec,
        Volume(signal, geometry, SeriesRef(None, None)),
        TissueMaps(geometry, anatomy, edema, EDEMA_THRESHOLD, vessel, ligamentous, csf=csf),
    )


class _Joint:
    """Coordinates about one joint: `along` (mm, 0 in its middle, growing downwards), `off` (mm, lateral positive)."""

    def __init__(self, spec: PhantomSpec, side: Side, u: FloatArray, v: FloatArray, middle_v: float) -> None:
        lateral = -u if side is Side.RIGHT else u
        angle = math.radians(spec.joint_angle_degrees)
        across, down = lateral - spec.half_width_mm, v - middle_v
        self.along = -math.sin(angle) * across + math.cos(angle) * down
        self.off = math.cos(angle) * across + math.sin(angle) * down


class _Slice:
    """One slice: anatomy, signal, edema probability (0.5 on a lesion's border), vessels, cerebrospinal fluid."""

    def __init__(self, spec: PhantomSpec, slice_index: int) -> None:
        self._spec, self._k = spec, slice_index
        _, rows, columns = spec.shape
        _, dv, du = spec.spacing_mm
        self._v, self._u = np.meshgrid(
            np.arange(rows) * dv, (np.arange(columns) - (columns - 1) / 2) * du, indexing="ij"
        )
        self._middle_v = 0.46 * rows * dv
        self._behind_mm = (slice_index - spec.transitional_slice) * spec.spacing_mm[0]
        self._joints = {side: _Joint(spec, side, self._u, self._v, self._middle_v) for side in Side}
        self.csf = self._draw_canal()
        self.anatomy = self._draw_bones()
        self.vessel = self._draw_vessels()
        self.signal = self._draw_soft_tissue()
        self.edema = self._draw_lesions()

    def _draw_bones(self) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        anatomy = np.zeros(self._u.shape, dtype=np.uint8)
        half = self._spec.height_mm(self._k) / 2
        ligamentous = self._behind_mm >= 0
        top = self._middle_v - 44.0 - 0.25 * min(self._behind_mm, 0.0)
        bottom = self._middle_v + 48.0 + 0.3 * min(self._behind_mm, 0.0)
        sacrum = (self._v > top + 0.003 * self._u**2) & (self._v < bottom - 0.012 * self._u**2)
        for side, joint in self._joints.items():
            # Bones meet on the joint; above and below they part, above it less far where ligament joins them.
            gap = np.where(joint.along < 0, 5.0 if ligamentous else 8.0, 8.0)
            gap = np.where(np.abs(joint.along) <= half, 0.0, gap)
            wing_top = -half - (34.0 if ligamentous else 12.0)
            thickness = 20.0 + 0.12 * np.abs(joint.along)
            ilium = (joint.off > gap) & (joint.off < thickness) & (joint.along > wing_top) & (joint.along < 34.0)
            sacrum &= joint.off <= -gap
            anatomy[ilium] = ILIUM_LABEL[side]
        anatomy[sacrum] = AnatomyLabel.SACRUM
        if self._behind_mm < 0:
            lumbar = (np.abs(self._u) < 24.0) & (self._v < top - 7.0) & (self._v > top - 33.0)
            anatomy[lumbar] = AnatomyLabel.LUMBAR_VERTEBRA
        anatomy[self.csf] = AnatomyLabel.BACKGROUND
        return anatomy

    def _draw_canal(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        if not self._spec.csf or self._behind_mm < 8.0:
            return np.zeros(self._u.shape, dtype=bool)
        along = (self._v > self._middle_v - 70.0) & (self._v < self._middle_v - 12.0)
        return np.asarray((np.abs(self._u) < 8.0) & along)

    def _draw_vessels(self) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
        vessel = np.zeros(self._u.shape, dtype=bool)
        if self._behind_mm > -8.0 or not self._spec.vessels:
            return vessel
        lowest = self._v[self.anatomy == AnatomyLabel.SACRUM].max()
        for across in (-26.0, -14.0, 14.0, 26.0):
            vessel |= (np.abs(self._u - across) < 2.2) & (self._v > lowest + 2.0) & (self._v < lowest + 20.0)
        to_bone = ndimage.distance_transform_edt(self.anatomy == 0, sampling=self._spec.spacing_mm[1:])
        return np.asarray(vessel & (to_bone > 4.0))

    def _draw_soft_tissue(self) -> FloatArray:
        tissue = self._spec.signal
        rows, columns = self._u.shape
        radius = 0.49 * np.array([rows * self._spec.spacing_mm[1], columns * self._spec.spacing_mm[2]])
        inside = ((self._v - radius[0] / 0.98) / radius[0]) ** 2 + (self._u / radius[1]) ** 2
        signal = np.where(inside < 1, tissue["fat"], tissue["air"]).astype(np.float64)
        signal[inside < 0.8] = tissue["muscle"]
        bone = self.anatomy > 0
        to_bone = ndimage.distance_transform_edt(~bone, sampling=self._spec.spacing_mm[1:])
        between = (np.abs(self._u) < self._spec.half_width_mm - 10) & ~bone
        signal[between & (self._v < self._middle_v) & (to_bone < 4.0)] = tissue["disc"]
        for joint in self._joints.values():
            gap = ~bone & (np.abs(joint.off) < 8.0) & (joint.along < 0) & (joint.along > -60.0)
            signal[gap & (self._behind_mm >= 0)] = tissue["ligament"]
        if self._behind_mm < -8.0:
            bladder = ((self._v - self._middle_v - 85.0) / 22.0) ** 2 + (self._u / 34.0) ** 2 < 1
            signal[bladder & (to_bone > 6.0)] = tissue["bladder"]
        signal[(to_bone > 0) & (to_bone < 1.6)] = tissue["cortex"]
        signal[bone] = tissue["marrow"]
        half = self._spec.height_mm(self._k) / 2
        for joint in self._joints.values():
            signal[(np.abs(joint.off) < 0.9) & (np.abs(joint.along) <= half)] = tissue["joint"]
        signal[self.vessel] = tissue["vessel"]
        signal[self.csf] = self._spec.csf
        return signal

    def _draw_lesions(self) -> FloatArray:
        probability = np.zeros(self._u.shape)
        pixel = math.sqrt(self._spec.spacing_mm[1] * self._spec.spacing_mm[2])
        for lesion in self._spec.lesions:
            if lesion.slice_index != self._k:
                continue
            joint = self._joints[lesion.side]
            ilium = lesion.quadrant.bone is Bone.ILIUM
            depth = joint.off if ilium else -joint.off
            quarter = self._spec.height_mm(self._k) / 4
            along = joint.along + (quarter if lesion.quadrant.level is Level.UPPER else -quarter)
            inside_mm = np.minimum(lesion.length_mm / 2 - np.abs(along), lesion.depth_mm - depth)
            # A lesion that begins at the joint line is not cut there: the other bone's pixels are left out below.
            if lesion.start_mm > 0:
                inside_mm = np.minimum(inside_mm, depth - lesion.start_mm)
            bone = self.anatomy == (ILIUM_LABEL[lesion.side] if ilium else AnatomyLabel.SACRUM)
            probability = np.maximum(probability, np.where(bone, np.clip(0.5 + inside_mm / (2 * pixel), 0, 1), 0))
            self.signal[bone & (inside_mm >= 0)] = lesion.signal * self._spec.signal["vessel"]
        if self._spec.lumbar_edema:
            lumbar = self.anatomy == AnatomyLabel.LUMBAR_VERTEBRA
            plate = lumbar & (self._v > self._v[lumbar].max(initial=0.0) - 9.0)
            self.signal[plate] = 0.9 * self._spec.signal["vessel"]
            probability[plate] = 1.0
        return probability


def _acquire(signal: np.ndarray[tuple[int, int, int], np.dtype[np.float32]], spec: PhantomSpec,
             random: np.random.Generator) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:  # fmt: skip
    """The signal with a smooth gain, noise (its magnitude, as scanners give) and the scanner's own units."""
    if spec.bias:
        knots = random.normal(0.0, spec.bias, (2, 4, 4))
        field_ = ndimage.zoom(knots, [n / k for n, k in zip(spec.shape, knots.shape, strict=True)], order=1)
        signal = signal * np.exp(ndimage.gaussian_filter(field_, (1, 20, 20))).astype(np.float32)
    if spec.noise:
        spread = spec.noise * spec.signal["marrow"]
        noise = random.normal(0.0, spread, (2, *spec.shape)).astype(np.float32)
        signal = np.hypot(signal + noise[0], noise[1])
    return (signal * spec.gain).astype(np.float32)


def _geometry(spec: PhantomSpec) -> Geometry:
    cos, sin = math.cos(math.radians(spec.tilt_degrees)), math.sin(math.radians(spec.tilt_degrees))
    directions = ((0.0, cos, sin), (0.0, sin, -cos), (1.0, 0.0, 0.0))
    extent = (np.array(spec.shape) - 1) * np.array(spec.spacing_mm) / 2
    origin = -np.array(directions).T @ extent
    x, y, z = (float(p) for p in origin)
    return Geometry(spec.shape, (x, y, z), directions, spec.spacing_mm)


def _require_room(spec: PhantomSpec) -> None:
    """Refuse what would give a phantom whose known score is not that of its images."""
    slices, rows, columns = spec.shape
    if spec.heights_mm and len(spec.heights_mm) != slices:
        raise ConfigError(f"expected one joint height for each of {slices} slices, found {len(spec.heights_mm)}")
    if not SIX - 1 <= spec.transitional_slice < slices:
        raise ConfigError(
            f"expected a transitional slice between {SIX - 1} and {slices - 1}, found {spec.transitional_slice}"
        )
    if rows * spec.spacing_mm[1] < 180.0 or columns * spec.spacing_mm[2] < 160.0:
        raise ConfigError(
            f"expected a field of view of at least 180 x 160 mm, found {rows * spec.spacing_mm[1]:.0f} x "
            f"{columns * spec.spacing_mm[2]:.0f} mm; use more or larger pixels"
        )
    for lesion in spec.lesions:
        height = spec.height_mm(lesion.slice_index) if 0 <= lesion.slice_index < slices else 0.0
        if lesion.length_mm > height / 2 or not 0 <= lesion.start_mm < lesion.depth_mm <= 18.0:
            raise ConfigError(
                f"expected a lesion inside a quadrant (joint {height:.0f} mm high, bone 18 mm deep), found {lesion}"
            )


def random_spec(seed: int, *, lesions: int | None = None, slice_spacing_mm: float | None = None,
                pixel_mm: float | None = None, tilt_degrees: float | None = None) -> PhantomSpec:  # fmt: skip
    """A phantom of random anatomy, geometry, contrast and lesions; what is given is not random.

    `lesions` is how many to try to place.
    """
    random = np.random.default_rng(seed)
    spacing, pixel, tilt = (float(random.uniform(*limits)) for limits in ((3.0, 5.0), (0.6, 0.95), (15, 50)))
    spacing, pixel = slice_spacing_mm or spacing, pixel_mm or pixel
    before = max(round(26 / spacing) + SIX // 2, SIX - 1)
    slices = before + round(34 / spacing)
    rows, columns = (int(round(extent / pixel / 2) * 2) for extent in random.uniform((200, 200), (250, 260)))
    spec = PhantomSpec(
        shape=(slices, rows, columns),
        spacing_mm=(spacing, pixel, pixel),
        tilt_degrees=tilt if tilt_degrees is None else tilt_degrees,
        transitional_slice=before,
        joint_angle_degrees=float(random.uniform(8, 30)),
        half_width_mm=float(random.uniform(42, 54)),
        signal={name: value * float(random.uniform(0.8, 1.25)) for name, value in SIGNAL.items()},
        noise=float(random.uniform(0.03, 0.12)),
        bias=float(random.uniform(0.0, 0.15)),
        gain=float(random.uniform(0.5, 4.0)),
        seed=seed,
    )
    count = int(random.integers(0, 12)) if lesions is None else lesions
    placed: dict[tuple[int, Side, Quadrant], Lesion] = {}
    for _ in range(count):
        lesion = _random_lesion(spec, random)
        if lesion is not None:
            placed[lesion.slice_index, lesion.side, lesion.quadrant] = lesion
    return replace(spec, lesions=tuple(placed.values()))


def _random_lesion(spec: PhantomSpec, random: np.random.Generator) -> Lesion | None:
    """A lesion on one of the six slices, clear of every border of a rule; None where the joint is too low for one."""
    k = spec.transitional_slice - int(random.integers(0, SIX))
    height = spec.height_mm(k)
    if height < 12:
        return None
    deep = random.random() < 0.3
    bright = random.random() < 0.3
    return Lesion(
        slice_index=k,
        side=Side.RIGHT if random.random() < 0.5 else Side.LEFT,
        quadrant=list(Quadrant)[int(random.integers(0, 4))],
        depth_mm=float(random.uniform(11.5, 16) if deep else random.uniform(5, 8.5)),
        length_mm=float(random.uniform(0.5, 0.98)) * height / 2,
        signal=float(random.uniform(1.15, 1.35) if bright else random.uniform(0.55, 0.8)),
    )
