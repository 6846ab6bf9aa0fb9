"""Read tables of sites (CSV, Excel or Parquet) as rows of plain cells with their row numbers.

A cell keeps the type that it has in the file. A table of items has a million cells with few different values, so each
value of a column is stored once.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Final, NamedTuple, overload

from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message

Cell = str | int | float | bool | date | datetime | None

EXCEL_SUFFIXES: Final = (".xlsx", ".xlsm")
CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Encodings of CSV, in the order in which they are tried: that of most programs, then that of Chinese Excel."""

_DAMAGED: Final = (
    *(zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, TypeError),
    *(AttributeError, EOFError, IndexError),
)
"""Errors that openpyxl raises on damaged workbooks (a fault of XML is a SyntaxError)."""

PARQUET_SUFFIX: Final = ".parquet"

_PART: Final = 1 << 16
"""Characters of a text file that are read at a time."""

LARGEST_ROWS: Final = 1_000_000
"""Largest number of rows: three times the items of all readings of 150 participants."""


class RawRow(NamedTuple):
    """One row: its number as a spreadsheet counts it (the header is 1), and its cells by column."""

    number: int
    cells: dict[str, Cell]


@dataclass
class _Column:
    """The cells of one column: each different value once, and for each row the number of its value."""

    values: list[Cell] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("I"))
    _known: dict[object, int] = field(default_factory=dict)

    def append(self, cell: Cell) -> None:
        # 1, 1.0 and True are equal, but not the same cell.
        key = cell if isinstance(cell, str) else (type(cell), cell)
        number = self._known.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(cell)
        self.numbers.append(number)


class RawRows(Sequence[RawRow]):
    """The rows of a file; a row is built when it is asked for."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = {column: _Column() for column in columns}
        self._numbers = array("I")

    def append(self, number: int, cells: Iterable[Cell]) -> None:
        """Add a row with one cell for each column."""
        self._numbers.append(number)
        for column, cell in zip(self._columns.values(), cells, strict=True):
            column.append(cell)

    def values_of(self, column: str) -> Sequence[Cell]:
        """Return each different cell of a column once."""
        return self._columns[column].values

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> RawRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RawRow]: ...
    def __getitem__(self, index: int | slice) -> RawRow | Sequence[RawRow]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        cells = {name: column.values[column.numbers[index]] for name, column in self._columns.items()}
        return RawRow(self._numbers[index], cells)


@dataclass(frozen=True)
class RawTable:
    """One file. `notes` lists the parts that were not read, for example further sheets."""

    file: str
    columns: tuple[str, ...]
    rows: Sequence[RawRow]
    notes: tuple[Message, ...] = ()

    def values_of(self, column: str) -> Iterable[Cell]:
        """Return each different cell of a column once."""
        if isinstance(self.rows, RawRows):
            return self.rows.values_of(column)
        return {row.cells.get(column) for row in self.rows}


def read_table(file: Path) -> RawTable:
    """Return the rows of a CSV, Excel or Parquet file; empty rows are left out, the others keep their numbers.

    Raises
    ------
    InputError : the file is missing, of another kind, damaged, empty, or has a column twice
    """
    lines: Iterable[Sequence[Cell]]
    notes: tuple[Message, ...] = ()
    try:
        if file.suffix.lower() in EXCEL_SUFFIXES:
            lines, notes = _excel(file)
        elif file.suffix.lower() in CSV_SUFFIXES:
            lines = _csv(file)
        elif file.suffix.lower() == PARQUET_SUFFIX:
            lines = _parquet(file)
        else:
            raise InputError(
                f"expected a table as {', '.join((*CSV_SUFFIXES, *EXCEL_SUFFIXES, PARQUET_SUFFIX))}, found "
                f"{file.name}; save it as CSV (UTF-8) or as Excel workbook"
            )
        return _table(file.name, lines, notes)
    except OSError as error:
        raise InputError(f"expected a table at {file}, found no readable file; check the path") from error


def compact(column: str) -> str:
    """Return a header without case, width, spaces and punctuation."""
    plain = unicodedata.normalize("NFKC", column).casefold()
    return re.sub(r"[\W_]+", "", plain)


def _table(name: str, lines: Iterable[Sequence[Cell]], notes: tuple[Message, ...]) -> RawTable:
    numbered = enumerate(lines, start=1)
    start = next(((n, line) for n, line in numbered if any(cell is not None for cell in line)), None)
    if start is None:
        raise InputError(f"expected a header and rows in {name}, found an empty table; check what was exported")
    columns = ["" if cell is None else str(cell).strip() for cell in start[1]]
    used = [place for place, column in enumerate(columns) if column]
    named = [columns[place] for place in used]
    double = sorted({column for column in named if named.count(column) > 1})
    if double:
        raise InputError(f"expected each column once in {name}, found {double[0]!r} twice; rename or remove one")
    rows = RawRows(named)
    for number, line in numbered:
        if line.count(None) < len(line):
            rows.append(number, [line[place] if place < len(line) else None for place in used])
    if len(rows) > LARGEST_ROWS:
        raise InputError(
            f"expected at most {LARGEST_ROWS} rows in {name}, found {len(rows)}; give visits, not raw logs"
        )
    return RawTable(name, tuple(named), rows, notes)


def _csv(file: Path) -> Iterator[list[Cell]]:
    encoding = _encoding(file)
    with file.open(encoding=encoding, newline="\n") as text:
        first = text.readline()
    delimiter = max(",;\t", key=first.count)
    try:
        with file.open(encoding=encoding, newline="") as text:
            for line in csv.reader(text, delimiter=delimiter):
                yield [cell.strip() or None for cell in line]
    except csv.Error as error:
        raise InputError(
            f"expected CSV in {file.name}, found a fault: {error}; save it again as CSV (UTF-8)"
        ) from error


def _encoding(file: Path) -> str:
    """Return the encoding in which the whole file can be read; the file is read in parts, to save memory."""
    for encoding in ENCODINGS:
        try:
            with file.open(encoding=encoding, newline="") as text:
                if any("\0" in part for part in iter(lambda: text.read(_PART), "")):
                    raise InputError(f"expected text in {file.name}, found binary content; save it as CSV (UTF-8)")
            return encoding
        except UnicodeDecodeError:
            continue
    raise InputError(f"expected text in UTF-8 or GB 18030 in {file.name}, found neither; save it as CSV (UTF-8)")


def _parquet(file: Path) -> list[list[Cell]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(file.read_bytes()))
        columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    except pa.ArrowException as error:
        raise InputError(
            f"expected a Parquet table in {file.name}, found one that cannot be read; export it again, or as CSV"
        ) from error
    return [list(table.column_names), *(list(line) for line in zip(*columns, strict=True))]


def _text(cell: str) -> str | None:
    return cell.strip() or None


def _excel(file: Path) -> tuple[list[list[Cell]], tuple[Message, ...]]:
    from openpyxl import load_workbook

    try:
        # Read at once, because openpyxl would keep the file open.
        content = file.read_bytes()
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        lines = [[_cell(value) for value in line] for line in sheet.iter_rows(values_only=True)]
        others = [each.title for each in book.worksheets[1:]]
        book.close()
    except _DAMAGED as error:
        raise InputError(
            f"expected an Excel workbook in {file.name}, found one that cannot be read; open and save it again, or "
            "save it as CSV (UTF-8)"
        ) from error
    notes = [Message("{count} further sheets, which are not read", count=len(others))] if others else []
    if _has_formulas(content):
        empty = _formulas_without_value(content, lines)
        if empty:
            notes.append(Message("{count} formulas without a stored value, which count as missing", count=empty))
    return lines, tuple(notes)


def _cell(value: object) -> Cell:
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int | float | date):
        return value
    return str(value)


def _has_formulas(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        return any(b"<f>" in archive.read(name) or b"<f " in archive.read(name) for name in sheets)


def _formulas_without_value(content: bytes, lines: Sequence[Sequence[Cell]]) -> int:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
    written: Iterator[tuple[object, ...]] = book.worksheets[0].iter_rows(values_only=True)
    count = sum(
        value is None and isinstance(formula, str) and formula.startswith("=")
        for line, formulas in zip(lines, written, strict=False)
        for value, formula in zip(line, formulas, strict=False)
    )
    book.close()
    return count
