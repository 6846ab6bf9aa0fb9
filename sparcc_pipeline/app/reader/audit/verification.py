"""Check a whole reading page: the trail, locked readings, images, users and assignments.

Contents: `verify_all`. A reading names its time points "A, B, C"; other tables hold the visits, the participant and the
reader. A change there would change the meaning of a reading, so these tables are compared with the trail too.
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
"""Keys of a time point in the trail, and the column that must hold the same value."""


def verify_all(database: ReaderDatabase, noted: trail.Head | None = None) -> trail.Verdict:
    """Check everything; `noted` is an earlier head, noted elsewhere."""
    verdict = database.verify(noted)
    with database.reading() as connection:
        found = [
            *_users(connection),
            *_assignments(connection),
            *_images(connection, PictureStore(database.folder)),
        ]
    return trail.Verdict(verdict.entries, (*verdict.findings, *found))


def _recorded(connection: Connection, action: str) -> list[Row[Any]]:
    return list(connection.execute(select(AUDIT).where(AUDIT.c.action == action).order_by(AUDIT.c.seq)))


def _users(connection: Connection) -> Iterator[Message]:
    """Yield a finding for each user whose name, code or role is not the one recorded."""
    added = {row.subject: json.loads(row.new) for row in _recorded(connection, "add_user")}
    for row in connection.execute(select(USERS)):
        if added.pop(row.name, None) != {"code": row.code, "role": row.role}:
            yield Message("user {name} differs from the trail", name=row.name)
    for name in added:
        yield Message("user {name} differs from the trail", name=name)


def _assignments(connection: Connection) -> Iterator[Message]:
    """Yield a finding for each assignment that differs from the trail in case, reader or order of time points."""
    given = {row.subject: json.loads(row.new) for row in _recorded(connection, "assign")}
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
            yield Message("case {code} differs from its assignment", code=row.code)
    for code in given:
        yield Message("case {code} differs from its assignment", code=code)


def _images(connection: Connection, store: PictureStore) -> Iterator[Message]:
    """Yield a finding for each time point or file that differs from its import."""
    imported = {
        new["images"]: (row.subject, new) for row in _recorded(connection, "import") if (new := json.loads(row.new))
    }
    query = select(VISITS, CASES.c.participant, CASES.c.training).join(CASES, CASES.c.id == VISITS.c.case_id)
    for row in connection.execute(query):
        if row.images not in imported:
            yield Message("time point {number} is stored, but not in the trail", number=row.id)
            continue
        participant, new = imported.pop(row.images)
        found = store.digests(IMAGES, row.images)
        if row.machine is not None:
            found |= store.digests(MACHINE, row.machine)
        same = participant == row.participant and all(new[name] == getattr(row, at) for name, at in _KEPT.items())
        if not same:
            yield Message("time point {number} differs from its import", number=row.id)
        if trail.digest_of(trail.plain(found)) != new["digest"]:
            yield Message("images or the machine's result of time point {number} were changed", number=row.id)
    if imported:
        yield Message("{count} imported time points are missing", count=len(imported))
