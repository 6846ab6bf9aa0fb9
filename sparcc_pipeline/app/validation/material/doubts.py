"""Readings that are not independent: one reader under two names, or a reader who repeats the machine.

Contents: `same_readers`. Two people never give the same 72 points study after study.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Final

from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.material.readings import ReadingKey
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import DataQuery, QueryKind

FEWEST_ALIKE: Final = 3
"""Studies with points that must agree in every item before two readers are taken for one (decision of this project)."""

FEWEST_TOTALS_ALIKE: Final = 10
"""The same for totals alone, which agree by chance more often."""

_Points = Mapping[ItemPlace, int | None]


def same_readers(
    readings: Mapping[ReadingKey, Reading],
    items: Mapping[ReadingKey, ItemReading],
    studies: Mapping[StudyKey, ScoredStudy],
    queries: Queries,
) -> set[str]:
    """Return the readers who do not count, each with a query: the second name of one, and copies of the machine."""
    points: dict[str, dict[StudyKey, _Points]] = defaultdict(dict)
    totals: dict[str, dict[StudyKey, float | None]] = defaultdict(dict)
    for key, reading in items.items():
        if key.repeat == 1:
            points[key.reader][key.study] = reading.points
    for key, total in readings.items():
        if key.repeat == 1:
            totals[key.reader][key.study] = total.total
    machine = {key: study.items.points for key, study in studies.items()}
    left_out: set[str] = set()
    for reader in sorted(points):
        if _alike(points[reader], machine):
            left_out.add(reader)
            _ask_about_machine(reader, queries)
    for first, second in combinations(sorted(totals), 2):
        if left_out & {first, second}:
            continue
        with_items = points.get(first, {}).keys() & points.get(second, {}).keys()
        same = _alike(points[first], points[second]) if with_items else _alike_totals(totals[first], totals[second])
        if same:
            left_out.add(second)
            _ask_about_names(first, second, queries)
    return left_out


def _alike(first: Mapping[StudyKey, _Points], second: Mapping[StudyKey, _Points]) -> bool:
    """Return True if all shared studies have the same points, and enough of them have any."""
    shared = [key for key in first if key in second]
    given = sum(any(first[key].values()) for key in shared)
    return given >= FEWEST_ALIKE and all(first[key] == second[key] for key in shared)


def _alike_totals(first: Mapping[StudyKey, float | None], second: Mapping[StudyKey, float | None]) -> bool:
    shared = [key for key in first if key in second]
    given = sum(bool(first[key]) for key in shared)
    return given >= FEWEST_TOTALS_ALIKE and all(first[key] == second[key] for key in shared)


def _ask_about_names(first: str, second: str, queries: Queries) -> None:
    queries.append(
        DataQuery(
            QueryKind.DUPLICATE,
            "",
            None,
            "reader",
            None,
            None,
            Message("readers who read apart"),
            Message("{second} with every point of {first}", second=second, first=first),
            Message("give one reader one name; {second} does not count", second=second),
            "row",
        )
    )


def _ask_about_machine(reader: str, queries: Queries) -> None:
    queries.append(
        DataQuery(
            QueryKind.NOT_ALLOWED,
            "",
            None,
            "reader",
            None,
            None,
            Message("readings made without the machine's result"),
            Message("every point of the machine in the readings of {reader}", reader=reader),
            Message("give readings made before the machine's result was seen; {reader} does not count", reader=reader),
            "row",
        )
    )
