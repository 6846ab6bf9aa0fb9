"""The audit trail for an auditor: pages and CSV.

Contents: `entries`, `actions`, `without_saves`, `csv_of`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from sparcc_pipeline.app.reader.tables import AUDIT

COLUMNS: Final = ("seq", "at", "who", "action", "subject", "old", "new", "reason", "hash")
PAGE: Final = 100
"""Number of entries on one page."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def entries(connection: Connection, page: int, who: str, action: str) -> tuple[Sequence[Row[Any]], int]:
    """Return the entries of a page, newest first, and the number of pages; empty `who` or `action` selects all."""
    chosen = [column == value for column, value in ((AUDIT.c.who, who), (AUDIT.c.action, action)) if value]
    count = connection.execute(select(func.count()).select_from(AUDIT).where(*chosen)).scalar_one()
    rows = connection.execute(
        select(AUDIT).where(*chosen).order_by(AUDIT.c.seq.desc()).limit(PAGE).offset((page - 1) * PAGE)
    )
    return rows.all(), max((count + PAGE - 1) // PAGE, 1)


def actions(connection: Connection) -> list[str]:
    """Return every action in the trail."""
    return list(connection.execute(select(AUDIT.c.action).distinct().order_by(AUDIT.c.action)).scalars())


def without_saves(connection: Connection) -> list[Row[Any]]:
    """Return the trail, oldest first, without autosaves, which are nine in ten entries."""
    return list(connection.execute(select(AUDIT).where(AUDIT.c.action != "save").order_by(AUDIT.c.seq)))


def csv_of(connection: Connection) -> Iterator[str]:
    """Yield the whole trail as CSV rows; no cell starts like a formula of a spreadsheet."""
    yield _line(COLUMNS)
    for row in connection.execute(select(*(AUDIT.c[name] for name in COLUMNS)).order_by(AUDIT.c.seq)):
        yield _line([f"'{cell}" if str(cell).startswith(_FORMULA) else cell for cell in row])


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
