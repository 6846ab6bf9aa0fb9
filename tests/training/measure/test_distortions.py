"""Each distortion changes a known scan as its name promises, by arithmetic, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.training.measure.distortions import DISTORTIONS, FEMUR_FIELD_MM, HALF_SNR, Scan
from sparcc_pipeline.volume import FloatArray, Geometry, SeriesRef, Volume

SHAPE = (20, 120, 130)
SPACING = (3.3, 0.9, 0.9)
MARROW, NOISE = 200.0, 8.0
TILT = np.radians(30.0)
GEOMETRY = Geometry(
    shape=SHAPE,
    origin_mm=(-58.0, -30.0, 40.0),
    directions=(
        (0.0, float(np.cos(TILT)), float(np.sin(TILT))),
        (0.0, float(np.sin(TILT)), -float(np.cos(TILT))),
        (1.0, 0.0, 0.0),
    ),
    spacing_mm=SPACING,
    frame_of_reference_uid="1.2.3",
)
BY_NAME = {each.name: each for each in DISTORTIONS}
UNCHANGED_PLACE = {"field-1.5t", "field-3t", "bias", "coil", "ghosts-feet-head", "ghosts-right-left", "noise"}


def marked() -> Scan:
    """A smooth blob in flat tissue; joints on both sides of it."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    away = ((grid - np.array([9.0, 60.0, 65.0])) * SPACING) ** 2
    signal = MARROW * (1 + np.exp(-away.sum(axis=-1) / (2 * 8.0**2)))
    index = np.array([[9.0, row, column, 1.0] for row in (45, 75) for column in (40, 90)])
    joints = (index @ GEOMETRY.affine.T)[:, :3]
    volume = Volume(signal.astype(np.float32), GEOMETRY, SeriesRef("1.2", "1.2.3"))
    return Scan(volume, np.zeros(SHAPE, dtype=bool), MARROW, NOISE, joints, SixSlices(6, "transitional slice"))


SCAN = marked()


def middle_mm(volume: Volume) -> FloatArray:
    """Return the LPS center of pixels brighter than flat tissue."""
    weight = np.clip(volume.signal / MARROW - 1.3, 0, None)
    index = np.argwhere(weight > 0)
    mean = (index * weight[tuple(index.T)][:, None]).sum(axis=0) / weight.sum()
    return np.asarray((volume.geometry.affine @ [*mean, 1.0])[:3])


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(DISTORTIONS)


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"femora", "bias", "coil", "slices-40"}))
def test_the_patient_never_moves(name: str) -> None:
    changed = BY_NAME[name].change(SCAN, 3)

    assert np.linalg.norm(middle_mm(changed) - middle_mm(SCAN.volume)) < 1.0
    assert changed.signal.min() >= 0


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_seed_repeats_it_and_the_scan_stays_as_it_was(name: str) -> None:
    before = SCAN.volume.signal.copy()

    first, again = (BY_NAME[name].change(SCAN, 5) for _ in range(2))

    assert (first.signal == again.signal).all()
    assert first.geometry == again.geometry
    assert (SCAN.volume.signal == before).all()
    assert name not in UNCHANGED_PLACE or first.geometry.shape == SHAPE


@pytest.mark.parametrize(
    ("name", "axis", "mm"), [("pixels-0.3", 1, 0.3), ("spacing-3.0", 0, 3.0), ("spacing-5.5", 0, 5.5)]
)
def test_the_grid_is_that_of_the_name(name: str, axis: int, mm: float) -> None:
    assert BY_NAME[name].change(SCAN, 0).geometry.spacing_mm[axis] == pytest.approx(mm, rel=0.01)


def test_ten_and_forty_slices_hold_the_scan_s_own() -> None:
    ten, forty = (BY_NAME[name].change(SCAN, 0) for name in ("slices-10", "slices-40"))

    assert (ten.signal == SCAN.volume.signal[4:14]).all()
    assert (forty.signal[10:30] == SCAN.volume.signal).all()


def test_noise_is_doubled_and_the_field_s_power_is_about_marrow() -> None:
    noisy, strong = (BY_NAME[name].change(SCAN, 0).signal for name in ("noise", "field-3t"))

    added = (noisy - SCAN.volume.signal)[SCAN.volume.signal < 1.01 * MARROW]
    assert added.std() == pytest.approx(HALF_SNR * NOISE, rel=0.05)
    assert strong.min() == pytest.approx(MARROW, rel=0.01)
    assert strong.max() == pytest.approx(MARROW * (SCAN.volume.signal.max() / MARROW) ** 1.1, rel=1e-4)


def test_the_large_field_of_view_has_two_round_bones_and_the_scan_in_its_place() -> None:
    large = BY_NAME["femora"].change(SCAN, 0)
    rows, columns = large.geometry.shape[1:]

    assert rows * SPACING[1] == pytest.approx(FEMUR_FIELD_MM, abs=1)
    left = (columns - SHAPE[2]) // 2
    assert (large.signal[:, : SHAPE[1], left : left + SHAPE[2]] == SCAN.volume.signal).all()
    assert (large.signal[9, SHAPE[1] :] == np.float32(0.2 * MARROW)).any()


def test_the_narrow_field_of_view_ends_beside_the_joints() -> None:
    narrow = BY_NAME["narrow"].change(SCAN, 0)

    assert narrow.geometry.shape[2] == pytest.approx(50 + 2 * 22 / 0.9, abs=2)
