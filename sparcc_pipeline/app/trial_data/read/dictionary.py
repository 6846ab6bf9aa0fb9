"""Use the data dictionary: find the field of a header, check a cell, write the published file.

Contents: `cell_model`, `field_of_column`, `fields_of`, `dictionary_toml`. The published file is
`configs/protocols/data_dictionary.toml` (`sparcc trial dictionary`). Pydantic models built from it check the cells.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from functools import cache
from typing import Annotated, Any, Final, Literal

import pydantic
import tomli_w
from pydantic import BeforeValidator, ConfigDict, TypeAdapter, WrapValidator

from sparcc_pipeline.app.results.table_reader import compact
from sparcc_pipeline.app.trial_data.read import cells
from sparcc_pipeline.app.trial_data.read.field_table import FIELDS
from sparcc_pipeline.app.trial_data.read.fields import Field, Kind, Place
from sparcc_pipeline.app.trial_data.read.headers import has_other_unit, without_unit

_NUMERIC: Final = (Kind.NUMBER, Kind.WHOLE, Kind.DETECTABLE)


def fields_of(*places: Place) -> tuple[Field, ...]:
    """Return the columns of these tables, in order."""
    return tuple(each for each in FIELDS if each.place in places)


def field_of_column(column: str, *places: Place) -> Field | None:
    """Return the field of a header, by its name or an alias; None for an unknown header or another unit.

    The unit of the field may follow its name: "ALT (U/L)".
    """
    found = _by_alias(places).get(compact(column)) or next(
        (
            each
            for each in _by_alias(places).values()
            if each.kind in _NUMERIC and compact(without_unit(column, each.unit)) in _compact_names(each)
        ),
        None,
    )
    return None if found is None or _is_other_quantity(column, found) else found


def field_in_other_unit(column: str, *places: Place) -> Field | None:
    """Return the field that a header names with a unit, a percent sign or a ratio that is not the field's own.

    Only for a message: such a column is never read.
    """
    plain = unicodedata.normalize("NFKC", column).casefold()
    name = re.split(r"[%‰/÷×*<>=±~^(\[{]|(?<=[^\x00-\x7f])(?=[\x00-\x7f])", plain, maxsplit=1)[0]
    by_alias = _by_alias(places)
    found = by_alias.get(compact(column)) or by_alias.get(compact(name))
    return found if found is not None and found.kind in _NUMERIC else None


def _is_other_quantity(column: str, field: Field) -> bool:
    return field.kind in _NUMERIC and has_other_unit(column, field.unit)


@cache
def _compact_names(field: Field) -> frozenset[str]:
    return frozenset(compact(name) for name in (*field.aliases, field.name))


@cache
def _by_alias(places: tuple[Place, ...]) -> dict[str, Field]:
    return {compact(name): each for each in fields_of(*places) for name in (*each.aliases, each.name)}


_BEFORE: Final = {
    Kind.IDENTIFIER: cells.identifier,
    Kind.TEXT: cells.text,
    Kind.NUMBER: cells.number,
    Kind.WHOLE: cells.number,
    Kind.YES_NO: cells.yes_no,
    Kind.DATE: cells.day,
    Kind.WORD: cells.word,
}


@cache
def cell_model(field: Field) -> TypeAdapter[Any]:
    """Return the pydantic model for the cells of a column: their kind and range."""
    numeric = field.kind in _NUMERIC
    limits = pydantic.Field(ge=field.lowest if numeric else None, le=field.highest if numeric else None)
    if field.kind is Kind.DETECTABLE:
        return TypeAdapter(
            Annotated[float, limits, WrapValidator(cells.detectable)], config=ConfigDict(allow_inf_nan=False)
        )
    checked: Any = Annotated[_type(field), BeforeValidator(_BEFORE[field.kind]), limits]
    # Floats only: pydantic rejects the setting for other kinds.
    return TypeAdapter(checked, config=ConfigDict(allow_inf_nan=False))


def _type(field: Field) -> Any:
    if field.kind is Kind.WORD:
        return Literal[field.words]
    return {Kind.NUMBER: float, Kind.WHOLE: int, Kind.YES_NO: bool, Kind.DATE: datetime.date}.get(field.kind, str)


def dictionary_toml() -> str:
    """Return the published data dictionary as TOML."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for each in FIELDS:
        content = {
            "name": each.name,
            "label": each.label,
            "kind": each.kind.value,
            "expected": each.expected,
            "lowest": each.lowest,
            "highest": each.highest,
            "unit": each.unit or None,
            "words": list(each.words) or None,
            "aliases": list(each.aliases) or None,
            "cdisc": each.cdisc or None,
        }
        tables.setdefault(each.place.value, []).append({k: v for k, v in content.items() if v is not None})
    return _HEADER + tomli_w.dumps(tables)


_HEADER: Final = """# Data dictionary of the trial tables, one entry a column. Written by `sparcc trial dictionary`.
#
# A clinical table (CSV or Excel) has `participant`, and a table of visits also has `visit`. All other columns are
# optional, in any order, in one file or several. Case, spaces and punctuation of headers do not matter. An empty cell,
# NA, N/A and "." mean missing, never 0. CRP: use crp_mg_l or crp_mg_dl; the name gives the unit; write <5 for a value
# below detection, never 5. Dates: YYYY-MM-DD, or
# a date cell of Excel. REDCap: record_id and redcap_event_name are accepted; checkbox columns (asas_hi___1) count, but
# boxes that are all empty mean "no" only if asas_hi_complete is 2. Arm and dose belong in files of their own.

"""
