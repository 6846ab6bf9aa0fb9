"""Claims on rows of the ledger, with fencing: whoever lost a row can no longer write to it.

What holds, whatever a clock does. A row is settled only by the claim whose number it carries, and claiming it raises
that number; so each step of each study is recorded once, by one worker. Clocks decide only when a row that a worker
holds is given to another:

- a clock that jumps ahead makes a lease look over: the study may be worked at twice, and is recorded once;
- a clock that jumps back makes a lease look as if it began in the future. Beyond `SKEW` such a lease is not believed,
  so a study of a worker that died waits for `SKEW` and its lease at most; a living worker's next renewal mends it;
- in the same way a wait for another attempt that is longer than any wait ever set is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, or_, select, update

from sparcc_pipeline.app.ledger.records import Leased
from sparcc_pipeline.errors import OutputError

SKEW: Final = timedelta(minutes=1)
"""How far the clocks of machines that share a ledger may be apart."""

LONGEST_WAIT: Final = timedelta(days=1)
"""The longest wait for another attempt."""


class LeaseLostError(OutputError):
    """A worker that wants to record something of a study which was given to another in the meantime."""


def claim_row(
    connection: Connection, table: Table, due: ColumnElement[bool], now: datetime, lease: timedelta, owner: str,
    values: Mapping[str, Any],
) -> tuple[str, Row[Any]] | None:  # fmt: skip
    """Claim the row that waits longest among those that are `due` and free; None if there is none.

    Parameters
    ----------
    values : what else to set in it

    Returns
    -------
    the state that it was in, and the row as it is now
    """
    columns = table.c
    chosen = (
        select(columns.id, columns.state)
        .where(due, is_free(table, now), is_time(table, now))
        .order_by(columns.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(chosen).one_or_none()
    if found is None:
        return None
    statement = (
        update(table)
        .where(columns.id == found.id)
        .values(
            claim=columns.claim + 1,
            attempts=columns.attempts + 1,
            next_try_at=None,
            lease_owner=owner,
            leased_at=now,
            lease_until=now + lease,
            **values,
        )
        .returning(table)
    )
    return found.state, connection.execute(statement).one()


def renew_row(connection: Connection, table: Table, held: Leased, now: datetime, lease: timedelta) -> bool:
    """Hold a claimed row for another while; False if it was given to another one."""
    statement = update(table).where(_held(table, held)).values(leased_at=now, lease_until=now + lease)
    return connection.execute(statement).rowcount == 1


def settle_row(connection: Connection, table: Table, held: Leased, values: Mapping[str, Any]) -> bool:
    """Set the values of a claimed row and end the claim; False if this very claim did so before.

    That happens where the answer to a commit was lost and the transaction is run again.

    Raises
    ------
    LeaseLostError : the row was given to another one
    """
    freed = {"lease_owner": None, "leased_at": None, "lease_until": None}
    if connection.execute(update(table).where(_held(table, held)).values(**freed, **values)).rowcount == 1:
        return True
    found = connection.execute(select(table).where(table.c.id == held.id)).one()
    if found.claim == held.claim and found.lease_owner is None and found.state == values.get("state", found.state):
        return False
    raise LeaseLostError(
        f"expected to hold number {held.id} of the ledger until its step was done, found it given to another worker; "
        "nothing is to be done: what that one records counts"
    )


def is_free(table: Table, now: datetime) -> ColumnElement[bool]:
    """Nobody holds the row, or not any more, or since a time that is not believed."""
    columns = table.c
    return or_(columns.lease_owner.is_(None), columns.lease_until <= now, columns.leased_at > now + SKEW)


def is_time(table: Table, now: datetime) -> ColumnElement[bool]:
    """Its wait is over, or longer than is believed."""
    columns = table.c
    return or_(
        columns.next_try_at.is_(None), columns.next_try_at <= now, columns.next_try_at > now + LONGEST_WAIT + SKEW
    )


def _held(table: Table, held: Leased) -> ColumnElement[bool]:
    return and_(table.c.id == held.id, table.c.claim == held.claim, table.c.lease_owner == held.lease_owner)
