"""Depth: homogeneous edema in contact with the articular surface that reaches 10 mm, perpendicular to it."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Bone, Side
from sparcc_pipeline.sparcc.depth import depth_point, edema_depth_mm
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import Float32Array

from .builders import THRESHOLD, joint_coordinates, straight_joint

SHAPE = (80, 110)
SPACINGS = [(1.0, 1.0), (0.6, 0.6), (1.1, 0.5), (0.5, 1.1)]


def band(
    joint: JointSlice,
    spacing_mm: tuple[float, float],
    from_mm: float,
    to_mm: float,
    half_length_mm: float = 8.0,
    bone: Bone = Bone.ILIUM,
) -> Float32Array:
    """Probability 1 between two depths, falling linearly through the threshold exactly at them; 0 in the other bone."""
    along, into_ilium = joint_coordinates(joint, spacing_mm, SHAPE)
    depth = into_ilium if bone is Bone.ILIUM else -into_ilium
    margin = to_mm - depth if from_mm == 0 else np.minimum(to_mm - depth, depth - from_mm)
    soft = np.clip(THRESHOLD + margin / (4 * max(spacing_mm)), 0, 1)
    return np.where((np.abs(along) <= half_length_mm) & (depth > 0), soft, 0.0).astype(np.float32)


def depth_of(joint: JointSlice, probability: Float32Array, spacing_mm: tuple[float, float]) -> float:
    return edema_depth_mm(joint, probability, THRESHOLD, spacing_mm)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 25.0, -25.0])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("bone", Bone)
@pytest.mark.parametrize(("to_mm", "point"), [(9.8, 0), (10.2, 1)])
def test_ten_millimetres_decide_in_every_direction(
    spacing_mm: tuple[float, float], tilt_degrees: float, side: Side, bone: Bone, to_mm: float, point: int
) -> None:
    joint = straight_joint(spacing_mm, tilt_degrees, side=side, shape=SHAPE)

    found = depth_of(joint, band(joint, spacing_mm, 0.0, to_mm, bone=bone), spacing_mm)

    assert found == pytest.approx(to_mm, abs=0.15)
    assert depth_point(found) == point


@pytest.mark.parametrize(("to_mm", "point"), [(9.9, 0), (10.1, 1)])
@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 25.0])
def test_a_tenth_of_a_millimetre_decides(
    spacing_mm: tuple[float, float], tilt_degrees: float, to_mm: float, point: int
) -> None:
    joint = straight_joint(spacing_mm, tilt_degrees, shape=SHAPE)

    assert depth_point(depth_of(joint, band(joint, spacing_mm, 0.0, to_mm), spacing_mm)) == point


@pytest.mark.parametrize(("depth_mm", "point"), [(0.0, 0), (9.9, 0), (10.0, 1), (10.1, 1)])
def test_the_limit_itself_is_deep(depth_mm: float, point: int) -> None:
    assert depth_point(depth_mm) == point


@pytest.mark.parametrize("tilt_degrees", [0.0, 25.0])
@pytest.mark.parametrize(("from_mm", "depth_mm"), [(2.0, 14.0), (2.7, 14.0), (3.3, 0.0), (4.0, 0.0)])
def test_a_lesion_away_from_the_surface_is_not_deep(tilt_degrees: float, from_mm: float, depth_mm: float) -> None:
    spacing_mm = (0.6, 0.6)
    joint = straight_joint(spacing_mm, tilt_degrees, shape=SHAPE)

    assert depth_of(joint, band(joint, spacing_mm, from_mm, 14.0), spacing_mm) == pytest.approx(depth_mm, abs=0.15)


@pytest.mark.parametrize("spacing_mm", [(0.6, 0.6), (0.9, 0.5)])
def test_a_gap_ends_the_depth(spacing_mm: tuple[float, float]) -> None:
    joint = straight_joint(spacing_mm, shape=SHAPE)
    _, depth = joint_coordinates(joint, spacing_mm, SHAPE)
    probability = np.where((depth > 7.0) & (depth < 9.0), 0.0, band(joint, spacing_mm, 0.0, 14.0)).astype(np.float32)

    found = depth_of(joint, probability, spacing_mm)

    assert 6.0 < found < 7.6
    assert depth_point(found) == 0


def test_a_weak_stretch_is_no_gap_while_it_stays_over_the_threshold() -> None:
    joint = straight_joint(shape=SHAPE)
    _, depth = joint_coordinates(joint, (1.0, 1.0), SHAPE)
    weak = np.where((depth > 5.0) & (depth < 9.0), 0.55, band(joint, (1.0, 1.0), 0.0, 12.0)).astype(np.float32)

    assert depth_of(joint, weak, (1.0, 1.0)) == pytest.approx(12.0, abs=0.15)


@pytest.mark.parametrize(("half_length_mm", "depth_mm"), [(0.5, 5.0), (2.0, 14.0)])
def test_a_spike_thinner_than_two_millimetres_is_noise(half_length_mm: float, depth_mm: float) -> None:
    spacing_mm = (0.4, 0.4)
    joint = straight_joint(spacing_mm, shape=(120, 150))
    along, depth = joint_coordinates(joint, spacing_mm, (120, 150))
    lesion = (np.abs(along) <= 10) & (depth > 0) & (depth <= 5)
    spike = (np.abs(along) <= half_length_mm) & (depth > 0) & (depth <= 14)

    found = edema_depth_mm(joint, (lesion | spike).astype(np.float32), THRESHOLD, spacing_mm)

    assert found == pytest.approx(depth_mm, abs=0.4)


def test_length_along_the_joint_is_not_depth() -> None:
    joint = straight_joint(shape=SHAPE)

    assert depth_of(joint, band(joint, (1.0, 1.0), 0.0, 6.0, half_length_mm=18.0), (1.0, 1.0)) == pytest.approx(
        6.0, abs=0.15
    )


def test_the_two_bones_are_not_added() -> None:
    joint = straight_joint(shape=SHAPE)
    both = band(joint, (1.0, 1.0), 0.0, 6.0) + band(joint, (1.0, 1.0), 0.0, 7.0, bone=Bone.SACRUM)

    assert depth_of(joint, both, (1.0, 1.0)) == pytest.approx(7.0, abs=0.15)


def test_the_threshold_belongs_to_the_model() -> None:
    joint = straight_joint(shape=SHAPE)
    faint = np.float32(0.4) * band(joint, (1.0, 1.0), 0.0, 14.0)

    assert edema_depth_mm(joint, faint, 0.5, (1.0, 1.0)) == 0.0
    assert edema_depth_mm(joint, faint, 0.2, (1.0, 1.0)) == pytest.approx(14.0, abs=0.15)


def test_no_edema_has_no_depth() -> None:
    assert depth_of(straight_joint(shape=SHAPE), np.zeros(SHAPE, dtype=np.float32), (1.0, 1.0)) == 0.0
