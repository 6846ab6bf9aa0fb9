"""Save, lock and correct readings.

Contents: `Readings`. A reading is saved at every change and locked by a signature. A correction is a new version; a
locked version never changes. Every change adds its entry to the trail in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from sparcc_pipeline.app.reader.accounts.roles import User
from sparcc_pipeline.app.reader.audit.trail import digest_of, reading_digest
from sparcc_pipeline.app.reader.cases.levels import Levels
from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import ReaderDatabase, Writing
from sparcc_pipeline.app.reader.readings import content as form
from sparcc_pipeline.app.reader.readings.assignments import TRAINING, Assignment
from sparcc_pipeline.app.reader.readings.content import Content
from sparcc_pipeline.app.reader.readings.stored import (
    REVISED,
    has_seen_machine,
    image_folders,
    newest,
    state_of,
    totals,
    visits_of,
)
from sparcc_pipeline.app.reader.readings.views import ReadingState, ReasonedChange
from sparcc_pipeline.app.reader.structural.content import (
    AnyContent,
    StructuralContent,
    content_of,
    fresh,
    inflammation,
    is_structural,
    missing,
)
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.message import Message

_INCOMPLETE: Final = Message("the reading is not complete yet")


class Readings:
    """The readings of one reading page."""

    def __init__(self, database: ReaderDatabase, store: PictureStore) -> None:
        self._database, self._store = database, store

    def state(self, assignment: Assignment, *, revised: bool = False) -> ReadingState | None:
        """Return the newest saved version, or an empty form; None if there is no revised reading."""
        with self._database.reading() as connection:
            row = newest(connection, assignment, revised=revised)
            if row is not None:
                return state_of(row)
            return None if revised else self._fresh(connection, assignment)

    def save(self, user: User, assignment: Assignment, revision: int, content: AnyContent) -> ReadingState:
        """Save an open reading.

        Raises
        ------
        Refusal : the reading is locked, was saved elsewhere meanwhile, or is impossible
        """
        self._require_form(assignment, content)
        with self._database.writing() as work:
            self._require_open_database(work)
            self._require_blind(work, assignment)
            row = newest(work.connection, assignment)
            before = self._fresh(work.connection, assignment) if row is None else state_of(row)
            _require_revision(before, revision)
            if assignment.kind == TRAINING and form.changes_read_slice(
                inflammation(before.content), inflammation(content)
            ):
                raise Refusal(409, "final", Message("a slice whose feedback was shown cannot change"))
            if row is None:
                row = self._insert(work, assignment, assignment.kind, before.content)
            return self._update(work, user, assignment, row, content)

    def lock(self, user: User, assignment: Assignment, revision: int) -> ReadingState:
        """Lock the newest version permanently; the caller has checked the password.

        Raises
        ------
        Refusal : the reading is locked already, not at this revision, or not complete
        """
        with self._database.writing() as work:
            self._require_open_database(work)
            self._require_blind(work, assignment)
            row = newest(work.connection, assignment)
            state = self._fresh(work.connection, assignment) if row is None else state_of(row)
            _require_revision(state, revision)
            if lacking := missing(state.content):
                raise Refusal(422, "incomplete", _INCOMPLETE, {"missing": lacking})
            assert row is not None
            return _lock(work, user, assignment, row, "lock")

    def correct(self, user: User, assignment: Assignment, reason: str) -> ReadingState:
        """Open a new version of a locked reading, with its content; the locked version stays.

        Raises
        ------
        Refusal : not locked, a training case, or the second opinion is open, which ends the primary reading
        """
        if not reason.strip():
            raise Refusal(422, "incomplete", Message("a correction needs a reason"), {"missing": [{"field": "reason"}]})
        with self._database.writing() as work:
            self._require_open_database(work)
            row = newest(work.connection, assignment)
            if row is None or row.state != "locked":
                raise Refusal(409, "locked", Message("only a locked reading can be corrected"))
            if assignment.kind == TRAINING:
                raise refusal.locked()
            self._require_blind(work, assignment)
            opened = self._insert(
                work, assignment, row.kind, content_of(row.kind, row.content), row.version + 1, reason.strip()
            )
            digest = digest_of(opened.content + opened.reasons)
            new = {"version": opened.version, "kind": opened.kind, "digest": digest}
            work.record(user.name, "correct", assignment.code, new=new, reason=reason.strip())
            return state_of(opened)

    def save_revision(
        self, user: User, assignment: Assignment, revision: int, content: Content, reasons: Sequence[ReasonedChange]
    ) -> ReadingState:
        """Save a revised reading after the second opinion; the primary reading stays unchanged.

        Raises
        ------
        Refusal : second opinion not open, or reading locked, impossible, or saved elsewhere meanwhile
        """
        self._require_form(assignment, content)
        with self._database.writing() as work:
            self._require_open_database(work)
            primary = self._opened(work, assignment)
            if any(v.first != primary.visits[label].first for label, v in content.visits.items()):
                raise Refusal(
                    422, "invalid", Message("a revised reading must use the six slices of the primary reading")
                )
            row = newest(work.connection, assignment, revised=True)
            if row is None:
                if revision != 0:
                    raise refusal.invalid()
                row = self._insert(work, assignment, REVISED, primary)
            _require_revision(state_of(row), revision)
            return self._update(work, user, assignment, row, content, reasons)

    def lock_revision(self, user: User, assignment: Assignment, revision: int) -> ReadingState:
        """Lock a revised reading; every point that differs from the primary reading needs a reason.

        Raises
        ------
        Refusal : there is no revised reading, or it is locked, not at this revision, or not complete
        """
        with self._database.writing() as work:
            self._require_open_database(work)
            primary = self._opened(work, assignment)
            row = newest(work.connection, assignment, revised=True)
            if row is None:
                raise refusal.not_found()
            state = state_of(row)
            _require_revision(state, revision)
            given = {(r.label, r.slice, r.joint, r.item) for r in state.reasons if r.reason.strip()}
            lacking = missing(state.content) + [
                {"label": a[0], "slice": a[1], "joint": a[2], "item": a[3]}
                for a, b in zip(form.points(inflammation(state.content)), form.points(primary), strict=True)
                if a != b and a[:4] not in given
            ]
            if lacking:
                raise Refusal(422, "incomplete", _INCOMPLETE, {"missing": lacking})
            return _lock(work, user, assignment, row, "lock_revision")

    def _update(
        self,
        work: Writing,
        user: User,
        assignment: Assignment,
        row: Row[Any],
        content: AnyContent,
        reasons: Sequence[ReasonedChange] = (),
    ) -> ReadingState:
        old, new = form.changes(content_of(row.kind, row.content), content)
        values = {
            "content": content.model_dump_json(),
            "reasons": json.dumps([each.model_dump() for each in reasons], ensure_ascii=False),
            "revision": row.revision + 1,
            "saved_at": work.now,
        }
        work.connection.execute(update(READINGS).where(READINGS.c.id == row.id).values(**values))
        about = {"kind": row.kind, "version": row.version, "revision": row.revision + 1}
        digest = digest_of(values["content"] + values["reasons"])
        work.record(user.name, "save", assignment.code, old=old, new={**new, **about, "digest": digest})
        return state_of(work.connection.execute(select(READINGS).where(READINGS.c.id == row.id)).one())

    def _insert(
        self, work: Writing, assignment: Assignment, kind: str, content: AnyContent, version: int = 1, reason: str = ""
    ) -> Row[Any]:
        return work.connection.execute(
            READINGS.insert()
            .values(
                assignment_id=assignment.id,
                kind=kind,
                version=version,
                state="open",
                revision=0,
                content=content.model_dump_json(),
                reasons="[]",
                reason=reason,
                saved_at=work.now,
            )
            .returning(READINGS)
        ).one()

    def _fresh(self, connection: Connection, assignment: Assignment) -> ReadingState:
        """Return an empty form."""
        rows = visits_of(connection, assignment)
        first = Levels(rows, {label: self._store.view(row.images) for label, row in rows.items()}).first_slices
        content = fresh(assignment.kind, first)
        state = {
            "kind": assignment.kind,
            "version": 1,
            "state": "open",
            "revision": 0,
            "saved_at": "",
            "locked_at": None,
        }
        return ReadingState.model_validate(state | {"content": content, "totals": totals(content)})

    def _require_form(self, assignment: Assignment, content: AnyContent) -> None:
        with self._database.reading() as connection:
            folders = image_folders(connection, assignment)
        structural = isinstance(content, StructuralContent)
        if set(content.visits) != set(folders) or structural != is_structural(assignment.kind):
            raise refusal.invalid()
        for label, visit in content.visits.items():
            if visit.first + len(visit.joints) // 2 > self._store.view(folders[label]).series.stir.slices:
                raise refusal.invalid()
        if isinstance(content, Content) and (wrong := form.impossible(content)):
            raise Refusal(
                422,
                "impossible",
                Message("intense or deep edema needs edema in the same joint and slice"),
                {"where": wrong},
            )

    def may_correct(self, assignment: Assignment) -> bool:
        """Return True if a locked reading of this case may be corrected."""
        with self._database.reading() as connection:
            row = newest(connection, assignment)
            seen = not is_structural(assignment.kind) and has_seen_machine(connection, assignment)
            blind = assignment.kind != TRAINING and not seen
            locked = row is not None and row.state == "locked"
            return blind and locked and not self._database.is_locked(connection)

    def _require_blind(self, work: Writing, assignment: Assignment) -> None:
        """Refuse to read images after the machine's score of the same images was shown to this person."""
        # The machine scores no structural lesion.
        if not is_structural(assignment.kind) and has_seen_machine(work.connection, assignment):
            raise Refusal(
                409, "locked", Message("you have seen the machine's score of these images: this reading cannot change")
            )

    def _opened(self, work: Writing, assignment: Assignment) -> Content:
        """Return the primary reading of a case whose second opinion is open."""
        opened = select(ASSIGNMENTS.c.second_opinion_at).where(ASSIGNMENTS.c.id == assignment.id)
        row = newest(work.connection, assignment)
        if row is None or row.state != "locked" or work.connection.execute(opened).scalar_one() is None:
            raise Refusal(409, "not_opened", Message("the second opinion is not open yet"))
        return Content.model_validate_json(row.content)

    def _require_open_database(self, work: Writing) -> None:
        if self._database.is_locked(work.connection):
            raise Refusal(409, "locked", Message("the database is locked: no reading can change"))


def _lock(work: Writing, user: User, assignment: Assignment, row: Row[Any], action: str) -> ReadingState:
    mine = READINGS.c.id == row.id
    work.connection.execute(update(READINGS).where(mine).values(state="locked", locked_at=work.now))
    done = work.connection.execute(select(READINGS).where(mine)).one()
    new = {"kind": row.kind, "version": row.version, "readings": {str(row.id): reading_digest(done)}}
    work.record(user.name, action, assignment.code, new=new)
    return state_of(done)


def _require_revision(state: ReadingState, revision: int) -> None:
    if state.state == "locked":
        raise refusal.locked()
    if state.revision != revision:
        newer: Mapping[str, Any] = {"reading": state.model_dump(mode="json")}
        raise Refusal(409, "stale", Message("the reading was saved elsewhere meanwhile"), newer)
