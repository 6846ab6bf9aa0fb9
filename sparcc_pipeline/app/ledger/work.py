"""The part of the ledger for workers: they claim studies and record the result of each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, or_

from sparcc_pipeline.app.ledger.leases import STUDIES, LeaseLostError, LeaseRepository
from sparcc_pipeline.app.ledger.records import StudyVersion
from sparcc_pipeline.app.ledger.repository import PROBLEMS, newest_problems
from sparcc_pipeline.app.ledger.states import NEXT, TRANSITIONS, State
from sparcc_pipeline.app.ledger.tables import study_version
from sparcc_pipeline.message import Message, to_plain

TIMES: Final = {
    State.COMPLETE: "completed_at",
    State.DEIDENTIFIED: "deidentified_at",
    State.SCORED: "scored_at",
    State.DELIVERED: "delivered_at",
}
"""The column that holds the time at which a study came to a state."""


class WorkRepository(LeaseRepository):
    """What steps write. Each claim is recorded once, with the value that `claim` returned."""

    def claim(self, state: State, owner: str, lease: timedelta, attempts: int) -> StudyVersion | None:
        """Claim the oldest study that is due for the step of this state; return None if none is due.

        This includes failed studies whose wait is over, and excludes superseded versions.

        Parameters
        ----------
        owner : name of the worker, unique among processes
        lease : without `renew` for so long, the study may go to another worker
        attempts : how often a study may be claimed until a step succeeds (see `give_up`)
        """
        columns = study_version.c
        waits = and_(columns.state == state, columns.attempts < attempts)
        failed = and_(columns.state == State.FAILED, columns.resume == state, columns.next_try_at.is_not(None))
        due = and_(columns.superseded_by.is_(None), or_(waits, failed))
        return self._claim_row(STUDIES, due, owner, lease, {"state": state, "resume": None, "reason": None})

    def renew(self, version: StudyVersion, lease: timedelta) -> bool:
        """Renew the lease of a claimed study; return False if the study went to another worker."""
        return self._renew_row(STUDIES, version, lease)

    def finish(self, version: StudyVersion, facts: Mapping[str, Any] | None = None) -> StudyVersion:
        """Move a claimed study whose step succeeded to the next state.

        Raises
        ------
        LeaseLostError : the study went to another worker
        ValueError : there is no such transition (see `states.TRANSITIONS`)
        """
        state = NEXT[version.state]
        return self._move(version, state, None, facts, {TIMES[state]: self._clock(), "attempts": 0, "resume": None})

    def quarantine(
        self, version: StudyVersion, reason: Message, facts: Mapping[str, Any] | None = None
    ) -> StudyVersion:
        """Hold a claimed study until a person decides (errors: see `finish`)."""
        return self._move(version, State.QUARANTINED, reason, facts, {"attempts": 0, "resume": version.state})

    def reject(self, version: StudyVersion, reason: Message, facts: Mapping[str, Any] | None = None) -> StudyVersion:
        """Reject a claimed study: its site must send something else (errors: see `finish`)."""
        return self._move(version, State.REJECTED, reason, facts, {"attempts": 0, "resume": version.state})

    def fail(
        self,
        version: StudyVersion,
        reason: Message,
        next_try_at: datetime | None,
        facts: Mapping[str, Any] | None = None,
    ) -> StudyVersion:
        """Record that the step of a claimed study failed (errors: see `finish`).

        Parameters
        ----------
        next_try_at : earliest time of the next attempt; None: a person must start it
        """
        values = {"next_try_at": next_try_at, "resume": version.state}
        return self._move(version, State.FAILED, reason, facts, values)

    def postpone(self, version: StudyVersion, until: datetime) -> None:
        """Release a claimed study and keep it unclaimed until a time; it was no attempt (errors: see `finish`)."""
        self._release_row(STUDIES, version, "postponed", until)

    def release_lease(self, version: StudyVersion) -> None:
        """Release a claimed study at once; it was no attempt. Does nothing if the study went to another worker."""
        with suppress(LeaseLostError):
            self._release_row(STUDIES, version, "given back")

    def give_up(self, attempts: int) -> list[StudyVersion]:
        """Fail the studies whose workers died `attempts` times, and return them. A person may `retry` them."""
        columns = study_version.c
        waits = and_(columns.state.in_(tuple(NEXT)), columns.superseded_by.is_(None))
        return self._expire_rows(STUDIES, waits, attempts, {"state": State.FAILED, "resume": columns.state})

    def record_run(self, owner: str, facts: Mapping[str, Any]) -> None:
        """Record that a run ended, and how."""
        self._session.write(lambda connection: self._record_event(connection, "run", owner, facts=facts))

    def record_problems(self, owner: str, part: str, problems: Sequence[Message]) -> None:
        """Record what failed in the latest round of a part of the night, unless that is the newest entry already."""
        facts = {"part": part, "problems": [to_plain(each) for each in problems]}

        def work(connection: Connection) -> None:
            known = newest_problems(connection).get(part, [])
            if known != facts["problems"]:
                self._record_event(connection, PROBLEMS, owner, facts=facts)

        self._session.write(work)

    def _move(
        self,
        version: StudyVersion,
        state: State,
        reason: Message | None,
        facts: Mapping[str, Any] | None,
        values: Mapping[str, Any],
    ) -> StudyVersion:
        """Move a claimed study to another state and end its lease."""
        if (version.state, state) not in TRANSITIONS:
            raise ValueError(f"no study goes from {version.state} to {state}")
        return self._finish_row(STUDIES, version, state, reason, dict(facts or {}), values)
