"""The part of the ledger for changes: each scored follow-up is compared with its scored baseline."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, FromClause, and_, insert, not_, or_, select

from sparcc_pipeline.app.ledger.leases import CHANGES, LeaseLostError, LeaseRepository
from sparcc_pipeline.app.ledger.records import Change, StudyVersion, version_of
from sparcc_pipeline.app.ledger.states import ChangeState
from sparcc_pipeline.app.ledger.tables import change, study_version
from sparcc_pipeline.message import Message

CHANGES_FOLDER: Final = "changes"


class ChangeRepository(LeaseRepository):
    """Changes are planned from scored studies, whichever visit came first, so none is lost."""

    def plan_changes(self, baseline_visit: str) -> int:
        """Add a change for each new pair of a scored baseline and a scored follow-up; return how many."""
        baseline, follow_up = study_version.alias("baseline"), study_version.alias("follow_up")
        known = select(change.c.id).where(
            change.c.baseline_id == baseline.c.id, change.c.follow_up_id == follow_up.c.id
        )
        one_participant = (
            baseline.c.site == follow_up.c.site,
            baseline.c.participant == follow_up.c.participant,
            baseline.c.visit == baseline_visit,
            follow_up.c.visit != baseline_visit,
        )
        pairs = (
            select(
                baseline.c.id.label("baseline_id"),
                follow_up.c.id.label("follow_up_id"),
                follow_up.c.site,
                follow_up.c.participant,
                baseline.c.visit.label("baseline_visit"),
                baseline.c.version.label("baseline_version"),
                follow_up.c.visit,
                follow_up.c.version,
            )
            .where(_has_score(baseline), _has_score(follow_up), *one_participant, not_(known.exists()))
            .order_by(baseline.c.id, follow_up.c.id)
        )

        def work(connection: Connection) -> int:
            found = connection.execute(pairs).all()
            for pair in found:
                self._add_change(connection, pair)
            return len(found)

        return self._session.write(work)

    def claim_change(self, owner: str, lease: timedelta, attempts: int) -> Change | None:
        """Claim the oldest change that is due; return None if none is due. Changes of superseded visits are not due.

        Parameters: see `WorkRepository.claim`.
        """
        current = select(study_version.c.id).where(study_version.c.superseded_by.is_(None))
        columns = change.c
        waits = and_(columns.state == ChangeState.DUE, columns.attempts < attempts)
        failed = and_(columns.state == ChangeState.FAILED, columns.next_try_at.is_not(None))
        due = and_(columns.baseline_id.in_(current), columns.follow_up_id.in_(current), or_(waits, failed))
        return self._claim_row(CHANGES, due, owner, lease, {"state": ChangeState.DUE, "reason": None})

    def renew_change(self, held: Change, lease: timedelta) -> bool:
        """Renew the lease of a claimed change; return False if the change went to another worker."""
        return self._renew_row(CHANGES, held, lease)

    def finish_change(self, held: Change, facts: Mapping[str, Any]) -> None:
        """Record that a claimed change was computed.

        Raises
        ------
        LeaseLostError : the change went to another worker
        """
        values = {"made_at": self._clock(), "attempts": 0}
        self._finish_row(CHANGES, held, ChangeState.MADE, None, facts, values)

    def refuse_change(self, held: Change, reason: Message, facts: Mapping[str, Any]) -> None:
        """Record that the two visits cannot be compared (errors: see `finish_change`)."""
        self._finish_row(CHANGES, held, ChangeState.REFUSED, reason, facts, {"attempts": 0})

    def fail_change(self, held: Change, reason: Message, next_try_at: datetime | None) -> None:
        """Record that a claimed change failed (errors: see `finish_change`).

        Parameters
        ----------
        next_try_at : earliest time of the next attempt; None: there is none
        """
        self._finish_row(CHANGES, held, ChangeState.FAILED, reason, {}, {"next_try_at": next_try_at})

    def release_change(self, held: Change) -> None:
        """Release a claimed change at once; it was no attempt. Does nothing if it went to another worker."""
        with suppress(LeaseLostError):
            self._release_row(CHANGES, held, "given back")

    def give_up_changes(self, attempts: int) -> int:
        """Fail the changes whose workers died `attempts` times; return how many."""
        waits = change.c.state == ChangeState.DUE
        return len(self._expire_rows(CHANGES, waits, attempts, {"state": ChangeState.FAILED}))

    def pair_of(self, held: Change) -> tuple[StudyVersion, StudyVersion]:
        """Return baseline and follow-up of a change."""
        pair = study_version.c.id.in_((held.baseline_id, held.follow_up_id))

        def work(connection: Connection) -> tuple[StudyVersion, StudyVersion]:
            found = {row.id: version_of(row) for row in connection.execute(select(study_version).where(pair))}
            return found[held.baseline_id], found[held.follow_up_id]

        return self._session.read(work)

    def _add_change(self, connection: Connection, pair: Any) -> None:
        """Add the change of one pair, due now."""
        visits = f"{pair.baseline_visit}-v{pair.baseline_version}_{pair.visit}-v{pair.version}"
        values = {
            "baseline_id": pair.baseline_id,
            "follow_up_id": pair.follow_up_id,
            "state": ChangeState.DUE,
            "due_at": self._clock(),
            "facts": {},
            "change_folder": f"{CHANGES_FOLDER}/{pair.site}/{pair.participant}/{visits}",
        }
        number = connection.execute(insert(change).values(values).returning(change.c.id)).scalar_one()
        place = {"change_id": number, "version_id": pair.follow_up_id}
        self._record_event(connection, "due", "ledger", to_state=ChangeState.DUE, **place)


def _has_score(versions: FromClause) -> ColumnElement[bool]:
    """Return the condition "the newest version of a visit, scored"."""
    return and_(versions.c.scored_at.is_not(None), versions.c.superseded_by.is_(None))
