"""The ledger's part for changes: every follow-up that is scored is compared with the baseline that is scored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, insert, not_, or_, select, update

from sparcc_pipeline.app.ledger.leases import LeaseLostError, claim_row, is_free, renew_row, settle_row
from sparcc_pipeline.app.ledger.records import Change, StudyVersion, change_of, version_of
from sparcc_pipeline.app.ledger.repository import Book
from sparcc_pipeline.app.ledger.states import ChangeState
from sparcc_pipeline.app.ledger.tables import change, study_version
from sparcc_pipeline.message import Message, to_plain

CHANGES_FOLDER: Final = "changes"


class ChangeBook(Book):
    """Changes are planned from what is scored, whichever visit came first, so that none can be lost."""

    def plan_changes(self, baseline_visit: str) -> int:
        """Note every pair of a scored baseline and a scored follow-up that is not noted yet; says how many."""
        baseline, follow_up = study_version.alias("baseline"), study_version.alias("follow_up")
        noted = select(change.c.id).where(
            change.c.baseline_id == baseline.c.id, change.c.follow_up_id == follow_up.c.id
        )
        pairs = select(baseline.c.id, follow_up.c.id, follow_up.c.site, follow_up.c.participant,
                       baseline.c.visit, baseline.c.version, follow_up.c.visit, follow_up.c.version).where(
            *(_has_score(each) for each in (baseline, follow_up)),
            baseline.c.visit == baseline_visit, follow_up.c.visit != baseline_visit,
            baseline.c.site == follow_up.c.site, baseline.c.participant == follow_up.c.participant,
            not_(noted.exists()),
        ).order_by(baseline.c.id, follow_up.c.id)  # fmt: skip

        def work(connection: Connection) -> int:
            found = connection.execute(pairs).all()
            for first, second, site, participant, *visits in found:
                name = "{}-v{}_{}-v{}".format(*visits)
                number = connection.execute(
                    insert(change)
                    .values(
                        baseline_id=first, follow_up_id=second, state=ChangeState.DUE, due_at=self._clock(), facts={},
                        change_folder=f"{CHANGES_FOLDER}/{site}/{participant}/{name}",
                    )
                    .returning(change.c.id)
                ).scalar_one()  # fmt: skip
                self._tell(connection, "due", "ledger", change_id=number, version_id=second, to_state=ChangeState.DUE)
            return len(found)

        return self._session.write(work)

    def claim_change(self, owner: str, lease: timedelta, attempts: int) -> Change | None:
        """The change that waits longest; None where none is due. Those of a superseded visit are not."""
        current = select(study_version.c.id).where(study_version.c.superseded_by.is_(None))
        columns = change.c
        due = and_(
            columns.baseline_id.in_(current),
            columns.follow_up_id.in_(current),
            or_(
                and_(columns.state == ChangeState.DUE, columns.attempts < attempts),
                and_(columns.state == ChangeState.FAILED, columns.next_try_at.is_not(None)),
            ),
        )

        def work(connection: Connection) -> Change | None:
            values = {"state": ChangeState.DUE, "reason": None}
            claimed = claim_row(connection, change, due, self._clock(), lease, owner, values)
            if claimed is None:
                return None
            before, row = claimed
            self._tell(connection, "claimed", owner, change_id=row.id, version_id=row.follow_up_id, from_state=before,
                       to_state=ChangeState.DUE, facts={"claim": row.claim})  # fmt: skip
            return change_of(row)

        return self._session.write(work)

    def renew_change(self, held: Change, lease: timedelta) -> bool:
        """Hold a claimed change for another while; False if it was given to another worker."""
        return self._session.write(lambda connection: renew_row(connection, change, held, self._clock(), lease))

    def finish_change(self, held: Change, facts: Mapping[str, Any]) -> None:
        """A claimed change was made.

        Raises
        ------
        LeaseLostError : it was given to another worker
        """
        self._settle(held, ChangeState.MADE, None, facts, {"made_at": self._clock(), "attempts": 0})

    def refuse_change(self, held: Change, reason: Message, facts: Mapping[str, Any]) -> None:
        """The two visits cannot be compared (errors: see `finish_change`)."""
        self._settle(held, ChangeState.REFUSED, reason, facts, {"attempts": 0})

    def fail_change(self, held: Change, reason: Message, next_try_at: datetime | None) -> None:
        """A claimed change failed; None: it is not tried again by itself (errors: see `finish_change`)."""
        self._settle(held, ChangeState.FAILED, reason, {}, {"next_try_at": next_try_at})

    def give_back_change(self, held: Change) -> None:
        """Claim a change no more: nothing became of it, and whoever comes next may have it."""

        def work(connection: Connection) -> None:
            if settle_row(connection, change, held, {"attempts": max(0, held.attempts - 1)}):
                self._tell(connection, "given back", str(held.lease_owner), change_id=held.id,
                           version_id=held.follow_up_id)  # fmt: skip

        with suppress(LeaseLostError):
            self._session.write(work)

    def give_up_changes(self, attempts: int) -> int:
        """Set aside the changes whose workers died so often; says how many."""

        def work(connection: Connection) -> int:
            worn = select(change).where(
                change.c.state == ChangeState.DUE, change.c.attempts >= attempts, is_free(change, self._clock())
            )
            rows = connection.execute(worn.with_for_update(skip_locked=True)).all()
            for row in rows:
                reason = Message("{attempts} workers ended while they had it", attempts=row.attempts)
                connection.execute(
                    update(change)
                    .where(change.c.id == row.id)
                    .values(state=ChangeState.FAILED, next_try_at=None, reason=to_plain(reason), lease_owner=None,
                            leased_at=None, lease_until=None)
                )  # fmt: skip
                self._tell(connection, "moved", "ledger", reason=reason, change_id=row.id,
                           version_id=row.follow_up_id, from_state=row.state, to_state=ChangeState.FAILED)  # fmt: skip
            return len(rows)

        return self._session.write(work)

    def pair_of(self, held: Change) -> tuple[StudyVersion, StudyVersion]:
        """Baseline and follow-up of a change."""

        def work(connection: Connection) -> tuple[StudyVersion, StudyVersion]:
            columns = study_version.c
            rows = connection.execute(
                select(study_version).where(columns.id.in_((held.baseline_id, held.follow_up_id)))
            ).all()
            found = {row.id: version_of(row) for row in rows}
            return found[held.baseline_id], found[held.follow_up_id]

        return self._session.read(work)

    def _settle(
        self, held: Change, state: ChangeState, reason: Message | None, facts: Mapping[str, Any],
        values: Mapping[str, Any],
    ) -> None:  # fmt: skip
        def work(connection: Connection) -> None:
            plain = None if reason is None else to_plain(reason)
            changed = {"state": state, "reason": plain, "facts": {**held.facts, **facts}, **values}
            if settle_row(connection, change, held, changed):
                self._tell(connection, "moved", str(held.lease_owner), reason=reason, facts=facts, change_id=held.id,
                           version_id=held.follow_up_id, from_state=held.state, to_state=state)  # fmt: skip

        self._session.write(work)


def _has_score(versions: Any) -> Any:
    """The newest version of a visit, scored."""
    return and_(versions.c.scored_at.is_not(None), versions.c.superseded_by.is_(None))
