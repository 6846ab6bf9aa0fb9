"""The joint line of one joint on one slice: the curve midway between the marrow of sacrum and ilium.

The joint line represents the articular surface: cartilage and cortex are both dark on STIR, so their border cannot be
seen. It exists where the two bones are close and face each other. Points are (row_mm, column_mm) from the centre of
pixel [0, 0], in the plane of the slice.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Side
from sparcc_pipeline.volume import BoolArray, FloatArray, LabelArray

LARGEST_JOINT_WIDTH_MM: Final = 5.0
"""Sacrum and ilium farther apart than this have ligament between them, not cartilage. Decision of this project."""

SMALLEST_JOINT_PIECE_MM: Final = 4.0
"""Shorter pieces of a joint line are noise of the segmentation. Decision of this project."""

BONE_GAP_MM: Final = 12.0
"""Pieces of a joint line farther apart than this are not of one joint. Decision of this project."""

OPPOSITE_COSINE: Final = -0.7
"""Cosine of the angle (135 degrees) from which the nearest points of two bones are on opposite sides; the joint line
then ends within a fifth of the joint's width of the end of the bones. Decision of this project."""

LINE_SMOOTHING_MM: Final = 2.5
"""Standard deviation of the smoothing of a joint line. Decision of this project."""

LINE_STEP_MM: Final = 0.5
"""Distance between the points of a joint line. Decision of this project."""

_NORMAL_SMOOTHING_MM: Final = 3.0

_MARGIN_PIXELS: Final = 4
"""Margin around the window of the joint, so that no result depends on where the window ends."""


def find_joint_line(anatomy: LabelArray, in_plane_mm: tuple[float, float], side: Side) -> FloatArray | None:
    """Return the joint line of one side on one slice, (n, 2) (row_mm, column_mm), upper end first, LINE_STEP_MM apart.

    None where sacrum and ilium do not face each other. `anatomy` is (rows, columns) uint8 of `AnatomyLabel` codes.

    Examples
    --------
    Two blocks of bone with a gap from column 39 to column 41:

    >>> anatomy = np.zeros((60, 80), dtype=np.uint8)
    >>> anatomy[10:50, 20:39] = AnatomyLabel.SACRUM
    >>> anatomy[10:50, 42:60] = AnatomyLabel.LEFT_ILIUM
    >>> line = find_joint_line(anatomy, (1.0, 1.0), Side.LEFT)
    >>> line[0].round(1).tolist(), line[-1].round(1).tolist()
    ([10.0, 40.0], [49.0, 40.0])
    >>> find_joint_line(anatomy, (1.0, 1.0), Side.RIGHT) is None
    True
    """
    sacrum, ilium = anatomy == AnatomyLabel.SACRUM, anatomy == ILIUM_LABEL[side]
    if not sacrum.any() or not ilium.any():
        return None
    # Distances are computed in a window only, for speed: the joint lies where the bounding boxes of both bones, each
    # extended by the width of a joint, overlap.
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
    line = _midline(sacrum, ilium, in_plane_mm)
    return None if line is None else line + np.array([rows.start, columns.start]) * in_plane_mm


def line_normals(line: FloatArray, side: Side, bone: Bone) -> FloatArray:
    """Return the unit normals into `bone` of a joint line of `side`; both (n, 2) (row, column).

    Examples
    --------
    The left ilium is at larger columns than a left joint line that runs straight down:

    >>> down = np.stack([np.arange(0.0, 40.0, 0.5), np.full(80, 30.0)], axis=1)
    >>> line_normals(down, Side.LEFT, Bone.ILIUM)[40].round().astype(int).tolist()
    [0, 1]
    """
    tangent = np.gradient(ndimage.gaussian_filter1d(line, _NORMAL_SMOOTHING_MM / LINE_STEP_MM, axis=0), axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    # Columns grow to the patient's left: the right ilium is at smaller columns than the joint, the left ilium at
    # larger ones. One sign for the whole line, so that a bend cannot flip single normals.
    towards_larger_columns = (bone is Bone.ILIUM) == (side is Side.LEFT)
    mean_column = float(normal[:, 1].mean())
    return normal if (mean_column > 0) == towards_larger_columns else -normal


def _midline(sacrum: BoolArray, ilium: BoolArray, sampling: tuple[float, float]) -> FloatArray | None:
    """The smoothed, evenly spaced curve midway between the facing parts of both bones; None where there is none."""
    to_sacrum, nearest_sacrum = ndimage.distance_transform_edt(~sacrum, sampling=sampling, return_indices=True)
    to_ilium, nearest_ilium = ndimage.distance_transform_edt(~ilium, sampling=sampling, return_indices=True)
    # Outside both bones the two distances add up to the width of the gap at that pixel.
    width = to_sacrum + to_ilium
    joint = (width <= LARGEST_JOINT_WIDTH_MM) & _facing(nearest_sacrum, nearest_ilium, width, sampling)
    pieces: list[FloatArray] = []
    # Where both distances are equal is midway between the bones, to a part of a pixel. This contour goes on beyond the
    # joint, around the bones, so only its runs of points inside `joint` are kept.
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


def _facing(
    nearest_sacrum: NDArray[np.int32],
    nearest_ilium: NDArray[np.int32],
    width: FloatArray,
    sampling: tuple[float, float],
) -> BoolArray:
    """(rows, columns) bool: the nearest points of both bones are on opposite sides of the pixel.

    Past the end of the joint, where the bones part at a corner, they are on the same side. The directions are known
    to a pixel only, so in a joint of a pixel or two a right angle between them is enough.
    """
    here, scale = np.indices(width.shape), np.array(sampling)[:, None, None]
    to_sacrum, to_ilium = (nearest_sacrum - here) * scale, (nearest_ilium - here) * scale
    lengths = np.linalg.norm(to_sacrum, axis=0) * np.linalg.norm(to_ilium, axis=0)
    needed = np.where(width > 2.0 * max(sampling), OPPOSITE_COSINE, 0.0)
    # Dot product against cosine times lengths: no division, so pixels inside a bone (length 0) need no special case.
    return np.asarray((to_sacrum * to_ilium).sum(axis=0) <= needed * lengths)


def _join(pieces: list[FloatArray]) -> FloatArray:
    """The longest piece, with the pieces above and below it that continue it.

    One missing row of a segmentation splits a joint line in two; without the join it would halve the visible height.
    """
    pieces = sorted(pieces, key=lambda piece: -float(np.linalg.norm(piece[-1] - piece[0])))
    line = pieces[0]
    for piece in pieces[1:]:
        if piece[-1, 0] <= line[0, 0] and np.linalg.norm(piece[-1] - line[0]) <= BONE_GAP_MM:
            line = np.vstack([piece, line])
        elif piece[0, 0] >= line[-1, 0] and np.linalg.norm(piece[0] - line[-1]) <= BONE_GAP_MM:
            line = np.vstack([line, piece])
    return line


def _resample(line: FloatArray) -> FloatArray:
    """`line` at equal steps of arc length, smoothed, with its two ends kept."""
    # The contour follows pixels in steps; at equal steps of arc length the smoothing is the same in every pixel size.
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
