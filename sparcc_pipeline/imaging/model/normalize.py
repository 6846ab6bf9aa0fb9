"""Signal and grid as the networks expect them, in numpy: every engine and the training share these functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import ReferenceSignalError
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.volume import BoolArray, Float32Array, LabelArray, sacroiliac_bones

BONE_PIXEL_MM: Final = 0.8
"""Pixel of the whole-image network."""

EDEMA_PIXEL_MM: Final = 0.6
"""Pixel of the joint-centred network."""

AWAY_FROM_JOINT_MM: Final = 25.0
"""Sacral marrow farther than this from both joints is the reference for raised signal.

Measured on seven people: its median is within 8 % of the normal marrow that the readers chose, also in 1013, where half
of the marrow beside the joint is edema.
"""

SMALLEST_MARROW_PIXELS: Final = 500
LARGEST_LOG_RATIO: Final = 3.0


def compress_signal(signal: Float32Array) -> Float32Array:
    """Return log(1 + signal over the median signal of the body), for any gain; same shape as `signal`."""
    positive = signal[signal > 0]
    body = positive[positive > 0.2 * np.percentile(positive, 95)] if positive.size else positive
    if not body.size:
        raise ReferenceSignalError(
            "expected an image with signal, found only zeros; check the pixel data of the source"
        )
    scaled: Float32Array = np.log1p(np.clip(signal / np.float32(np.median(body)), 0, 20)).astype(np.float32)
    return scaled


def normal_marrow_region(anatomy: LabelArray, distance_mm: Float32Array) -> BoolArray:
    """Return the sacral marrow away from both joints, and iliac marrow if that is too little.

    The result is (slices, rows, columns) bool.

    Parameters
    ----------
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    distance_mm : (slices, rows, columns) in-plane distance from the nearest joint line, inf on slices without one
    """
    away = (distance_mm > AWAY_FROM_JOINT_MM) & np.isfinite(distance_mm)
    inner: BoolArray = away & ndimage.binary_erosion(anatomy == AnatomyLabel.SACRUM, np.ones((1, 5, 5)))
    if inner.sum() >= SMALLEST_MARROW_PIXELS:
        return inner
    return away & sacroiliac_bones(anatomy)


def normal_marrow_signal(signal: Float32Array, anatomy: LabelArray, distance_mm: Float32Array) -> float:
    """Return the median signal of `normal_marrow_region`; all arrays are (slices, rows, columns).

    Raises
    ------
    ReferenceSignalError : too little marrow
    """
    marrow = signal[normal_marrow_region(anatomy, distance_mm)]
    if marrow.size < SMALLEST_MARROW_PIXELS or np.median(marrow) <= 0:
        raise ReferenceSignalError(
            f"expected at least {SMALLEST_MARROW_PIXELS} pixels of marrow more than {AWAY_FROM_JOINT_MM:.0f} mm from "
            f"the joints, found {marrow.size}; check that the series covers the sacrum"
        )
    return float(np.median(marrow))


def joint_distance_mm(joints: Joints) -> Float32Array:
    """Return the in-plane distance (slices, rows, columns) from the nearest joint line, inf on slices without one."""
    distance = np.full(joints.geometry.shape, np.inf, dtype=np.float32)
    for joint in joints:
        np.minimum(distance[joint.slice_index], joint.surface_distance_mm, out=distance[joint.slice_index])
    return distance


def marrow_log_ratio(signal: Float32Array, marrow: float) -> Float32Array:
    """Return log(signal / normal marrow), limited to plus or minus LARGEST_LOG_RATIO; same shape as `signal`."""
    ratio: Float32Array = np.log(np.maximum(signal / np.float32(marrow), np.float32(np.exp(-LARGEST_LOG_RATIO))))
    return np.minimum(ratio, np.float32(LARGEST_LOG_RATIO))


def resample_in_plane(stack: Float32Array, spacing: tuple[float, float], target: float) -> Float32Array:
    """Return a stack (slices, rows, columns) on square pixels of `target` mm, linear; the first pixel centre stays."""
    ratio = np.array([target / spacing[0], target / spacing[1]])
    shape = tuple(int(np.floor((n - 1) / r)) + 1 for n, r in zip(stack.shape[1:], ratio, strict=True))
    smooth = np.maximum(0.4 * (ratio - 1.0), 0.0)
    out = np.empty((len(stack), *shape), dtype=np.float32)
    for k, image in enumerate(stack):
        source = ndimage.gaussian_filter(image, smooth) if smooth.any() else image
        ndimage.affine_transform(source, ratio, output_shape=shape, output=out[k], order=1, mode="nearest")
    return out


def labels_back(
    logits: Float32Array, spacing: tuple[float, float], source: float, shape: tuple[int, int]
) -> LabelArray:
    """Return the class of the largest logit on each pixel of `shape`, from square pixels of `source` mm, linear.

    `logits` is (classes, rows, columns) on the grid of `resample_in_plane`. Where the four pixels around a point agree
    on the class, every mean of their logits does too: only the other points are interpolated.
    """
    label: LabelArray = logits.argmax(axis=0).astype(np.uint8)
    cells = [
        _cells(count, step / source, of_source)
        for count, step, of_source in zip(shape, spacing, label.shape, strict=True)
    ]
    (rows, row_weight), (columns, column_weight) = cells
    same = (
        (label[:-1, :-1] == label[1:, :-1]) & (label[:-1, :-1] == label[:-1, 1:]) & (label[:-1, :-1] == label[1:, 1:])
    )
    native: LabelArray = label[np.ix_(rows, columns)]
    row, column = np.nonzero(~same[np.ix_(rows, columns)])
    above, below = rows[row], rows[row] + 1
    left, right = columns[column], columns[column] + 1
    down, across = row_weight[row], column_weight[column]
    upper = logits[:, above, left] * (1 - across) + logits[:, above, right] * across
    lower = logits[:, below, left] * (1 - across) + logits[:, below, right] * across
    native[row, column] = (upper * (1 - down) + lower * down).argmax(axis=0)
    return native


def _cells(count: int, ratio: float, of_source: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The source pixel before each of `count` points, and the weight of the one behind it; points beyond the end stop
    there."""
    place = np.minimum(np.arange(count) * ratio, of_source - 1)
    before = np.minimum(place.astype(np.intp), of_source - 2)
    return before, place - before


def neighbours(stack: Float32Array, slice_index: int) -> Float32Array:
    """Return a slice with those before and after it; at the ends the slice is repeated; (3, rows, columns)."""
    last = len(stack) - 1
    return stack[[max(slice_index - 1, 0), slice_index, min(slice_index + 1, last)]]


class JointCrop:
    """A square patch of `size` pixels of EDEMA_PIXEL_MM around the middle of one joint-slice.

    Left joints are mirrored, so that the ilium is always at small columns.
    """

    def __init__(self, joint: JointSlice, in_plane_mm: tuple[float, float], size: int) -> None:
        middle = joint.joint_line[len(joint.joint_line) // 2]
        self._mirror = -1.0 if joint.side is Side.LEFT else 1.0
        self._middle, self._in_plane, self._size = middle, np.array(in_plane_mm), size

    def take(self, image: NDArray[np.generic], *, order: int = 1) -> Float32Array:
        """Return the patch (size, size) float32 of one image (rows, columns)."""
        step = np.array([EDEMA_PIXEL_MM, self._mirror * EDEMA_PIXEL_MM]) / self._in_plane
        first = self._middle / self._in_plane - step * (self._size - 1) / 2
        return _sampled(image.astype(np.float32, copy=False), step, first, (self._size, self._size), order, "nearest")

    def put_back(self, patch: Float32Array, shape: tuple[int, int]) -> Float32Array:
        """Return a patch (size, size) on the pixels of the slice, 0 outside it; (rows, columns) float32."""
        step = np.array([1.0, self._mirror]) * self._in_plane / EDEMA_PIXEL_MM
        first = (self._size - 1) / 2 - self._middle * [1.0, self._mirror] / EDEMA_PIXEL_MM
        return _sampled(patch, step, first, shape, 1, "constant")


def _sampled(
    image: Float32Array,
    step: NDArray[np.float64],
    first: NDArray[np.float64],
    shape: tuple[int, int],
    order: int,
    mode: str,
) -> Float32Array:
    """`image` at the points `first` + `step` * (row, column); (rows, columns) float32 of `shape`."""
    out = np.empty(shape, dtype=np.float32)
    ndimage.affine_transform(image, step, offset=first, output_shape=shape, output=out, order=order, mode=mode)
    return out


def edema_input(
    log_ratio: Float32Array,
    anatomy: LabelArray,
    joint: JointSlice,
    crop: JointCrop,
    inputs: Sequence[str] = (),
    t1_log_ratio: Float32Array | None = None,
) -> Float32Array:
    """Return the input of the edema network for one joint-slice; (channels, size, size).

    Parameters
    ----------
    log_ratio : (slices, rows, columns); the first three channels are three neighbouring slices of it
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    inputs : further channels, in this order: "joint" (marrow of sacrum and this ilium, and `joint_closeness`), "t1"
        (T1 of the same slice, 0 where the study has none)
    t1_log_ratio : (slices, rows, columns)
    """
    k = joint.slice_index
    channels = [crop.take(image) for image in neighbours(log_ratio, k)]
    for name in inputs:
        if name == "joint":
            bone = np.isin(anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
            channels += [crop.take(bone), joint_closeness(crop.take(joint.surface_distance_mm))]
        elif name == "t1":
            channels.append(np.zeros_like(channels[0]) if t1_log_ratio is None else crop.take(t1_log_ratio[k]))
        else:
            raise ValueError(f"expected an input joint or t1, found {name!r}")
    return np.stack(channels)


JOINT_IN_SIGHT_MM: Final = 40.0
"""Distances from the joint line larger than this are equal in the input of the edema network."""

Array = TypeVar("Array", bound=Any)


def joint_closeness(distance_mm: Array) -> Array:
    """Return -1 at the joint line, 1 from JOINT_IN_SIGHT_MM on; same shape, for numpy arrays and torch tensors."""
    closeness: Array = distance_mm.clip(0, JOINT_IN_SIGHT_MM) / (JOINT_IN_SIGHT_MM / 2) - 1
    return closeness
