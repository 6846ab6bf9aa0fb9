"""Progress for the coordinator: the reader and the state of each case. No score, and nothing that reveals one.

An adjudicator does reveal that the readers of a case differ: the coordinator must know this to assign the case.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.readings import adjudication
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY, cases
from sparcc_pipeline.app.reader.readings.content import Model
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL, STRUCTURAL_THIRD, is_structural
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS, USERS, VISITS
from sparcc_pipeline.trial.protocol.definition import Protocol

Progress = Literal["waiting", "started", "locked"]
AdjudicationState = Literal["none", "needed", "assigned", "locked"]


class CaseReader(Model):
    """One reader of a case; `repeat` is 2 for the blind repeat."""

    reader: str
    repeat: int
    structural: bool
    state: Progress


class CaseProgress(Model):
    """One case with its visits and the progress of its readers."""

    id: int
    participant: str
    visits: list[str]
    training: bool
    readers: list[CaseReader]
    adjudication: AdjudicationState
    adjudicator: str | None


class ReaderProgress(Model):
    """Progress of one reader."""

    reader: str
    role: str
    done: int
    total: int


def case_progress(connection: Connection, protocol: Protocol) -> list[CaseProgress]:
    """Return the progress of every case of the trial, then of the training set."""
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
            given[row.case_id].append(
                CaseReader(reader=row.name, repeat=row.repeat, structural=is_structural(row.kind), state=state)
            )
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
                adjudication=_adjudication_state(how_far, needed),
                adjudicator=who,
            )
        )
    return found


def _adjudication_state(progress: Progress | None, needed: bool) -> AdjudicationState:
    if progress is None:
        return "needed" if needed else "none"
    return "locked" if progress == "locked" else "assigned"


def reader_progress(connection: Connection) -> list[ReaderProgress]:
    """Return the progress of every reader and adjudicator with cases, without training."""
    states = _states(connection)
    rows = connection.execute(
        select(ASSIGNMENTS.c.id, USERS.c.name, USERS.c.role)
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .where(ASSIGNMENTS.c.kind.in_((PRIMARY, ADJUDICATION, STRUCTURAL, STRUCTURAL_THIRD)))
        .order_by(USERS.c.name)
    )
    counts: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        counts[row.name, row.role].append(states.get(row.id) == "locked")
    return [ReaderProgress(reader=name, role=role, done=sum(d), total=len(d)) for (name, role), d in counts.items()]


def _states(connection: Connection) -> dict[int, Progress]:
    """Return the progress of each assignment that was saved. A correction leaves a case locked."""
    found: dict[int, Progress] = {}
    for row in connection.execute(select(READINGS.c.assignment_id, READINGS.c.state)):
        if row.state == "locked" or found.get(row.assignment_id) == "locked":
            found[row.assignment_id] = "locked"
        else:
            found[row.assignment_id] = "started"
    return found
