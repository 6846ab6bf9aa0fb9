"""Pair studies with readings, and leave out what cannot be compared.

Contents: `Material`, `pair_material`. Readings without a study, totals that contradict their items, readings of other
slices, one reader under two names, and readings that repeat the machine are left out, each with a query.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.validation.material.doubts import same_readers
from sparcc_pipeline.app.validation.material.readings import ItemRows, ReadingKey, ReadingTables, TotalRow
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.points import evaluable_items
from sparcc_pipeline.trial.items import ITEMS_OF_A_READING, ItemReading, as_score
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import DataQuery, QueryKind


@dataclass(frozen=True)
class Material:
    """Scored studies with their readings; every reading has its study.

    Parameters
    ----------
    readings : totals; a reading with items alone has the sum of its items
    items : points of the readings that have them, the machine's left out
    """

    studies: Mapping[StudyKey, ScoredStudy]
    readings: Sequence[Reading]
    items: Sequence[ItemReading]
    queries: Sequence[DataQuery]

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """The readers, adjudicators included."""
        return tuple(sorted({reading.reader for reading in self.readings}))

    @cached_property
    def by_study(self) -> dict[StudyKey, tuple[Reading, ...]]:
        """The readings that compare readers: the first of each reader, without third readings, by study."""
        found: dict[StudyKey, list[Reading]] = defaultdict(list)
        for reading in self.readings:
            if not reading.adjudicator and reading.repeat == 1 and reading.total is not None:
                found[StudyKey(reading.participant, reading.visit)].append(reading)
        return {key: tuple(sorted(readings, key=lambda each: each.reader)) for key, readings in found.items()}

    def mean_total(self, key: StudyKey) -> float | None:
        """Return the mean of the readers' totals of a study; None without one."""
        totals = [reading.total for reading in self.by_study.get(key, ()) if reading.total is not None]
        return sum(totals) / len(totals) if totals else None

    def of(self, keys: Sequence[StudyKey] | set[StudyKey]) -> Material:
        """Return the material of some studies."""
        wanted = set(keys)
        return Material(
            {key: study for key, study in self.studies.items() if key in wanted},
            [each for each in self.readings if (each.participant, each.visit) in wanted],
            [each for each in self.items if (each.participant, each.visit) in wanted],
            (),
        )


def pair_material(studies: Sequence[ScoredStudy], tables: ReadingTables, queries: Queries) -> Material:
    """Return the readings with their studies; everything that is left out becomes a query."""
    known = {study.key: study for study in studies}
    keys = list(dict.fromkeys((*tables.totals, *tables.items)))
    _ask_about_unpaired(known, keys, tables, queries)
    readings: dict[ReadingKey, Reading] = {}
    items: dict[ReadingKey, ItemReading] = {}
    for key in (key for key in keys if key.study in known):
        total, points = tables.totals.get(key), tables.items.get(key)
        if points is not None and not _is_of_these_slices(points, known[key.study], queries):
            points = None
            if total is None:
                continue
        if points is not None and total is not None and not _agree(total, points, key, queries):
            points = None
        readings[key] = _reading(key, total, points)
        if points is not None:
            items[key] = ItemReading(*key.study, key.reader, points.points, points.adjudicator, key.repeat)
    _ask_about_totals_alone(readings, items, queries)
    left_out = same_readers(readings, items, known, queries)
    return Material(
        known,
        [reading for key, reading in readings.items() if key.reader not in left_out],
        [reading for key, reading in items.items() if key.reader not in left_out],
        tuple(queries),
    )


def _reading(key: ReadingKey, total: TotalRow | None, items: ItemRows | None) -> Reading:
    if total is not None:
        value, adjudicator, positive = total.total, total.adjudicator, total.asas_positive
    else:
        assert items is not None
        evaluable = evaluable_items(items.points.values()) > 0
        value = float(sum(point or 0 for point in items.points.values())) if evaluable else None
        adjudicator, positive = items.adjudicator, None
    if positive is None and items is not None and value is not None:
        positive = as_score(items.points).asas_positive
    return Reading(*key.study, key.reader, value, True, adjudicator, positive, key.repeat)


def _agree(total: TotalRow, items: ItemRows, key: ReadingKey, queries: Queries) -> bool:
    """Return False, with a query, if the items do not add up to the total."""
    summed = sum(point or 0 for point in items.points.values())
    whole = len(items.points) == ITEMS_OF_A_READING
    if total.total is None or summed == total.total or (not whole and summed < total.total):
        return True
    _ask(
        items.row,
        queries,
        QueryKind.IMPLAUSIBLE,
        Message("points that add up to the total of {reader}, {total:g}", reader=key.reader, total=total.total),
        Message("a sum of {total}", total=summed),
        Message("export readings and items at the same time; these items do not count, the total does"),
    )
    return False


def _is_of_these_slices(items: ItemRows, study: ScoredStudy, queries: Queries) -> bool:
    """Return False, with a query, for items of slices that the series lacks, or that share none with the machine's."""
    read = {place.slice_index for place in items.points}
    machine = {place.slice_index for place in study.items.points}
    slices = study.acquisition.slices
    if slices is not None and max(read) >= slices:
        found = Message("slice {slice} of a series of {slices}", slice=max(read), slices=slices)
    elif not read & machine:
        found = Message(
            "slices {first}-{last}, none of them among the machine's {machine_first}-{machine_last}",
            first=min(read),
            last=max(read),
            machine_first=min(machine),
            machine_last=max(machine),
        )
    else:
        return True
    _ask(
        items.row,
        queries,
        QueryKind.IMPLAUSIBLE,
        Message("items on slices of the series that was scored"),
        found,
        Message("check the series, and that slices are counted from 0 at the most anterior one; they do not count"),
    )
    return False


def _ask_about_unpaired(
    known: Mapping[StudyKey, ScoredStudy], keys: Sequence[ReadingKey], tables: ReadingTables, queries: Queries
) -> None:
    """Ask about studies without a reading, and once about the study of readings that is missing."""
    for key in dict.fromkeys(key.study for key in keys if key.study not in known):
        reading = next(each for each in keys if each.study == key)
        row = tables.totals[reading].row if reading in tables.totals else tables.items[reading].row
        _ask(
            row,
            queries,
            QueryKind.MISSING,
            Message("a scored study of each reading"),
            Message("none of this participant and visit"),
            Message("add it to the list of studies; its readings do not count"),
        )
    read = {key.study for key in keys}
    for study in (study for key, study in known.items() if key not in read):
        _ask(
            study.row.row,
            queries,
            QueryKind.MISSING,
            Message("a reading of each study"),
            Message("none of this participant and visit"),
            Message("give its readings, or take the study off the list; it does not count"),
        )


def _ask_about_totals_alone(
    readings: Mapping[ReadingKey, Reading], items: Mapping[ReadingKey, ItemReading], queries: Queries
) -> None:
    alone = sum(key not in items for key in readings)
    if alone:
        expected, found = Message("items of each reading"), Message("totals alone of {count} readings", count=alone)
        remedy = Message("give the items: totals alone show no quadrant, slice or cause of a difference")
        queries.append(DataQuery(QueryKind.MISSING, "", None, None, None, None, expected, found, remedy, "nothing"))


def _ask(
    row: CheckedRow, queries: Queries, kind: QueryKind, expected: Message, found: Message, remedy: Message
) -> None:
    visit = row.values.get("visit")
    queries.ask(kind, row, None, expected, found, remedy, left_out="row", visit=None if visit is None else str(visit))
