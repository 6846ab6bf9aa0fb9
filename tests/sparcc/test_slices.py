"""The transitional slice and the six that end with it."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.errors import TooFewSlicesError
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.slices import choose_six_slices, find_transitional_slice, six_slices_from_user

from .builders import geometry_of, straight_joint


def joints_on(count: int, right: range, left: range) -> Joints:
    """Joints visible on these slices of a stack of `count`."""
    joint = straight_joint()
    found: dict[tuple[int, Side], JointSlice] = {(k, Side.RIGHT): joint for k in right}
    found |= {(k, Side.LEFT): joint for k in left}
    return Joints(geometry_of((count, 60, 90), (4.0, 1.0, 1.0)), found)


def step_at(count: int, index: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Certain probabilities: 0 before `index`, 1 from it on."""
    return (np.arange(count) >= index).astype(np.float32)


@pytest.mark.parametrize(
    ("probabilities", "transitional"),
    [
        ([0, 0, 0, 0, 0, 0, 1, 1, 1, 1], 6),
        # One doubtful slice, too early or too late, does not move the step.
        ([0, 0, 0.9, 0, 0, 0.1, 0.9, 0.9, 0.9, 1], 6),
        ([0.1, 0.1, 0.2, 0.1, 0.3, 0.7, 0.9, 0.2, 0.9, 0.9], 5),
        ([0.1, 0.45, 0.3, 0.48, 0.4, 0.6, 0.55, 0.7, 0.9, 0.8], 5),
        ([0, 0, 0, 0, 0, 0, 0.49, 0.51, 1, 1], 7),
    ],
)
def test_the_transitional_slice_is_the_most_likely_single_step(probabilities: list[float], transitional: int) -> None:
    assert find_transitional_slice(np.array(probabilities, dtype=np.float32), tuple(range(10))) == transitional


def test_only_slices_with_a_joint_are_looked_at() -> None:
    # The network may give any value on slices without a joint, such as buttocks behind the sacrum.
    probabilities = np.array([1, 1, 1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.9, 0.9, 0, 0], dtype=np.float32)

    assert find_transitional_slice(probabilities, tuple(range(3, 10))) == 8


def test_a_ligamentous_part_that_never_shows_makes_the_last_joint_slice_the_anchor() -> None:
    assert find_transitional_slice(np.zeros(12, dtype=np.float32), tuple(range(2, 10))) == 9


def test_a_ligamentous_part_that_shows_from_the_start() -> None:
    assert find_transitional_slice(np.ones(12, dtype=np.float32), tuple(range(2, 10))) == 2


def test_certain_mistakes_weigh_no_more_than_their_number() -> None:
    # Exactly 0 and 1 must not become infinite evidence.
    probabilities = np.array([0, 0, 1, 0, 0, 0, 1, 1, 1, 1], dtype=np.float32)

    assert find_transitional_slice(probabilities, tuple(range(10))) == 6


def test_the_six_end_with_the_transitional_slice() -> None:
    six = choose_six_slices(joints_on(14, range(2, 12), range(2, 12)), step_at(14, 9))

    assert six.indices == (4, 5, 6, 7, 8, 9)
    assert six.transitional_slice == 9
    assert six.chosen_by == "transitional slice"
    assert six.warnings == ()


def test_a_joint_on_one_side_is_enough_for_a_slice_to_count() -> None:
    six = choose_six_slices(joints_on(14, range(5, 8), range(3, 12)), step_at(14, 10))

    assert six.transitional_slice == 10


@pytest.mark.parametrize(("transitional", "first", "warned"), [(5, 0, False), (4, 0, True), (2, 0, True)])
def test_a_stack_that_begins_too_late(transitional: int, first: int, warned: bool) -> None:
    six = choose_six_slices(joints_on(9, range(9), range(9)), step_at(9, transitional))

    assert six.first == first
    assert len(six.indices) == 6
    assert bool(six.warnings) is warned
    if warned:
        assert f"only {transitional} slices lie anterior to it" in six.warnings[0]


def test_fewer_than_six_slices_cannot_be_scored() -> None:
    with pytest.raises(TooFewSlicesError, match="at least 6 slices, found 5"):
        choose_six_slices(joints_on(5, range(5), range(5)), step_at(5, 4))


def test_the_slices_of_the_user() -> None:
    six = six_slices_from_user(3, 8, joints_on(9, range(9), range(9)))

    assert six.indices == (3, 4, 5, 6, 7, 8)
    assert six.chosen_by == "user"


@pytest.mark.parametrize(("first", "last"), [(3, 7), (3, 9), (-1, 4), (8, 3), (4, 9)])
def test_slices_of_the_user_that_are_not_six_of_the_stack(first: int, last: int) -> None:
    with pytest.raises(TooFewSlicesError, match=f"between 1 and 9, found {first + 1}-{last + 1}"):
        six_slices_from_user(first, last, joints_on(9, range(9), range(9)))
