"""Convert single cells to numbers, dates, yes or no, or raise a fault with its remedy.

Contents: `number`, `detectable`, `BelowDetection`, `day`, `yes_no`, `identifier`, `text`, `word`, `is_missing`, and
`shown`. The functions run before pydantic's own checks. A fault is a `PydanticCustomError`; its context holds the kind
of query, the content found, and the remedy.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from pydantic_core import PydanticCustomError

from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind

MISSING_WORDS: Final = frozenset({"na", "n/a", "."})
"""Words for a missing value; an empty cell is missing too."""

YES: Final = frozenset({"1", "yes", "y", "true", "checked", "是", "有"})
NO: Final = frozenset({"0", "no", "n", "false", "unchecked", "否", "无"})

EXCEL_EPOCH: Final = date(1899, 12, 30)
EXCEL_SERIALS: Final = range(36526, 73051)
"""Excel's serial numbers of the days of 2000-2099, 1900 date system."""

YEARS: Final = range(2000, 2100)
"""Years of visits; 1926 is a slip for 2026. A project decision."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_ISO_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")
_SHOWABLE: Final = re.compile(r"[0-9A-Za-z.,;:<>%/+()_ \-]{1,24}")


def is_missing(value: object) -> bool:
    """Return True for an empty cell and for a word that means missing."""
    return value is None or (isinstance(value, str) and value.strip().casefold() in {"", *MISSING_WORDS})


def number(value: Any) -> Any:
    """Return a number, or the number that a text spells."""
    if isinstance(value, date):
        raise _fault(
            QueryKind.NOT_A_NUMBER,
            Message("a date"),
            Message(
                "the spreadsheet turned the value into a date: format the column as number and type the value again"
            ),
        )
    if isinstance(value, bool):
        raise _fault(QueryKind.NOT_A_NUMBER, Message("true or false"), Message("write the number"))
    if isinstance(value, int | float):
        return value
    if re.fullmatch(r"[+-]?\d+,\d+", value):
        raise _fault(QueryKind.NOT_A_NUMBER, shown(value), Message("write a decimal point instead of the comma"))
    if re.fullmatch(r"[<>≤≥].*", value):
        raise _fault(
            QueryKind.NOT_A_NUMBER,
            shown(value),
            Message("write the measured number, or leave the cell empty; only CRP may be below detection"),
        )
    try:
        # Python would read 1_0 as 10.
        return float(value.replace("_", "?"))
    except ValueError:
        raise _fault(
            QueryKind.NOT_A_NUMBER,
            shown(value),
            Message("write digits only and keep remarks elsewhere, or leave it empty"),
        ) from None


@dataclass(frozen=True)
class BelowDetection:
    """A laboratory value below its limit of detection, as "<5"."""

    limit: float


def detectable(value: Any, number_of: Callable[[Any], float]) -> float | BelowDetection:
    """Return a number, or the limit of a value below detection.

    Parameters
    ----------
    number_of : checks a number and its range
    """
    found = (
        re.fullmatch(r"<\s*(\d+(?:\.\d+)?)", unicodedata.normalize("NFKC", value)) if isinstance(value, str) else None
    )
    return number_of(number(value)) if found is None else BelowDetection(number_of(float(found[1])))


def day(value: Any) -> Any:
    """Return the date of a date cell, or of text as year, month, day."""
    if isinstance(value, date):
        return _plausible(value.date() if isinstance(value, datetime) else value)
    text_ = str(value).strip()
    serial = int(float(text_)) if re.fullmatch(r"\d{5}(\.0*)?", text_) else 0
    if serial in EXCEL_SERIALS:
        shown_day = EXCEL_EPOCH + timedelta(days=serial)
        raise _fault(
            QueryKind.NOT_A_DATE,
            text_,
            Message(
                "this looks like Excel's number of {date}: format the column as date, or write YYYY-MM-DD",
                date=shown_day.isoformat(),
            ),
        )
    found = _ISO_DATE.fullmatch(text_)
    try:
        if found is None:
            raise ValueError
        written = date(*(int(part) for part in found.groups()))
    except ValueError:
        raise _fault(
            QueryKind.NOT_A_DATE,
            shown(text_),
            Message("write YYYY-MM-DD: otherwise day and month can be confused"),
        ) from None
    return _plausible(written)


def _plausible(value: date) -> date:
    """Return the date if a visit of a trial can be on it."""
    if value.year not in YEARS:
        raise _fault(QueryKind.OUT_OF_RANGE, value.isoformat(), Message("check the year"))
    return value


def yes_no(value: Any) -> bool:
    """Return yes or no from a number, a word or a checkbox."""
    if isinstance(value, date):
        raise _fault(
            QueryKind.NOT_ALLOWED, Message("a date"), Message("format the column as number and type the value again")
        )
    word = f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value).strip()
    word = re.sub(r"\.0+$", "", word.casefold())
    if word in YES or word in NO:
        return word in YES
    raise _fault(QueryKind.OUT_OF_RANGE, shown(value), Message("write 1 for yes and 0 for no, or leave it empty"))


def identifier(value: Any) -> str:
    """Return an identifier of letters, digits, - and _; a fault never shows the value: it might be a name."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    if isinstance(value, date | bool) or _IDENTIFIER.fullmatch(word) is None:
        raise _fault(
            QueryKind.NOT_ALLOWED,
            Message("something else (not shown: it might be a name)"),
            Message("write the trial's own number, format the column as text"),
        )
    return word


def text(value: Any) -> str:
    """Return short text; a whole number becomes its digits."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip()
    if word.startswith(("=", "@", "+", "-")):
        raise _fault(
            QueryKind.NOT_ALLOWED, Message("text that a spreadsheet takes for a formula"), Message("write plain text")
        )
    if len(word) > 500:
        raise _fault(QueryKind.NOT_ALLOWED, Message("{count} characters", count=len(word)), Message("shorten it"))
    return word


def word(value: Any) -> Any:
    """Return a word in lower case, with underscores for blanks and hyphens."""
    return re.sub(r"[\s-]+", "_", value.strip().casefold()) if isinstance(value, str) else value


def shown(value: object) -> str:
    """Return a value for a message if it is short and has a digit; other values might hold a name."""
    word = value.isoformat() if isinstance(value, date) else str(value).strip()
    if _SHOWABLE.fullmatch(word) and (any(letter.isdigit() for letter in word) or len(word) <= 2):
        return word
    return Message("text of {count} characters", count=len(word))


def _fault(kind: QueryKind, found: str, remedy: Message) -> PydanticCustomError:
    return PydanticCustomError(kind.name, "{found}", {"found": found, "remedy": remedy})
