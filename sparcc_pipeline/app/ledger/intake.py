"""The part of the ledger for intake: uploads, their files, and study versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from sparcc_pipeline.app.ledger.records import StudyVersion, Upload, UploadRecord, upload_of, version_of
from sparcc_pipeline.app.ledger.repository import INTAKE, Repository, find_version, one_at_a_time
from sparcc_pipeline.app.ledger.states import NEXT, State, UploadState
from sparcc_pipeline.app.ledger.tables import history, study_version, upload, upload_file, version_upload
from sparcc_pipeline.message import Message, to_plain

STUDIES_FOLDER: Final = "studies"
RESULTS_FOLDER: Final = "results"

ATTEMPTED: Final = "attempted"
WITHDRAWN: Final = "withdrawn"
_COUNTS: Final = {ATTEMPTED: 1, WITHDRAWN: -1}


class IntakeRepository(Repository):
    """What intake writes."""

    def begin_upload(self, upload_id: str, site: str, way: str, most: int) -> int | None:
        """Record that an upload is read now; return the number of this attempt, None if there were `most` before.

        It is recorded first: a process that a file ends cannot record it later. A release begins the count again.
        """

        def work(connection: Connection) -> int | None:
            known = self._add_upload(connection, UploadRecord(upload_id, site, way, ()))
            attempts = _attempts(connection, upload_id)
            if attempts >= most:
                return None
            if known.reason is not None:
                connection.execute(update(upload).where(upload.c.id == upload_id).values(reason=None))
            self._record_event(connection, ATTEMPTED, INTAKE, upload_id=upload_id)
            return attempts + 1

        return self._session.write(work)

    def withdraw_attempt(self, upload_id: str) -> None:
        """Record that the latest attempt does not count: the upload was not at fault."""
        self._session.write(lambda held: self._record_event(held, WITHDRAWN, INTAKE, upload_id=upload_id))

    def defer_upload(self, upload_id: str, site: str, way: str, reason: Message) -> None:
        """Record why an upload waits for the next round; do nothing if that is recorded already."""

        def work(connection: Connection) -> None:
            known, plain = self._add_upload(connection, UploadRecord(upload_id, site, way, ())), to_plain(reason)
            if known.state == UploadState.RECEIVED and known.reason != plain:
                connection.execute(update(upload).where(upload.c.id == upload_id).values(reason=plain))
                self._record_event(connection, "deferred", INTAKE, reason=reason, upload_id=upload_id)

        self._session.write(work)

    def record_upload(self, record: UploadRecord) -> Upload:
        """Record an upload and its files; do nothing if its files are known."""

        def work(connection: Connection) -> Upload:
            known = self._add_upload(connection, record)
            if known.files or not record.files:
                return upload_of(known)
            counts = {"files": len(record.files), "bytes": sum(file.bytes for file in record.files)}
            connection.execute(update(upload).where(upload.c.id == record.id).values(counts))
            connection.execute(
                insert(upload_file),
                [
                    {
                        "upload_id": record.id,
                        "instance_key": file.instance_key,
                        "content_key": file.content_key,
                        "bytes": file.bytes,
                    }
                    for file in record.files
                ],
            )
            return upload_of(connection.execute(select(upload).where(upload.c.id == record.id)).one())

        return self._session.write(work)

    def close_upload(self, upload_id: str, state: UploadState, reason: Message | None = None) -> None:
        """Record the final state of an upload; do nothing if it has that state and reason."""

        def work(connection: Connection) -> None:
            found = connection.execute(select(upload).where(upload.c.id == upload_id).with_for_update()).one()
            plain = None if reason is None else to_plain(reason)
            if found.state == state and found.reason == plain:
                return
            connection.execute(update(upload).where(upload.c.id == upload_id).values(state=state, reason=plain))
            self._record_event(
                connection, "moved", INTAKE, reason=reason, upload_id=upload_id, from_state=found.state, to_state=state
            )

        self._session.write(work)

    def record_study(
        self,
        site: str,
        study_key: str,
        content_key: str,
        upload_ids: Sequence[str],
        facts: Mapping[str, Any] | None = None,
    ) -> StudyVersion:
        """Return the study version with this content: a known one, one that grew, or a new one.

        While a study is not complete, its newest version grows. Later, more content makes a new version that
        supersedes the one before.

        Parameters
        ----------
        study_key : keyed hash of the site and the study's UID
        content_key : keyed hash over all known instances of the study, sorted, those of earlier versions included
        """

        def work(connection: Connection) -> StudyVersion:
            one_at_a_time(connection)
            columns = study_version.c
            number = connection.execute(
                select(columns.id).where(columns.site == site, columns.content_key == content_key)
            ).scalar_one_or_none()
            if number is None:
                number = self._more_of(connection, site, study_key, content_key, dict(facts or {}))
            for upload_id in upload_ids:
                self._link(connection, number, upload_id)
            return find_version(connection, number)

        return self._session.write(work)

    def assign(self, number: int, participant: str, visit: str) -> StudyVersion:
        """Assign a study to a participant and a visit; set its version number and its folders.

        Raises
        ------
        ValueError : it is already de-identified for another participant or visit
        """

        def work(connection: Connection) -> StudyVersion:
            one_at_a_time(connection)
            version = find_version(connection, number)
            if (version.participant, version.visit) == (participant, visit):
                return version
            if version.deidentified_at is not None:
                raise ValueError(f"study {number} is de-identified as {version.name}")
            columns = study_version.c
            newest = connection.execute(
                select(func.max(columns.version)).where(
                    columns.site == version.site, columns.participant == participant, columns.visit == visit
                )
            ).scalar()
            count = (newest or 0) + 1
            place = f"{version.site}/{participant}/{visit}/v{count}"
            connection.execute(
                update(study_version)
                .where(columns.id == number)
                .values(
                    participant=participant,
                    visit=visit,
                    version=count,
                    study_folder=f"{STUDIES_FOLDER}/{place}",
                    result_folder=f"{RESULTS_FOLDER}/{place}",
                )
            )
            facts = {"participant": participant, "visit": visit, "version": count}
            self._record_event(connection, "assigned", INTAKE, version_id=number, facts=facts)
            return find_version(connection, number)

        return self._session.write(work)

    def _add_upload(self, connection: Connection, record: UploadRecord) -> Row[Any]:
        """Return the row of an upload; add it, still without files, if its id is unknown."""
        chosen = select(upload).where(upload.c.id == record.id)
        known = connection.execute(chosen).one_or_none()
        if known is not None:
            return known
        values = {"id": record.id, "site": record.site, "way": record.way, "state": UploadState.RECEIVED}
        connection.execute(insert(upload).values(**values, received_at=self._clock(), files=0, bytes=0))
        self._record_event(connection, "received", INTAKE, upload_id=record.id, to_state=UploadState.RECEIVED)
        return connection.execute(chosen).one()

    def _more_of(
        self, connection: Connection, site: str, study_key: str, content_key: str, facts: dict[str, Any]
    ) -> int:
        """Return the number of the version that has this content from now on."""
        columns = study_version.c
        row = connection.execute(
            select(study_version)
            .where(columns.site == site, columns.study_key == study_key)
            .order_by(columns.id.desc())
            .limit(1)
            .with_for_update()
        ).one_or_none()
        before = None if row is None else version_of(row)
        if before is not None and _still_grows(before):
            self._grow(connection, before, content_key, facts)
            return before.id
        new = {
            "site": site,
            "study_key": study_key,
            "content_key": content_key,
            "state": State.RECEIVED,
            "facts": facts,
            "received_at": self._clock(),
            "supersedes": None if before is None else before.id,
        }
        number: int = connection.execute(insert(study_version).values(new).returning(columns.id)).scalar_one()
        self._record_event(connection, "received", INTAKE, version_id=number, to_state=State.RECEIVED, facts=facts)
        if before is not None and before.superseded_by is None:
            connection.execute(update(study_version).where(columns.id == before.id).values(superseded_by=number))
            self._record_event(connection, "superseded", INTAKE, version_id=before.id, facts={"by": number})
        return number

    def _grow(self, connection: Connection, before: StudyVersion, content_key: str, facts: dict[str, Any]) -> None:
        """Give an incomplete study more content, and start it again."""
        cleared = ("lease_owner", "leased_at", "lease_until", "next_try_at", "resume", "reason")
        values = {
            **dict.fromkeys(cleared),
            "content_key": content_key,
            "facts": {**before.facts, **facts},
            # A new claim number: the worker that checks the smaller study now cannot record it as complete.
            "claim": study_version.c.claim + 1,
            "state": State.RECEIVED,
            "attempts": 0,
        }
        connection.execute(update(study_version).where(study_version.c.id == before.id).values(values))
        place: dict[str, Any] = {"version_id": before.id, "from_state": before.state, "to_state": State.RECEIVED}
        self._record_event(connection, "grew", INTAKE, facts=facts, **place)

    def _link(self, connection: Connection, number: int, upload_id: str) -> None:
        """Record that an upload holds instances of this version."""
        columns = version_upload.c
        known = connection.execute(
            select(columns.version_id).where(columns.version_id == number, columns.upload_id == upload_id)
        ).one_or_none()
        if known is None:
            connection.execute(insert(version_upload).values(version_id=number, upload_id=upload_id))
            self._record_event(connection, "uploaded", INTAKE, version_id=number, upload_id=upload_id)


def _attempts(connection: Connection, upload_id: str) -> int:
    """Return how often an upload was read since it came, or was released."""
    query = select(history.c.event, history.c.to_state).where(history.c.upload_id == upload_id)
    attempts = 0
    for event, to_state in connection.execute(query.order_by(history.c.id)):
        attempts = 0 if to_state == UploadState.RECEIVED else attempts + _COUNTS.get(event, 0)
    return attempts


def _still_grows(version: StudyVersion) -> bool:
    """Return True for a study that was never complete."""
    first = next(iter(NEXT))
    return version.completed_at is None and first in (version.state, version.resume)
