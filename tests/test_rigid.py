"""Rigid motion of points, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcc_pipeline.rigid import RigidTransform, rotation_about, rotation_between

angles = st.floats(-60, 60)
millimetres = st.floats(-200, 200)
POINTS = np.array([[0.0, 0.0, 0.0], [10.0, -4.0, 30.0], [-55.0, 12.0, 7.0]])


def motion(pitch: float, turn: float, shift: tuple[float, float, float]) -> RigidTransform:
    rotation = rotation_about(0, pitch) @ rotation_about(2, turn)
    return RigidTransform.about(np.array([3.0, 5.0, -20.0]), rotation, np.array(shift))


@given(angles, angles, st.tuples(millimetres, millimetres, millimetres))
def test_inverse_undoes_and_lengths_stay(pitch: float, turn: float, shift: tuple[float, float, float]) -> None:
    move = motion(pitch, turn, shift)
    there = move.apply(POINTS)
    np.testing.assert_allclose(move.inverse().apply(there), POINTS, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(there[1] - there[2]), np.linalg.norm(POINTS[1] - POINTS[2]))


def test_after_is_one_motion_and_then_the_other() -> None:
    first, second = motion(10, 5, (1, 2, 3)), motion(-20, 30, (40, 0, -7))
    np.testing.assert_allclose(second.after(first).apply(POINTS), second.apply(first.apply(POINTS)), atol=1e-9)


def test_turning_about_each_axis_moves_the_others_by_the_right_hand_rule() -> None:
    x, y, z = np.eye(3)
    np.testing.assert_allclose(rotation_about(0, 90) @ y, z, atol=1e-12)
    np.testing.assert_allclose(rotation_about(1, 90) @ z, x, atol=1e-12)
    np.testing.assert_allclose(rotation_about(2, 90) @ x, y, atol=1e-12)


@given(angles)
def test_angle_is_the_angle_turned_by(angle: float) -> None:
    assert RigidTransform.of(rotation_about(1, angle), np.zeros(3)).angle_degrees == pytest.approx(abs(angle), abs=1e-6)


def test_a_turn_about_a_centre_leaves_the_centre() -> None:
    centre = np.array([12.0, -30.0, 8.0])
    move = RigidTransform.about(centre, rotation_about(0, 25), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(move.apply(centre[None])[0], centre + [1, 2, 3])


def test_rotation_between_turns_one_direction_into_the_other() -> None:
    a, b = np.array([3.0, 1.0, 0.5]), np.array([2.0, 2.0, -1.0])
    turned = rotation_between(a, b) @ (a / np.linalg.norm(a))
    np.testing.assert_allclose(turned, b / np.linalg.norm(b), atol=1e-12)


def test_distance_is_how_far_two_motions_part() -> None:
    shifted = RigidTransform(translation_mm=(0.0, 3.0, 4.0))
    np.testing.assert_allclose(RigidTransform().distance_mm(shifted, POINTS), 5.0)


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1.0, -1.0]), np.diag([1.0, 1.0, 1.1])], ids=["mirror", "scale"])
def test_a_matrix_that_is_no_rotation_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a rotation"):
        RigidTransform.of(matrix, np.zeros(3))
