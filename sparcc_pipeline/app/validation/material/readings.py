"""Read the readers' tables: totals, items, or the folder of an export of the reading page.

Contents: `ReadingTables`, `read_reading_tables`. A table with the columns slice_index, joint and item holds items; one
with the column total holds totals. A reading changed after the machine's second opinion never counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.results.table_reader import RawTable, compact, read_table
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows, each_checked_row
from sparcc_pipeline.app.trial_data.read.spelling import Readers
from sparcc_pipeline.app.trial_data.scores.readings import ADJUDICATION, REVISED
from sparcc_pipeline.app.validation.material.by_place import compact_by_place, item_place
from sparcc_pipeline.app.validation.material.studies import StudyKey, study_key
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.items import ItemPlace
from sparcc_pipeline.trial.records import QueryKind

EXPORTED: Final = ("readings.csv", "reading_items.csv")
"""Tables of an export of the reading page that hold primary readings."""

REVISED_FILE: Final = "readings_revised"
"""Name of the table of an export that holds readings changed after the second opinion."""


class ReadingKey(NamedTuple):
    """One reading: study, reader, and 1 or, for the same images read again, 2 and more."""

    study: StudyKey
    reader: str
    repeat: int


@dataclass(frozen=True)
class TotalRow:
    """The total of a reading; None where the reader found the images not evaluable."""

    row: CheckedRow
    total: float | None
    adjudicator: bool
    asas_positive: bool | None


@dataclass(frozen=True)
class ItemRows:
    """The items of a reading, and the first of their rows."""

    row: CheckedRow
    points: Mapping[ItemPlace, int | None]
    adjudicator: bool


@dataclass
class _Group:
    """The items of a reading while its table is read: its first row, and the first that gives an item again."""

    first: CheckedRow
    points: dict[ItemPlace, int | None] = field(default_factory=dict)
    twice: CheckedRow | None = None

    @property
    def adjudicator(self) -> bool:
        return self.first.values.get("kind") == ADJUDICATION

    def add(self, row: CheckedRow, *, again: bool) -> None:
        """Take the point of a row; `again` is True if another table has the same reading."""
        place = item_place(int(row.values["slice_index"]), Side(row.values["joint"]), str(row.values["item"]))
        if self.twice is None and (again or place in self.points):
            self.twice = row
        value = row.values.get("value")
        self.points[place] = None if value is None else int(value)


@dataclass
class ReadingTables:
    """All readings by their key, with totals, items or both."""

    totals: dict[ReadingKey, TotalRow] = field(default_factory=dict)
    items: dict[ReadingKey, ItemRows] = field(default_factory=dict)


def read_reading_tables(sources: Sequence[Path], queries: Queries) -> ReadingTables:
    """Return the readings of these files and folders; a reading that occurs twice does not count.

    Raises
    ------
    InputError : a table cannot be read, or is no table of readings
    """
    found, readers = ReadingTables(), Readers()
    doubtful: set[ReadingKey] = set()
    for file in (file for source in sources for file in _files(source)):
        table = read_table(file)
        if REVISED_FILE in file.stem:
            _ask_about_revised(table, queries)
        elif _has(table, "item"):
            _take_items(table, found, readers, doubtful, queries)
        elif _has(table, "total"):
            _take_totals(table, found, readers, doubtful, queries)
        else:
            raise InputError(
                f"expected readings in {file.name}: a column total, or the columns slice_index, joint, item and value, "
                f"found {len(table.columns)} others; see docs/validate.md"
            )
    for key in doubtful:
        found.totals.pop(key, None)
        found.items.pop(key, None)
    return found


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    files = [source / name for name in EXPORTED if (source / name).is_file()]
    if not files:
        raise InputError(
            f"expected a folder of `sparcc reader export` with {' and '.join(EXPORTED)}, found neither in {source}; "
            "give the table itself"
        )
    return files


def _has(table: RawTable, name: str) -> bool:
    names = {"item": ("item", "项目"), "total": ("total", "sparcc", "sparcctotal", "sparcc总分")}[name]
    return any(compact(column) in names for column in table.columns)


def _take_totals(
    table: RawTable, found: ReadingTables, readers: Readers, doubtful: set[ReadingKey], queries: Queries
) -> None:
    for row in checked_rows(table, queries, Place.READING, required=("participant", "visit", "reader")):
        # A total that could not be read is not the same as "not evaluable", which is an empty cell.
        if "total" in row.faults or not _is_locked(row, queries):
            continue
        key = _key(row, readers, queries)
        if key in found.totals:
            _ask_about_twice(row, "reader", queries)
            doubtful.add(key)
        adjudicator = bool(row.values.get("adjudicator", False))
        found.totals[key] = TotalRow(row, row.values.get("total"), adjudicator, row.values.get("asas_positive"))


def _take_items(
    table: RawTable, found: ReadingTables, readers: Readers, doubtful: set[ReadingKey], queries: Queries
) -> None:
    required = ("participant", "visit", "reader", "slice_index", "joint", "item")
    groups: dict[ReadingKey, _Group] = {}
    revised: dict[tuple[str, str], CheckedRow] = {}
    # Rows are read one by one, but queries about readings follow those about the cells of all rows.
    later = Queries()
    for row in each_checked_row(table, queries, Place.ITEM, required=required):
        if row.values.get("kind") == REVISED:
            revised.setdefault((row.participant, row.values["visit"]), row)
        elif "repeat" not in row.faults:
            key = _key(row, readers, later)
            group = groups.setdefault(key, _Group(row))
            if "value" not in row.faults:
                group.add(row, again=key in found.items)
    queries.extend(later)
    if revised:
        _ask_about_second_opinions(next(iter(revised.values())), len(revised), queries)
    for key, group in groups.items():
        if group.twice is not None and key not in doubtful:
            _ask_about_twice(group.twice, "item", queries)
            doubtful.add(key)
        found.items[key] = ItemRows(group.first, compact_by_place(group.points), group.adjudicator)


def _key(row: CheckedRow, readers: Readers, queries: Queries) -> ReadingKey:
    study = study_key(row.participant, str(row.values["visit"]))
    return ReadingKey(study, readers.name(row, queries), int(row.values.get("repeat", 1)))


def _is_locked(row: CheckedRow, queries: Queries) -> bool:
    """Return False, with a query, for a reading that the table marks as not locked."""
    if row.values.get("locked", True):
        return True
    queries.ask(
        QueryKind.NOT_ALLOWED,
        row,
        "locked",
        Message("locked readings"),
        Message("one that is not locked"),
        Message("lock it and export again; it does not count"),
        left_out="row",
    )
    return False


def _ask_about_twice(row: CheckedRow, column: str, queries: Queries) -> None:
    queries.ask(
        QueryKind.DUPLICATE,
        row,
        column,
        Message("each reading and each of its items once"),
        Message("one twice"),
        Message("keep one, or number repeated readings in the column repeat; neither counts"),
        left_out="row",
    )


def _ask_about_second_opinions(row: CheckedRow, studies: int, queries: Queries) -> None:
    queries.ask(
        QueryKind.NOT_ALLOWED,
        row,
        "kind",
        Message("readings made without the machine's result"),
        Message("readings of {count} studies changed after the second opinion", count=studies),
        Message("nothing: the readings before it count, these do not"),
        left_out="row",
    )


def _ask_about_revised(table: RawTable, queries: Queries) -> None:
    queries.ask(
        QueryKind.NOT_ALLOWED,
        None,
        None,
        Message("readings made without the machine's result"),
        Message("a table of {count} readings changed after the second opinion", count=len(table.rows)),
        Message("give the table of primary readings; this one was not read"),
        left_out="row",
        file=table.file,
    )
