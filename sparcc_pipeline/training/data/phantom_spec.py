"""The specification of a phantom, and the score that it must have. For tests and the demo; no claim of accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Level, Quadrant, Side
from sparcc_pipeline.errors import ConfigError

SIX: Final = 6

SIGNAL: Final[Mapping[str, float]] = {
    "air": 4.0,
    "fat": 45.0,
    "muscle": 80.0,
    "marrow": 120.0,
    "joint": 40.0,
    "cortex": 25.0,
    "ligament": 60.0,
    "disc": 260.0,
    "vessel": 480.0,
    "bladder": 620.0,
}
"""Signal of each tissue in the units of the phantom. As on STIR, fat is dark and fluid bright."""

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
    """The specification of a phantom.

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
        """Return the visible height of the joint: as given, else low in front and behind and high between."""
        if self.heights_mm:
            return self.heights_mm[slice_index]
        from_middle = (slice_index - self.transitional_slice + 2) * self.spacing_mm[0]
        return float(max(44.0 - 0.055 * from_middle**2, 0.0)) if abs(from_middle) <= 26.0 else 0.0

    @property
    def reference(self) -> float | None:
        """Signal from which edema is intense: that of the vessels, else of cerebrospinal fluid, else None."""
        return self.signal["vessel"] if self.vessels else self.csf or None


@dataclass(frozen=True)
class KnownScore:
    """The SPARCC score that follows from the specification alone; points by (slice within the six, side)."""

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
    """Return the score of a phantom by the published rules, coded here again and independent of `sparcc/`.

    Lesions of at least 8 mm2 outside the joint space (1.5 mm) give their quadrant a point. A joint lower than 30 mm is
    not divided: all of it is upper, or lower behind the last slice that shows 30 mm. A joint of 10 mm or less is not
    scored. Edema is intense from the reference signal on, and not
    evaluable without a reference. Edema is deep from 10 mm on if it touches the joint (within 3 mm). Source:
    [SpaImaging]; [Maksymowych2005].
    """
    first = spec.transitional_slice - SIX + 1
    edema: dict[tuple[int, Side], Points] = {}
    intense: dict[tuple[int, Side], int | None] = {}
    deep: dict[tuple[int, Side], int | None] = {}
    for position in range(SIX):
        levels = _known_levels(spec, first + position)
        scored = [q for q in Quadrant if q.level in levels]
        for side in Side:
            here = [
                lesion
                for lesion in spec.lesions
                if (lesion.slice_index, lesion.side) == (first + position, side)
                and scored
                and lesion.length_mm * (lesion.depth_mm - max(lesion.start_mm, 1.5)) >= 8
            ]
            hit = {_scored_as(lesion.quadrant, levels) for lesion in here}
            edema[position, side] = {q: int(q in hit) if q in scored else None for q in Quadrant}
            bright = [lesion.signal * spec.signal["vessel"] for lesion in here]
            intense[position, side] = _known_intense(bright, spec.reference) if scored else None
            reach = [lesion.depth_mm for lesion in here if lesion.start_mm <= 3]
            deep[position, side] = int(max(reach, default=0) >= 10) if scored else None
    return KnownScore(first, edema, intense, deep)


def _known_levels(spec: PhantomSpec, slice_index: int) -> tuple[Level, ...]:
    height = spec.height_mm(slice_index)
    if height <= 10:
        return ()
    if height >= 30:
        return (Level.UPPER, Level.LOWER)
    full = [k for k in range(spec.shape[0]) if spec.height_mm(k) >= 30]
    return (Level.LOWER,) if full and slice_index > max(full) else (Level.UPPER,)


def _scored_as(quadrant: Quadrant, levels: tuple[Level, ...]) -> Quadrant:
    """Return the quadrant that a lesion counts for: in a joint that is not divided, the only one of its bone."""
    return quadrant if quadrant.level in levels else Quadrant(f"{levels[0].value}_{quadrant.bone.value}")


def _known_intense(signals: list[float], reference: float | None) -> int | None:
    if not signals:
        return 0
    return None if reference is None else int(max(signals) >= reference)


def require_room(spec: PhantomSpec) -> None:
    """Raise ConfigError if the images of a phantom cannot show its known score."""
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


def random_spec(
    seed: int,
    *,
    lesions: int | None = None,
    slice_spacing_mm: float | None = None,
    pixel_mm: float | None = None,
    tilt_degrees: float | None = None,
) -> PhantomSpec:
    """Return a phantom of random anatomy, geometry, contrast and lesions; arguments that are given replace the draw.

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
    """Return a lesion on one of the six slices, far from the limits of the rules; None if the joint is too low."""
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
