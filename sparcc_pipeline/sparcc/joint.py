"""The sacroiliac joint on each slice: joint line, articular surface, visible height, four quadrants.

The joint line runs midway between the marrow of sacrum and ilium wherever the two bones face each other closely.
Everything is measured in the plane of the slice, in mm, on native pixels. Points are (row_mm, column_mm) from the
centre of pixel [0, 0].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage import measure

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Quadrant, Side
from sparcc_pipeline.errors import JointNotVisibleError
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, Geometry, LabelArray

LARGEST_JOINT_WIDTH_MM: Final = 5.0
"""Sacrum and ilium farther apart than this face each other across ligament, not cartilage (project decision)."""

QUADRANT_REACH_MM: Final = 30.0
"""Marrow farther than this from the joint line is no longer beside the joint (project decision)."""

JOINT_SPACE_MM: Final = 1.5
"""Pixels this close to the joint line lie in the joint space: fluid there does not score (clinical reference section 2,
"not edema"; half of a joint space of 3 mm, project decision)."""

SMALLEST_JOINT_PIECE_MM: Final = 4.0
"""Shorter pieces of a joint line are noise of the segmentation (project decision)."""

OPPOSITE_COSINE: Final = -0.7
"""Cosine of the angle (135 degrees) from which the nearest points of two bones lie opposite each other; so the joint
line ends within a fifth of the joint's width of where the bones end (project decision)."""

_MARGIN_PIXELS: Final = 4
"""Pixels about what can be joint, so that nothing at its border depends on where the window ends."""

LINE_SMOOTHING_MM: Final = 2.5
LINE_STEP_MM: Final = 0.5
BONE_GAP_MM: Final = 12.0
"""Pieces of one joint line farther apart than this do not belong to one joint (project decision)."""


@dataclass(frozen=True, eq=False)
class JointSlice:
    """One joint on one slice.

    Parameters
    ----------
    joint_line : (n, 2) float64 (row_mm, column_mm), evenly spaced, upper end first
    height_mm : visible height, the straight distance between the two ends of the joint line
    quadrants : (rows, columns) bool for each quadrant
    surface_distance_mm : (rows, columns) float32, in-plane distance of each pixel centre from the articular surface
    """

    slice_index: int
    side: Side
    joint_line: FloatArray
    height_mm: float
    quadrants: Mapping[Quadrant, BoolArray]
    surface_distance_mm: Float32Array

    def normals_into(self, bone: Bone) -> FloatArray:
        """(n, 2) unit vectors (row, column), perpendicular to the joint line, pointing into `bone`."""
        return line_normals(self.joint_line, self.side, bone)


class Joints:
    """The joints of one stack, by slice and side; slices without a visible joint have no entry."""

    def __init__(self, geometry: Geometry, found: Mapping[tuple[int, Side], JointSlice]) -> None:
        self.geometry = geometry
        self._found = dict(found)

    def at(self, slice_index: int, side: Side) -> JointSlice | None:
        """The joint of `side` on a slice, or None where it is not visible."""
        return self._found.get((slice_index, side))

    def slices(self, side: Side) -> tuple[int, ...]:
        """Indices of the slices on which the joint of `side` is visible, anterior to posterior."""
        return tuple(sorted(k for k, s in self._found if s is side))

    def __iter__(self) -> Iterator[JointSlice]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)


def find_joints(anatomy: LabelArray, geometry: Geometry) -> Joints:
    """Find the joint of both sides on every slice; `anatomy` is (slices, rows, columns) uint8 of `AnatomyLabel` codes.

    Raises
    ------
    JointNotVisibleError : no joint on one side or both
    """
    found: dict[tuple[int, Side], JointSlice] = {}
    for side in Side:
        for slice_index in range(geometry.shape[0]):
            joint = find_joint_slice(anatomy[slice_index], geometry, slice_index, side)
            if joint is not None:
                found[slice_index, side] = joint
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
    """The joint of one side on one slice, or None where sacrum and ilium do not face each other.

    `anatomy` is (rows, columns) uint8 of `AnatomyLabel` codes.
    """
    sampling = geometry.in_plane_mm
    sacrum, ilium = anatomy == AnatomyLabel.SACRUM, anatomy == ILIUM_LABEL[side]
    line = find_joint_line(anatomy, sampling, side)
    if line is None:
        return None
    distance = _distance_from_line(line, anatomy.shape, sampling)
    lumbar = anatomy == AnatomyLabel.LUMBAR_VERTEBRA
    near = (distance > JOINT_SPACE_MM) & (distance <= QUADRANT_REACH_MM)
    if lumbar.any():
        # End-plate change of L5-S1 does not score: marrow nearer to L5 than to the joint belongs to the disc.
        near &= distance < ndimage.distance_transform_edt(~lumbar, sampling=sampling)
    upper = _upper_half(line, anatomy.shape, sampling)
    return JointSlice(
        slice_index=slice_index,
        side=side,
        joint_line=line,
        height_mm=float(np.linalg.norm(line[-1] - line[0])),
        quadrants={
            quadrant: near
            & (ilium if quadrant.bone is Bone.ILIUM else sacrum)
            & (upper if quadrant.level is Level.UPPER else ~upper)
            for quadrant in Quadrant
        },
        surface_distance_mm=distance.astype(np.float32),
    )


def find_joint_line(anatomy: LabelArray, in_plane_mm: tuple[float, float], side: Side) -> FloatArray | None:
    """(n, 2) (row_mm, column_mm): the joint line of one side on one slice, upper end first, LINE_STEP_MM apart.

    None where sacrum and ilium do not face each other. `anatomy` is (rows, columns) of `AnatomyLabel` codes.
    """
    sacrum, ilium = anatomy == AnatomyLabel.SACRUM, anatomy == ILIUM_LABEL[side]
    if not sacrum.any() or not ilium.any():
        return None
    # Both bones come near the joint only where their boxes, widened by the joint, overlap.
    window = []
    for axis, step in enumerate(in_plane_mm):
        wide = int(np.ceil(LARGEST_JOINT_WIDTH_MM / step)) + _MARGIN_PIXELS
        ends = [np.flatnonzero(bone.any(axis=1 - axis))[[0, -1]] for bone in (sacrum, ilium)]
        first, last = max(int(end[0]) for end in ends) - wide, min(int(end[1]) for end in ends) + wide
        window.append(slice(max(first, 0), max(last + 1, 0)))
    rows, columns = window
    sacrum, ilium = sacrum[rows, columns], ilium[rows, columns]
    if not sacrum.any() or not ilium.any():
        return None
    line = _joint_line(sacrum, ilium, in_plane_mm)
    return None if line is None else line + np.array([rows.start, columns.start]) * in_plane_mm


def line_normals(line: FloatArray, side: Side, bone: Bone) -> FloatArray:
    """(n, 2) unit vectors (row, column), perpendicular to a joint line (n, 2) of `side`, pointing into `bone`."""
    tangent = np.gradient(ndimage.gaussian_filter1d(line, 3.0 / LINE_STEP_MM, axis=0), axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    # The right ilium lies at smaller columns than the joint, the left ilium at larger ones.
    towards_larger_columns = (bone is Bone.ILIUM) == (side is Side.LEFT)
    mean_column = float(normal[:, 1].mean())
    return normal if (mean_column > 0) == towards_larger_columns else -normal


def _joint_line(sacrum: BoolArray, ilium: BoolArray, sampling: tuple[float, float]) -> FloatArray | None:
    """The smoothed, evenly spaced curve midway between bones that face each other closely; None where there is none."""
    to_sacrum, nearest_sacrum = ndimage.distance_transform_edt(~sacrum, sampling=sampling, return_indices=True)
    to_ilium, nearest_ilium = ndimage.distance_transform_edt(~ilium, sampling=sampling, return_indices=True)
    width = to_sacrum + to_ilium
    joint = (width <= LARGEST_JOINT_WIDTH_MM) & _facing(nearest_sacrum, nearest_ilium, width, sampling)
    pieces: list[FloatArray] = []
    for contour in measure.find_contours(to_sacrum - to_ilium, 0.0):
        rows, columns = np.rint(contour).astype(int).T
        in_joint = joint[rows, columns]
        for run in np.split(np.arange(len(contour)), np.flatnonzero(np.diff(in_joint)) + 1):
            if in_joint[run[0]]:
                piece = contour[run] * sampling
                if np.linalg.norm(piece[-1] - piece[0]) >= SMALLEST_JOINT_PIECE_MM:
                    pieces.append(piece if piece[0, 0] <= piece[-1, 0] else piece[::-1])
    if not pieces:
        return None
    return _resample(_join(pieces))


def _facing(nearest_sacrum: NDArray[np.int32], nearest_ilium: NDArray[np.int32], width: FloatArray,
            sampling: tuple[float, float]) -> BoolArray:  # fmt: skip
    """(rows, columns) bool: the nearest points of both bones lie on opposite sides.

    Past the end of the joint, where the bones part at a corner, they lie on the same side. The directions are known
    to a pixel only, so a joint of a pixel or two needs no more than a right angle between them.
    """
    here, scale = np.indices(width.shape), np.array(sampling)[:, None, None]
    to_sacrum, to_ilium = (nearest_sacrum - here) * scale, (nearest_ilium - here) * scale
    lengths = np.linalg.norm(to_sacrum, axis=0) * np.linalg.norm(to_ilium, axis=0)
    needed = np.where(width > 2.0 * max(sampling), OPPOSITE_COSINE, 0.0)
    return np.asarray((to_sacrum * to_ilium).sum(axis=0) <= needed * lengths)


def _join(pieces: list[FloatArray]) -> FloatArray:
    """The longest piece, with the pieces above and below it that continue it."""
    pieces = sorted(pieces, key=lambda piece: -float(np.linalg.norm(piece[-1] - piece[0])))
    line = pieces[0]
    for piece in pieces[1:]:
        if piece[-1, 0] <= line[0, 0] and np.linalg.norm(piece[-1] - line[0]) <= BONE_GAP_MM:
            line = np.vstack([piece, line])
        elif piece[0, 0] >= line[-1, 0] and np.linalg.norm(piece[0] - line[-1]) <= BONE_GAP_MM:
            line = np.vstack([line, piece])
    return line


def _resample(line: FloatArray) -> FloatArray:
    """`line` at equal steps of arc length, smoothed, its two ends kept."""
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    count = max(int(round(arc[-1] / LINE_STEP_MM)) + 1, 5)
    at = np.linspace(0.0, arc[-1], count)
    even = np.stack([np.interp(at, arc, line[:, axis]) for axis in (0, 1)], axis=1)
    # Odd reflection about the ends keeps them in place, so that smoothing never shortens the joint.
    sigma = LINE_SMOOTHING_MM / LINE_STEP_MM
    pad = min(int(4 * sigma), count - 1)
    padded = np.pad(even, ((pad, pad), (0, 0)), mode="reflect", reflect_type="odd")
    smooth: FloatArray = ndimage.gaussian_filter1d(padded, sigma, axis=0)[pad : pad + count]
    return smooth


def _distance_from_line(line: FloatArray, shape: tuple[int, ...], sampling: tuple[float, float]) -> FloatArray:
    """(rows, columns) distance in mm of every pixel centre from `line`: exact beside the joint, else to one pixel."""
    pixels = np.ones(shape, dtype=bool)
    rows, columns = np.clip(np.rint(line / sampling).astype(int), 0, np.array(shape) - 1).T
    pixels[rows, columns] = False
    distance = ndimage.distance_transform_edt(pixels, sampling=sampling)
    near = np.argwhere(distance <= QUADRANT_REACH_MM + max(sampling))
    distance[tuple(near.T)], _ = cKDTree(line).query(near * sampling)
    return np.asarray(distance, dtype=np.float64)


def _upper_half(line: FloatArray, shape: tuple[int, ...], sampling: tuple[float, float]) -> BoolArray:
    """(rows, columns) bool: above the straight line through the middle of the joint, perpendicular to it."""
    axis = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
    middle = (line[0] + line[-1]) / 2
    rows, columns = np.indices(shape)
    along = (rows * sampling[0] - middle[0]) * axis[0] + (columns * sampling[1] - middle[1]) * axis[1]
    return np.asarray(along < 0)
