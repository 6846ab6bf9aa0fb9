"""Presacral vessels are found; other structures as bright as them are not."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.imaging.vessels import BRIGHTER_THAN_MARROW, find_presacral_vessels
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, LabelArray

SHAPE = (12, 100, 140)
IN_PLANE = (1.0, 1.0)
MARROW, VESSEL = 100.0, 500.0
SACRUM_SLICES = range(1, 11)
BEFORE_THE_CANAL = np.zeros(SHAPE[0], dtype=np.float32)
TUBE = (slice(1, 5), slice(72, 76), slice(60, 80))
"""4 mm wide, 20 mm long, 12 mm below the lower border of the sacrum, between the ilia."""


def geometry(in_plane: tuple[float, float] = IN_PLANE) -> Geometry:
    return Geometry(
        shape=SHAPE,
        origin_mm=(0.0, 0.0, 0.0),
        directions=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
        spacing_mm=(4.0, *in_plane),
    )


@pytest.fixture
def anatomy() -> LabelArray:
    """Sacrum in rows 20-59, ilia beside it, on slices 1-10."""
    codes = np.zeros(SHAPE, dtype=np.uint8)
    codes[1:11, 20:60, 45:95] = AnatomyLabel.SACRUM
    codes[1:11, 15:70, 20:42] = AnatomyLabel.RIGHT_ILIUM
    codes[1:11, 15:70, 98:120] = AnatomyLabel.LEFT_ILIUM
    return codes


@pytest.fixture
def signal(anatomy: LabelArray) -> Float32Array:
    values = np.random.default_rng(0).normal(60, 8, SHAPE)
    values[anatomy > 0] = MARROW
    return values.astype(np.float32)


def find(signal: Float32Array, anatomy: LabelArray, marrow: float = MARROW) -> BoolArray:
    return find_presacral_vessels(signal, anatomy, geometry(), marrow, BEFORE_THE_CANAL)


def test_a_bright_tube_in_front_of_the_sacrum_is_found(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[TUBE] = VESSEL
    found = find(signal, anatomy)

    expected = np.zeros(SHAPE, dtype=bool)
    expected[TUBE] = True
    assert np.array_equal(found, expected)


def test_its_wall_is_left_out(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[TUBE] = VESSEL * 0.6
    core = (TUBE[0], slice(72, 75), TUBE[2])
    signal[core] = VESSEL
    found = find(signal, anatomy)

    # The brighter half by smoothed signal: the two rows away from the wall.
    assert found[TUBE[0], 72:74, TUBE[2]].all()
    assert not found[TUBE[0], 75].any()


def test_the_units_of_the_scanner_do_not_matter(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[TUBE] = VESSEL
    found = find(signal, anatomy)

    assert found.any()
    assert np.array_equal(find(signal * np.float32(7.5), anatomy, MARROW * 7.5), found)


@pytest.mark.parametrize(("factor", "is_found"), [(0.95, False), (1.05, True)])
def test_a_vessel_is_clearly_brighter_than_marrow(
    signal: Float32Array, anatomy: LabelArray, factor: float, is_found: bool
) -> None:
    signal[TUBE] = BRIGHTER_THAN_MARROW * MARROW * factor

    assert find(signal, anatomy).any() == is_found


def test_a_bladder_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    rows, columns = np.indices(SHAPE[1:])
    signal[1:5, (rows - 82) ** 2 + (columns - 70) ** 2 <= 15**2] = VESSEL

    assert not find(signal, anatomy).any()


def test_a_tube_beside_a_bladder_is_still_found(signal: Float32Array, anatomy: LabelArray) -> None:
    rows, columns = np.indices(SHAPE[1:])
    bladder = (rows - 85) ** 2 + (columns - 70) ** 2 <= 10**2
    signal[1:5, bladder] = VESSEL
    tube = (TUBE[0], slice(66, 70), TUBE[2])
    signal[tube] = VESSEL
    found = find(signal, anatomy)

    assert found[tube].mean() > 0.7
    assert not found[:, bladder].any()


def test_bright_marrow_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[2:5, 30:34, 50:80] = VESSEL
    signal[2:5, 20:60, 45:48] = VESSEL
    signal[2:5, 30:50, 100:103] = VESSEL

    assert not find(signal, anatomy).any()


def test_the_rim_of_a_bone_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    # Two pixels just below the sacrum: cortex, partial volume, or a mask that is a little too small.
    signal[2:5, 60:62, 50:80] = VESSEL

    assert not find(signal, anatomy).any()


def test_csf_and_disc_above_the_sacrum_are_no_vessels(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[1:11, 4:16, 67:71] = VESSEL
    signal[1:5, 12:16, 55:85] = VESSEL

    assert not find(signal, anatomy).any()


def test_the_spinal_canal_on_posterior_slices_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[1:11, TUBE[1], TUBE[2]] = VESSEL
    found = find(signal, anatomy)
    slices = np.flatnonzero(found.any(axis=(1, 2)))

    # Two thirds of the ten slices with sacrum, from the front.
    assert slices.tolist() == list(range(1, 8))


def test_from_the_transitional_slice_on_there_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[1:11, TUBE[1], TUBE[2]] = VESSEL
    ligamentous = np.linspace(0.0, 1.0, SHAPE[0], dtype=np.float32)
    found = find_presacral_vessels(signal, anatomy, geometry(), MARROW, ligamentous)

    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [1, 2, 3, 4, 5]


def test_a_nerve_root_in_a_foramen_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    # A notch of 16 mm in the lower border of the sacrum, open below: a foramen on a slice in front of the body.
    anatomy[1:11, 46:60, 62:78] = AnatomyLabel.BACKGROUND
    signal[1:11, 46:60, 62:78] = 60.0
    signal[1:5, 50:56, 67:73] = VESSEL

    assert not find(signal, anatomy).any()


def test_a_vessel_in_the_concavity_of_the_sacrum_is_found(signal: Float32Array, anatomy: LabelArray) -> None:
    # The bone on both sides, 36 mm apart: a vein that crosses in front of the body.
    anatomy[1:11, 40:60, 52:88] = AnatomyLabel.BACKGROUND
    signal[1:11, 40:60, 52:88] = 60.0
    vein = (slice(1, 5), slice(50, 53), slice(58, 82))
    signal[vein] = VESSEL

    assert find(signal, anatomy)[vein].all()


def test_a_disc_is_no_vessel_where_the_wings_of_the_sacrum_reach_above_it(
    signal: Float32Array, anatomy: LabelArray
) -> None:
    anatomy[1:11, 14:20, 45:55] = anatomy[1:11, 14:20, 85:95] = AnatomyLabel.SACRUM
    anatomy[1:11, 2:12, 57:83] = AnatomyLabel.LUMBAR_VERTEBRA
    signal[1:5, 15:17, 60:80] = VESSEL

    assert not find(signal, anatomy).any()


def test_bright_fat_with_noise_is_no_vessel(signal: Float32Array, anatomy: LabelArray) -> None:
    # Fat under the skin near the coil, twice as bright as marrow as a whole.
    fat = np.random.default_rng(1).normal(1.8 * MARROW, 0.2 * MARROW, (4, 36, 70))
    fat = np.repeat(np.repeat(fat[:, ::2, ::2], 2, axis=1), 2, axis=2)
    signal[1:5, 64:100, 35:105] = fat
    bright = (fat >= BRIGHTER_THAN_MARROW * MARROW).sum()

    assert find(signal, anatomy).sum() < 0.1 * bright
    signal[TUBE] = VESSEL
    found = find(signal, anatomy)
    # Bright fat touches the tube, so its brighter half is a part of it, and of it alone.
    assert found[TUBE].mean() > 0.5
    assert found[TUBE].sum() > 0.9 * found.sum()


def test_vessels_of_the_buttocks_are_outside_the_ilia(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[1:5, 72:76, 10:25] = VESSEL
    signal[1:5, 72:76, 112:130] = VESSEL

    assert not find(signal, anatomy).any()


@pytest.mark.parametrize(("row", "is_found"), [(72, True), (92, False)])
def test_a_tube_far_from_the_sacrum_is_no_presacral_vessel(
    signal: Float32Array, anatomy: LabelArray, row: int, is_found: bool
) -> None:
    signal[1:5, row : row + 3, 60:80] = VESSEL

    # Rows of 1.4 mm: 18 and 46 mm below the sacrum.
    assert find_presacral_vessels(signal, anatomy, geometry((1.4, 1.0)), MARROW, BEFORE_THE_CANAL).any() == is_found


def test_a_speck_is_noise(signal: Float32Array, anatomy: LabelArray) -> None:
    signal[3, 74, 70:73] = VESSEL

    assert not find(signal, anatomy).any()


@pytest.mark.parametrize(("rows", "columns", "is_found"), [(4, 9, False), (4, 12, True), (8, 14, False)])
def test_a_vessel_is_long_and_slender(
    signal: Float32Array, anatomy: LabelArray, rows: int, columns: int, is_found: bool
) -> None:
    signal[1:5, 72 : 72 + rows, 60 : 60 + columns] = VESSEL

    # 9 x 4 mm is short, 14 x 8 mm is wide for its length.
    assert find(signal, anatomy).any() == is_found


def test_noise_alone_is_no_vessel(anatomy: LabelArray) -> None:
    # Noise of 0.4 of the marrow, on pixels of 1 mm: hundreds of pixels reach twice the marrow's signal.
    noisy = np.random.default_rng(3).normal(1.4 * MARROW, 0.4 * MARROW, SHAPE).astype(np.float32)
    assert (noisy[1:8, 60:80] >= BRIGHTER_THAN_MARROW * MARROW).sum() > 500

    assert find(noisy, anatomy).sum() < 20


def test_noise_moves_the_signal_of_vessels_less_than_that_of_their_pixels(
    signal: Float32Array, anatomy: LabelArray
) -> None:
    found = {}
    for share in (0.1, 0.2, 0.4):
        noise = np.random.default_rng(4).normal(0, share * MARROW, SHAPE)
        values = signal + noise.astype(np.float32)
        values[TUBE] = VESSEL + noise[TUBE]
        found[share] = np.median(values[find(values, anatomy)])

    # The brighter half is a little too bright; by single pixels it would be so by 0.67 standard deviations.
    assert all(VESSEL - 1 <= value <= VESSEL + 0.65 * share * MARROW for share, value in found.items())


def test_calibre_is_measured_in_mm_not_pixels(signal: Float32Array, anatomy: LabelArray) -> None:
    wide = (TUBE[0], slice(66, 82), TUBE[2])
    signal[wide] = VESSEL

    assert not find(signal, anatomy).any()
    fine = find_presacral_vessels(signal, anatomy, geometry((0.3, 1.0)), MARROW, BEFORE_THE_CANAL)
    assert fine[wide].any()


def test_without_a_sacrum_there_is_nothing_to_find(signal: Float32Array) -> None:
    signal[TUBE] = VESSEL

    assert not find(signal, np.zeros(SHAPE, dtype=np.uint8)).any()
