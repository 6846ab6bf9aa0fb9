"""A second scan: moved points are where the transform puts them; signal, noise and draws have their size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.rigid import RigidTransform, rotation_about
from sparcc_pipeline.training.measure.repeat_scan import (
    BIAS,
    NOISE,
    Repeat,
    body_signal,
    random_large_repeat,
    random_repeat,
    repeat_geometry,
    repeat_scan,
)
from sparcc_pipeline.volume import FloatArray, Geometry, SeriesRef, Volume

TILTED = np.radians(30.0)
GEOMETRY = Geometry(
    shape=(12, 60, 64),
    origin_mm=(-40.0, -20.0, 50.0),
    directions=(
        (0.0, float(np.cos(TILTED)), float(np.sin(TILTED))),
        (0.0, float(np.sin(TILTED)), -float(np.cos(TILTED))),
        (1.0, 0.0, 0.0),
    ),
    spacing_mm=(4.0, 1.2, 1.2),
    frame_of_reference_uid="1.2.3",
)


def volume_of(signal: FloatArray) -> Volume:
    return Volume(signal.astype(np.float32), GEOMETRY, SeriesRef("1.2", "1.2.3", ("1.2.3.4",), acquired="2020-01-01"))


def noisy() -> Volume:
    return volume_of(np.random.default_rng(0).uniform(50, 150, GEOMETRY.shape))


def lps(geometry: Geometry, index: FloatArray) -> FloatArray:
    return np.asarray((geometry.affine @ [*index, 1.0])[:3])


def index_of(geometry: Geometry, point_mm: FloatArray) -> FloatArray:
    return np.asarray((np.linalg.inv(geometry.affine) @ [*point_mm, 1.0])[:3])


def test_a_marked_point_is_where_the_motion_puts_it() -> None:
    grid = np.stack(np.meshgrid(*map(np.arange, GEOMETRY.shape), indexing="ij"), axis=-1)
    mark_index = np.array([5.0, 26.0, 35.0])
    apart_mm = (grid - mark_index) * GEOMETRY.spacing_mm
    volume = volume_of(100 * np.exp(-(apart_mm**2).sum(axis=-1) / (2 * 7.0**2)))
    mark = lps(GEOMETRY, mark_index)
    motion = RigidTransform.about(mark + 5, rotation_about(0, 6) @ rotation_about(2, 4), np.array([9.0, -14.0, 6.0]))
    placement = RigidTransform.about(motion.apply(mark[None])[0], rotation_about(0, -4), np.array([3.0, 2.0, -4.0]))

    for grid_change in ({}, {"shape": (14, 70, 50), "spacing_mm": (3.6, 1.0, 1.5)}):
        repeat = Repeat(motion, placement, **grid_change)  # type: ignore[arg-type]
        again = repeat_scan(volume, repeat, 1.0)
        places = np.argwhere(np.ones(again.geometry.shape, dtype=bool))
        weight = again.signal.ravel() - 0.0
        middle = lps(again.geometry, (places * weight[:, None]).sum(axis=0) / weight.sum())

        assert np.linalg.norm(middle - motion.apply(mark[None])[0]) < 0.3
        assert np.linalg.norm(middle - mark) > 10


def test_nothing_changed_gives_the_same_signal_in_another_frame_of_reference() -> None:
    volume = noisy()
    again = repeat_scan(volume, Repeat(), 100.0)

    np.testing.assert_allclose(again.signal, volume.signal, rtol=1e-4)
    np.testing.assert_allclose(again.geometry.affine, GEOMETRY.affine, atol=1e-9)
    assert again.geometry.frame_of_reference_uid not in {None, GEOMETRY.frame_of_reference_uid}
    assert again.series.series_uid is None
    assert again.series.acquired is None


def test_a_grid_that_follows_the_patient_shows_the_same_signal() -> None:
    motion = RigidTransform.about(np.zeros(3), rotation_about(1, 5), np.array([30.0, -10.0, 20.0]))
    again = repeat_scan(noisy(), Repeat(motion), 100.0)

    np.testing.assert_allclose(again.signal, noisy().signal, rtol=1e-4)
    assert not np.allclose(again.geometry.affine, GEOMETRY.affine, atol=5.0)


def test_slices_beyond_the_first_scan_are_left_out() -> None:
    volume = noisy()
    three_slices = RigidTransform(translation_mm=tuple(3 * 4.0 * np.array(GEOMETRY.directions[0])))
    again = repeat_scan(volume, Repeat(placement=three_slices), 100.0)

    assert again.geometry.shape == (9, 60, 64)
    np.testing.assert_allclose(again.signal, volume.signal[3:], rtol=1e-4)
    np.testing.assert_allclose(again.geometry.origin_mm, lps(GEOMETRY, np.array([3.0, 0.0, 0.0])), atol=1e-9)
    front = repeat_scan(volume, Repeat(placement=three_slices.inverse()), 100.0)
    np.testing.assert_allclose(front.signal, volume.signal[:9], rtol=1e-4)
    np.testing.assert_allclose(front.geometry.origin_mm, GEOMETRY.origin_mm, atol=1e-9)


def test_a_scan_elsewhere_is_refused() -> None:
    away = RigidTransform(translation_mm=tuple(60.0 * np.array(GEOMETRY.directions[0])))
    with pytest.raises(ValueError, match="found none of its slices there"):
        repeat_scan(noisy(), Repeat(placement=away), 100.0)


def test_other_slices_keep_the_middle() -> None:
    other = repeat_geometry(GEOMETRY, Repeat(shape=(9, 40, 50), spacing_mm=(5.0, 1.5, 1.4)))

    assert other.shape == (9, 40, 50)
    assert other.spacing_mm == (5.0, 1.5, 1.4)
    np.testing.assert_allclose(
        lps(other, np.array([4.0, 19.5, 24.5])), lps(GEOMETRY, np.array([5.5, 29.5, 31.5])), atol=1e-9
    )


def test_gain_and_bias_have_the_stated_size() -> None:
    volume = noisy()
    np.testing.assert_allclose(repeat_scan(volume, Repeat(gain=1.3), 100.0).signal, 1.3 * volume.signal, rtol=1e-4)

    field = repeat_scan(volume, Repeat(gain=2.0, bias=0.1, seed=4), 100.0).signal / volume.signal / 2
    assert np.abs(field - 1).max() == pytest.approx(0.1, abs=1e-3)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in (1, 2)) < 0.02


def test_noise_has_the_stated_size_and_no_signal_is_negative() -> None:
    signal = np.zeros(GEOMETRY.shape)
    signal[:, :, 32:] = 1000.0
    again = repeat_scan(volume_of(signal), Repeat(gain=0.5, noise=0.04, seed=2), 800.0)
    deviation = 0.04 * 800.0 * 0.5

    assert again.signal[:, :, 40:].std() == pytest.approx(deviation, rel=0.03)
    assert again.signal[:, :, 40:].mean() == pytest.approx(500.0, rel=0.01)
    # Without signal Rician noise is Rayleigh's: its mean is sqrt(pi / 2) of the deviation.
    assert again.signal[:, :, :24].mean() == pytest.approx(np.sqrt(np.pi / 2) * deviation, rel=0.03)
    half_a_pixel = RigidTransform(translation_mm=(0.6, 0.0, 0.0))
    assert repeat_scan(volume_of(signal), Repeat(half_a_pixel, half_a_pixel.inverse()), 1.0).signal.min() >= 0.0


def test_a_seed_repeats() -> None:
    middle = lps(GEOMETRY, np.array([6.0, 30.0, 32.0]))
    first, same, other = (random_repeat(GEOMETRY, middle, seed) for seed in (1, 1, 2))
    scans = [repeat_scan(noisy(), repeat, 100.0) for repeat in (first, same)]

    assert first == same
    assert first.motion != other.motion
    assert first.gain != other.gain
    np.testing.assert_array_equal(scans[0].signal, scans[1].signal)
    assert scans[0].geometry == scans[1].geometry
    assert not np.array_equal(scans[0].signal, repeat_scan(noisy(), replace(first, seed=5), 100.0).signal)


def test_draws_keep_their_limits_and_reach_them() -> None:
    middle_index = np.array([6.0, 30.0, 32.0])
    middle = lps(GEOMETRY, middle_index)
    draws = [random_repeat(GEOMETRY, middle, seed) for seed in range(300)]
    turns = [draw.motion.angle_degrees for draw in draws]
    shifts = [np.linalg.norm(draw.motion.apply(middle[None])[0] - middle) for draw in draws]
    placed = np.array(
        [index_of(repeat_geometry(GEOMETRY, d), d.motion.apply(middle[None])[0]) - middle_index for d in draws]
    )
    in_plane_mm = np.abs(placed[:, 1:]) * 1.2
    tilts = [draw.placement.angle_degrees for draw in draws]

    assert 4.5 < max(turns) <= 5.0
    assert 38.0 < max(shifts) <= 40.0
    assert 0.5 <= np.abs(placed[:, 0]).min() < 0.6
    assert 1.4 < np.abs(placed[:, 0]).max() <= 1.5
    assert (placed[:, 0] > 0).any()
    assert (placed[:, 0] < 0).any()
    assert 9.0 < in_plane_mm.max() <= 10.0
    assert 4.5 < max(tilts) <= 4.0 * np.sqrt(2) + 0.01
    assert 0.7 <= min(draw.gain for draw in draws) < 0.75
    assert 1.35 < max(draw.gain for draw in draws) <= 1.4
    assert {(draw.bias, draw.noise) for draw in draws} == {(BIAS, NOISE)}


def test_large_motions_move_the_patient_with_the_slices_or_within_them() -> None:
    middle = lps(GEOMETRY, np.array([6.0, 30.0, 32.0]))
    within = [random_large_repeat(GEOMETRY, middle, seed, follows=False) for seed in range(100)]
    following = [random_large_repeat(GEOMETRY, middle, seed, follows=True) for seed in range(100)]

    assert 13.5 < max(draw.motion.angle_degrees for draw in within) <= 15.0
    for draw in within:
        np.testing.assert_allclose(repeat_geometry(GEOMETRY, draw).affine, GEOMETRY.affine, atol=1e-6)
    off = [index_of(repeat_geometry(GEOMETRY, draw), draw.motion.apply(middle[None])[0])[0] - 6.0 for draw in following]
    assert np.abs(off).min() >= 0.5
    assert np.abs(off).max() <= 1.5


def test_body_signal_leaves_air_out() -> None:
    signal = np.full((4, 10, 10), 5.0, dtype=np.float32)
    signal[:, :3] = 200.0
    signal[:, 0] = 300.0

    assert body_signal(signal) == 200.0
