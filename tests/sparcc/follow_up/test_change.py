"""Change between two scores: signs, items that cannot be compared, published limits."""

from __future__ import annotations

import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.follow_up.alignment import MatchedSlice
from sparcc_pipeline.sparcc.follow_up.change import (
    MACHINE_DETECTABLE_CHANGE,
    SMALLEST_DETECTABLE_CHANGE,
    SMALLEST_IMPORTANT_CHANGE,
    probability_of_change,
    score_change,
)
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SixSlices

EMPTY: dict[Quadrant, int | None] = dict.fromkeys(Quadrant, 0)


def score(first: int, **joints: JointSliceScore) -> SparccScore:
    """A score of 0 with the joint-slices given as right0, left3 ..."""
    twelve = tuple(
        joints.get(f"{side.value}{position}", JointSliceScore(position, side, EMPTY, 0, 0, 40.0, 0.0))
        for position in range(6)
        for side in Side
    )
    return SparccScore(SixSlices(first, "transitional slice"), twelve, None)


def joint(position: int, side: Side, *quadrants: Quadrant, intense: int = 0, deep: int = 0) -> JointSliceScore:
    edema: dict[Quadrant, int | None] = {q: int(q in quadrants) for q in Quadrant}
    return JointSliceScore(position, side, edema, intense, deep, 40.0, 5.0)


def matched(first_baseline: int, first_follow_up: int, missing: tuple[int, ...] = ()) -> list[MatchedSlice]:
    return [
        MatchedSlice(first_baseline + i, None if i in missing else first_follow_up + i, 3.0, 0.1, 0.5) for i in range(6)
    ]


def test_the_limits_are_those_of_the_literature() -> None:
    assert SMALLEST_IMPORTANT_CHANGE == 2.5  # Maksymowych 2012
    assert SMALLEST_DETECTABLE_CHANGE == 3.4  # SPACE cohort
    assert MACHINE_DETECTABLE_CHANGE == 6.4  # docs/figures.md


def test_change_is_follow_up_minus_baseline_item_by_item() -> None:
    before = score(5, right2=joint(2, Side.RIGHT, Quadrant.UPPER_ILIAC, Quadrant.LOWER_SACRAL, intense=1, deep=1))
    after = score(
        8, right2=joint(2, Side.RIGHT, Quadrant.UPPER_ILIAC), left4=joint(4, Side.LEFT, Quadrant.UPPER_SACRAL)
    )
    change = score_change(before, after, matched(5, 8))
    assert (change.total, change.edema, change.intensity, change.depth) == (-2, 0, -1, -1)
    right, left = (
        next(j for j in change.joints if (j.slice, j.side) == key) for key in ((2, Side.RIGHT), (4, Side.LEFT))
    )
    assert right.edema == {
        Quadrant.UPPER_ILIAC: 0,
        Quadrant.LOWER_ILIAC: 0,
        Quadrant.UPPER_SACRAL: 0,
        Quadrant.LOWER_SACRAL: -1,
    }
    assert (right.intense, right.deep, right.points, left.points) == (-1, -1, -3, 1)
    assert (change.common_total, change.common_items) == (-2, 72)


def test_items_that_one_visit_cannot_evaluate_have_no_change() -> None:
    unseen = JointSliceScore(0, Side.LEFT, dict.fromkeys(Quadrant), None, None, None, None)
    before = score(5, left0=joint(0, Side.LEFT, Quadrant.UPPER_ILIAC))
    change = score_change(before, score(5, left0=unseen), matched(5, 5))
    left = next(j for j in change.joints if (j.slice, j.side) == (0, Side.LEFT))
    assert left.items == (None,) * 6
    assert (change.total, change.common_total, change.common_items) == (-1, 0, 66)


def test_a_baseline_slice_that_the_follow_up_misses_has_no_change() -> None:
    change = score_change(score(5), score(5), matched(5, 5, missing=(0,)))
    assert change.common_items == 60
    assert all(j.items == (None,) * 6 for j in change.joints if j.slice == 0)


def test_slices_are_compared_with_their_partner_and_not_by_their_number() -> None:
    """The follow-up begins one slice late: baseline slice 1 is its slice 0."""
    before = score(3, right1=joint(1, Side.RIGHT, Quadrant.UPPER_ILIAC))
    after = score(0, right0=joint(0, Side.RIGHT, Quadrant.UPPER_ILIAC))
    pairs = [MatchedSlice(3, None, 0, -3, 3), *(MatchedSlice(3 + i, i - 1, 3, 0, 1) for i in range(1, 6))]
    assert {j.points for j in score_change(before, after, pairs).joints} == {0}


@pytest.mark.parametrize(
    ("points", "important", "detectable"), [(2, False, False), (3, True, False), (6, True, False), (7, True, True)]
)
def test_three_points_are_important_and_seven_of_the_machine_detectable(
    points: int, important: bool, detectable: bool
) -> None:
    right, left = list(Quadrant)[:points], list(Quadrant)[: max(0, points - 4)]
    before = score(5, right3=joint(3, Side.RIGHT, *right), left3=joint(3, Side.LEFT, *left))
    after = score(5)
    for change in (score_change(before, after, matched(5, 5)), score_change(after, before, matched(5, 5))):
        assert (abs(change.total), change.important, change.detectable) == (points, important, detectable)


def test_probability_of_change_is_that_of_the_normal_distribution() -> None:
    # Both standard deviations 1, difference sqrt(2): one standard deviation of the difference, 84.1 %.
    interval = (8 - 1.6449, 8 + 1.6449)
    assert probability_of_change(interval, interval, 2**0.5) == pytest.approx(0.8413, abs=1e-4)
    assert probability_of_change(interval, interval, 0) == 0.5
    assert probability_of_change((5, 5), (5, 5), -1) == 1.0
