"""Small synthetic anatomy: a sacrum between two ilia, with straight joint lines, in any pixel spacing.

All lengths are in mm. A joint has its own coordinates in the plane of the slice: `along_mm` runs down the joint
from its upper end, `into_ilium_mm` is the distance from the joint line, negative in the sacrum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Quadrant, Side
from sparcc_pipeline.sparcc.joint import Joints, JointSlice, find_joints
from sparcc_pipeline.sparcc.joint_line import LINE_STEP_MM
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.volume import BoolArray, FloatArray, Geometry, SeriesRef, TissueMaps, Volume

THRESHOLD = 0.5
MARROW, EDEMA, VESSEL = 200.0, 400.0, 900.0
SEMICORONAL = ((0.0, 0.8, 0.6), (0.0, 0.6, -0.8), (1.0, 0.0, 0.0))


def geometry_of(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Geometry:
    """A semicoronal stack."""
    return Geometry(shape=shape, origin_mm=(-60.0, -20.0, 40.0), directions=SEMICORONAL, spacing_mm=spacing_mm)


@dataclass(frozen=True)
class Lesion:
    """Edema of one bone on one slice: a rectangle beside the joint, or a ring segment of it where `from_mm` > 0.

    `soft_mm` > 0 lets the probability fall linearly over that distance, through the threshold exactly at the border;
    else it is 0.9 on every pixel with its centre inside.
    """

    slice_index: int
    side: Side
    bone: Bone
    to_mm: float
    from_mm: float = 0.0
    top_mm: float = 4.0
    bottom_mm: float = 14.0
    soft_mm: float = 0.0
    signal: float = EDEMA


@dataclass(frozen=True)
class Anatomy:
    """A stack with a joint on both sides of the slices `first`..`last`.

    Parameters
    ----------
    tilt_degrees : the upper end of each joint line leans outwards by this
    height_mm : length over which the bones face each other
    width_mm : distance of the two bones' borders
    absent : (slice_index, side) without an ilium
    transitional : first slice that shows the ligamentous part
    lumbar_mm : (top, bottom, half width) of a lumbar vertebra in the midline, cut out of the sacrum; None for none
    """

    slices: int = 8
    spacing_mm: tuple[float, float, float] = (4.0, 1.0, 1.0)
    tilt_degrees: float = 0.0
    height_mm: float = 40.0
    width_mm: float = 3.0
    first: int = 0
    last: int = 7
    absent: tuple[tuple[int, Side], ...] = ()
    transitional: int = 6
    vessels: bool = True
    lesions: tuple[Lesion, ...] = ()
    lumbar_mm: tuple[float, float, float] | None = None
    heights_mm: dict[tuple[int, Side], float] = field(default_factory=dict)

    top_mm = 12.3
    joint_from_midline_mm = 30.4
    ilium_mm = 24.0

    @property
    def geometry(self) -> Geometry:
        """Large enough for the bones and a margin, with the midline in the middle of the columns."""
        lean = self.height_mm * math.sin(math.radians(abs(self.tilt_degrees)))
        half_width = self.joint_from_midline_mm + self.ilium_mm + lean + 6.0
        rows = math.ceil((2 * self.top_mm + self.height_mm + lean + self.ilium_mm / 2) / self.spacing_mm[1])
        return geometry_of((self.slices, rows, math.ceil(2 * half_width / self.spacing_mm[2])), self.spacing_mm)

    def coordinates(self, side: Side) -> tuple[FloatArray, FloatArray]:
        """(rows, columns) `along_mm` and `into_ilium_mm` of every pixel centre, for the joint of `side`."""
        geometry = self.geometry
        rows, columns = np.indices(geometry.shape[1:]).astype(float)
        down = rows * geometry.spacing_mm[1] - self.top_mm
        outwards = np.abs(columns - (geometry.shape[2] - 1) / 2) * geometry.spacing_mm[2]
        mirror = 1.0 if side is Side.LEFT else -1.0
        outwards *= np.sign(columns - (geometry.shape[2] - 1) / 2) * mirror
        lean = math.radians(self.tilt_degrees)
        top = self.joint_from_midline_mm + self.height_mm / 2 * math.sin(lean)
        along = down * math.cos(lean) - (outwards - top) * math.sin(lean)
        into_ilium = down * math.sin(lean) + (outwards - top) * math.cos(lean)
        return along, into_ilium

    def line_mm(self, side: Side) -> FloatArray:
        """(2, 2): true upper and lower end of the joint line, (row_mm, column_mm)."""
        lean = math.radians(self.tilt_degrees)
        middle = (self.geometry.shape[2] - 1) / 2 * self.spacing_mm[2]
        sign = 1.0 if side is Side.LEFT else -1.0
        top = self.joint_from_midline_mm + self.height_mm / 2 * math.sin(lean)
        upper = np.array([self.top_mm, middle + sign * top])
        return np.stack([upper, upper + self.height_mm * np.array([math.cos(lean), -sign * math.sin(lean)])])

    def tissue(self) -> TissueMaps:
        """The tissue maps of this anatomy."""
        geometry = self.geometry
        anatomy = np.zeros(geometry.shape, dtype=np.uint8)
        probability = np.zeros(geometry.shape, dtype=np.float32)
        for k in range(self.first, self.last + 1):
            anatomy[k] = self._bones(k)
        for lesion in self.lesions:
            inside, strength = self._lesion(lesion)
            bone = AnatomyLabel.SACRUM if lesion.bone is Bone.SACRUM else ILIUM_LABEL[lesion.side]
            own = np.where((anatomy[lesion.slice_index] == bone) & inside, strength, 0.0)
            probability[lesion.slice_index] = np.maximum(probability[lesion.slice_index], own)
        vessel = np.zeros(geometry.shape, dtype=bool)
        if self.vessels:
            vessel[:, 1:6, geometry.shape[2] // 2 - 4 : geometry.shape[2] // 2 + 4] = True
        return TissueMaps(
            geometry=geometry,
            anatomy=anatomy,
            edema_probability=probability,
            edema_threshold=THRESHOLD,
            vessel=vessel,
            ligamentous=(np.arange(self.slices) >= self.transitional).astype(np.float32),
        )

    def stir(self, tissue: TissueMaps | None = None) -> Volume:
        """The signal of the tissue: marrow, edema at the signal of its lesion, bright vessels."""
        tissue = tissue or self.tissue()
        signal = np.where(tissue.anatomy > 0, np.float32(MARROW), np.float32(20.0))
        for lesion in self.lesions:
            inside, strength = self._lesion(lesion)
            k = lesion.slice_index
            signal[k] = np.where(inside & (strength > 0) & tissue.edema[k], np.float32(lesion.signal), signal[k])
        signal[tissue.vessel] = VESSEL
        return Volume(signal, tissue.geometry, SeriesRef(None, None))

    def with_lesions(self, *lesions: Lesion) -> Anatomy:
        """The same anatomy with these lesions."""
        return replace(self, lesions=lesions)

    def score(self) -> SparccScore:
        """The score of this anatomy, by the whole chain of rules."""
        return score_of(self.tissue(), self.stir())

    def _bones(self, slice_index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        bones = np.zeros(self.geometry.shape[1:], dtype=np.uint8)
        half = np.indices(bones.shape)[1] < bones.shape[1] / 2
        for side in Side:
            along, into_ilium = self.coordinates(side)
            facing = (along >= 0) & (along <= self.heights_mm.get((slice_index, side), self.height_mm))
            own_half = half if side is Side.RIGHT else ~half
            bones[own_half & facing & (into_ilium <= -self.width_mm / 2)] = AnatomyLabel.SACRUM
            if (slice_index, side) not in self.absent:
                ilium = facing & (into_ilium >= self.width_mm / 2) & (into_ilium <= self.ilium_mm)
                bones[ilium] = ILIUM_LABEL[side]
        if self.lumbar_mm is not None:
            top, bottom, half_width = self.lumbar_mm
            rows, columns = np.indices(bones.shape).astype(float)
            down = rows * self.spacing_mm[1] - self.top_mm
            aside = np.abs(columns - (bones.shape[1] - 1) / 2) * self.spacing_mm[2]
            bones[(down >= top) & (down <= bottom) & (aside <= half_width)] = AnatomyLabel.LUMBAR_VERTEBRA
        return bones

    def _lesion(self, lesion: Lesion) -> tuple[BoolArray, FloatArray]:
        """(rows, columns) region of the lesion, and its probability there."""
        along, into_ilium = self.coordinates(lesion.side)
        depth = into_ilium if lesion.bone is Bone.ILIUM else -into_ilium
        margin = np.minimum(lesion.to_mm - depth, np.where(lesion.from_mm > 0, depth - lesion.from_mm, np.inf))
        inside = (along >= lesion.top_mm) & (along <= lesion.bottom_mm) & (depth >= 0)
        if lesion.soft_mm > 0:
            return inside, np.clip(THRESHOLD + margin / lesion.soft_mm, 0.0, 1.0)
        return inside, np.where(margin >= 0, 0.9, 0.0)


def joints_of(anatomy: Anatomy) -> Joints:
    """The joints of an anatomy."""
    tissue = anatomy.tissue()
    return find_joints(tissue.anatomy, tissue.geometry)


def score_of(tissue: TissueMaps, stir: Volume) -> SparccScore:
    """The score of tissue maps and their signal, by the whole chain of rules."""
    joints = find_joints(tissue.anatomy, tissue.geometry)
    return score_sparcc(stir, tissue, joints, choose_six_slices(joints, tissue.ligamentous))


def straight_joint(
    spacing_mm: tuple[float, float] = (1.0, 1.0),
    tilt_degrees: float = 0.0,
    height_mm: float = 40.0,
    side: Side = Side.LEFT,
    shape: tuple[int, int] = (60, 90),
    slice_index: int = 0,
) -> JointSlice:
    """A joint whose line is exactly straight: its upper end leans to larger columns; no bone is left out."""
    lean = math.radians(tilt_degrees)
    rows, columns = np.indices(shape).astype(float)
    down = np.array([math.cos(lean), -math.sin(lean)])
    middle = np.array([(shape[0] - 1) / 2 * spacing_mm[0], (shape[1] - 1) / 2 * spacing_mm[1]])
    steps = np.linspace(-height_mm / 2, height_mm / 2, int(round(height_mm / LINE_STEP_MM)) + 1)
    into_larger = (rows * spacing_mm[0] - middle[0]) * -down[1] + (columns * spacing_mm[1] - middle[1]) * down[0]
    along = (rows * spacing_mm[0] - middle[0]) * down[0] + (columns * spacing_mm[1] - middle[1]) * down[1]
    ilium = into_larger > 0 if side is Side.LEFT else into_larger < 0
    return JointSlice(
        slice_index=slice_index,
        side=side,
        joint_line=middle + steps[:, None] * down,
        height_mm=height_mm,
        quadrants={
            q: (ilium if q.bone is Bone.ILIUM else ~ilium) & ((along < 0) if "upper" in q.value else (along >= 0))
            for q in Quadrant
        },
        surface_distance_mm=np.abs(into_larger).astype(np.float32),
    )


def joint_coordinates(
    joint: JointSlice, spacing_mm: tuple[float, float], shape: tuple[int, int] = (60, 90)
) -> tuple[FloatArray, FloatArray]:
    """(rows, columns) mm along a straight joint line from its middle, and mm from it into the ilium."""
    down = joint.joint_line[-1] - joint.joint_line[0]
    down /= np.linalg.norm(down)
    middle = (joint.joint_line[0] + joint.joint_line[-1]) / 2
    rows, columns = np.indices(shape).astype(float)
    offset_row, offset_column = rows * spacing_mm[0] - middle[0], columns * spacing_mm[1] - middle[1]
    into_larger = -offset_row * down[1] + offset_column * down[0]
    return offset_row * down[0] + offset_column * down[1], into_larger if joint.side is Side.LEFT else -into_larger


def points(score: SparccScore) -> dict[tuple[int, str, str], int]:
    """Every point that was given: (slice, side, item) -> 1."""
    given: dict[tuple[int, str, str], int] = {}
    for joint in score.joints:
        items: Iterable[tuple[str, int | None]] = (
            *((q.value, p) for q, p in joint.edema.items()),
            ("intense", joint.intense),
            ("deep", joint.deep),
        )
        given |= {(joint.slice, joint.side.value, name): point for name, point in items if point}
    return given
