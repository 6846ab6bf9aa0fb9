"""An item that is not evaluable is neither a point nor an item, and never 0."""

from __future__ import annotations

import doctest

from sparcc_pipeline.sparcc import points
from sparcc_pipeline.sparcc.points import evaluable_items, points_given, sum_of_changes


def test_what_is_not_evaluable_adds_nothing() -> None:
    assert points_given([1, None, 0, 1]) == 2
    assert evaluable_items([1, None, 0, 1]) == 3
    assert (points_given([None]), evaluable_items([None])) == (0, 0)


def test_a_change_that_is_nowhere_known_is_no_0() -> None:
    assert sum_of_changes([None, None]) is None
    assert sum_of_changes([None, 1, -1]) == 0


def test_the_examples_are_right() -> None:
    assert doctest.testmod(points).attempted > 0 == doctest.testmod(points).failed
