"""Check the rows of a table one by one: correct cells count, every fault becomes a data query.

Contents: `checked_rows`, `each_checked_row`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from sparcc_pipeline.app.results.table_reader import Cell, RawRow, RawTable, compact
from sparcc_pipeline.app.trial_data.read.blinding import require_blinded
from sparcc_pipeline.app.trial_data.read.cells import is_missing, shown
from sparcc_pipeline.app.trial_data.read.dictionary import cell_model, field_in_other_unit, field_of_column, fields_of
from sparcc_pipeline.app.trial_data.read.fields import Field, Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.errors import BlindingError, InputError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind

UNBLINDED_PLACES: Final = frozenset({Place.ALLOCATION, Place.DOSING})
"""Tables that only unblinded commands open; every other one is searched for words of arm and dose."""

_IDENTIFYING: Final = (
    "name patientname firstname lastname surname dateofbirth birthdate dob phone address idcard mrn "
    "姓名 出生日期 身份证号 身份证 电话 手机号 住址 住院号 门诊号"
)
IDENTIFYING: Final = frozenset(_IDENTIFYING.split())
"""Headers, in compact form, of columns that identify a person; they are not read."""

_REDCAP: Final = re.compile(r"redcap_(repeat_.*|survey_.*)|.*_complete|.*_timestamp")
_REDCAP_ARM: Final = re.compile(r"_arm_(\d+)$")
_REPEATED: Final = "redcap_repeat_instrument"


def checked_rows(table: RawTable, queries: Queries, *places: Place, required: tuple[str, ...]) -> list[CheckedRow]:
    """Return the rows of a table whose required cells are correct; see `each_checked_row`."""
    return list(each_checked_row(table, queries, *places, required=required))


def each_checked_row(
    table: RawTable, queries: Queries, *places: Place, required: tuple[str, ...]
) -> Iterator[CheckedRow]:
    """Yield the rows of a table whose required cells are correct, one at a time: a table of items has many.

    Parameters
    ----------
    places : tables of the dictionary whose columns may occur
    required : fields without which a row cannot count

    Raises
    ------
    BlindingError : a column, a text or a REDCap event would reveal the arm
    InputError : a required column is absent, or two columns mean one field
    """
    columns = _columns(table, queries, places)
    absent = [name for name in required if name not in columns]
    if absent:
        known = next(each for each in fields_of(*places) if each.name == absent[0])
        raise InputError(
            f"expected a column {absent[0]!r} in {table.file}, found {len(table.columns)} columns without it; add it, "
            f"or use one of its names: {', '.join(known.aliases) or known.name}"
        )
    for note in table.notes:
        queries.ask(
            QueryKind.UNREADABLE,
            None,
            None,
            Message("one sheet of values"),
            note,
            Message("check that nothing is missing"),
            left_out="nothing",
            file=table.file,
        )
    if not table.rows:
        queries.ask(
            QueryKind.MISSING,
            None,
            None,
            Message("rows under the header"),
            Message("a header alone"),
            Message("check the export: nothing was read from this file"),
            left_out="nothing",
            file=table.file,
        )
    cells = _Cells(columns, places)
    for raw in table.rows:
        row = _checked(table, raw, cells, queries, required)
        if row is not None:
            yield row


def _columns(table: RawTable, queries: Queries, places: tuple[Place, ...]) -> dict[str, str]:
    """Return the header of each field in the table."""
    columns: dict[str, str] = {}
    for column in table.columns:
        field = field_of_column(column, *places)
        if field is not None:
            if field.name in columns:
                raise InputError(
                    f"expected one column of {field.name} in {table.file}, found {columns[field.name]!r} and "
                    f"{column!r}; remove or rename one"
                )
            columns[field.name] = column
        elif _REDCAP.fullmatch(column.casefold()) is None:
            _ask_about_unknown(table.file, column, queries, places)
    if not UNBLINDED_PLACES & set(places):
        require_blinded(table, frozenset(columns.values()))
    events = table.values_of(columns["visit"]) if "visit" in columns else ()
    arms = {found[1] for event in events if isinstance(event, str) and (found := _REDCAP_ARM.search(event))}
    if len(arms) > 1:
        raise BlindingError(
            f"expected events of one REDCap arm in {table.file}, found {len(arms)}, which may reveal the arm of the "
            "trial; export without the suffix _arm_N"
        )
    return columns


def _ask_about_unknown(file: str, column: str, queries: Queries, places: tuple[Place, ...]) -> None:
    names = [each.name for each in fields_of(*places)]
    if compact(column) in IDENTIFYING:
        queries.ask(
            QueryKind.UNKNOWN_COLUMN,
            None,
            column,
            Message("no column that identifies a person"),
            Message("a column that may identify one"),
            Message("remove it before the table leaves the site; it was not read"),
            left_out="nothing",
            file=file,
        )
        return
    wrong = field_in_other_unit(column, *places)
    if wrong is not None:
        _ask_about_unit(file, column, wrong, queries)
        return
    if compact(column) == "crp" or "反应蛋白" in column:
        remedy = Message("name the unit: crp_mg_l or crp_mg_dl")
    else:
        near = difflib.get_close_matches(column.casefold(), names, 1, 0.75)
        remedy = Message("see the data dictionary, or leave the column: it was not read")
        if near:
            remedy = Message("rename it to {name} if you mean that column", name=near[0])
    queries.ask(
        QueryKind.UNKNOWN_COLUMN,
        None,
        column,
        Message("a column of the data dictionary"),
        Message("another one"),
        remedy,
        file=file,
    )


def _ask_about_unit(file: str, column: str, field: Field, queries: Queries) -> None:
    """Ask about a column that names a field with another unit."""
    expected = Message("{name} without another unit", name=field.name)
    if field.unit:
        expected = Message("{name} in {unit}", name=field.name, unit=field.unit)
    queries.ask(
        QueryKind.UNKNOWN_COLUMN,
        None,
        column,
        expected,
        Message("a header with another unit, a percent sign or a ratio"),
        Message("give the values of {name} in a column of that name; this column was not read", name=field.name),
        file=file,
    )


def _checked(
    table: RawTable, raw: RawRow, cells: _Cells, queries: Queries, required: tuple[str, ...]
) -> CheckedRow | None:
    """The row, or None, with queries, if a required cell is missing or faulty."""
    values, faults = cells.check(raw.cells)
    row = CheckedRow(table.file, raw.number, values, cells.columns, raw.cells, frozenset(faults))
    missing = [name for name in required if name not in values]
    if not faults and not missing and _REPEATED not in raw.cells:
        return row
    visit = str(values.get("visit", "")) or None
    for name, (kind, found, remedy) in faults.items():
        left_out = "row" if name in required else "value"
        queries.ask(kind, row, name, cells.fields[name].expected, found, remedy, left_out=left_out, visit=visit)
    for name in missing:
        if name not in faults:
            found, remedy = Message("an empty cell"), Message("fill it in")
            expected = cells.fields[name].expected
            queries.ask(QueryKind.MISSING, row, name, expected, found, remedy, left_out="row", visit=visit)
    if missing:
        return None
    if _REPEATED in raw.cells and not is_missing(raw.cells[_REPEATED]):
        queries.ask(
            QueryKind.NOT_ALLOWED,
            row,
            _REPEATED,
            Message("one row a participant and visit"),
            Message("a repeated instrument"),
            Message("export without repeats"),
            left_out="row",
            visit=visit,
        )
        return None
    return row


_Fault = tuple[QueryKind, str, Message]


class _Cells:
    """Checks the cells of one table; each value of a column is checked once, because most values repeat."""

    def __init__(self, columns: Mapping[str, str], places: tuple[Place, ...]) -> None:
        self.fields = {field.name: field for field in fields_of(*places)}
        self.columns = columns
        self._columns = [(name, column, self.fields[name]) for name, column in columns.items()]
        self._seen: dict[str, dict[object, tuple[Any, _Fault | None]]] = {name: {} for name in columns}

    def check(self, cells: Mapping[str, Cell]) -> tuple[dict[str, Any], dict[str, _Fault]]:
        """Return the correct values and the faults of a row, by field; a missing cell is in neither."""
        values: dict[str, Any] = {}
        faults: dict[str, _Fault] = {}
        for name, column, field in self._columns:
            cell = cells.get(column)
            if cell is None:
                continue
            seen = self._seen[name]
            key = cell if isinstance(cell, str) else (type(cell), cell)
            found = seen.get(key)
            if found is None:
                found = seen[key] = _checked_cell(field, cell)
            value, fault = found
            if fault is not None:
                faults[name] = fault
            elif value is not None:
                values[name] = value
        return values, faults


def _checked_cell(field: Field, cell: Cell) -> tuple[Any, _Fault | None]:
    """Return the value, or None if it is missing, and the fault if there is one."""
    if is_missing(cell):
        return None, None
    try:
        return cell_model(field).validate_python(cell), None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        return None, _fault(fault["type"], fault.get("ctx", {}), cell, field.unit)


def _fault(kind: str, context: Mapping[str, Any], value: Cell, unit: str) -> _Fault:
    if kind == "literal_error":
        return QueryKind.NOT_ALLOWED, shown(value), Message("write one of these words")
    if kind in QueryKind.__members__:
        return QueryKind[kind], context["found"], context["remedy"]
    remedy = Message("correct the value or leave the cell empty")
    if unit:
        remedy = Message("check the unit ({unit}), correct the value or leave the cell empty", unit=unit)
    return QueryKind.OUT_OF_RANGE, shown(value), remedy
