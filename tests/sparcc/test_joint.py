"""The joint on one slice: its line, its height, and the pixels of its quadrants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Bone, Level, Quadrant, Side
from sparcc_pipeline.errors import JointNotVisibleError
from sparcc_pipeline.sparcc.joint import (
    JOINT_SPACE_MM,
    QUADRANT_REACH_MM,
    JointSlice,
    find_joint_slice,
)

from .builders import Anatomy, joints_of

SPACINGS = [(4.0, 1.0, 1.0), (4.0, 0.6, 0.6), (4.0, 1.2, 0.5)]


def joint_of(anatomy: Anatomy, side: Side = Side.LEFT, slice_index: int = 3) -> JointSlice:
    joint = joints_of(anatomy).at(slice_index, side)
    assert joint is not None
    return joint


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 12.0, 25.0])
@pytest.mark.parametrize("side", Side)
def test_the_line_runs_midway_between_the_bones(
    spacing_mm: tuple[float, float, float], tilt_degrees: float, side: Side
) -> None:
    anatomy = Anatomy(spacing_mm=spacing_mm, tilt_degrees=tilt_degrees)
    joint = joint_of(anatomy, side)
    true = anatomy.line_mm(side)
    row, column = (true[1] - true[0]) / anatomy.height_mm
    offset = joint.joint_line - true[0]

    # Half a pixel: the border of a bone is known no better.
    assert np.abs(offset[:, 0] * column - offset[:, 1] * row).max() <= max(spacing_mm[1:]) / 2
    assert joint.joint_line[0, 0] < joint.joint_line[-1, 0], "upper end first"
    assert np.diff(joint.joint_line, axis=0).std(axis=0).max() < 0.1, "evenly spaced"


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 25.0])
@pytest.mark.parametrize("side", Side)
def test_normals_point_into_their_bone(spacing_mm: tuple[float, float, float], tilt_degrees: float, side: Side) -> None:
    anatomy = Anatomy(spacing_mm=spacing_mm, tilt_degrees=tilt_degrees)
    joint = joint_of(anatomy, side)
    down = np.diff(anatomy.line_mm(side), axis=0)[0] / anatomy.height_mm

    for bone, label in ((Bone.ILIUM, ILIUM_LABEL[side]), (Bone.SACRUM, AnatomyLabel.SACRUM)):
        normals = joint.normals_into(bone)
        middle = len(normals) // 2
        row, column = np.rint((joint.joint_line + 6 * normals)[middle] / spacing_mm[1:]).astype(int)
        assert anatomy.tissue().anatomy[3, row, column] == label
        assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0)
        # Pixel steps may turn a normal by a few degrees, which moves 10 mm by 0.1 mm.
        assert np.abs(normals[10:-10] @ down).max() < math.sin(math.radians(9))


@pytest.mark.parametrize("spacing_mm", [(4.0, 1.0, 1.0), (4.0, 0.6, 0.6)])
@pytest.mark.parametrize("height_mm", [8.5, 20.0, 29.0, 31.0, 50.0])
def test_height_is_about_that_over_which_the_bones_face_each_other(
    spacing_mm: tuple[float, float, float], height_mm: float
) -> None:
    found = joint_of(Anatomy(spacing_mm=spacing_mm, height_mm=height_mm)).height_mm

    # The ends are known to a pixel.
    assert found == pytest.approx(height_mm, abs=2 * spacing_mm[1])


def test_a_joint_of_29_mm_is_under_30_mm() -> None:
    # With 3 mm between the bones: past their ends their nearest points are no longer on opposite sides.
    assert joint_of(Anatomy(spacing_mm=(4.0, 0.6, 0.6), height_mm=29.0)).height_mm < 30.0


def test_height_is_measured_along_a_tilted_joint() -> None:
    upright, tilted = (joint_of(Anatomy(tilt_degrees=t, spacing_mm=(4.0, 0.6, 0.6))).height_mm for t in (0.0, 25.0))

    assert tilted == pytest.approx(upright, abs=1.0)


@pytest.mark.parametrize(("width_mm", "visible"), [(1.0, True), (3.0, True), (4.0, True), (5.5, False), (9.0, False)])
def test_bones_far_apart_have_ligament_between_them(width_mm: float, visible: bool) -> None:
    tissue = Anatomy(spacing_mm=(4.0, 0.5, 0.5), width_mm=width_mm).tissue()

    assert (find_joint_slice(tissue.anatomy[3], tissue.geometry, 3, Side.LEFT) is not None) is visible


@pytest.mark.parametrize("tilt_degrees", [0.0, 20.0])
@pytest.mark.parametrize("side", Side)
def test_quadrants_are_disjoint_and_each_is_in_its_bone(tilt_degrees: float, side: Side) -> None:
    anatomy = Anatomy(tilt_degrees=tilt_degrees)
    bones = anatomy.tissue().anatomy[3]
    joint = joint_of(anatomy, side)
    along, into_ilium = anatomy.coordinates(side)

    assert np.sum(list(joint.quadrants.values()), axis=0).max() == 1
    for quadrant, pixels in joint.quadrants.items():
        label = ILIUM_LABEL[side] if quadrant.bone is Bone.ILIUM else AnatomyLabel.SACRUM
        assert set(np.unique(bones[pixels])) == {label}
        assert np.all((into_ilium[pixels] > 0) == (quadrant.bone is Bone.ILIUM))
        # The middle of the joint, at right angles to it, divides upper from lower.
        beyond = along[pixels] - anatomy.height_mm / 2
        assert np.all(beyond < 1.6 if quadrant.level is Level.UPPER else beyond > -1.6)


def test_the_joint_space_belongs_to_no_quadrant() -> None:
    # A segmentation that lets the bones touch: marrow right up to the joint line.
    anatomy = Anatomy(spacing_mm=(4.0, 0.5, 0.5), width_mm=0.0)
    joint = joint_of(anatomy)
    everywhere = np.any(list(joint.quadrants.values()), axis=0)
    beside = (anatomy.tissue().anatomy[3] > 0) & (joint.surface_distance_mm < 10) & (joint.surface_distance_mm > 2)
    half = np.indices(everywhere.shape)[1] > everywhere.shape[1] / 2

    assert joint.surface_distance_mm[everywhere].min() > JOINT_SPACE_MM
    assert np.all(everywhere[beside & half])


def test_marrow_beyond_the_reach_belongs_to_no_quadrant() -> None:
    joint = joint_of(Anatomy())
    everywhere = np.any(list(joint.quadrants.values()), axis=0)

    assert joint.surface_distance_mm[everywhere].max() <= QUADRANT_REACH_MM
    assert joint.surface_distance_mm[everywhere].max() > QUADRANT_REACH_MM - 1.5


def test_marrow_nearer_to_a_lumbar_vertebra_than_to_the_joint_belongs_to_no_quadrant() -> None:
    anatomy = Anatomy(lumbar_mm=(-8.0, 5.0, 16.0))
    without, found = joint_of(Anatomy()), joint_of(anatomy)
    bones = anatomy.tissue().anatomy[3]
    quadrant = found.quadrants[Quadrant.UPPER_SACRAL]
    lumbar = np.argwhere(bones == AnatomyLabel.LUMBAR_VERTEBRA)

    assert len(lumbar) > 100
    assert quadrant.sum() < without.quadrants[Quadrant.UPPER_SACRAL].sum()
    for row, column in np.argwhere(quadrant)[::7]:
        to_lumbar = np.linalg.norm(lumbar - (row, column), axis=1).min()
        assert found.surface_distance_mm[row, column] < to_lumbar


def test_surface_distance_is_in_mm_on_pixels_that_are_not_square() -> None:
    anatomy = Anatomy(spacing_mm=(4.0, 1.2, 0.5))
    joint = joint_of(anatomy)
    along, into_ilium = anatomy.coordinates(Side.LEFT)
    beside = (along > 5) & (along < 35) & (np.abs(into_ilium) < 25)

    assert np.abs(joint.surface_distance_mm - np.abs(into_ilium))[beside].max() < 0.4


def test_a_side_that_is_absent_on_one_slice() -> None:
    joints = joints_of(Anatomy(first=1, last=6, absent=((3, Side.LEFT),)))

    assert joints.at(3, Side.LEFT) is None
    assert joints.at(3, Side.RIGHT) is not None
    assert joints.slices(Side.LEFT) == (1, 2, 4, 5, 6)
    assert joints.slices(Side.RIGHT) == (1, 2, 3, 4, 5, 6)
    assert len(joints) == len(list(joints)) == 11


@pytest.mark.parametrize("side", Side)
def test_a_joint_that_is_never_seen_is_an_error_that_names_the_side(side: Side) -> None:
    absent = tuple((k, side) for k in range(8))

    with pytest.raises(JointNotVisibleError, match=f"patient's {side.value} in 8 slices"):
        joints_of(Anatomy(absent=absent))


def test_a_break_in_the_segmentation_does_not_shorten_the_joint() -> None:
    tissue = Anatomy().tissue()
    anatomy = tissue.anatomy[3].copy()
    whole = find_joint_slice(anatomy, tissue.geometry, 3, Side.LEFT)
    middle = anatomy.shape[0] // 2
    anatomy[middle - 2 : middle + 2] = AnatomyLabel.BACKGROUND
    broken = find_joint_slice(anatomy, tissue.geometry, 3, Side.LEFT)

    assert whole is not None
    assert broken is not None
    assert broken.height_mm == pytest.approx(whole.height_mm, abs=0.5)
