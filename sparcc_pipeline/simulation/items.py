"""Items of the readings and scores of a simulated trial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.simulation.images import Points
from sparcc_pipeline.simulation.readings import AGAIN, MACHINE
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.trial.protocol.definition import Protocol

FIRST_SLICE: Final = 3
"""Index in the series of the most anterior of the six slices; an arbitrary choice."""


def simulated_items(trial: SimulatedTrial, protocol: Protocol) -> Iterator[ItemReading]:
    """Yield the items of every reading and score of randomised participants that has a total."""
    rows = {name: number for number, name in enumerate(trial.randomised)}
    columns = {visit.visit: number for number, visit in enumerate(protocol.visits)}
    for reading in trial.data.readings:
        if reading.participant in rows and reading.total is not None:
            seen = trial.points[AGAIN if reading.repeat > 1 else reading.reader]
            points = item_points(seen, rows[reading.participant], columns[reading.visit])
            yield ItemReading(
                reading.participant, reading.visit, reading.reader, points, reading.adjudicator, reading.repeat
            )
    for score in trial.data.scores:
        if score.participant in rows and score.total is not None:
            points = item_points(trial.points[MACHINE], rows[score.participant], columns[score.visit])
            yield ItemReading(score.participant, score.visit, None, points)


def item_points(seen: Points, participant: int, visit: int) -> dict[ItemPlace, int | None]:
    """Return the points of one participant (row of `seen`) at one visit (column), by place."""
    edema, intense, deep = (each[participant, visit] for each in (seen.edema, seen.intense, seen.deep))
    points: dict[ItemPlace, int | None] = {}
    for k in range(SLICES_SCORED):
        for s, side in enumerate(Side):
            index = FIRST_SLICE + k
            points |= {ItemPlace(index, side, q.value): int(edema[k, s, n]) for n, q in enumerate(Quadrant)}
            points[ItemPlace(index, side, "intense")] = int(intense[k, s])
            points[ItemPlace(index, side, "deep")] = int(deep[k, s])
    return points
