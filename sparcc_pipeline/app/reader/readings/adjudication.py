"""Adjudication by a third reader, if two primary readings of a case differ by more than the protocol allows.

Contents: `is_needed`, `give`, `give_to_least_busy`, `assigned`, `differ`. A case needs adjudication if, at any of its
time points, the totals or the changes from the trial's baseline differ by more than the limit, or only one reading is
in remission. The third reader gets the case like any other, without the other readers and their scores.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.database import SYSTEM, Writing
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY, assign, readers
from sparcc_pipeline.app.reader.readings.content import LABELS, Content, Totals
from sparcc_pipeline.app.reader.settings import Reading
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS, USERS, VISITS
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import READERS

VisitTotals = Mapping[str, int | None]
"""Totals by visit; None if nothing could be evaluated."""


def differ(first: VisitTotals, second: VisitTotals, protocol: Protocol) -> bool:
    """Return True if two readings need a third. A time point that one reader could not evaluate is not compared."""
    both = {v: (a, second[v]) for v, a in first.items() if a is not None and second.get(v) is not None}
    pairs = {visit: (float(a), float(b)) for visit, (a, b) in both.items() if b is not None}
    if any(protocol.third_reading.needed(a, b) for a, b in pairs.values()):
        return True
    baseline = pairs.get(protocol.baseline.visit)
    if baseline is None:
        return False
    return any(protocol.third_reading.too_far_apart(a - baseline[0], b - baseline[1]) for a, b in pairs.values())


def primary_totals(connection: Connection, case: int) -> list[tuple[int, VisitTotals]]:
    """Return each reader and the totals of the newest locked primary reading of a case, repeats left out."""
    visits = {row.id: row.visit for row in connection.execute(select(VISITS).where(VISITS.c.case_id == case))}
    rows = connection.execute(
        select(ASSIGNMENTS.c.user_id, ASSIGNMENTS.c.visit_order, READINGS.c.content)
        .join(READINGS, READINGS.c.assignment_id == ASSIGNMENTS.c.id)
        .where(
            ASSIGNMENTS.c.case_id == case,
            ASSIGNMENTS.c.kind == PRIMARY,
            ASSIGNMENTS.c.repeat == 1,
            READINGS.c.kind == PRIMARY,
            READINGS.c.state == "locked",
        )
        .order_by(READINGS.c.version)
    )
    found = {}
    for row in rows:
        content = Content.model_validate_json(row.content)
        labels = dict(zip(LABELS, json.loads(row.visit_order), strict=False))
        found[row.user_id] = {visits[labels[at]]: Totals.of(visit).total for at, visit in content.visits.items()}
    return list(found.items())


def is_needed(connection: Connection, case: int, protocol: Protocol) -> bool:
    """Return True if the two primary readings of a case are locked and differ."""
    totals = primary_totals(connection, case)
    return len(totals) == READERS and differ(totals[0][1], totals[1][1], protocol)


def assigned(connection: Connection, case: int) -> Row[Any] | None:
    """Return the adjudication of a case, with the name of the adjudicator."""
    chosen = ASSIGNMENTS.c.case_id == case, ASSIGNMENTS.c.kind == ADJUDICATION
    return connection.execute(
        select(ASSIGNMENTS, USERS.c.name).join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id).where(*chosen)
    ).first()


def give_to_least_busy(work: Writing, case: int, protocol: Protocol, settings: Reading) -> None:
    """Assign a case that needs an adjudicator and has none to the one with the fewest cases, if there is one."""
    if assigned(work.connection, case) is not None or not is_needed(work.connection, case, protocol):
        return
    active = readers(work.connection, Role.ADJUDICATOR)
    if active:
        give(work, case, min(active, key=lambda each: _cases_of(work.connection, each.id)), settings, by=SYSTEM)


def give(work: Writing, case: int, adjudicator: Row[Any], settings: Reading, *, by: str) -> None:
    """Assign a case to an adjudicator.

    Raises
    ------
    Refusal : the case has an adjudicator already
    """
    if assigned(work.connection, case) is not None:
        raise Refusal(409, "forbidden", Message("this case has an adjudicator already"))
    cases: Sequence[int] = [case]
    assign(work, adjudicator, cases, settings, kind=ADJUDICATION, by=by)


def _cases_of(connection: Connection, user_id: int) -> int:
    mine = ASSIGNMENTS.c.user_id == user_id, ASSIGNMENTS.c.kind == ADJUDICATION
    return int(connection.execute(select(func.count()).select_from(ASSIGNMENTS).where(*mine)).scalar_one())
