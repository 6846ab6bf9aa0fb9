"""The items of a reading: a point for each quadrant, for intensity and for depth, joint by joint and slice by slice.

There: `ItemReading`, `ItemPlace`, `QUADRANTS`, `ITEMS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

QUADRANTS: Final = tuple(quadrant.value for quadrant in Quadrant)
ITEMS: Final = (*QUADRANTS, "intense", "deep")
"""Items of one joint on one slice, by their names in `score.json`."""

ITEMS_OF_A_READING: Final = SLICES_SCORED * len(Side) * len(ITEMS)


class ItemPlace(NamedTuple):
    """Where an item is: on which slice of the series (0-based, anterior to posterior), in which joint."""

    slice_index: int
    side: Side
    item: str


@dataclass(frozen=True)
class ItemReading:
    """The points of one reading of one visit.

    Parameters
    ----------
    reader : None: the machine
    points : 1, 0, or None where not evaluable
    adjudicator, repeat : as those of `Reading`
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
        """Every item of six slices is there, evaluable or not."""
        return len(self.points) == ITEMS_OF_A_READING
