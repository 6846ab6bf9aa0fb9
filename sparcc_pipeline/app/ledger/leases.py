"""The queue of work: workers claim rows of the ledger for a time, with fencing.

The same queue serves studies and changes. A claim has a number, and each new claim of a row raises it. Only the newest
claim can record a result, so each step of each study is recorded once, by one worker, whatever a clock does. Clocks
decide only when a row goes to another worker:

- A clock that jumps ahead makes a lease look ended: two workers may process the study, one of them records it.
- A clock that jumps back makes a lease look as if it began in the future. A lease that begins more than `SKEW` ahead is
  ignored, so the study of a dead worker waits for `SKEW` and its lease at most; the next renewal of a living worker
  corrects it.
- In the same way, a wait that is longer than any wait ever set is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, or_, select, union, update

from sparcc_pipeline.app.ledger.records import Change, Leased, StudyVersion, change_of, version_of
from sparcc_pipeline.app.ledger.repository import Repository
from sparcc_pipeline.app.ledger.tables import change, study_version
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.message import Message, to_plain

SKEW: Final = timedelta(minutes=1)
"""The largest difference expected between the clocks of machines that share a ledger."""

LONGEST_WAIT: Final = timedelta(days=1)
"""The longest wait for another attempt."""

_NO_LEASE: Final[Mapping[str, None]] = {"lease_owner": None, "leased_at": None, "lease_until": None}

Held = TypeVar("Held", bound=Leased)


class LeaseLostError(OutputError):
    """The row went to another worker before this worker recorded its result."""


@dataclass(frozen=True)
class Queue(Generic[Held]):
    """A table whose rows workers claim.

    Parameters
    ----------
    value_of : the value of a row
    history_columns : the columns of the history that name a row, or its value
    """

    table: Table
    value_of: Callable[[Row[Any]], Held]
    history_columns: Callable[[Any], Mapping[str, Any]]


STUDIES: Final[Queue[StudyVersion]] = Queue(study_version, version_of, lambda row: {"version_id": row.id})
CHANGES: Final[Queue[Change]] = Queue(
    change, change_of, lambda row: {"change_id": row.id, "version_id": row.follow_up_id}
)
_QUEUES: Final[tuple[Queue[Any], ...]] = (STUDIES, CHANGES)


class LeaseRepository(Repository):
    """Claim, renew, finish, release and expire rows of a `Queue`; every change is a line of the history."""

    def owners(self) -> list[str]:
        """Return the workers that hold studies or changes."""
        held = (select(q.table.c.lease_owner).where(q.table.c.lease_owner.is_not(None)) for q in _QUEUES)
        chosen = union(*held)
        return self._session.read(lambda connection: sorted(connection.execute(chosen).scalars()))

    def release_leases_of(self, owner: str) -> None:
        """Release all leases of a dead worker. The attempts that it began count."""

        def work(connection: Connection) -> None:
            for queue in _QUEUES:
                held = queue.table.c.lease_owner == owner
                statement = update(queue.table).where(held).values(**_NO_LEASE).returning(queue.table)
                for row in connection.execute(statement).all():
                    self._record_event(connection, "given back", owner, **queue.history_columns(row))

        self._session.write(work)

    def _claim_row(
        self,
        queue: Queue[Held],
        due: ColumnElement[bool],
        owner: str,
        lease: timedelta,
        values: Mapping[str, Any],
    ) -> Held | None:
        """Claim the oldest row that is `due` and free, and set `values` in it; return None if there is none."""
        columns = queue.table.c

        def work(connection: Connection) -> Held | None:
            now = self._clock()
            chosen = (
                select(columns.id, columns.state)
                .where(due, is_free(queue.table, now), is_time(queue.table, now))
                .order_by(columns.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            found = connection.execute(chosen).one_or_none()
            if found is None:
                return None
            leased = {"lease_owner": owner, "leased_at": now, "lease_until": now + lease, "next_try_at": None}
            counted = {"claim": columns.claim + 1, "attempts": columns.attempts + 1}
            statement = update(queue.table).where(columns.id == found.id).values(**leased, **counted, **values)
            row = connection.execute(statement.returning(queue.table)).one()
            states = {"from_state": found.state, "to_state": row.state}
            place = queue.history_columns(row)
            self._record_event(connection, "claimed", owner, facts={"claim": row.claim}, **states, **place)
            return queue.value_of(row)

        return self._session.write(work)

    def _renew_row(self, queue: Queue[Held], held: Held, lease: timedelta) -> bool:
        """Renew the lease of a claimed row; return False if the row went to another worker."""

        def work(connection: Connection) -> bool:
            now = self._clock()
            values = {"leased_at": now, "lease_until": now + lease}
            return connection.execute(update(queue.table).where(_is_held(queue, held)).values(**values)).rowcount == 1

        return self._session.write(work)

    def _finish_row(
        self,
        queue: Queue[Held],
        held: Held,
        state: str,
        reason: Message | None,
        facts: Mapping[str, Any],
        values: Mapping[str, Any],
    ) -> Held:
        """Move a claimed row to another state, end its lease, and return the row as it is now.

        Raises
        ------
        LeaseLostError : the row went to another worker
        """
        plain = None if reason is None else to_plain(reason)
        changed = {"state": state, "reason": plain, "facts": {**held.facts, **facts}, **values}

        def work(connection: Connection) -> Held:
            if _end_lease(connection, queue, held, changed):
                states, place = {"from_state": held.state, "to_state": state}, queue.history_columns(held)
                by = str(held.lease_owner)
                self._record_event(connection, "moved", by, reason=reason, facts=facts, **states, **place)
            return queue.value_of(_row_of(connection, queue, held))

        return self._session.write(work)

    def _release_row(self, queue: Queue[Held], held: Held, event: str, next_try_at: datetime | None = None) -> None:
        """End the lease of a row whose state stays. It was no attempt (errors: see `_finish_row`)."""
        values = {"attempts": max(0, held.attempts - 1), "next_try_at": next_try_at}

        def work(connection: Connection) -> None:
            if _end_lease(connection, queue, held, values):
                self._record_event(connection, event, str(held.lease_owner), **queue.history_columns(held))

        self._session.write(work)

    def _expire_rows(
        self, queue: Queue[Held], waits: ColumnElement[bool], attempts: int, values: Mapping[str, Any]
    ) -> list[Held]:
        """Set `values` in the waiting rows whose workers died `attempts` times, and return them."""
        columns = queue.table.c

        def work(connection: Connection) -> list[Held]:
            worn = select(queue.table).where(waits, columns.attempts >= attempts, is_free(queue.table, self._clock()))
            expired = []
            for before in connection.execute(worn.with_for_update(skip_locked=True)).all():
                reason = Message("{attempts} workers ended while they had it", attempts=before.attempts)
                changed = {"next_try_at": None, "reason": to_plain(reason), **_NO_LEASE, **values}
                statement = update(queue.table).where(columns.id == before.id).values(**changed)
                row = connection.execute(statement.returning(queue.table)).one()
                states = {"from_state": before.state, "to_state": row.state}
                self._record_event(connection, "moved", "ledger", reason=reason, **states, **queue.history_columns(row))
                expired.append(queue.value_of(row))
            return expired

        return self._session.write(work)


def is_free(table: Table, now: datetime) -> ColumnElement[bool]:
    """Return the condition "unclaimed, expired, or leased implausibly far in the future"."""
    columns = table.c
    return or_(columns.lease_owner.is_(None), columns.lease_until <= now, columns.leased_at > now + SKEW)


def is_time(table: Table, now: datetime) -> ColumnElement[bool]:
    """Return the condition "its wait is over, or implausibly long"."""
    columns = table.c
    return or_(
        columns.next_try_at.is_(None), columns.next_try_at <= now, columns.next_try_at > now + LONGEST_WAIT + SKEW
    )


def _end_lease(connection: Connection, queue: Queue[Held], held: Held, values: Mapping[str, Any]) -> bool:
    """Set the values of a claimed row and end its lease; return False if this very claim did so before.

    That happens when the answer to a commit was lost and the transaction runs again.

    Raises
    ------
    LeaseLostError : the row went to another worker
    """
    statement = update(queue.table).where(_is_held(queue, held)).values(**_NO_LEASE, **values)
    if connection.execute(statement).rowcount == 1:
        return True
    found = _row_of(connection, queue, held)
    if found.claim == held.claim and found.lease_owner is None and found.state == values.get("state", found.state):
        return False
    raise LeaseLostError(
        f"expected to hold row {held.id} of the ledger until its step ended, found it given to another worker; do "
        "nothing: the other worker records the result"
    )


def _is_held(queue: Queue[Held], held: Held) -> ColumnElement[bool]:
    columns = queue.table.c
    return and_(columns.id == held.id, columns.claim == held.claim, columns.lease_owner == held.lease_owner)


def _row_of(connection: Connection, queue: Queue[Held], held: Held) -> Row[Any]:
    """Return the row of a claim, locked until the transaction ends."""
    return connection.execute(select(queue.table).where(queue.table.c.id == held.id).with_for_update()).one()
