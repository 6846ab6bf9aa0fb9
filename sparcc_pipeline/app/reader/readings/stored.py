"""Read readings, and the time points that they belong to, from the database.

Contents: `newest`, `versions`, `is_begun`, `state_of`, `visits_of`, `image_folders`, `totals`.
"""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.readings.assignments import Assignment
from sparcc_pipeline.app.reader.readings.content import LABELS, Content, Totals
from sparcc_pipeline.app.reader.readings.views import ReadingState
from sparcc_pipeline.app.reader.tables import READINGS, VISITS

REVISED: Final = "revised"
"""Kind of a reading that the second opinion changed."""


def is_begun(connection: Connection, assignment: Assignment) -> bool:
    """Return True if a reading of the case was saved."""
    mine = READINGS.c.assignment_id == assignment.id
    return connection.execute(select(READINGS.c.id).where(mine).limit(1)).first() is not None


def newest(connection: Connection, assignment: Assignment, *, revised: bool = False) -> Row[Any] | None:
    """Return the newest version of a reading, or of its revision; None if there is none."""
    found = versions(connection, assignment, revised=revised)
    return found[-1] if found else None


def versions(connection: Connection, assignment: Assignment, *, revised: bool = False) -> list[Row[Any]]:
    """Return all versions of a reading, or of its revision, oldest first."""
    kind = REVISED if revised else assignment.kind
    mine = READINGS.c.assignment_id == assignment.id, READINGS.c.kind == kind
    return list(connection.execute(select(READINGS).where(*mine).order_by(READINGS.c.version)))


def image_folders(connection: Connection, assignment: Assignment) -> dict[str, str]:
    """Return the image folder of each time point, by label."""
    return {label: row.images for label, row in visits_of(connection, assignment).items()}


def visits_of(connection: Connection, assignment: Assignment) -> dict[str, Row[Any]]:
    """Return the time points of a case by label. Their names in the trial never leave the server."""
    rows = {row.id: row for row in connection.execute(select(VISITS).where(VISITS.c.case_id == assignment.case_id))}
    return {label: rows[visit] for label, visit in zip(LABELS, assignment.visits, strict=False)}


def state_of(row: Row[Any]) -> ReadingState:
    """Return a stored reading in the form sent to the page."""
    content = Content.model_validate_json(row.content)
    return ReadingState(
        kind=row.kind,
        version=row.version,
        state=row.state,
        revision=row.revision,
        saved_at=row.saved_at,
        locked_at=row.locked_at,
        content=content,
        totals=totals(content),
        reasons=json.loads(row.reasons),
    )


def totals(content: Content) -> dict[str, Totals]:
    """Return the totals of every time point."""
    return {label: Totals.of(visit) for label, visit in content.visits.items()}
