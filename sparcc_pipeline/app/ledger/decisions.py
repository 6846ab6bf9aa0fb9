"""The ledger's part for people: what a coordinator decides about studies that wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from sparcc_pipeline.app.ledger.records import StudyVersion, Upload, upload_of
from sparcc_pipeline.app.ledger.repository import Book, find_version
from sparcc_pipeline.app.ledger.states import ASIDE, State, UploadState
from sparcc_pipeline.app.ledger.tables import study_version, upload
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message, to_plain


class DecisionBook(Book):
    """Decisions name who made them; each is a line of the history."""

    def release(self, number: int, reason: str, by: str) -> StudyVersion:
        """Let a study out of quarantine: it goes on with the step that put it there.

        That step finds `released` in the facts of the study.

        Raises
        ------
        ConfigError : there is no such study, or it is not in quarantine
        """

        def work(connection: Connection) -> StudyVersion:
            version = find_version(connection, number)
            if version.state != State.QUARANTINED:
                raise ConfigError(_expected("a study in quarantine", version))
            return self._release(connection, version, Message("released: {reason}", reason=reason), by)

        return self._session.write(work)

    def retry(self, number: int, by: str) -> StudyVersion:
        """Try a study again that failed or was rejected, at once and with all its attempts.

        Raises
        ------
        ConfigError : there is no such study, or it neither failed nor was rejected
        """

        def work(connection: Connection) -> StudyVersion:
            version = find_version(connection, number)
            if version.state not in (State.FAILED, State.REJECTED):
                raise ConfigError(_expected("a study that failed or was rejected", version))
            return self._resume(connection, version, Message("to be tried again"), by, {})

        return self._session.write(work)

    def refuse(self, number: int, reason: str, by: str) -> StudyVersion:
        """Reject a study that waits in quarantine or failed: its site must send something else.

        Raises
        ------
        ConfigError : there is no such study, or it does not wait
        """

        def work(connection: Connection) -> StudyVersion:
            version = find_version(connection, number)
            if version.state not in (State.QUARANTINED, State.FAILED):
                raise ConfigError(_expected("a study in quarantine, or one that failed", version))
            why = Message("rejected by {by}: {reason}", by=by, reason=reason)
            values = {"state": State.REJECTED, "reason": to_plain(why), "next_try_at": None}
            return self._decide(connection, version, values, why, by, State.REJECTED)

        return self._session.write(work)

    def supersede(self, old: int, new: int, by: str) -> tuple[StudyVersion, StudyVersion]:
        """Of two studies of one visit, `new` counts; if it was in quarantine, it is released.

        A decision the other way round is taken back by this.

        Raises
        ------
        ConfigError : there is no such study, they are not of one visit, or one was superseded by a third
        """

        def work(connection: Connection) -> tuple[StudyVersion, StudyVersion]:
            first, second = find_version(connection, min(old, new)), find_version(connection, max(old, new))
            before, after = (first, second) if old < new else (second, first)
            _require_one_visit(before, after)
            connection.execute(update(study_version).where(study_version.c.id == old).values(superseded_by=new))
            connection.execute(
                update(study_version).where(study_version.c.id == new).values(supersedes=old, superseded_by=None)
            )
            self._tell(connection, "superseded", by, version_id=old, facts={"by": new})
            if after.state == State.QUARANTINED:
                self._release(connection, after, Message("it supersedes study {old}", old=old), by)
            return find_version(connection, old), find_version(connection, new)

        return self._session.write(work)

    def release_upload(self, upload_id: str, reason: str, by: str) -> Upload:
        """Have an upload sorted again that was quarantined or rejected as a whole.

        Raises
        ------
        ConfigError : there is no such upload, or it does not wait
        """

        def work(connection: Connection) -> Upload:
            chosen = select(upload).where(upload.c.id == upload_id)
            row = connection.execute(chosen.with_for_update()).one_or_none()
            if row is None:
                raise ConfigError(f"expected the ID of an upload, found {upload_id!r}; see `sparcc nightly status`")
            if row.state not in (UploadState.QUARANTINED, UploadState.REJECTED):
                raise ConfigError(f"expected an upload that waits, found {upload_id} {row.state}; nothing was changed")
            why = Message("released: {reason}", reason=reason)
            state = UploadState.RECEIVED
            connection.execute(update(upload).where(upload.c.id == upload_id).values(state=state, reason=None))
            self._tell(connection, "moved", by, reason=why, upload_id=upload_id, from_state=row.state, to_state=state)
            return upload_of(connection.execute(chosen).one())

        return self._session.write(work)

    def _release(self, connection: Connection, version: StudyVersion, why: Message, by: str) -> StudyVersion:
        released = {"by": by, "reason": str(why.fields.get("reason", why)), "at": self._clock().isoformat()}
        return self._resume(connection, version, why, by, {"released": released})

    def _resume(
        self, connection: Connection, version: StudyVersion, why: Message, by: str, facts: Mapping[str, Any]
    ) -> StudyVersion:
        """Back to the state whose step it waits for."""
        state = version.resume
        if state is None or version.state not in ASIDE:
            raise ConfigError(_expected("a study that waits", version))
        values = {
            "state": state, "resume": None, "reason": None, "attempts": 0, "next_try_at": None,
            "facts": {**version.facts, **facts},
        }  # fmt: skip
        return self._decide(connection, version, values, why, by, state)

    def _decide(
        self, connection: Connection, version: StudyVersion, values: Mapping[str, Any], why: Message, by: str,
        state: State,
    ) -> StudyVersion:  # fmt: skip
        connection.execute(update(study_version).where(study_version.c.id == version.id).values(**values))
        self._tell(connection, "moved", by, reason=why, version_id=version.id, from_state=version.state, to_state=state)
        return find_version(connection, version.id)


def _require_one_visit(old: StudyVersion, new: StudyVersion) -> None:
    """Refuse a decision that makes no sense."""
    if old.id == new.id:
        raise ConfigError(f"expected two studies, found {old.id} twice; name the old one, then the new one")
    if old.participant is None or (old.site, old.participant, old.visit) != (new.site, new.participant, new.visit):
        raise ConfigError(f"expected two studies of one visit, found {old.name} and {new.name}; nothing was changed")
    for one, other in ((old, new), (new, old)):
        if one.superseded_by not in (None, other.id):
            raise ConfigError(
                f"expected two studies that count, found {one.id} superseded by {one.superseded_by}; name that one"
            )


def _expected(what: str, version: StudyVersion) -> str:
    return f"expected {what}, found {version.id} ({version.name}) {version.state}; nothing was changed"
