"""Slices shifted against each other are found and measured; a stack at rest raises no suspicion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from sparcc_pipeline.errors import GeometryError
from sparcc_pipeline.imaging.alignment.movement import MOVED_MM, SliceMovement, slice_movement
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.volume import BoolArray, Volume

CLOSE_MM = 0.3
Stack = tuple[Volume, BoolArray]


def shifted(volume: Volume, slices: Iterable[int], shift_mm: tuple[float, float]) -> Volume:
    signal = volume.signal.copy()
    for k in slices:
        pixels = np.array(shift_mm) / volume.geometry.in_plane_mm
        signal[k] = ndimage.shift(signal[k], pixels, order=1, mode="nearest")
    return replace(volume, signal=signal)


def phantom(seed: int = 0, spacing_mm: float = 4.0, pixel_mm: float = 0.8) -> Stack:
    made = make_phantom(random_spec(seed, slice_spacing_mm=spacing_mm, pixel_mm=pixel_mm))
    return made.volume, made.tissue.anatomy > 0


@pytest.fixture(scope="module")
def still() -> Stack:
    return phantom()


def largest(movement: SliceMovement) -> float:
    assert movement.largest_mm is not None
    return movement.largest_mm


@pytest.mark.parametrize("seed", [0, 2])
def test_a_stack_at_rest_is_not_suspected(seed: int) -> None:
    movement = slice_movement(*phantom(seed))

    assert len(movement.shift_mm) == len(movement.slices) > 5
    assert largest(movement) < CLOSE_MM < MOVED_MM


@pytest.mark.parametrize("shift_mm", [(0.5, 0.0), (0.0, 1.0), (0.0, -2.0), (3.0, 4.0), (0.0, 10.0)])
def test_every_slice_has_the_shift_of_every_second_one(still: Stack, shift_mm: tuple[float, float]) -> None:
    volume, bones = still
    movement = slice_movement(shifted(volume, range(1, len(bones), 2), shift_mm), bones)

    assert movement.slices == tuple(range(1, len(bones) - 1))
    assert movement.shift_mm == pytest.approx([np.hypot(*shift_mm)] * len(movement.slices), abs=CLOSE_MM)
    assert movement.median_mm == pytest.approx(np.hypot(*shift_mm), abs=CLOSE_MM)


def test_a_slice_that_moved_alone_is_named(still: Stack) -> None:
    volume, bones = still
    movement = slice_movement(shifted(volume, [7], (0.0, 3.0)), bones)
    found = dict(zip(movement.slices, movement.shift_mm, strict=True))

    assert largest(movement) == found[7] == pytest.approx(3.0, abs=CLOSE_MM)
    assert max(found[6], found[8]) < 1.5 + CLOSE_MM
    assert max(shift for k, shift in found.items() if not 6 <= k <= 8) < CLOSE_MM


@pytest.mark.parametrize(("spacing_mm", "pixel_mm"), [(3.0, 0.6), (5.0, 1.2)])
def test_movement_is_measured_in_mm(spacing_mm: float, pixel_mm: float) -> None:
    volume, bones = phantom(1, spacing_mm, pixel_mm)
    assert largest(slice_movement(volume, bones)) < CLOSE_MM

    movement = slice_movement(shifted(volume, range(1, len(bones), 2), (0.0, 2.0)), bones)
    assert movement.shift_mm == pytest.approx([2.0] * len(movement.slices), abs=CLOSE_MM)


def test_gain_of_the_scanner_and_of_every_second_slice_do_not_matter(still: Stack) -> None:
    volume, bones = still
    signal = 7.0 * volume.signal
    signal[1::2] *= 1.2

    assert largest(slice_movement(replace(volume, signal=signal), bones)) < CLOSE_MM


def test_movement_far_from_the_bones_does_not_count(still: Stack) -> None:
    volume, bones = still
    moved = shifted(volume, range(1, len(bones), 2), (0.0, 6.0)).signal
    rows = np.flatnonzero(bones.any(axis=(0, 2)))
    below = rows[-1] + int(20 / volume.geometry.spacing_mm[1])
    signal = volume.signal.copy()
    signal[:, below:] = moved[:, below:]

    assert not np.array_equal(signal, volume.signal)
    assert slice_movement(replace(volume, signal=signal), bones) == slice_movement(volume, bones)


def test_slices_without_bone_are_left_out_with_their_neighbours(still: Stack) -> None:
    volume, bones = still
    without = bones.copy()
    without[:3] = False
    without[9] = False

    assert slice_movement(volume, without).slices == tuple(k for k in range(4, len(bones) - 1) if k not in (8, 9, 10))


@pytest.mark.parametrize("case", ["no bone", "no signal", "flat"])
def test_without_evidence_no_shift_is_reported(still: Stack, case: str) -> None:
    volume, bones = still
    if case == "no bone":
        bones = np.zeros_like(bones)
    else:
        volume = replace(volume, signal=np.full_like(volume.signal, 0.0 if case == "no signal" else 100.0))
    movement = slice_movement(volume, bones)

    assert movement == SliceMovement((), ())
    assert movement.largest_mm is None
    assert movement.median_mm is None


def test_slices_that_are_partly_empty_are_left_out_with_their_neighbours(still: Stack) -> None:
    volume, bones = still
    signal = volume.signal.copy()
    signal[6, : signal.shape[1] // 2] = 0
    found = slice_movement(replace(volume, signal=signal), bones)

    assert found.slices == (1, 2, 3, 4, *range(8, len(bones) - 1))
    assert largest(found) < CLOSE_MM


def test_bones_of_another_stack_are_refused(still: Stack) -> None:
    volume, bones = still
    with pytest.raises(GeometryError, match="expected bones of shape"):
        slice_movement(volume, bones[1:])


def test_people_at_rest_stay_below_the_limit_and_movement_is_seen_in_each(shared_data: Path) -> None:
    scans = sorted((shared_data / "sij_mri" / "stir").glob("*_STIR.nii.gz"))
    assert scans
    for scan in scans:
        person = scan.name.split("_")[0]
        volume = read_nifti(scan)
        bones = read_nifti(shared_data / "sij_mri" / "bone" / f"{person}_bone.nii.gz").signal > 0
        at_rest = slice_movement(volume, bones)
        moved = slice_movement(shifted(volume, range(1, len(bones), 2), (3.0, 0.0)), bones)

        assert len(at_rest.slices) == len(bones) - 2, person
        assert largest(at_rest) < MOVED_MM, person
        assert moved.median_mm == pytest.approx(3.0, abs=CLOSE_MM), person
        assert min(moved.shift_mm) > MOVED_MM, person
