"""Read readings, and the time points that they belong to, from the database.

Contents: `newest`, `versions`, `earlier_versions`, `is_begun`, `has_seen_machine`, `all_locked`, `state_of`,
`visits_of`, `image_folders`, `totals`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.readings.assignments import Assignment
from sparcc_pipeline.app.reader.readings.content import LABELS, Totals
from sparcc_pipeline.app.reader.readings.views import EarlierVersion, ReadingState
from sparcc_pipeline.app.reader.structural.content import AnyContent, StructuralContent, StructuralTotals, content_of
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS, VISITS

REVISED: Final = "revised"
"""Kind of a reading that the second opinion changed."""


def is_begun(connection: Connection, assignment: Assignment) -> bool:
    """Return True if a reading of the case was saved."""
    mine = READINGS.c.assignment_id == assignment.id
    return connection.execute(select(READINGS.c.id).where(mine).limit(1)).first() is not None


def has_seen_machine(connection: Connection, assignment: Assignment) -> bool:
    """Return True if this person opened the machine's score of these images, in this assignment or in a repeat."""
    same = ASSIGNMENTS.c.case_id == assignment.case_id, ASSIGNMENTS.c.user_id == assignment.user_id
    opened = select(ASSIGNMENTS.c.id).where(*same, ASSIGNMENTS.c.second_opinion_at.is_not(None))
    return connection.execute(opened.limit(1)).first() is not None


def all_locked(connection: Connection, assignments: Sequence[Assignment]) -> bool:
    """Return True if the newest version of every reading of these assignments is locked."""
    mine = [each.id for each in assignments]
    rows = connection.execute(
        select(READINGS.c.assignment_id, READINGS.c.state).where(READINGS.c.assignment_id.in_(mine))
    ).all()
    return {row.assignment_id for row in rows} == set(mine) and all(row.state == "locked" for row in rows)


def newest(connection: Connection, assignment: Assignment, *, revised: bool = False) -> Row[Any] | None:
    """Return the newest version of a reading, or of its revision; None if there is none."""
    found = versions(connection, assignment, revised=revised)
    return found[-1] if found else None


def versions(connection: Connection, assignment: Assignment, *, revised: bool = False) -> list[Row[Any]]:
    """Return all versions of a reading, or of its revision, oldest first."""
    kind = REVISED if revised else assignment.kind
    mine = READINGS.c.assignment_id == assignment.id, READINGS.c.kind == kind
    return list(connection.execute(select(READINGS).where(*mine).order_by(READINGS.c.version)))


def earlier_versions(connection: Connection, assignment: Assignment) -> list[EarlierVersion]:
    """Return the locked versions that a correction replaces."""
    rows = versions(connection, assignment)
    return [
        EarlierVersion(version=row.version, locked_at=row.locked_at, reason=after.reason)
        for row, after in zip(rows, rows[1:], strict=False)
    ]


def image_folders(connection: Connection, assignment: Assignment) -> dict[str, str]:
    """Return the image folder of each time point, by label."""
    return {label: row.images for label, row in visits_of(connection, assignment).items()}


def visits_of(connection: Connection, assignment: Assignment) -> dict[str, Row[Any]]:
    """Return the time points of a case by label. Their names in the trial never leave the server."""
    rows = {row.id: row for row in connection.execute(select(VISITS).where(VISITS.c.case_id == assignment.case_id))}
    return {label: rows[visit] for label, visit in zip(LABELS, assignment.visits, strict=False)}


def state_of(row: Row[Any]) -> ReadingState:
    """Return a stored reading in the form sent to the page."""
    content = content_of(row.kind, row.content)
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


def totals(content: AnyContent) -> dict[str, Totals | StructuralTotals]:
    """Return the totals of every time point."""
    if isinstance(content, StructuralContent):
        return {label: StructuralTotals.of(visit) for label, visit in content.visits.items()}
    return {label: Totals.of(visit) for label, visit in content.visits.items()}
