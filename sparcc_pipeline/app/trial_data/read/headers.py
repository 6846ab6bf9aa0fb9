"""The unit in a header: a header means a column only if its unit is the one of the data dictionary.

Contents: `without_unit`, `has_other_unit`, `is_unit`. A percent sign, a ratio or an unknown unit changes the meaning of
a number, so it is never dropped: the column is not read, and the site is asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

_SPELLINGS: Final[Mapping[str, str]] = {
    "10^9/L": r"[x*×]?\s*10\s*[\^*]?\s*9\s*/\s*l|1e9/l|g/l",
    "g/L": r"g/l",
    "mg/L": r"mg/l",
    "mg/dL": r"mg/dl",
    "U/L": r"i?u/l",
    "umol/L": r"[uμ]mol/l",
    "mL/min": r"ml/min(/1\.73\s*m\^?2)?|ml\s*/\s*\(?min\s*[·*.]\s*1\.73\s*m\^?2\)?",
    "mm/h": r"mm/(1?h|hr|hour|小时)",
    "years": r"years?|yrs?|岁",
    "mg": r"mg(/d(ay)?)?|毫克",
    "days": r"days?|d|天",
    "mmol/L": r"mmol/l",
}
"""Spellings of each unit of the data dictionary, as patterns over lower case."""

_CHANGES_MEANING: Final = re.compile(r"[%‰/÷×*<>=±Δ∆√~^]", re.IGNORECASE)
"""Signs outside a known unit that make another quantity of a name: a share, a ratio, a change, a bound."""

_REQUIRED: Final = re.compile(r"^\*+|\*+$")
"""Stars with which a form marks a required field; they mean nothing else."""


def without_unit(column: str, unit: str) -> str:
    """Return a header in lower case without a spelling of this unit at its end, in brackets or not.

    Examples
    --------
    >>> without_unit("血小板（×10⁹/L）", "10^9/L"), without_unit("中性粒细胞%", "10^9/L")
    ('血小板', '中性粒细胞%')
    """
    plain = _REQUIRED.sub("", unicodedata.normalize("NFKC", column).casefold().strip()).strip()
    spelling = _SPELLINGS.get(unit)
    if spelling is None:
        return plain
    bracketed = re.sub(rf"\s*[(\[{{]\s*(?:{spelling})\s*[)\]}}]$", "", plain)
    if bracketed != plain:
        return bracketed.strip()
    return re.sub(rf"(?:[\s_,:]+|(?<=[^\x00-\x7f]))(?:{spelling})$", "", plain).strip()


def is_unit(text: str, unit: str) -> bool:
    """Return True if a text spells this unit.

    Examples
    --------
    >>> is_unit("×10⁹/L", "10^9/L"), is_unit("%", "10^9/L")
    (True, False)
    """
    return re.fullmatch(_SPELLINGS[unit], unicodedata.normalize("NFKC", text).casefold().strip()) is not None


def has_other_unit(column: str, unit: str) -> bool:
    """Return True if a sign of the header, outside a known unit, makes another quantity of its name.

    Examples
    --------
    >>> has_other_unit("中性粒细胞%", "10^9/L"), has_other_unit("ESR (mm/h)", "mm/h"), has_other_unit("ALT/ULN", "U/L")
    (True, False, True)
    """
    return _CHANGES_MEANING.search(without_unit(column, unit)) is not None
