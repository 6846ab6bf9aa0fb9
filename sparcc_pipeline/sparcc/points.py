"""Sums of points. An item is 0, 1, or None for not evaluable; None counts neither as a point nor as an item.

>>> points_given([1, 0, None, 1]), evaluable_items([1, 0, None, 1])
(2, 3)
>>> sum_of_changes([-1, None, 1, -1]), sum_of_changes([None, None])
(-1, None)
"""

from __future__ import annotations

from collections.abc import Iterable


def points_given(items: Iterable[int | None]) -> int:
    """Return the number of points among the items."""
    return sum(item or 0 for item in items)


def evaluable_items(items: Iterable[int | None]) -> int:
    """Return the number of items that could be evaluated."""
    return sum(item is not None for item in items)


def sum_of_changes(changes: Iterable[int | None]) -> int | None:
    """Return the sum of the changes that are known; None if none is."""
    known = [change for change in changes if change is not None]
    return sum(known) if known else None
