"""Types of the data dictionary: a column of an input table, its kind, and the table that it belongs to.

Contents: `Field`, `Kind`, `Place`. The columns themselves are in `field_table.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparcc_pipeline.message import Message


class Kind(StrEnum):
    """The kind of value in a column."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    NUMBER = "number"
    DETECTABLE = "number, or < and the limit of detection"
    WHOLE = "whole number"
    YES_NO = "yes or no"
    DATE = "date"
    WORD = "one of some words"


class Place(StrEnum):
    """The table that a column belongs to."""

    PARTICIPANT = "participant"
    VISIT = "visit"
    READING = "reading"
    ITEM = "reading item"
    MANIFEST = "manifest"
    ALLOCATION = "allocation"
    DOSING = "dosing"
    ADVERSE_EVENT = "adverse event"
    LABORATORY = "laboratory"
    DEVIATION = "deviation"


@dataclass(frozen=True)
class Field:
    """One column.

    Parameters
    ----------
    lowest, highest : range of a number, both ends included
    aliases : other headers of this column; spaces, punctuation and case do not matter
    cdisc : CDISC-like name, DOMAIN.VARIABLE or DOMAIN.TESTCD
    words : the words that a cell may hold
    """

    name: str
    place: Place
    kind: Kind
    label: str
    lowest: float | None = None
    highest: float | None = None
    unit: str = ""
    aliases: tuple[str, ...] = ()
    cdisc: str = ""
    words: tuple[str, ...] = ()

    @property
    def expected(self) -> Message:
        """The content that a cell should have, as a message."""
        match self.kind:
            case Kind.NUMBER if self.unit:
                return Message(
                    "a number of {lowest:g}-{highest:g} {unit}",
                    lowest=self.lowest,
                    highest=self.highest,
                    unit=self.unit,
                )
            case Kind.NUMBER:
                return Message("a number of {lowest:g}-{highest:g}", lowest=self.lowest, highest=self.highest)
            case Kind.DETECTABLE:
                return Message(
                    "a number of {lowest:g}-{highest:g} {unit}, or < and the limit of detection",
                    lowest=self.lowest,
                    highest=self.highest,
                    unit=self.unit,
                )
            case Kind.WHOLE:
                return Message("a whole number of {lowest:g}-{highest:g}", lowest=self.lowest, highest=self.highest)
            case Kind.YES_NO:
                return Message("1 or 0 (yes or no)")
            case Kind.DATE:
                return Message("a date as YYYY-MM-DD")
            case Kind.IDENTIFIER:
                return Message("an identifier of letters, digits, - and _, at most 32")
            case Kind.TEXT:
                return Message("a short text")
            case Kind.WORD:
                return Message("one of {names}", names=self.words)
