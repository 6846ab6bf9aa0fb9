"""New and worsened lesions between two readings of one reader.

A lesion is a connected piece of edema of one bone: upper and lower quadrant of the same slice, and the same quadrant of
the next slice, are one. A new lesion has edema only in quadrants without edema before. A joint on one slice is worsened
if it had edema before and gains the point for intensity or for depth; neighboring slices of a joint are one worsened
lesion. Decision of this project: the source counts lesions and gives no rule for scores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.trial.items import QUADRANTS, ItemPlace

Points = Mapping[ItemPlace, int | None]


class _Spot(NamedTuple):
    """A quadrant: position among the six slices, joint, bone, and True for the upper half."""

    position: int
    side: Side
    bone: str
    upper: bool


def new_or_worsened(earlier: Points, now: Points) -> int:
    """Return the number of new and worsened lesions.

    Slices are compared by their order among the six, because a follow-up is another series. Items that one reading
    could not evaluate do not count.

    Examples
    --------
    A new lesion that crosses the middle of the joint, and another one of the sacrum:

    >>> names = [ItemPlace(4, Side.LEFT, name) for name in QUADRANTS]
    >>> before = dict.fromkeys(names, 0)
    >>> new_or_worsened(before, {**before, names[0]: 1, names[1]: 1, names[2]: 1})
    2
    """
    before, after = _by_position(earlier), _by_position(now)
    gained = {place for place, point in after.items() if point == 1 and before.get(place) == 0}
    spots = {_spot(place) for place in gained if place.item in QUADRANTS}
    old = {_spot(place) for place, point in before.items() if point == 1 and place.item in QUADRANTS}
    new = [piece for piece in _pieces(spots) if not any(_touch(spot, other) for spot in piece for other in old)]
    had_edema = {(spot.position, spot.side) for spot in old}
    worse = {
        _Spot(place.slice_index, place.side, "", True)
        for place in gained
        if place.item not in QUADRANTS and (place.slice_index, place.side) in had_edema
    }
    return len(new) + len(_pieces(worse))


def _by_position(points: Points) -> dict[ItemPlace, int | None]:
    order = {index: position for position, index in enumerate(sorted({place.slice_index for place in points}))}
    return {ItemPlace(order[place.slice_index], place.side, place.item): point for place, point in points.items()}


def _spot(place: ItemPlace) -> _Spot:
    quadrant = Quadrant(place.item)
    return _Spot(place.slice_index, place.side, quadrant.bone.value, quadrant.value.startswith("upper"))


def _touch(a: _Spot, b: _Spot) -> bool:
    if (a.side, a.bone) != (b.side, b.bone):
        return False
    return a.position == b.position or (a.upper == b.upper and abs(a.position - b.position) == 1)


def _pieces(spots: Collection[_Spot]) -> list[set[_Spot]]:
    """Connected groups of spots."""
    left, pieces = set(spots), []
    while left:
        piece, edge = set(), [left.pop()]
        while edge:
            here = edge.pop()
            piece.add(here)
            near = {spot for spot in left if _touch(here, spot)}
            left -= near
            edge += near
        pieces.append(piece)
    return pieces
