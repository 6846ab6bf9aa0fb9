"""The follow-up slices that show the six of the baseline, and alignments that are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcc_pipeline.anatomy import AnatomyLabel, Side
from sparcc_pipeline.errors import RegistrationError, TooFewSlicesError, UnscorableError
from sparcc_pipeline.rigid import RigidTransform, moved_geometry, rotation_about
from sparcc_pipeline.sparcc.follow_up.alignment import (
    LARGEST_JOINT_LINE_MM,
    SMALLEST_BONE_OVERLAP,
    TILT_LIMIT_DEGREES,
    TILT_WARNING_DEGREES,
    AlignmentQuality,
    MatchedSlices,
    alignment_quality,
    joint_points_mm,
    match_six_slices,
    require_plausible,
    starting_positions,
)
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.volume import FloatArray, Geometry

from ..builders import Anatomy, joints_of

SPACING_MM = 4.0
SIX = SixSlices(3, "transitional slice")
BASELINE = Anatomy(slices=14, last=13, spacing_mm=(SPACING_MM, 2.0, 2.0))


@pytest.fixture(scope="module")
def joints() -> Joints:
    return joints_of(BASELINE)


def along_normal(geometry: Geometry, slices: float) -> Geometry:
    """The grid begins `slices` slices farther back."""
    origin = np.array(geometry.origin_mm) + slices * geometry.spacing_mm[0] * np.array(geometry.directions[0])
    return replace(geometry, origin_mm=tuple(origin))


def match(joints: Joints, follow_up: Geometry, motion: RigidTransform | None = None) -> MatchedSlices:
    return match_six_slices(SIX, joints, follow_up, motion or RigidTransform())


@settings(deadline=None, max_examples=25)
@given(
    st.floats(-15, 15),
    st.floats(-15, 15),
    st.tuples(*[st.floats(-60, 60)] * 3),
    st.integers(-3, 5),
    st.floats(-0.4, 0.4),
)
def test_the_same_anatomy_wherever_the_patient_lies(
    pitch: float, turn: float, shift: tuple[float, float, float], later: int, part: float
) -> None:
    joints = joints_of(BASELINE)
    centre = joint_points_mm(joints).mean(axis=0)
    motion = RigidTransform.about(centre, rotation_about(0, pitch) @ rotation_about(2, turn), np.array(shift))
    grid = along_normal(moved_geometry(joints.geometry, motion), part - later)
    found = match(joints, replace(grid, shape=(20, *grid.shape[1:])), motion)
    assert found.slices.indices == tuple(k + later for k in SIX.indices)
    assert [m.follow_up for m in found.matched] == [k + later for k in SIX.indices]
    for m in found.matched:
        assert m.offset_mm == pytest.approx(-part * SPACING_MM, abs=0.05)
        assert m.overlap_mm == pytest.approx(SPACING_MM * (1 - abs(part)), abs=0.05)
    assert found.tilt_degrees == pytest.approx(0, abs=1e-3)
    assert found.slices.chosen_by == "baseline"


def test_a_follow_up_that_begins_one_slice_late_misses_one_and_warns(joints: Joints) -> None:
    found = match(joints, along_normal(joints.geometry, 4))
    assert found.slices.first == 0
    assert [m.follow_up for m in found.matched] == [None, 0, 1, 2, 3, 4]
    assert found.matched[0].overlap_mm == 0
    assert any("baseline slices 4 are not on the follow-up" in warning for warning in found.slices.warnings)


@pytest.mark.parametrize("late", [5, -11])
def test_with_two_slices_missed_the_visits_are_not_compared(joints: Joints, late: int) -> None:
    with pytest.raises(UnscorableError, match="found 2 of them"):
        match(
            joints,
            along_normal(replace(joints.geometry, shape=(12, *joints.geometry.shape[1:])), late + (late < 0) * 6),
        )


def test_other_spacing_takes_the_middle_and_warns(joints: Joints) -> None:
    geometry = joints.geometry
    wide = replace(geometry, spacing_mm=(5.5, 2.0, 2.0), shape=(11, *geometry.shape[1:]))
    found = match(joints, wide)
    # Baseline slices 3-8 are at 12-32 mm, their middle at 22 mm, and so is follow-up slice 4.
    assert found.slices.indices in {(1, 2, 3, 4, 5, 6), (2, 3, 4, 5, 6, 7)}
    assert [m.follow_up for m in found.matched] == [2, 3, 4, 4, 5, 6]
    assert any("5.5 mm apart and 4.0 mm at baseline" in warning for warning in found.slices.warnings)


@pytest.mark.parametrize(
    ("degrees", "warned"), [(TILT_WARNING_DEGREES - 0.2, False), (TILT_WARNING_DEGREES + 0.2, True)]
)
def test_tilt_is_measured_between_the_slices_in_the_patient(joints: Joints, degrees: float, warned: bool) -> None:
    centre = joint_points_mm(joints).mean(axis=0)
    tilted = moved_geometry(joints.geometry, RigidTransform.about(centre, rotation_about(0, degrees), np.zeros(3)))
    found = match(joints, tilted)
    assert found.tilt_degrees == pytest.approx(degrees, abs=1e-3)
    assert any("tilted" in warning for warning in found.slices.warnings) is warned
    # Half of a joint 40 mm high is off the plane by its half height times the sine of the tilt.
    expected = 20 * np.sin(np.radians(degrees)) + max(abs(m.offset_mm) for m in found.matched)
    assert max(m.largest_offset_mm for m in found.matched) == pytest.approx(expected, rel=0.15)


def test_tilt_over_the_limit_is_unscorable(joints: Joints) -> None:
    centre = joint_points_mm(joints).mean(axis=0)
    motion = RigidTransform.about(centre, rotation_about(0, TILT_LIMIT_DEGREES + 0.5), np.zeros(3))
    with pytest.raises(UnscorableError, match="tilted by at most 15 degrees"):
        match(joints, moved_geometry(joints.geometry, motion))


def test_fewer_than_six_slices_at_follow_up(joints: Joints) -> None:
    with pytest.raises(TooFewSlicesError, match="found 5"):
        match(joints, replace(joints.geometry, shape=(5, *joints.geometry.shape[1:])))


def test_a_baseline_slice_without_joint_is_placed_by_the_other_slices(joints: Joints) -> None:
    short = Anatomy(slices=14, first=4, last=13, spacing_mm=(SPACING_MM, 2.0, 2.0))
    found = match(joints_of(short), along_normal(joints.geometry, 1))
    assert [m.follow_up for m in found.matched] == [2, 3, 4, 5, 6, 7]
    assert found.matched[0].offset_mm == pytest.approx(0, abs=0.1)


def test_starting_positions_align_the_joints(joints: Joints) -> None:
    motion = RigidTransform.about(np.array([5.0, 3.0, 10.0]), rotation_about(2, 14), np.array([30.0, -20.0, 15.0]))
    there = Joints(moved_geometry(joints.geometry, motion), {(j.slice_index, j.side): j for j in joints})
    points = joint_points_mm(joints)
    errors = [start.distance_mm(motion, points).max() for start in starting_positions(joints, there)]
    assert min(errors) < 0.01


def test_starting_positions_of_a_mirrored_follow_up(joints: Joints) -> None:
    """Reversed columns: the right joint is shown as the left one."""
    shifted = replace(joints.geometry, origin_mm=tuple(np.array(joints.geometry.origin_mm) + [8.0, 0.0, 0.0]))
    there = Joints(shifted, {(j.slice_index, j.side): j for j in joints})
    start = starting_positions(joints, there, mirrored=True)[2]
    # The anatomy of this test is symmetric, so reversing its columns changes nothing but the names of the sides.
    assert start.distance_mm(RigidTransform(translation_mm=(8.0, 0.0, 0.0)), joint_points_mm(joints)).max() < 2.1


def test_quality_of_a_perfect_and_of_a_shifted_alignment(joints: Joints) -> None:
    anatomy = BASELINE.tissue().anatomy
    perfect = alignment_quality(anatomy, joints, anatomy, joints, RigidTransform())
    assert perfect.joint_line_mm == pytest.approx(0, abs=1e-6)
    assert perfect.bone_overlap == 1.0
    shifted = alignment_quality(anatomy, joints, anatomy, joints, RigidTransform(translation_mm=(6.0, 0.0, 0.0)))
    assert shifted.joint_line_mm == pytest.approx(6.0, abs=0.3)
    assert shifted.bone_overlap < 0.9


def test_bones_count_each_with_its_own(joints: Joints) -> None:
    """A follow-up whose sides are named the other way overlaps in the sacrum only."""
    anatomy = BASELINE.tissue().anatomy
    swapped = anatomy.copy()
    swapped[anatomy == AnatomyLabel.RIGHT_ILIUM] = AnatomyLabel.LEFT_ILIUM
    swapped[anatomy == AnatomyLabel.LEFT_ILIUM] = AnatomyLabel.RIGHT_ILIUM
    quality = alignment_quality(anatomy, joints, swapped, joints, RigidTransform())
    assert quality.bone_overlap < 0.7


def believed(joint_line_mm: float = 1.0, overlap: float = 0.9, angle: float = 3.0, gain: float = 0.5) -> None:
    turn: FloatArray = rotation_about(1, angle)
    require_plausible(AlignmentQuality(joint_line_mm, overlap), RigidTransform.of(turn, np.zeros(3)), gain)


def test_a_good_alignment_is_accepted() -> None:
    believed(joint_line_mm=LARGEST_JOINT_LINE_MM, overlap=SMALLEST_BONE_OVERLAP, angle=29.9)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"joint_line_mm": 3.1}, "joint lines 3.1 mm apart"),
        ({"overlap": 0.79}, "bone overlap 0.79"),
        ({"angle": 31.0}, "a turn of 31 degrees"),
        ({"gain": -0.01}, "less mutual information"),
        ({"joint_line_mm": float("nan")}, "joint lines"),
    ],
)
def test_a_failed_alignment_is_an_error_that_names_what_failed(fault: dict[str, float], words: str) -> None:
    with pytest.raises(RegistrationError, match=words):
        believed(**fault)


def test_joint_points_are_on_the_joint_of_their_side(joints: Joints) -> None:
    for side, sign in ((Side.RIGHT, -1), (Side.LEFT, 1)):
        x = joint_points_mm(joints, side)[:, 0]
        middle = joint_points_mm(joints)[:, 0].mean()
        np.testing.assert_allclose(sign * (x - middle), BASELINE.joint_from_midline_mm, atol=0.8)
