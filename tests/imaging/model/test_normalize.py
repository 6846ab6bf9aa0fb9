"""Signal and grid of the networks: nothing moves, sides are mirrored, the scanner's gain does not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from sparcc_pipeline.anatomy import AnatomyLabel, Side
from sparcc_pipeline.errors import ReferenceSignalError
from sparcc_pipeline.imaging.model.normalize import (
    AWAY_FROM_JOINT_MM,
    EDEMA_PIXEL_MM,
    LARGEST_LOG_RATIO,
    SMALLEST_MARROW_PIXELS,
    JointCrop,
    compress_signal,
    edema_input,
    joint_distance_mm,
    labels_back,
    marrow_log_ratio,
    neighbours,
    normal_marrow_signal,
    resample_in_plane,
)
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.volume import Float32Array, Geometry

SHAPE = (90, 120)
IN_PLANE = (1.1, 0.7)
MIDDLE_MM = (44.0, 40.0)


def ramp(shape: tuple[int, int], row_mm: float, column_mm: float) -> Float32Array:
    """(1, rows, columns): 100 + row + 3 column in mm, so that the value shows the place."""
    rows, columns = np.indices(shape)
    return np.asarray(100 + rows * row_mm + 3 * columns * column_mm, dtype=np.float32)[None]


def joint(side: Side, slice_index: int = 1, middle_mm: tuple[float, float] = MIDDLE_MM) -> JointSlice:
    """A straight, upright joint 40 mm high."""
    rows = np.linspace(-20, 20, 81) + middle_mm[0]
    columns = np.full(81, middle_mm[1])
    distance = np.abs(np.indices(SHAPE)[1] * IN_PLANE[1] - middle_mm[1]).astype(np.float32)
    return JointSlice(slice_index, side, np.stack([rows, columns], axis=1), 40.0, {}, distance)


@pytest.mark.parametrize("target", [0.4, 0.8, 1.0])
@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.6, 0.9), (1.1, 0.7)])
def test_resampling_keeps_every_pixel_centre_in_its_place(spacing: tuple[float, float], target: float) -> None:
    found = resample_in_plane(ramp(SHAPE, *spacing), spacing, target)[0]
    rows, columns = found.shape

    # Away from the border, where smoothing bends a ramp.
    inner = (slice(4, rows - 4), slice(4, columns - 4))
    assert_allclose(found[inner], ramp((rows, columns), target, target)[0][inner], atol=0.02)
    # The new grid ends within one of its pixels of the old one, and not beyond it.
    for new, old, step in zip(found.shape, SHAPE, spacing, strict=True):
        assert 0 <= (old - 1) * step - (new - 1) * target < target + 1e-9


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.6, 0.9), (1.1, 0.7)])
def test_the_classes_come_back_where_their_logits_do(spacing: tuple[float, float]) -> None:
    """As if every logit were interpolated on every pixel: smooth ones, whose borders lie between pixels, and noise."""
    generator = np.random.default_rng(2)
    smooth = ndimage.gaussian_filter(generator.normal(0, 1, (4, 60, 70)), (0, 5, 5))
    for logits in (smooth.astype(np.float32), generator.normal(0, 1, (4, 60, 70)).astype(np.float32)):
        there = resample_in_plane(logits, spacing, 0.8)
        ratio = np.array(spacing) / 0.8
        back = np.stack(
            [
                ndimage.affine_transform(each, ratio, output_shape=SHAPE, order=1, mode="nearest", output=np.float32)
                for each in there
            ]
        )

        assert_array_equal(labels_back(there, spacing, 0.8, SHAPE), back.argmax(axis=0))


def test_a_fine_image_is_smoothed_before_it_is_thinned_out() -> None:
    chequered = (np.indices((80, 80)).sum(axis=0) % 2).astype(np.float32)[None]

    # Every third pixel is alternately black and white.
    assert np.ptp(resample_in_plane(chequered, (1 / 3, 1 / 3), 1.0)[0, 3:-3, 3:-3]) < 0.1


def test_neighbours_repeat_the_outermost_slices() -> None:
    stack = np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), dtype=np.float32)

    assert [neighbours(stack, k)[:, 0, 0].tolist() for k in (0, 1, 3)] == [[0, 0, 1], [0, 1, 2], [2, 3, 3]]


@pytest.mark.parametrize("side", Side)
def test_a_crop_is_centred_on_the_joint_and_mirrored_on_the_left(side: Side) -> None:
    size = 41
    patch = JointCrop(joint(side), IN_PLANE, size).take(ramp(SHAPE, *IN_PLANE)[0])
    offset = (np.arange(size) - 20) * EDEMA_PIXEL_MM
    # Growing columns run from right to left. The right ilium is at smaller ones, and so does every mirrored left.
    towards = -1 if side is Side.LEFT else 1
    expected = 100 + MIDDLE_MM[0] + offset[:, None] + 3 * (MIDDLE_MM[1] + towards * offset[None, :])

    assert_allclose(patch, expected, atol=1e-3)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("size", [40, 41])
def test_a_crop_is_put_back_in_its_place(side: Side, size: int) -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(3).normal(0, 30, SHAPE), 3).astype(np.float32) + 50
    crop = JointCrop(joint(side), IN_PLANE, size)
    back = crop.put_back(crop.take(image), SHAPE)

    rows, columns = np.indices(SHAPE)
    offset = np.maximum(np.abs(rows * IN_PLANE[0] - MIDDLE_MM[0]), np.abs(columns * IN_PLANE[1] - MIDDLE_MM[1]))
    half = (size - 1) / 2 * EDEMA_PIXEL_MM
    assert_allclose(back[offset < half], image[offset < half], atol=0.5)
    assert not back[offset > half + EDEMA_PIXEL_MM].any()


def test_a_crop_beyond_the_image_repeats_its_border_and_is_cut_when_put_back() -> None:
    crop = JointCrop(joint(Side.RIGHT, middle_mm=(4.0, 3.0)), IN_PLANE, 60)
    image = ramp(SHAPE, *IN_PLANE)[0]
    patch = crop.take(image)

    assert patch[0, 0] == image[0, 0]
    # The outermost pixel is between a repeated one and a real one.
    assert_allclose(crop.put_back(patch, SHAPE)[1:10, 1:10], image[1:10, 1:10], atol=1e-2)


def test_mirrored_bodies_give_one_input_for_both_sides() -> None:
    ratio = np.random.default_rng(5).normal(0, 1, (3, *SHAPE)).astype(np.float32)
    right = joint(Side.RIGHT)
    left = joint(Side.LEFT, middle_mm=(MIDDLE_MM[0], (SHAPE[1] - 1) * IN_PLANE[1] - MIDDLE_MM[1]))

    anatomy = np.full(ratio.shape, AnatomyLabel.SACRUM, dtype=np.uint8)
    anatomy[:, :, : SHAPE[1] // 2] = AnatomyLabel.RIGHT_ILIUM
    mirrored = np.where(anatomy == AnatomyLabel.RIGHT_ILIUM, AnatomyLabel.LEFT_ILIUM, anatomy)[:, :, ::-1]

    seen_right = edema_input(ratio, anatomy, right, JointCrop(right, IN_PLANE, 32), ["joint"])
    seen_left = edema_input(ratio[:, :, ::-1], mirrored, left, JointCrop(left, IN_PLANE, 32), ["joint"])

    assert seen_right.shape == (5, 32, 32)
    assert_allclose(seen_left, seen_right, atol=1e-3)
    assert np.ptp(seen_right) > 1


@given(gain=st.floats(1e-3, 1e4))
def test_the_gain_of_the_scanner_does_not_matter(gain: float) -> None:
    signal = np.random.default_rng(2).gamma(2, 50, (3, 20, 20)).astype(np.float32)
    signal[:, :5] = 0

    assert_allclose(compress_signal(signal * np.float32(gain)), compress_signal(signal), rtol=1e-3, atol=1e-4)


def test_compressed_signal_is_finite_ordered_and_log_2_at_the_body_s_median() -> None:
    signal = np.array([[[-5.0, 0.0, 100.0, 100.0, 100.0, 300.0, 1e9]]], dtype=np.float32)
    # One far outlier sets the 95th percentile: the median is that of pixels bright enough to be body.
    found = compress_signal(np.repeat(signal[..., :6], 40, axis=1))[0, 0]

    assert found[2] == pytest.approx(math.log(2))
    assert found[0] == found[1] == 0.0
    assert found[5] == pytest.approx(math.log(4))
    assert np.isfinite(compress_signal(signal)).all()


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_an_image_without_signal_has_no_gain(value: float) -> None:
    with pytest.raises(ReferenceSignalError, match="signal"):
        compress_signal(np.full((2, 8, 8), value, dtype=np.float32))


def test_the_log_ratio_to_marrow_is_limited_on_both_sides() -> None:
    signal = np.array([[[200.0, 400.0, 100.0, 0.0, -7.0, 1e9]]], dtype=np.float32)
    found = marrow_log_ratio(signal, 200.0)[0, 0]

    assert_allclose(found[:3], [0, math.log(2), -math.log(2)], atol=1e-6)
    assert_allclose(found[3:], [-LARGEST_LOG_RATIO, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO], atol=1e-5)
    assert found.dtype == np.float32


def pelvis(far_columns: int = 60) -> tuple[Float32Array, np.ndarray, Float32Array]:
    """Signal, anatomy and distance: sacrum with edema of 900 beside the joint and marrow of 200 away from it."""
    signal = np.full((2, 60, 120), 40.0, dtype=np.float32)
    anatomy = np.zeros(signal.shape, dtype=np.uint8)
    distance = np.broadcast_to(np.arange(120, dtype=np.float32) - 10, signal.shape).copy()
    near = int(AWAY_FROM_JOINT_MM) + 11
    anatomy[:, :, 10 : near + far_columns] = AnatomyLabel.SACRUM
    signal[:, :, 10:near] = 900.0
    signal[:, :, near : near + far_columns] = 200.0
    return signal, anatomy, distance


def test_normal_marrow_is_measured_away_from_the_joints() -> None:
    signal, anatomy, distance = pelvis()
    # Slices without a joint (distance inf) do not count.
    distance[1] = np.inf
    signal[1] = 7000.0

    assert normal_marrow_signal(signal, anatomy, distance) == 200.0


def test_the_rim_of_the_bone_is_no_marrow() -> None:
    signal, anatomy, distance = pelvis()
    row = np.arange(60) % 8
    # Stripes of seven rows; the outer four are cortex and partial volume.
    anatomy[:, row == 7] = 0
    signal[:, (row < 2) | (row > 4)] = 30.0

    assert normal_marrow_signal(signal, anatomy, distance) == 200.0


def test_iliac_marrow_helps_where_the_sacrum_is_too_small() -> None:
    signal, anatomy, distance = pelvis(far_columns=3)
    anatomy[:, :, 90:110] = AnatomyLabel.LEFT_ILIUM
    signal[:, :, 90:110] = 160.0

    assert normal_marrow_signal(signal, anatomy, distance) == 160.0


def test_too_little_marrow_is_reported_with_its_size() -> None:
    signal, anatomy, distance = pelvis(far_columns=3)
    with pytest.raises(ReferenceSignalError, match=f"at least {SMALLEST_MARROW_PIXELS} pixels.*found 360;"):
        normal_marrow_signal(signal, anatomy, distance)
    with pytest.raises(ReferenceSignalError, match="found 0;"):
        normal_marrow_signal(signal, np.zeros_like(anatomy), distance)


def test_marrow_without_signal_is_no_reference() -> None:
    signal, anatomy, distance = pelvis()

    with pytest.raises(ReferenceSignalError):
        normal_marrow_signal(np.zeros_like(signal), anatomy, distance)


def test_the_distance_is_that_of_the_nearest_joint() -> None:
    geometry = Geometry(
        shape=(3, *SHAPE),
        origin_mm=(0.0, 0.0, 0.0),
        directions=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
        spacing_mm=(4.0, *IN_PLANE),
    )
    right, left = joint(Side.RIGHT), joint(Side.LEFT, middle_mm=(44.0, 60.0))
    found = joint_distance_mm(Joints(geometry, {(1, Side.RIGHT): right, (1, Side.LEFT): left}))

    assert np.isinf(found[[0, 2]]).all()
    assert_array_equal(found[1], np.minimum(right.surface_distance_mm, left.surface_distance_mm))
