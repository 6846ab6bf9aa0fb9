"""The ledger's part for workers: claims, and what became of what they held."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, or_, select, union, update

from sparcc_pipeline.app.ledger.leases import LeaseLostError, claim_row, is_free, renew_row, settle_row
from sparcc_pipeline.app.ledger.records import StudyVersion, version_of
from sparcc_pipeline.app.ledger.repository import Book, find_version
from sparcc_pipeline.app.ledger.states import NEXT, TRANSITIONS, State
from sparcc_pipeline.app.ledger.tables import change, study_version
from sparcc_pipeline.message import Message, to_plain

TIMES: Final = {
    State.COMPLETE: "completed_at",
    State.DEIDENTIFIED: "deidentified_at",
    State.SCORED: "scored_at",
    State.DELIVERED: "delivered_at",
}
"""The column that remembers when a state was reached."""

_LEASED: Final = (study_version, change)


class WorkBook(Book):
    """What steps write. A version that was claimed is settled once, with the value that `claim` returned."""

    def claim(self, state: State, owner: str, lease: timedelta, attempts: int) -> StudyVersion | None:
        """The study that waits longest for the step of this state; None where nothing is due.

        Studies that failed and whose wait is over are among them; those that were superseded are not.

        Parameters
        ----------
        owner : who claims, unique among processes
        lease : after so long without `renew` the study may be given to another
        attempts : how often a study may be claimed until a step succeeds (see `give_up`)
        """
        columns = study_version.c
        due = and_(
            columns.superseded_by.is_(None),
            or_(
                and_(columns.state == state, columns.attempts < attempts),
                and_(columns.state == State.FAILED, columns.resume == state, columns.next_try_at.is_not(None)),
            ),
        )

        def work(connection: Connection) -> StudyVersion | None:
            values = {"state": state, "resume": None, "reason": None}
            claimed = claim_row(connection, study_version, due, self._clock(), lease, owner, values)
            if claimed is None:
                return None
            before, row = claimed
            self._tell(
                connection, "claimed", owner, version_id=row.id, from_state=before, to_state=state,
                facts={"claim": row.claim},
            )  # fmt: skip
            return version_of(row)

        return self._session.write(work)

    def renew(self, version: StudyVersion, lease: timedelta) -> bool:
        """Hold a claimed study for another while; False if it was given to another worker."""
        return self._session.write(lambda held: renew_row(held, study_version, version, self._clock(), lease))

    def finish(self, version: StudyVersion, facts: Mapping[str, Any] | None = None) -> StudyVersion:
        """The step of a claimed study succeeded: it goes on to the next state.

        Raises
        ------
        LeaseLostError : it was given to another worker
        ValueError : there is no such transition (see `states.TRANSITIONS`)
        """
        state = NEXT[version.state]
        return self._move(version, state, None, facts, {TIMES[state]: self._clock(), "attempts": 0, "resume": None})

    def quarantine(
        self, version: StudyVersion, reason: Message, facts: Mapping[str, Any] | None = None
    ) -> StudyVersion:
        """A person must decide about a claimed study (errors: see `finish`)."""
        return self._move(version, State.QUARANTINED, reason, facts, {"attempts": 0, "resume": version.state})

    def reject(self, version: StudyVersion, reason: Message, facts: Mapping[str, Any] | None = None) -> StudyVersion:
        """The site must send something else (errors: see `finish`)."""
        return self._move(version, State.REJECTED, reason, facts, {"attempts": 0, "resume": version.state})

    def fail(
        self, version: StudyVersion, reason: Message, next_try_at: datetime | None,
        facts: Mapping[str, Any] | None = None,
    ) -> StudyVersion:  # fmt: skip
        """The step of a claimed study failed; None: it is not tried again by itself (errors: see `finish`)."""
        values = {"next_try_at": next_try_at, "resume": version.state}
        return self._move(version, State.FAILED, reason, facts, values)

    def postpone(self, version: StudyVersion, until: datetime) -> None:
        """Give a claimed study back: nothing is wrong, and it is looked at again then (errors: see `finish`)."""

        def work(connection: Connection) -> None:
            values = {"next_try_at": until, "attempts": max(0, version.attempts - 1)}
            if settle_row(connection, study_version, version, values):
                self._tell(connection, "postponed", str(version.lease_owner), version_id=version.id)

        self._session.write(work)

    def give_back(self, version: StudyVersion) -> None:
        """Claim a study no more: nothing became of it, and whoever comes next may have it. It was no attempt."""

        def work(connection: Connection) -> None:
            values = {"attempts": max(0, version.attempts - 1)}
            if settle_row(connection, study_version, version, values):
                self._tell(connection, "given back", str(version.lease_owner), version_id=version.id)

        with suppress(LeaseLostError):
            self._session.write(work)

    def note_run(self, owner: str, facts: Mapping[str, Any]) -> None:
        """Remember that a run ended, and how."""
        self._session.write(lambda connection: self._tell(connection, "run", owner, facts=facts))

    def owners(self) -> list[str]:
        """Who holds studies or changes."""
        chosen = union(*(select(table.c.lease_owner).where(table.c.lease_owner.is_not(None)) for table in _LEASED))
        return self._session.read(lambda held: sorted(held.execute(chosen).scalars()))

    def bury(self, owner: str) -> None:
        """Give back what a worker holds that is certainly dead. That it died counts as an attempt."""

        def work(connection: Connection) -> None:
            for table, place in zip(_LEASED, ("version_id", "change_id"), strict=True):
                freed = {"lease_owner": None, "leased_at": None, "lease_until": None}
                statement = update(table).where(table.c.lease_owner == owner).values(**freed).returning(table.c.id)
                for number in connection.execute(statement).scalars().all():
                    self._tell(connection, "given back", owner, **{place: number})

        self._session.write(work)

    def give_up(self, attempts: int) -> list[StudyVersion]:
        """Set aside the studies whose workers died so often; who looks at them may `retry`."""

        def work(connection: Connection) -> list[StudyVersion]:
            columns = study_version.c
            worn = select(study_version).where(
                columns.state.in_(tuple(NEXT)), columns.attempts >= attempts, columns.superseded_by.is_(None),
                is_free(study_version, self._clock()),
            )  # fmt: skip
            given_up = []
            for row in connection.execute(worn.with_for_update(skip_locked=True)).all():
                reason = Message("{attempts} workers ended while they had it", attempts=row.attempts)
                connection.execute(
                    update(study_version)
                    .where(columns.id == row.id)
                    .values(
                        state=State.FAILED, resume=row.state, next_try_at=None, reason=to_plain(reason),
                        lease_owner=None, leased_at=None, lease_until=None,
                    )
                )  # fmt: skip
                self._tell(
                    connection, "moved", "ledger", reason=reason, version_id=row.id,
                    from_state=row.state, to_state=State.FAILED,
                )  # fmt: skip
                given_up.append(find_version(connection, row.id))
            return given_up

        return self._session.write(work)

    def _move(
        self, version: StudyVersion, state: State, reason: Message | None, facts: Mapping[str, Any] | None,
        values: Mapping[str, Any],
    ) -> StudyVersion:  # fmt: skip
        """Settle a claimed study in another state, with a line in the history."""
        if (version.state, state) not in TRANSITIONS:
            raise ValueError(f"no study goes from {version.state} to {state}")
        added = dict(facts or {})

        def work(connection: Connection) -> StudyVersion:
            changed = {
                "state": state,
                "reason": None if reason is None else to_plain(reason),
                "facts": {**version.facts, **added},
                **values,
            }
            if settle_row(connection, study_version, version, changed):
                self._tell(
                    connection, "moved", str(version.lease_owner), reason=reason, facts=added, version_id=version.id,
                    from_state=version.state, to_state=state,
                )  # fmt: skip
            return find_version(connection, version.id)

        return self._session.write(work)
