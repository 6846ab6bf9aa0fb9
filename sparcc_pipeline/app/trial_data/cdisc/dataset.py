"""A dataset of an export: its variables with label and type, and its rows.

Contents: `Dataset`, `Variable`, `Kind`, `KEYS`, `VISIT`, `numbered`, `yes_no`. Names have at most 8 characters and
labels at most 40, as SAS transport files ask ([Sdtm], [Adam]).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

LONGEST_NAME: Final = 8
LONGEST_LABEL: Final = 40
LONGEST_TEXT: Final = 200
"""Bytes of a text in a SAS transport file; a longer one is cut there, and whole in Dataset-JSON."""


class Kind(StrEnum):
    """Types of a variable."""

    TEXT = "string"
    WHOLE = "integer"
    NUMBER = "float"
    DATE = "date"


@dataclass(frozen=True)
class Variable:
    """One variable.

    Parameters
    ----------
    origin : where the value comes from: Collected, Assigned, Derived or Protocol ([DefineXml])
    comment : how it is derived, or why it differs from the standard
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    origin: str = "Collected"
    comment: str = ""

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME or len(self.label) > LONGEST_LABEL:
            raise ValueError(f"name or label of {self.name} is too long")


KEYS: Final = (
    Variable("STUDYID", "Study Identifier", origin="Protocol"),
    Variable("DOMAIN", "Domain Abbreviation", origin="Assigned"),
    Variable("USUBJID", "Unique Subject Identifier", origin="Assigned"),
)
VISIT: Final = (
    Variable("VISITNUM", "Visit Number", Kind.WHOLE, "Protocol"),
    Variable("VISIT", "Visit Name", origin="Protocol"),
)


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Parameters
    ----------
    group : "SDTM" or "ADaM"
    class_name : class of the dataset in the standard
    structure : what one row is
    keys : variables that order and identify the rows
    """

    name: str
    label: str
    group: str
    class_name: str
    structure: str
    keys: Sequence[str]
    variables: Sequence[Variable]
    rows: Sequence[Mapping[str, Any]]

    def sorted_rows(self) -> list[Mapping[str, Any]]:
        """Return the rows in the order of the keys, missing values first."""
        return sorted(self.rows, key=lambda row: [_sortable(row.get(key)) for key in self.keys])


def _sortable(value: Any) -> tuple[bool, Any]:
    return value is not None, value if value is not None else ""


def yes_no(value: bool | None) -> str | None:
    """Return Y, N or None."""
    return None if value is None else "Y" if value else "N"


def numbered(rows: Sequence[dict[str, Any]], name: str) -> None:
    """Add a sequence number that is unique within a subject."""
    seen: dict[str, int] = {}
    for row in rows:
        seen[row["USUBJID"]] = row[name] = seen.get(row["USUBJID"], 0) + 1
