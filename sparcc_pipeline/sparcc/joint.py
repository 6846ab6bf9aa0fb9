"""The sacroiliac joint on each slice: joint line, articular surface, visible height, four quadrants.

All lengths are measured in the plane of the slice, in mm, on native pixels. Points are (row_mm, column_mm) from the
centre of pixel [0, 0].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Quadrant, Side
from sparcc_pipeline.each_slice import ForEachSlice, one_by_one
from sparcc_pipeline.errors import JointNotVisibleError
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint_height import scored_levels
from sparcc_pipeline.sparcc.joint_line import find_joint_line, line_normals
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, LabelArray

QUADRANT_REACH_MM: Final = 30.0
"""Marrow farther than this from the joint line is not beside the joint. Decision of this project."""

JOINT_SPACE_MM: Final = 1.5
"""Pixels this close to the joint line are in the joint space, where fluid is not edema. Source: [Weber2020]; the value,
half a joint space of 3 mm, is a decision of this project."""


@dataclass(frozen=True, eq=False)
class JointSlice:
    """One joint on one slice.

    Parameters
    ----------
    joint_line : (n, 2) float64 (row_mm, column_mm), evenly spaced, upper end first
    height_mm : visible height, the straight distance between the two ends of the joint line
    quadrants : (rows, columns) bool for each quadrant
    surface_distance_mm : (rows, columns) float32, in-plane distance of each pixel centre from the articular surface
    levels : the levels that are scored; where it is one, its quadrants are the whole joint (see `joint_height`)
    """

    slice_index: int
    side: Side
    joint_line: FloatArray
    height_mm: float
    quadrants: Mapping[Quadrant, BoolArray]
    surface_distance_mm: Float32Array
    levels: tuple[Level, ...] = tuple(Level)

    @property
    def evaluable(self) -> tuple[Quadrant, ...]:
        """The quadrants that are scored."""
        return tuple(quadrant for quadrant in Quadrant if quadrant.level in self.levels)

    @property
    def divided(self) -> bool:
        """True where upper and lower quadrants are scored apart."""
        return len(self.levels) == len(Level)

    def at_levels(self, levels: tuple[Level, ...]) -> JointSlice:
        """Return this joint-slice with these levels scored; the quadrants of a single level are the whole joint."""
        if len(levels) != 1:
            return replace(self, levels=levels)
        whole = {
            bone: np.logical_or.reduce([mask for quadrant, mask in self.quadrants.items() if quadrant.bone is bone])
            for bone in {quadrant.bone for quadrant in self.quadrants}
        }
        quadrants = {
            quadrant: whole[quadrant.bone] if quadrant.level in levels else np.zeros_like(mask)
            for quadrant, mask in self.quadrants.items()
        }
        return replace(self, levels=levels, quadrants=quadrants)

    def normals_into(self, bone: Bone) -> FloatArray:
        """Return unit vectors (n, 2) (row, column), perpendicular to the joint line, that point into `bone`."""
        return line_normals(self.joint_line, self.side, bone)


class Joints:
    """The joints of one stack by slice and side; a slice without a visible joint has no entry.

    The levels that are scored depend on the other slices of a joint, so they are set here (see `joint_height`).
    """

    def __init__(self, geometry: Geometry, found: Mapping[tuple[int, Side], JointSlice]) -> None:
        self.geometry = geometry
        self._found = dict(found)
        for side in Side:
            indices = self.slices(side)
            levels = scored_levels([found[k, side].height_mm for k in indices])
            self._found |= {(k, side): found[k, side].at_levels(at) for k, at in zip(indices, levels, strict=True)}

    def at(self, slice_index: int, side: Side) -> JointSlice | None:
        """Return the joint of `side` on a slice, or None where it is not visible."""
        return self._found.get((slice_index, side))

    def slices(self, side: Side) -> tuple[int, ...]:
        """Return the indices of the slices that show the joint of `side`, anterior to posterior."""
        return tuple(sorted(k for k, s in self._found if s is side))

    def __iter__(self) -> Iterator[JointSlice]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)


def find_joints(anatomy: LabelArray, geometry: Geometry, for_each: ForEachSlice = one_by_one) -> Joints:
    """Find the joint of both sides on every slice; `anatomy` is (slices, rows, columns) uint8 of `AnatomyLabel` codes.

    `for_each` runs the work on each slice, perhaps on several threads.

    Raises
    ------
    JointNotVisibleError : no joint on one side or both
    """
    seen: list[list[JointSlice | None]] = [[None] * geometry.shape[0] for _ in Side]

    def find(k: int) -> None:
        for of_side, side in zip(seen, Side, strict=True):
            of_side[k] = find_joint_slice(anatomy[k], geometry, k, side)

    for_each(find, range(geometry.shape[0]))
    found = {(each.slice_index, each.side): each for of_side in seen for each in of_side if each is not None}
    joints = Joints(geometry, found)
    for side in Side:
        if not joints.slices(side):
            raise JointNotVisibleError(
                Message(
                    "expected a sacroiliac joint on both sides, found none on the patient's {side} in {slices} slices; "
                    "check that the series shows the sacroiliac joints and look at the anatomy map (--nifti)",
                    side=side.value,
                    slices=geometry.shape[0],
                )
            )
    return joints


def find_joint_slice(anatomy: LabelArray, geometry: Geometry, slice_index: int, side: Side) -> JointSlice | None:
    """Return the joint of one side on one slice, or None where sacrum and ilium do not face each other.

    `anatomy` is (rows, columns) uint8 of `AnatomyLabel` codes. Source of the quadrants: [SpaImaging]; upper and lower
    are separated at the middle of the visible joint: documented default. `Joints` joins both levels of a short joint.

    Examples
    --------
    >>> coronal = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
    >>> stack = Geometry((1, 60, 80), (0.0, 0.0, 0.0), coronal, (4.0, 1.0, 1.0))
    >>> anatomy = np.zeros((60, 80), dtype=np.uint8)
    >>> anatomy[10:50, 20:39] = AnatomyLabel.SACRUM
    >>> anatomy[10:50, 42:60] = AnatomyLabel.LEFT_ILIUM
    >>> joint = find_joint_slice(anatomy, stack, 0, Side.LEFT)
    >>> round(joint.height_mm, 3)
    39.0
    >>> {quadrant.value: int(mask.sum()) for quadrant, mask in joint.quadrants.items()}
    {'upper_iliac': 360, 'lower_iliac': 360, 'upper_sacral': 380, 'lower_sacral': 380}
    """
    sampling = geometry.in_plane_mm
    line = find_joint_line(anatomy, sampling, side)
    if line is None:
        return None
    distance = _distance_from_line(line, np.isin(anatomy, [AnatomyLabel.SACRUM, ILIUM_LABEL[side]]), sampling)
    beside = _beside(line, anatomy.shape, sampling)
    bones, near = anatomy[beside], distance[beside]
    marrow = (near > JOINT_SPACE_MM) & (near <= QUADRANT_REACH_MM)
    lumbar = anatomy == AnatomyLabel.LUMBAR_VERTEBRA
    if lumbar.any():
        # Change beside the L5-S1 disc does not score, so marrow nearer to L5 than to the joint is left out.
        marrow &= near < ndimage.distance_transform_edt(~lumbar, sampling=sampling)[beside]
    upper = _upper_half(line, beside, sampling)
    quadrants = {quadrant: np.zeros(anatomy.shape, dtype=bool) for quadrant in Quadrant}
    for quadrant, mask in quadrants.items():
        bone = ILIUM_LABEL[side] if quadrant.bone is Bone.ILIUM else AnatomyLabel.SACRUM
        mask[beside] = marrow & (bones == bone) & (upper if quadrant.level is Level.UPPER else ~upper)
    return JointSlice(
        slice_index=slice_index,
        side=side,
        joint_line=line,
        height_mm=float(np.linalg.norm(line[-1] - line[0])),
        quadrants=quadrants,
        surface_distance_mm=distance.astype(np.float32),
    )


def _beside(line: FloatArray, shape: tuple[int, ...], sampling: tuple[float, float]) -> tuple[slice, slice]:
    """Rows and columns that hold every pixel within QUADRANT_REACH_MM of a joint line."""
    first = np.floor((line.min(axis=0) - QUADRANT_REACH_MM) / sampling).astype(int)
    last = np.ceil((line.max(axis=0) + QUADRANT_REACH_MM) / sampling).astype(int)
    rows, columns = (slice(max(int(a), 0), min(int(b) + 1, n)) for a, b, n in zip(first, last, shape, strict=True))
    return rows, columns


def _distance_from_line(line: FloatArray, bone: BoolArray, sampling: tuple[float, float]) -> FloatArray:
    """(rows, columns) distance in mm of pixel centres from `line`: exact in bone within QUADRANT_REACH_MM, else to one
    pixel.

    The distance transform is fast but measures from pixels; the tree is exact but slow, so it serves few pixels.
    """
    pixels = np.ones(bone.shape, dtype=bool)
    rows, columns = np.clip(np.rint(line / sampling).astype(int), 0, np.array(bone.shape) - 1).T
    pixels[rows, columns] = False
    distance: FloatArray = ndimage.distance_transform_edt(pixels, sampling=sampling)
    place = _beside(line, bone.shape, sampling)
    beside = distance[place]
    near = bone[place] & (beside <= QUADRANT_REACH_MM + max(sampling))
    beside[near], _ = cKDTree(line).query((np.argwhere(near) + [side.start for side in place]) * sampling)
    return distance


def _upper_half(line: FloatArray, place: tuple[slice, slice], sampling: tuple[float, float]) -> BoolArray:
    """(rows, columns) of `place`, bool: above the perpendicular through the middle of the joint.

    The axis joins the two ends of the joint line: halves of a tilted joint are halves of its length, not of its rows.
    """
    axis = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    middle = (line[0] + line[-1]) / 2
    rows, columns = np.ogrid[place]
    along = (rows * sampling[0] - middle[0]) * axis[0] + (columns * sampling[1] - middle[1]) * axis[1]
    return np.asarray(along < 0)
