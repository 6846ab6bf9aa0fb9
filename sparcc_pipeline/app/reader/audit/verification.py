"""Check a whole reading page: the trail, all readings, images, users, assignments and the database lock.

Contents: `verify_all`, `verify_tables`. A reading names its time points "A, B, C"; other tables hold the visits, the
participant and the reader. A change there would change the meaning of a reading, so these tables are compared with the
trail too. A malformed row is a finding, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.audit import trail
from sparcc_pipeline.app.reader.audit.trail import digest_of, value_of
from sparcc_pipeline.app.reader.cases.picture_store import IMAGES, MACHINE, PictureStore
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, AUDIT, CASES, READINGS, STATE, USERS, VISITS
from sparcc_pipeline.message import Message

_KEPT: Final = {
    "visit": "visit",
    "case": "case_id",
    "known": "known",
    "machine": "machine",
    "training": "training",
    "round": "round",
}
"""Keys of a time point in the trail, and the column that must hold the same value."""

_CHANGES_USER: Final = ("add_user", "reset_password", "change_password", "set_active")


def verify_all(database: ReaderDatabase, noted: trail.Head | None = None) -> trail.Verdict:
    """Check everything, files included; `noted` is an earlier head, noted elsewhere."""
    verdict = verify_tables(database, noted)
    with database.reading() as connection:
        found = list(_images(connection, PictureStore(database.folder)))
    return trail.Verdict(verdict.entries, (*verdict.findings, *found))


def verify_tables(database: ReaderDatabase, noted: trail.Head | None = None) -> trail.Verdict:
    """Check everything in the database."""
    verdict = database.verify(noted)
    with database.reading() as connection:
        found = [
            *_users(connection),
            *_assignments(connection),
            *_readings(connection),
            *_database_lock(connection),
        ]
    return trail.Verdict(verdict.entries, (*verdict.findings, *found))


def _recorded(connection: Connection, *actions: str) -> list[Row[Any]]:
    return list(connection.execute(select(AUDIT).where(AUDIT.c.action.in_(actions)).order_by(AUDIT.c.seq)))


def _users(connection: Connection) -> Iterator[Message]:
    """Yield a finding for each user whose name, code, role, password or state is not the one recorded."""
    recorded: dict[str, dict[str, Any]] = {}
    for entry in _recorded(connection, *_CHANGES_USER):
        known = recorded.setdefault(entry.subject, {"active": True})
        recorded[entry.subject] = known | value_of(entry.new)
    for row in connection.execute(select(USERS)):
        found = {
            "code": row.code,
            "role": row.role,
            "active": row.active,
            "must_change": row.must_change,
            "password": digest_of(str(row.password_hash)),
        }
        if not _agrees(recorded.pop(row.name, None), found):
            yield Message("user {name} differs from the trail", name=row.name)
    for name in recorded:
        yield Message("user {name} differs from the trail", name=name)


def _assignments(connection: Connection) -> Iterator[Message]:
    """Yield a finding for each assignment that differs from the trail in case, reader, order or second opinion."""
    given = {row.subject: value_of(row.new) for row in _recorded(connection, "assign")}
    opened = {row.subject: row.at for row in _recorded(connection, "open_second_opinion")}
    query = select(ASSIGNMENTS, USERS.c.name).join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id, isouter=True)
    for row in connection.execute(query):
        found = {
            "case": row.case_id,
            "reader": row.name,
            "kind": row.kind,
            "repeat": row.repeat,
            "seed": row.seed,
            "position": repr(row.position),
            "visit_order": _list_of(row.visit_order),
        }
        if not _agrees(given.pop(row.code, None), found):
            yield Message("case {code} differs from its assignment", code=row.code)
        if row.second_opinion_at != opened.get(row.code):
            yield Message("the time of the second opinion of case {code} differs from the trail", code=row.code)
    for code in given:
        yield Message("case {code} differs from its assignment", code=code)


def _readings(connection: Connection) -> Iterator[Message]:
    """Yield a finding for each reading, open or locked, that is not as it was last saved."""
    saved = _saved(connection)
    query = select(READINGS, ASSIGNMENTS.c.code).join(
        ASSIGNMENTS, ASSIGNMENTS.c.id == READINGS.c.assignment_id, isouter=True
    )
    for row in connection.execute(query.order_by(READINGS.c.id)):
        last = saved.pop((row.code, row.kind, row.version), None)
        found = {"revision": row.revision, "saved_at": row.saved_at}
        if last is not None and "digest" in last:
            found["digest"] = digest_of(f"{row.content}{row.reasons}")
        if last != found:
            yield Message("reading {reading} differs from its last entry in the trail", reading=row.id)
    for code, _, version in saved:
        yield Message("version {version} of the reading of case {code} is missing", version=version, code=code)


def _saved(connection: Connection) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Return the last recorded state of every reading, by code, kind and version."""
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for entry in _recorded(connection, "save", "correct"):
        new = value_of(entry.new)
        kind, version = str(new.get("kind")), new.get("version")
        if not isinstance(version, int):
            continue
        state: dict[str, Any] = {"revision": new.get("revision", 0), "saved_at": entry.at}
        if "digest" in new:
            state["digest"] = new["digest"]
        found[entry.subject, kind, version] = state
    return found


def _database_lock(connection: Connection) -> Iterator[Message]:
    """Yield a finding if the time of the database lock is not the one recorded."""
    locks = [row.at for row in _recorded(connection, "lock_database")]
    stored = connection.execute(select(STATE.c.database_locked_at)).scalars().all()
    if list(stored) != (locks[:1] or [None]):
        yield Message("the database lock differs from the trail")


def _images(connection: Connection, store: PictureStore) -> Iterator[Message]:
    """Yield a finding for each time point or file that differs from its import."""
    imported = {
        str(new.get("images")): (row.subject, new)
        for row in _recorded(connection, "import")
        if (new := value_of(row.new))
    }
    levels = {row.subject: value_of(row.new).get("level") for row in _recorded(connection, "match_level")}
    query = select(VISITS, CASES.c.participant, CASES.c.training, CASES.c.round)
    for row in connection.execute(query.join(CASES, CASES.c.id == VISITS.c.case_id, isouter=True)):
        if row.images not in imported:
            yield Message("time point {number} is stored, but not in the trail", number=row.id)
            continue
        participant, new = imported.pop(row.images)
        found = store.digests(IMAGES, row.images)
        if row.machine is not None:
            found |= store.digests(MACHINE, str(row.machine))
        same = participant == row.participant and all(
            new[key] == getattr(row, at) for key, at in _KEPT.items() if key in new
        )
        if row.level != levels.get(row.images):
            yield Message("the level of time point {number} differs from the trail", number=row.id)
        if not same:
            yield Message("time point {number} differs from its import", number=row.id)
        if trail.digest_of(trail.plain(found)) != new.get("digest"):
            yield Message("images or the machine's result of time point {number} were changed", number=row.id)
    if imported:
        yield Message("{count} imported time points are missing", count=len(imported))


def _agrees(recorded: Mapping[str, Any] | None, found: Mapping[str, Any]) -> bool:
    """Return True if a row holds all recorded values; earlier versions recorded fewer, and entries are signed."""
    return bool(recorded) and all(found.get(name) == value for name, value in (recorded or {}).items())


def _list_of(text: Any) -> Any:
    """Return a stored list; the text itself if it is malformed."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
