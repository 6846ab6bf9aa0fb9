"""The part of the ledger for status, reports and metrics. Nothing here writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select

from sparcc_pipeline.app.ledger.records import (
    Change,
    Event,
    StudyVersion,
    Upload,
    change_of,
    event_of,
    upload_of,
    version_of,
)
from sparcc_pipeline.app.ledger.repository import Repository, find_version, newest_problems
from sparcc_pipeline.app.ledger.states import NEXT, State, UploadState
from sparcc_pipeline.app.ledger.tables import change, history, study_version, upload, upload_file, version_upload
from sparcc_pipeline.message import Message, from_plain


class QueryRepository(Repository):
    """Queries, each in a transaction of its own."""

    def version(self, number: int) -> StudyVersion:
        """Return the study version with this number.

        Raises
        ------
        ConfigError : there is no such version
        """
        return self._session.read(lambda held: find_version(held, number, lock=False))

    def versions(
        self,
        *,
        state: State | None = None,
        site: str | None = None,
        participant: str | None = None,
        visit: str | None = None,
        current: bool = False,
    ) -> list[StudyVersion]:
        """Return study versions in the order of their numbers.

        Parameters
        ----------
        state, site, participant, visit : only versions with this value; None: any
        current : leave out superseded versions
        """
        wanted = {"state": state, "site": site, "participant": participant, "visit": visit}
        query = select(study_version).order_by(study_version.c.id)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(study_version.c[name] == value)
        if current:
            query = query.where(study_version.c.superseded_by.is_(None))
        return self._session.read(lambda held: [version_of(row) for row in held.execute(query)])

    def rivals(self, version: StudyVersion) -> list[StudyVersion]:
        """Return other active studies of the same visit; a person must decide which one counts (`supersede`)."""
        if version.participant is None:
            return []
        found = self.versions(site=version.site, participant=version.participant, visit=version.visit, current=True)
        held = (State.QUARANTINED, State.REJECTED)
        return [each for each in found if each.id != version.id and each.state not in held]

    def uploads(self, state: UploadState | None = None) -> list[Upload]:
        """Return uploads, the earliest first."""
        query = select(upload).order_by(upload.c.received_at, upload.c.id)
        if state is not None:
            query = query.where(upload.c.state == state)
        return self._session.read(lambda held: [upload_of(row) for row in held.execute(query)])

    def uploads_of(self, number: int) -> list[str]:
        """Return the IDs of the uploads that hold instances of a study version."""
        columns = version_upload.c
        query = select(columns.upload_id).where(columns.version_id == number).order_by(columns.upload_id)
        return self._session.read(lambda held: list(held.execute(query).scalars()))

    def instances(self, upload_ids: Sequence[str]) -> int:
        """Return how many different SOP instances these uploads hold."""
        columns = upload_file.c
        query = select(func.count(func.distinct(columns.instance_key))).where(columns.upload_id.in_(upload_ids))
        return self._session.read(lambda held: held.execute(query).scalar_one())

    def changes(self) -> list[Change]:
        """Return the comparisons of follow-ups with their baselines, in the order of their numbers."""
        query = select(change).order_by(change.c.id)
        return self._session.read(lambda held: [change_of(row) for row in held.execute(query)])

    def history(
        self, version: int | None = None, since: datetime | None = None, event: str | None = None
    ) -> list[Event]:
        """Return the history in the order in which it was written; times go back where a clock did."""
        query = select(history).order_by(history.c.id)
        if version is not None:
            query = query.where(history.c.version_id == version)
        if since is not None:
            query = query.where(history.c.at >= since)
        if event is not None:
            query = query.where(history.c.event == event)
        return self._session.read(lambda held: [event_of(row) for row in held.execute(query)])

    def problems(self) -> list[Message]:
        """Return what failed in the latest round of each part of the night."""
        found = self._session.read(newest_problems)
        return [message for part in found.values() for plain in part if (message := from_plain(plain)) is not None]

    def newest_event(self, site: str | None = None) -> int:
        """Return the number of the newest line of the history, of one site if it is given; 0: there is none."""
        query = select(func.max(history.c.id))
        if site is not None:
            studies = select(study_version.c.id).where(study_version.c.site == site)
            uploads = select(upload.c.id).where(upload.c.site == site)
            query = query.where(or_(history.c.version_id.in_(studies), history.c.upload_id.in_(uploads)))
        return self._session.read(lambda held: held.execute(query).scalar() or 0)

    def counts(self) -> Mapping[tuple[str, State], int]:
        """Return how many studies of each site are in each state, without superseded ones."""
        counted = Counter((each.site, each.state) for each in self.versions(current=True))
        return dict(counted)

    def queue_age(self) -> Mapping[str, timedelta]:
        """Return the age of the oldest study of each site that waits for the program, not for a person."""
        columns = study_version.c
        query = (
            select(columns.site, func.min(columns.received_at))
            .where(
                columns.superseded_by.is_(None),
                or_(columns.state.in_(tuple(NEXT)), columns.state == State.FAILED),
            )
            .group_by(columns.site)
        )

        def work(connection: Connection) -> Mapping[str, timedelta]:
            now = self._clock()
            # No negative age where a clock went back.
            return {site: max(now - oldest, timedelta()) for site, oldest in connection.execute(query).all()}

        return self._session.read(work)
