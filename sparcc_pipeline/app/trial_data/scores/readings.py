"""Read the readers' totals and the items of each total.

Contents: `read_readings`, `read_items`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.spelling import Readers, likeness
from sparcc_pipeline.app.trial_data.read.visit_names import known_visit
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.items import ITEMS_OF_A_READING, ItemPlace, ItemReading
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import QueryKind

REVISED: Final = "revised"
"""Kind of a reading changed after a second opinion: it never counts."""

ADJUDICATION: Final = "adjudication"

_SIDES: Final = {side.value: side for side in Side}

_ReadingKey = tuple[str, str, str, int]
"""Participant, visit, reader, repeat."""


def read_readings(
    files: Sequence[Path], participants: Sequence[str], protocol: Protocol, queries: Queries
) -> list[Reading]:
    """Return the readers' totals; two readings with the same key both do not count.

    Raises
    ------
    InputError : a file cannot be read, or lacks a column
    """
    readings: dict[_ReadingKey, Reading] = {}
    doubtful: set[_ReadingKey] = set()
    readers = Readers()
    for file in files:
        required = ("participant", "visit", "reader", "locked")
        for row in checked_rows(read_table(file), queries, Place.READING, required=required):
            visit = known_visit(row, participants, protocol, queries)
            # A total that could not be read is not the same as "not evaluable", which is an empty cell.
            if visit is None or "total" in row.faults:
                continue
            key = (row.participant, visit, readers.name(row, queries), int(row.values.get("repeat", 1)))
            if key in readings:
                queries.ask(
                    QueryKind.DUPLICATE,
                    row,
                    "reader",
                    Message("one reading of a reader and visit"),
                    Message("another one of {reader} for {visit}", reader=key[2], visit=visit),
                    Message("keep the reading that was locked, or number repeats in the column repeat; neither counts"),
                    left_out="row",
                    visit=visit,
                )
                doubtful.add(key)
            readings[key] = _reading(row, key)
    return [reading for key, reading in readings.items() if key not in doubtful]


def _reading(row: CheckedRow, key: _ReadingKey) -> Reading:
    participant, visit, reader, repeat = key
    return Reading(
        participant=participant,
        visit=visit,
        reader=reader,
        total=row.values.get("total"),
        locked=bool(row.values["locked"]),
        adjudicator=bool(row.values.get("adjudicator", False)),
        asas_positive=row.values.get("asas_positive"),
        repeat=repeat,
    )


def read_items(
    files: Sequence[Path],
    readings: Sequence[Reading],
    participants: Sequence[str],
    protocol: Protocol,
    queries: Queries,
) -> list[ItemReading]:
    """Return the items of locked readings; items that contradict the total become a query.

    Parameters
    ----------
    readings : the readings with their totals

    Raises
    ------
    InputError : a file cannot be read, or lacks a column
    """
    known = {(r.participant, r.visit, r.reader, r.repeat): r for r in readings if r.locked}
    found: dict[_ReadingKey, ItemReading] = {}
    readers = Readers({likeness(reading.reader): reading.reader for reading in readings})
    for file in files:
        for key, rows in _by_reading(file, participants, protocol, readers, queries).items():
            points = _points(rows, key[1], queries)
            reading = known.get(key)
            if points is None or not _has_reading(reading, key, rows[0], queries):
                continue
            adjudicator = rows[0].values["kind"] == ADJUDICATION
            items = ItemReading(*key[:3], points, adjudicator, key[3])
            if key in found:
                _ask_about_twice(rows[0], "reader", key[1], queries)
                del found[key]
            elif reading is not None and _agree(items, reading, rows[0], queries):
                found[key] = items
    return list(found.values())


def _by_reading(
    file: Path, participants: Sequence[str], protocol: Protocol, readers: Readers, queries: Queries
) -> dict[_ReadingKey, list[CheckedRow]]:
    """Return the rows of each reading that may count; ask once about a wrong participant or visit."""
    required = ("participant", "visit", "reader", "kind", "slice_index", "joint", "item")
    visits: dict[tuple[str, str], str | None] = {}
    groups: dict[_ReadingKey, list[CheckedRow]] = {}
    for row in checked_rows(read_table(file), queries, Place.ITEM, required=required):
        if row.values["kind"] == REVISED or "repeat" in row.faults:
            continue
        key_of_visit = (row.participant, str(row.values["visit"]))
        if key_of_visit not in visits:
            visits[key_of_visit] = known_visit(row, participants, protocol, queries)
        visit = visits[key_of_visit]
        if visit is not None:
            key = (row.participant, visit, readers.name(row, queries), int(row.values.get("repeat", 1)))
            groups.setdefault(key, []).append(row)
    return groups


def _points(rows: Sequence[CheckedRow], visit: str, queries: Queries) -> Mapping[ItemPlace, int | None] | None:
    """Return the points of one reading; None, with a query, if an item occurs twice."""
    points: dict[ItemPlace, int | None] = {}
    for row in rows:
        if "value" in row.faults:
            continue
        values = row.values
        place = ItemPlace(int(values["slice_index"]), _SIDES[values["joint"]], values["item"])
        if place in points:
            _ask_about_twice(row, "item", visit, queries)
            return None
        value = values.get("value")
        points[place] = None if value is None else int(value)
    return points


def _ask_about_twice(row: CheckedRow, column: str, visit: str, queries: Queries) -> None:
    queries.ask(
        QueryKind.DUPLICATE,
        row,
        column,
        Message("each item of a reading once"),
        Message("an item twice"),
        Message("export the items again; those of this reading do not count"),
        left_out="row",
        visit=visit,
    )


def _has_reading(reading: Reading | None, key: _ReadingKey, row: CheckedRow, queries: Queries) -> bool:
    if reading is None:
        queries.ask(
            QueryKind.MISSING,
            row,
            "reader",
            Message("items of a locked reading"),
            Message("no locked reading of {reader} for {visit}", reader=key[2], visit=key[1]),
            Message("give the readings of the same export; these items do not count"),
            left_out="row",
            visit=key[1],
        )
    return reading is not None


def _agree(items: ItemReading, reading: Reading, row: CheckedRow, queries: Queries) -> bool:
    """Return True if the items agree with the total; ask about missing items, although the others count."""
    if not items.whole:
        queries.ask(
            QueryKind.MISSING,
            row,
            "item",
            Message("{count} items of a reading", count=ITEMS_OF_A_READING),
            Message("{count} of them", count=len(items.points)),
            Message("export the items again; the items found do count"),
            left_out="nothing",
            visit=items.visit,
        )
    too_many = reading.total is not None and items.total > reading.total
    if not too_many and (reading.total is None or items.total == reading.total or not items.whole):
        return True
    queries.ask(
        QueryKind.IMPLAUSIBLE,
        row,
        "value",
        Message("points that add up to the total of {reader}, {total:g}", reader=reading.reader, total=reading.total),
        Message("a sum of {total}", total=items.total),
        Message("export readings and items at the same time; these items do not count, the total does"),
        left_out="row",
        visit=items.visit,
    )
    return False
