"""The joint is found where T1 shows a dark line; elsewhere the bones of the network do not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Side
from sparcc_pipeline.imaging.alignment.second_contrast import Resampled
from sparcc_pipeline.imaging.joint_path import REACH_MM, follow_joints
from sparcc_pipeline.sparcc.joint_line import find_joint_line, line_normals
from sparcc_pipeline.training.data.labels import load_person
from sparcc_pipeline.volume import Float32Array, FloatArray, Geometry, LabelArray

from ..sparcc.builders import Anatomy

FINE = (4.0, 0.6, 0.6)
MARROW, JOINT, MUSCLE = 100.0, 45.0, 30.0
CARTILAGINOUS = np.zeros(4, dtype=np.float32)
SACRUM_AND_ILIA = (AnatomyLabel.SACRUM, *ILIUM_LABEL.values())


def bones(tilt_degrees: float) -> Anatomy:
    """Sacrum and ilia that touch, as in the labels, on four slices."""
    return Anatomy(slices=4, spacing_mm=FINE, tilt_degrees=tilt_degrees, width_mm=0.0, last=3, vessels=False)


def t1(built: Anatomy, *, shift_mm: float, noise: float = 3.0) -> Resampled:
    """Bright marrow, and a dark line of about 2 mm `shift_mm` into the ilium from the labels' border."""
    signal = np.full(built.geometry.shape, MUSCLE)
    signal[built.tissue().anatomy > 0] = MARROW
    for side in Side:
        along, into_ilium = built.coordinates(side)
        beside = (along > -3) & (along < built.height_mm + 3)
        dark = np.where(beside, np.exp(-(((into_ilium - shift_mm) / 1.2) ** 2)), 0)
        signal *= 1 - (1 - JOINT / MARROW) * dark
    signal += np.random.default_rng(1).normal(0, noise, signal.shape)
    return Resampled(signal.astype(np.float32), np.ones(built.slices, dtype=bool))


def into_ilium_mm(built: Anatomy, cut: LabelArray, k: int, side: Side) -> FloatArray:
    """Distance into the ilium of each point of the joint line of a cut from the border of the labels."""
    line = find_joint_line(cut[k], built.geometry.in_plane_mm, side)
    assert line is not None
    away: FloatArray = ndimage.map_coordinates(built.coordinates(side)[1], (line / FINE[1:]).T, order=1)
    return away


@pytest.mark.parametrize("tilt_degrees", [-15.0, 5.0, 30.0])
@pytest.mark.parametrize("shift_mm", [-2.0, 2.0])
def test_a_dark_line_beside_the_border_of_the_labels_becomes_the_border(tilt_degrees: float, shift_mm: float) -> None:
    built = bones(tilt_degrees)
    labels = built.tissue().anatomy
    cut = follow_joints(labels, built.geometry, t1(built, shift_mm=shift_mm), CARTILAGINOUS)

    for k in range(built.slices):
        for side in Side:
            assert abs(np.median(into_ilium_mm(built, labels, k, side))) < 0.3
            found = into_ilium_mm(built, cut, k, side)[5:-5]
            assert abs(np.median(found) - shift_mm) < 0.3
            assert np.abs(found - shift_mm).max() < 0.6
    assert_array_equal(cut > 0, labels > 0)


def test_the_mirror_image_has_the_mirrored_joints() -> None:
    built = bones(10.0)
    image = t1(built, shift_mm=1.5)
    labels = built.tissue().anatomy
    mirror = np.array([0, AnatomyLabel.SACRUM, AnatomyLabel.LEFT_ILIUM, AnatomyLabel.RIGHT_ILIUM], dtype=np.uint8)
    cut = follow_joints(labels, built.geometry, image, CARTILAGINOUS)
    mirrored = follow_joints(
        mirror[labels[..., ::-1]], built.geometry, replace(image, signal=image.signal[..., ::-1].copy()), CARTILAGINOUS
    )

    assert (cut != labels).any()
    assert_array_equal(mirrored, mirror[cut[..., ::-1]])


def without_line(built: Anatomy) -> Float32Array:
    """Marrow with noise, darker on the side of the sacrum: an edge along the border of the labels, but no line."""
    image = t1(built, shift_mm=0.0).signal
    rng = np.random.default_rng(2)
    plain = np.where(built.tissue().anatomy == AnatomyLabel.SACRUM, 0.7 * MARROW, MARROW) + rng.normal(
        0, 5, image.shape
    )
    return plain.astype(np.float32)


def test_bones_that_t1_does_not_show_do_not_change() -> None:
    built = bones(10.0)
    labels = built.tissue().anatomy
    image = t1(built, shift_mm=2.0)
    flat = follow_joints(labels, built.geometry, replace(image, signal=without_line(built)), CARTILAGINOUS)
    uncovered = follow_joints(labels, built.geometry, replace(image, covered=np.arange(4) < 2), CARTILAGINOUS)
    ligament = follow_joints(labels, built.geometry, image, np.array([0, 0, 0.95, 1], dtype=np.float32))

    assert_array_equal(flat, labels)
    for partly in (uncovered, ligament):
        assert (partly[:2] != labels[:2]).any(axis=(1, 2)).all()
        assert_array_equal(partly[2:], labels[2:])


def test_a_dark_line_farther_away_than_the_joint_can_be_changes_nothing_beyond_its_reach() -> None:
    built = bones(0.0)
    labels = built.tissue().anatomy
    image = t1(built, shift_mm=2.5)
    for side in Side:
        away = np.abs(built.coordinates(side)[1] - 8.0)
        image.signal[:, away < 1.5] = 1.0
    cut = follow_joints(labels, built.geometry, image, CARTILAGINOUS)

    from_border = np.min([np.abs(built.coordinates(side)[1]) for side in Side], axis=0)
    assert (cut != labels).any()
    assert_array_equal(cut[:, from_border > REACH_MM + 1.5], labels[:, from_border > REACH_MM + 1.5])


def test_a_slice_with_a_faint_line_follows_its_neighbours() -> None:
    built = bones(0.0)
    labels = built.tissue().anatomy
    image = t1(built, shift_mm=2.0)
    image.signal[1] = without_line(built)[1]
    cut = follow_joints(labels, built.geometry, image, CARTILAGINOUS)

    for side in Side:
        assert abs(np.median(into_ilium_mm(built, cut, 1, side)) - 2.0) < 0.5


def test_a_scan_without_a_joint_does_not_change() -> None:
    built = bones(0.0)
    labels = np.where(built.tissue().anatomy == AnatomyLabel.SACRUM, np.uint8(AnatomyLabel.SACRUM), np.uint8(0))

    assert_array_equal(follow_joints(labels, built.geometry, t1(built, shift_mm=2.0), CARTILAGINOUS), labels)


def test_a_moved_border_returns_to_the_joint_of_a_real_scan(shared_data: Path) -> None:
    person = load_person(shared_data, "2014")
    geometry, (first, last) = person.stir.geometry, person.cartilaginous
    labels = person.known_anatomy
    moved = pushed_into_ilium(labels, geometry, 2.0)
    resampled = Resampled(person.t1, np.ones(len(labels), dtype=bool))
    cut = follow_joints(moved, geometry, resampled, np.zeros(len(labels), dtype=np.float32))

    def wrong(anatomy: LabelArray) -> int:
        return int((anatomy != labels)[first : last + 1].sum())

    assert wrong(cut) < 0.5 * wrong(moved)
    assert_array_equal(np.isin(cut, SACRUM_AND_ILIA), np.isin(moved, SACRUM_AND_ILIA))


def pushed_into_ilium(labels: LabelArray, geometry: Geometry, by_mm: float) -> LabelArray:
    """The labels with the border of sacrum and ilium moved, wherever there is a joint."""
    moved = labels.copy()
    for k in range(len(labels)):
        for side in Side:
            line = find_joint_line(labels[k], geometry.in_plane_mm, side)
            if line is None:
                continue
            normals = line_normals(line, side, Bone.ILIUM)
            for away in np.arange(0, by_mm, 0.2):
                rows, columns = np.rint((line + away * normals) / geometry.in_plane_mm).astype(int).T
                here = moved[k, rows, columns]
                moved[k, rows, columns] = np.where(here == ILIUM_LABEL[side], np.uint8(AnatomyLabel.SACRUM), here)
    return moved
