"""The ledger's part for whoever looks: status, reports, metrics. Nothing here writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, func, or_, select

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
from sparcc_pipeline.app.ledger.repository import Book
from sparcc_pipeline.app.ledger.states import NEXT, State, UploadState
from sparcc_pipeline.app.ledger.tables import change, history, study_version, upload, upload_file, version_upload
from sparcc_pipeline.errors import ConfigError


class ReadingBook(Book):
    """Queries, each in a transaction of its own."""

    def version(self, number: int) -> StudyVersion:
        """The study version with this number.

        Raises
        ------
        ConfigError : there is none
        """
        found = self._versions(select(study_version).where(study_version.c.id == number))
        if not found:
            raise ConfigError(f"expected the number of a study, found {number}; `sparcc nightly status` lists them")
        return found[0]

    def versions(
        self, *, state: State | None = None, site: str | None = None, participant: str | None = None,
        visit: str | None = None, current: bool = False,
    ) -> list[StudyVersion]:  # fmt: skip
        """Study versions by number; `current`: without those that were superseded."""
        wanted = {"state": state, "site": site, "participant": participant, "visit": visit}
        query = select(study_version).order_by(study_version.c.id)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(study_version.c[name] == value)
        if current:
            query = query.where(study_version.c.superseded_by.is_(None))
        return self._versions(query)

    def rivals(self, version: StudyVersion) -> list[StudyVersion]:
        """Other studies of the same visit that go on: a person must say which one counts (`supersede`)."""
        if version.participant is None:
            return []
        found = self.versions(site=version.site, participant=version.participant, visit=version.visit, current=True)
        held = (State.QUARANTINED, State.REJECTED)
        return [each for each in found if each.id != version.id and each.state not in held]

    def uploads(self, state: UploadState | None = None) -> list[Upload]:
        """Uploads, the earliest first."""
        query = select(upload).order_by(upload.c.received_at, upload.c.id)
        if state is not None:
            query = query.where(upload.c.state == state)
        return self._session.read(lambda held: [upload_of(row) for row in held.execute(query)])

    def uploads_of(self, number: int) -> list[str]:
        """The IDs of the uploads that hold instances of a study version."""
        columns = version_upload.c
        query = select(columns.upload_id).where(columns.version_id == number).order_by(columns.upload_id)
        return self._session.read(lambda held: list(held.execute(query).scalars()))

    def instances(self, upload_ids: Sequence[str]) -> int:
        """How many different SOP instances these uploads hold."""
        columns = upload_file.c
        query = select(func.count(func.distinct(columns.instance_key))).where(columns.upload_id.in_(upload_ids))
        return self._session.read(lambda held: held.execute(query).scalar_one())

    def changes(self) -> list[Change]:
        """Comparisons of follow-ups with their baselines, by number."""
        query = select(change).order_by(change.c.id)
        return self._session.read(lambda held: [change_of(row) for row in held.execute(query)])

    def history(
        self, version: int | None = None, since: datetime | None = None, event: str | None = None
    ) -> list[Event]:
        """The history, in the order in which it was written (times may go back where a clock did)."""
        query = select(history).order_by(history.c.id)
        if version is not None:
            query = query.where(history.c.version_id == version)
        if since is not None:
            query = query.where(history.c.at >= since)
        if event is not None:
            query = query.where(history.c.event == event)
        return self._session.read(lambda held: [event_of(row) for row in held.execute(query)])

    def counts(self) -> Mapping[tuple[str, State], int]:
        """How many studies of each site are in each state; of superseded ones none."""
        counted = Counter((each.site, each.state) for each in self.versions(current=True))
        return dict(counted)

    def queue_age(self) -> Mapping[str, timedelta]:
        """For how long the oldest study of each site waits that the program itself is to go on with."""
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
            # A clock that went back makes no negative age.
            return {site: max(now - oldest, timedelta()) for site, oldest in connection.execute(query).all()}

        return self._session.read(work)

    def _versions(self, query: Select[tuple[object, ...]]) -> list[StudyVersion]:
        return self._session.read(lambda held: [version_of(row) for row in held.execute(query)])
