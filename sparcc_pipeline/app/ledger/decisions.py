"""The part of the ledger for people: a coordinator's decisions about studies that wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from sparcc_pipeline.app.ledger.records import StudyVersion, Upload, upload_of
from sparcc_pipeline.app.ledger.repository import Repository, find_version
from sparcc_pipeline.app.ledger.states import ASIDE, State, UploadState
from sparcc_pipeline.app.ledger.tables import study_version, upload
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message, to_plain


class DecisionRepository(Repository):
    """Each decision is a line of the history, with the name of the person."""

    def release(self, number: int, reason: str, by: str) -> StudyVersion:
        """Release a study from quarantine; the step that held it runs again.

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
        """Retry a failed or rejected study at once, with all its attempts.

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
        """Reject a study in quarantine, or one that failed: its site must send something else.

        Raises
        ------
        ConfigError : there is no such study, or it neither is in quarantine nor failed
        """

        def work(connection: Connection) -> StudyVersion:
            version = find_version(connection, number)
            if version.state not in (State.QUARANTINED, State.FAILED):
                raise ConfigError(_expected("a study in quarantine, or one that failed", version))
            why = Message("rejected by {by}: {reason}", by=by, reason=reason)
            values = {"reason": to_plain(why), "next_try_at": None}
            return self._decide(connection, version, State.REJECTED, values, why, by)

        return self._session.write(work)

    def explain(self, number: int, reason: Message, by: str) -> None:
        """Replace the reason of a study in quarantine by its present one; do nothing if it is that already."""

        def work(connection: Connection) -> None:
            version, plain = find_version(connection, number), to_plain(reason)
            if version.state != State.QUARANTINED or (version.reason and to_plain(version.reason) == plain):
                return
            connection.execute(update(study_version).where(study_version.c.id == number).values(reason=plain))
            self._record_event(connection, "explained", by, reason=reason, version_id=number)

        self._session.write(work)

    def supersede(self, old: int, new: int, by: str) -> tuple[StudyVersion, StudyVersion]:
        """Make `new` the study of a visit that counts instead of `old`; release it if it is in quarantine.

        Swapping the two numbers reverses the decision.

        Raises
        ------
        ConfigError : there is no such study, the two are not of one visit, or a third superseded one of them
        """

        def work(connection: Connection) -> tuple[StudyVersion, StudyVersion]:
            first, second = find_version(connection, min(old, new)), find_version(connection, max(old, new))
            before, after = (first, second) if old < new else (second, first)
            _require_one_visit(before, after)
            connection.execute(update(study_version).where(study_version.c.id == old).values(superseded_by=new))
            connection.execute(
                update(study_version).where(study_version.c.id == new).values(supersedes=old, superseded_by=None)
            )
            self._record_event(connection, "superseded", by, version_id=old, facts={"by": new})
            if after.state == State.QUARANTINED:
                self._release(connection, after, Message("it supersedes study {old}", old=old), by)
            return find_version(connection, old), find_version(connection, new)

        return self._session.write(work)

    def release_upload(self, upload_id: str, reason: str, by: str) -> Upload:
        """Sort a quarantined or rejected upload again.

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
            self._record_event(
                connection, "moved", by, reason=why, upload_id=upload_id, from_state=row.state, to_state=state
            )
            return upload_of(connection.execute(chosen).one())

        return self._session.write(work)

    def _release(self, connection: Connection, version: StudyVersion, why: Message, by: str) -> StudyVersion:
        released = {"by": by, "reason": str(why.fields.get("reason", why)), "at": self._clock().isoformat()}
        return self._resume(connection, version, why, by, {"released": released})

    def _resume(
        self, connection: Connection, version: StudyVersion, why: Message, by: str, facts: Mapping[str, Any]
    ) -> StudyVersion:
        """Move a study back to the state whose step is next."""
        state = version.resume
        if state is None or version.state not in ASIDE:
            raise ConfigError(_expected("a study that waits", version))
        cleared = {"resume": None, "reason": None, "attempts": 0, "next_try_at": None}
        values = {**cleared, "facts": {**version.facts, **facts}}
        return self._decide(connection, version, state, values, why, by)

    def _decide(
        self,
        connection: Connection,
        version: StudyVersion,
        state: State,
        values: Mapping[str, Any],
        why: Message,
        by: str,
    ) -> StudyVersion:
        """Move a study to a state and set `values`."""
        statement = update(study_version).where(study_version.c.id == version.id).values(state=state, **values)
        connection.execute(statement)
        self._record_event(
            connection, "moved", by, reason=why, version_id=version.id, from_state=version.state, to_state=state
        )
        return find_version(connection, version.id)


def _require_one_visit(old: StudyVersion, new: StudyVersion) -> None:
    """Raise ConfigError unless these are two current studies of one visit."""
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
