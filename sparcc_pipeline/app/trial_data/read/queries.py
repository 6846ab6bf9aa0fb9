"""Data queries about the rows of a table.

Contents: `CheckedRow`, `Queries`. Every query names file, row, column, what was expected and found, and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sparcc_pipeline.app.results.table_reader import Cell
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import DataQuery, QueryKind


class CheckedRow(NamedTuple):
    """The correct cells of one row, by field.

    Parameters
    ----------
    columns : header of each field, as the file spells it
    faults : fields with a faulty cell; an empty cell is not faulty
    """

    file: str
    number: int
    values: Mapping[str, Any]
    columns: Mapping[str, str]
    raw: Mapping[str, Cell]
    faults: frozenset[str] = frozenset()

    @property
    def participant(self) -> str:
        """The participant of the row."""
        return str(self.values["participant"])


class Queries(list[DataQuery]):
    """Data queries in the order found."""

    def ask(
        self,
        kind: QueryKind,
        row: CheckedRow | None,
        field: str | None,
        expected: Message,
        found: str,
        remedy: Message,
        *,
        left_out: str = "value",
        file: str = "",
        visit: str | None = None,
    ) -> None:
        """Add a query about a row, or, where `row` is None, about the column `field` of `file`."""
        if row is None:
            self.append(DataQuery(kind, file, None, field, None, visit, expected, found, remedy, left_out))
            return
        column = None if field is None else row.columns.get(field, field)
        participant = row.participant if "participant" in row.values else None
        self.append(
            DataQuery(kind, row.file, row.number, column, participant, visit, expected, found, remedy, left_out)
        )
