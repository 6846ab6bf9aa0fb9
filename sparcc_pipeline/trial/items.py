"""Items of a reading: on each slice and joint, a point for each quadrant, for intensity and for depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices

QUADRANTS: Final = tuple(quadrant.value for quadrant in Quadrant)
ITEMS: Final = (*QUADRANTS, "intense", "deep")
"""Items of one joint on one slice, by their names in `score.json`."""

ITEMS_OF_A_READING: Final = SLICES_SCORED * len(Side) * len(ITEMS)
"""Items of six slices and two joints, 72."""


class ItemPlace(NamedTuple):
    """Place of an item: slice of the series (0-based, anterior to posterior), joint, and name of the item."""

    slice_index: int
    side: Side
    item: str


@dataclass(frozen=True)
class ItemReading:
    """The points of one reading of one visit.

    Parameters
    ----------
    reader : None for the machine
    points : 1, 0, or None where not evaluable
    adjudicator, repeat : as in `Reading`
    """

    participant: str
    visit: str
    reader: str | None
    points: Mapping[ItemPlace, int | None]
    adjudicator: bool = False
    repeat: int = 1

    @property
    def total(self) -> int:
        """Sum of the points."""
        return sum(point or 0 for point in self.points.values())

    @property
    def whole(self) -> bool:
        """True if all items of six slices are present, evaluable or not."""
        return len(self.points) == ITEMS_OF_A_READING


def as_score(points: Mapping[ItemPlace, int | None]) -> SparccScore:
    """Return the points of a reading as a score, for the rules that a score has, such as the ASAS definition.

    The six slices begin with the most anterior one that has a point; an item without a point is not evaluable.
    """
    first = min(place.slice_index for place in points)
    joints = tuple(
        JointSliceScore(
            position,
            side,
            {quadrant: points.get(ItemPlace(first + position, side, quadrant.value)) for quadrant in Quadrant},
            points.get(ItemPlace(first + position, side, "intense")),
            points.get(ItemPlace(first + position, side, "deep")),
            height_mm=None,
            depth_mm=None,
        )
        for position in range(SLICES_SCORED)
        for side in Side
    )
    return SparccScore(SixSlices(first, "user"), joints, None)
