"""All that can be checked of a reading page: the trail, locked readings, images, and who read what as whom.

A reading says "A, B, C": which time points these were, of whom, and which reader it was is in other tables. Whoever
changed those would change what the reading says, so they are held against the trail as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.audit import trail
from sparcc_pipeline.app.reader.cases.picture_store import IMAGES, MACHINE, PictureStore
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, AUDIT, CASES, USERS, VISITS
from sparcc_pipeline.message import Message

_KEPT: Final = {"visit": "visit", "case": "case_id", "known": "known", "machine": "machine", "training": "training"}
"""What the trail says of a time point, by the column that must still hold it."""


def verify_all(database: ReaderDatabase, noted: trail.Head | None = None) -> trail.Verdict:
    """Check everything; `noted` is an earlier head that was written down elsewhere."""
    verdict = database.verify(noted)
    with database.reading() as connection:
        found = [
            *_users(connection),
            *_assignments(connection),
            *_images(connection, PictureStore(database.folder)),
        ]
    return trail.Verdict(verdict.entries, (*verdict.findings, *found))


def _told(connection: Connection, action: str) -> list[Row[Any]]:
    return list(connection.execute(select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.seq)))


def _users(connection: Connection) -> Iterator[Message]:
    """Name, code and role of every user are those that they were added with."""
    added = {row.subject: json.loads(row.new) for row in _told(connection, "add_user")}
    for row in connection.execute(select(USERS)):
        if added.pop(row.name, None) != {"code": row.code, "role": row.role}:
            yield Message("user {name} is not as the trail says", name=row.name)
    for name in added:
        yield Message("user {name} is not as the trail says", name=name)


def _assignments(connection: Connection) -> Iterator[Message]:
    """Every case is still the one that was given to this reader, in this order of time points."""
    given = {row.subject: json.loads(row.new) for row in _told(connection, "assign")}
    query = select(ASSIGNMENTS, USERS.c.name).join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
    for row in connection.execute(query):
        found = {
            "case": row.case_id,
            "reader": row.name,
            "kind": row.kind,
            "repeat": row.repeat,
            "seed": row.seed,
            "visit_order": json.loads(row.visit_order),
        }
        if given.pop(row.code, None) != found:
            yield Message("case {code} is not as it was given out", code=row.code)
    for code in given:
        yield Message("case {code} is not as it was given out", code=code)


def _images(connection: Connection, store: PictureStore) -> Iterator[Message]:
    """Stored files and time points are those that were imported."""
    imported = {
        new["images"]: (row.subject, new) for row in _told(connection, "import") if (new := json.loads(row.new))
    }
    query = select(VISITS, CASES.c.participant, CASES.c.training).join(CASES, CASES.c.id == VISITS.c.case_id)
    for row in connection.execute(query):
        if row.images not in imported:
            yield Message("time point {number} is there, and the trail does not say so", number=row.id)
            continue
        participant, new = imported.pop(row.images)
        found = store.digests(IMAGES, row.images)
        if row.machine is not None:
            found |= store.digests(MACHINE, row.machine)
        same = participant == row.participant and all(new[name] == getattr(row, at) for name, at in _KEPT.items())
        if not same:
            yield Message("time point {number} is not as it was imported", number=row.id)
        if trail.digest_of(trail.plain(found)) != new["digest"]:
            yield Message("images or the machine's result of time point {number} were changed", number=row.id)
    if imported:
        yield Message("{count} time points were imported and are no longer there", count=len(imported))
