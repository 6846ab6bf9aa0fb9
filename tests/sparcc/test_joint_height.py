"""The visible height of a joint: which levels are scored, and what belongs to them."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Bone, Level, Quadrant, Side
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.joint_height import scored_levels

from .builders import geometry_of, straight_joint

BOTH, UPPER, LOWER, NONE = tuple(Level), (Level.UPPER,), (Level.LOWER,), ()


@pytest.mark.parametrize(
    ("heights_mm", "levels"),
    [
        ([], []),
        ([0.0, 9.5, 10.0], [NONE, NONE, NONE]),
        # In front of the first 3 cm, and between slices that show 3 cm: all of it upper.
        ([10.1, 29.9, 30.0, 31.0], [UPPER, UPPER, BOTH, BOTH]),
        ([35.0, 28.0, 35.0], [BOTH, UPPER, BOTH]),
        # Behind the last 3 cm: all of it lower.
        ([20.0, 35.0, 29.9, 10.1, 10.0], [UPPER, BOTH, LOWER, LOWER, NONE]),
        # No slice shows 3 cm.
        ([20.0, 28.0, 20.0], [UPPER, UPPER, UPPER]),
    ],
)
def test_the_heights_decide_which_levels_are_scored(heights_mm: list[float], levels: list[tuple[Level, ...]]) -> None:
    assert list(scored_levels(heights_mm)) == levels


def test_each_side_has_a_last_slice_of_its_own() -> None:
    heights = {Side.RIGHT: (20.0, 40.0, 20.0), Side.LEFT: (20.0, 20.0, 40.0)}
    joints = Joints(
        geometry_of((3, 60, 90), (4.0, 1.0, 1.0)),
        {
            (k, side): straight_joint(height_mm=height, side=side, slice_index=k)
            for side, of_side in heights.items()
            for k, height in enumerate(of_side)
        },
    )

    found = {side: [joint.levels for k in range(3) if (joint := joints.at(k, side))] for side in Side}

    assert found == {Side.RIGHT: [UPPER, BOTH, LOWER], Side.LEFT: [UPPER, UPPER, BOTH]}


@pytest.mark.parametrize("levels", [UPPER, LOWER])
def test_a_joint_with_one_level_is_not_divided(levels: tuple[Level, ...]) -> None:
    joint = straight_joint()
    undivided = joint.at_levels(levels)

    for bone in Bone:
        halves = [mask for quadrant, mask in joint.quadrants.items() if quadrant.bone is bone]
        for quadrant in (q for q in Quadrant if q.bone is bone):
            whole = np.logical_or(*halves) if quadrant.level in levels else np.zeros_like(halves[0])
            np.testing.assert_array_equal(undivided.quadrants[quadrant], whole)
    assert (joint.divided, undivided.divided) == (True, False)
    assert len(undivided.evaluable) == 2


def test_a_joint_keeps_all_of_its_marrow_when_its_level_changes() -> None:
    once = straight_joint().at_levels(UPPER)
    twice = once.at_levels(LOWER)

    np.testing.assert_array_equal(twice.quadrants[Quadrant.LOWER_ILIAC], once.quadrants[Quadrant.UPPER_ILIAC])
