"""Write tables as CSV and Parquet; every table of this program is written here.

One row is one observation, one column one variable; an empty cell is missing, never 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

Row = Mapping[str, Any]


class ColumnKind(StrEnum):
    """The types of a column."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    YES_NO = "yes or no"
    DATE = "date"


@dataclass(frozen=True)
class Column:
    """One column: its name, label, type, unit, and a CDISC-like DOMAIN.VARIABLE."""

    name: str
    label: str
    kind: ColumnKind = ColumnKind.TEXT
    unit: str = ""
    cdisc: str = ""


@dataclass(frozen=True)
class Table:
    """One table: its columns and its rows."""

    columns: Sequence[Column]
    rows: Sequence[Row]


FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a text that starts so as a formula; an apostrophe before it keeps it a text."""


def rows_as_csv(names: Sequence[str], rows: Iterable[Row]) -> str:
    """Return rows under a header: yes and no as 1 and 0, dates as YYYY-MM-DD, a missing value as empty cell.

    A text that a spreadsheet would run as a formula gets an apostrophe.

    Raises
    ------
    ValueError : a row has a value without a column
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def csv_text(table: Table) -> str:
    """Return the table as CSV (see `rows_as_csv`)."""
    return rows_as_csv([column.name for column in table.columns], table.rows)


def parquet_bytes(table: Table) -> bytes:
    """Return the table as Parquet, typed; labels and units are in the metadata of the columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        ColumnKind.TEXT: pa.string(),
        ColumnKind.NUMBER: pa.float64(),
        ColumnKind.WHOLE: pa.int64(),
        ColumnKind.YES_NO: pa.bool_(),
        ColumnKind.DATE: pa.date32(),
    }
    schema = pa.schema(
        [pa.field(c.name, types[c.kind], metadata={"label": c.label, "unit": c.unit}) for c in table.columns]
    )
    content = {
        c.name: [None if row.get(c.name) is None else _typed(c.kind, row[c.name]) for row in table.rows]
        for c in table.columns
    }
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pydict(content, schema=schema), sink, compression="zstd")
    return sink.getvalue()


def _plain(value: Any) -> str | int | float | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and len(value) > 1 and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value.isoformat() if isinstance(value, date) else value


def _typed(kind: ColumnKind, value: Any) -> Any:
    converted = {ColumnKind.NUMBER: float, ColumnKind.WHOLE: int, ColumnKind.YES_NO: bool, ColumnKind.TEXT: str}
    return converted[kind](value) if kind in converted else value
