"""Registration finds a known motion, gives the same digits twice, and refuses scans that do not belong together."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.follow_up import Anatomy, align
from sparcc_pipeline.imaging.alignment.registration import bone_region, register, resample
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.rigid import RigidTransform, moved_geometry, rotation_about
from sparcc_pipeline.sparcc.follow_up.alignment import joint_points_mm, starting_positions
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.data.labels import load_person
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.volume import Geometry, SeriesRef, Volume

MOTION = RigidTransform.about(
    np.array([0.0, 20.0, -10.0]), rotation_about(0, 9) @ rotation_about(2, -6), np.array([30.0, -15.0, 22.0])
)


@lru_cache(maxsize=2)
def phantom(seed: int) -> Anatomy:
    """Bones of a phantom in tissue of smooth random signal.

    The signal of a phantom hardly changes from slice to slice, so that it would not show a rotation.
    """
    made = make_phantom(random_spec(seed, slice_spacing_mm=4.0, pixel_mm=1.2))
    noise = np.random.default_rng(seed).normal(size=made.volume.geometry.shape)
    smooth = ndimage.gaussian_filter(noise, 5.0 / np.array(made.volume.geometry.spacing_mm))
    signal = (400 + 100 * smooth / smooth.std()).astype(np.float32)
    return Anatomy(
        replace(made.volume, signal=signal), made.tissue.anatomy, find_joints(made.tissue.anatomy, made.tissue.geometry)
    )


def second_scan(anatomy: Anatomy, motion: RigidTransform, grid: Geometry) -> Anatomy:
    """The same anatomy after the patient moved, on another grid, darker and with noise."""
    back = motion.inverse()
    noise = np.random.default_rng(3).normal(0, 10, grid.shape)
    signal = resample(anatomy.volume, back, grid) * 0.7 + noise
    labels = replace(anatomy.volume, signal=anatomy.labels.astype(np.float32))
    # Label by label: the mean of two labels would be a third one.
    shown = [
        resample(replace(labels, signal=(labels.signal == code).astype(np.float32)), back, grid) for code in range(5)
    ]
    found = np.argmax(shown, axis=0).astype(np.uint8)
    return Anatomy(Volume(signal.astype(np.float32), grid, SeriesRef(None, None)), found, find_joints(found, grid))


def other_grid(anatomy: Anatomy) -> Geometry:
    """Three slices more, other pixels, another field of view, tilted 3 degrees against the moved patient."""
    grid = moved_geometry(anatomy.volume.geometry, MOTION)
    centre = MOTION.apply(joint_points_mm(anatomy.joints).mean(axis=0)[None])[0]
    tilted = moved_geometry(grid, RigidTransform.about(centre, rotation_about(0, 3), np.array([6.0, -5.0, 3.0])))
    slices, rows, columns = tilted.shape
    return replace(tilted, shape=(slices + 3, int(rows / 0.8), int(columns / 0.8)), spacing_mm=(4.0, 0.8, 0.8))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_known_motion_is_found_on_another_grid(seed: int) -> None:
    baseline = phantom(seed)
    found = align(baseline, second_scan(baseline, MOTION, other_grid(baseline)))
    transform = found.registration.transform
    assert transform.distance_mm(MOTION, joint_points_mm(baseline.joints)).max() < 0.5
    assert transform.inverse().after(MOTION).angle_degrees < 0.5
    assert found.registration.mutual_information > found.registration.mutual_information_before
    assert found.quality.joint_line_mm < 2.0
    assert found.quality.bone_overlap > 0.9


def test_a_second_run_gives_the_same_digits() -> None:
    baseline = phantom(1)
    follow_up = second_scan(baseline, MOTION, other_grid(baseline))
    assert align(baseline, follow_up) == align(baseline, follow_up)


def test_without_bones_there_is_nothing_to_register_by() -> None:
    volume = phantom(1).volume
    with pytest.raises(RegistrationError, match="expected bones"):
        register(volume, volume, np.zeros(volume.signal.shape, dtype=bool), [RigidTransform()])


def test_scans_that_share_no_space_are_refused() -> None:
    baseline = phantom(1)
    region = bone_region(baseline.bones, baseline.volume.geometry.spacing_mm)
    elsewhere = RigidTransform(translation_mm=(2000.0, 0.0, 0.0))
    with pytest.raises(RegistrationError, match="share enough"):
        register(baseline.volume, baseline.volume, region, [elsewhere])


def test_region_is_the_bones_and_a_margin() -> None:
    bones = np.zeros((3, 41, 61), dtype=bool)
    bones[1, 20, 30] = True
    region = bone_region(bones, (20.0, 1.0, 1.0))
    rows, columns = np.nonzero(region[1])
    assert not region[0].any()
    assert not region[2].any()
    for found, middle in ((rows, 20), (columns, 30)):
        assert abs(middle - found.min() - 12) <= 2
        assert abs(found.max() - middle - 12) <= 2


def test_resample_shows_the_transformed_place() -> None:
    """A bright voxel of the moving scan appears where the transform takes the fixed scan to it."""
    geometry = phantom(1).volume.geometry
    signal = np.zeros(geometry.shape, dtype=np.float32)
    signal[8, 100, 120] = 100.0
    shift = RigidTransform(translation_mm=tuple(3 * geometry.spacing_mm[2] * np.array(geometry.directions[2])))
    seen = resample(Volume(signal, geometry, SeriesRef(None, None)), shift, geometry)
    assert tuple(map(int, np.unravel_index(seen.argmax(), seen.shape))) == (8, 100, 117)
    assert seen.max() == pytest.approx(100.0, rel=1e-4)


def real(data: Path, name: str) -> Anatomy:
    person = load_person(data, name)
    anatomy = person.known_anatomy
    return Anatomy(person.stir, anatomy, find_joints(anatomy, person.stir.geometry))


def mirror(anatomy: Anatomy) -> Anatomy:
    """A wrong export: columns in reverse order, and bones labelled as the image shows them."""
    labels = anatomy.labels[:, :, ::-1]
    swapped = labels.copy()
    swapped[labels == 2], swapped[labels == 3] = 3, 2
    volume = replace(anatomy.volume, signal=anatomy.volume.signal[:, :, ::-1].copy())
    return Anatomy(volume, swapped, find_joints(swapped, volume.geometry))


@pytest.mark.parametrize("name", ["1007", "2015"])
def test_real_follow_up_with_sides_exchanged_is_refused(shared_data: Path, name: str) -> None:
    baseline = real(shared_data, name)
    follow_up = second_scan(baseline, MOTION, moved_geometry(baseline.volume.geometry, MOTION))
    align(baseline, follow_up)
    with pytest.raises(RegistrationError, match="fits better mirrored"):
        align(baseline, mirror(follow_up))


@pytest.mark.parametrize(("first", "second"), [("1007", "1013"), ("1234", "2015"), ("2014", "4386")])
def test_real_scans_of_two_people_are_refused(shared_data: Path, first: str, second: str) -> None:
    with pytest.raises(RegistrationError):
        align(real(shared_data, first), real(shared_data, second))


def test_real_stir_aligns_with_its_t1(shared_data: Path) -> None:
    """STIR and T1 of one session: hardly any motion, and another contrast does not mislead."""
    baseline = real(shared_data, "2015")
    t1 = read_nifti(shared_data / "sij_mri" / "t1w" / "2015_T1W.nii.gz")
    region = bone_region(baseline.bones, baseline.volume.geometry.spacing_mm)
    found = register(baseline.volume, t1, region, starting_positions(baseline.joints, baseline.joints))
    assert found.transform.distance_mm(RigidTransform(), joint_points_mm(baseline.joints)).mean() < 2.5
    assert found.transform.angle_degrees < 2.0
