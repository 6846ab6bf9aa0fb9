"""What the coordinator sees: who reads what and how far it is. Never a score, and nothing a score could be told from.

That a case has an adjudicator does tell that its readers differ: the coordinator must know it to give the case out.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.readings import adjudication
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY, cases
from sparcc_pipeline.app.reader.readings.content import Model
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS, USERS, VISITS
from sparcc_pipeline.trial.protocol.definition import Protocol

Progress = Literal["waiting", "started", "locked"]


class CaseReader(Model):
    """One reader of a case; `repeat` 2 for the blind repeat."""

    reader: str
    repeat: int
    state: Progress


class CaseProgress(Model):
    """One case, its visits, and how far its readers are."""

    id: int
    participant: str
    visits: list[str]
    training: bool
    readers: list[CaseReader]
    adjudication: Literal["none", "needed", "assigned", "locked"]
    adjudicator: str | None


class ReaderProgress(Model):
    """How far a reader is."""

    reader: str
    role: str
    done: int
    total: int


def case_progress(connection: Connection, protocol: Protocol) -> list[CaseProgress]:
    """Every case of the trial, and the training set behind them."""
    visits: dict[int, list[str]] = defaultdict(list)
    given: dict[int, list[CaseReader]] = defaultdict(list)
    for case_id, visit in connection.execute(select(VISITS.c.case_id, VISITS.c.visit).order_by(VISITS.c.visit)):
        visits[case_id].append(visit)
    locked = _states(connection)
    rows = connection.execute(
        select(ASSIGNMENTS.c.id, ASSIGNMENTS.c.case_id, ASSIGNMENTS.c.kind, ASSIGNMENTS.c.repeat, USERS.c.name)
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .order_by(USERS.c.name, ASSIGNMENTS.c.repeat)
    )
    adjudicators: dict[int, tuple[str, Progress]] = {}
    for row in rows:
        state = locked.get(row.id, "waiting")
        if row.kind == ADJUDICATION:
            adjudicators[row.case_id] = row.name, state
        else:
            given[row.case_id].append(CaseReader(reader=row.name, repeat=row.repeat, state=state))
    found = []
    for case in [*cases(connection, training=False), *cases(connection, training=True)]:
        who, how_far = adjudicators.get(case.id, (None, None))
        needed = who is None and not case.training and adjudication.is_needed(connection, case.id, protocol)
        found.append(
            CaseProgress(
                id=case.id,
                participant=case.participant,
                visits=visits[case.id],
                training=case.training,
                readers=given[case.id],
                adjudication="needed"
                if needed
                else "none"
                if who is None
                else "locked"
                if how_far == "locked"
                else "assigned",
                adjudicator=who,
            )
        )
    return found


def reader_progress(connection: Connection) -> list[ReaderProgress]:
    """Every reader and adjudicator with cases, training aside."""
    states = _states(connection)
    rows = connection.execute(
        select(ASSIGNMENTS.c.id, USERS.c.name, USERS.c.role)
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .where(ASSIGNMENTS.c.kind.in_((PRIMARY, ADJUDICATION)))
        .order_by(USERS.c.name)
    )
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        counts[row.name, row.role].append(states.get(row.id) == "locked")
    return [ReaderProgress(reader=name, role=role, done=sum(d), total=len(d)) for (name, role), d in counts.items()]


def _states(connection: Connection) -> dict[int, Progress]:
    """How far each assignment is; "waiting" where nothing was saved. A correction leaves a case locked."""
    found: dict[int, Progress] = {}
    for row in connection.execute(select(READINGS.c.assignment_id, READINGS.c.state)):
        if row.state == "locked" or found.get(row.assignment_id) == "locked":
            found[row.assignment_id] = "locked"
        else:
            found[row.assignment_id] = "started"
    return found
