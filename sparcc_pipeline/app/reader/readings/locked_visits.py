"""Time points of locked readings, as exports use them.

Contents: `LockedVisit`, `locked_visits`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY
from sparcc_pipeline.app.reader.readings.content import LABELS, Content, VisitReading
from sparcc_pipeline.app.reader.readings.stored import REVISED
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, READINGS, USERS, VISITS
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.trial.reading import Reading

INFLAMMATION: Final = (PRIMARY, REVISED, ADJUDICATION)
"""Kinds of readings with the form of inflammation."""


@dataclass(frozen=True)
class LockedVisit:
    """One time point of one locked reading: its place, points, reasons, and folders of images and result."""

    participant: str
    visit: str
    reader: str
    kind: str
    repeat: int
    locked_at: str
    reading: VisitReading
    reasons: Mapping[tuple[int, str, str], str]
    machine: str | None
    images: str

    @property
    def score(self) -> SparccScore:
        return self.reading.score

    @property
    def total(self) -> int | None:
        """Total of the reading; None if nothing could be evaluated."""
        return self.score.total if self.score.evaluable_maximum else None

    @property
    def as_reading(self) -> Reading:
        """The reading in the form of the trial's rules."""
        return Reading(
            self.participant,
            self.visit,
            self.reader,
            self.total,
            True,
            self.kind == ADJUDICATION,
            self.reading.asas_positive,
            self.repeat,
        )


def locked_visits(connection: Connection) -> list[LockedVisit]:
    """Return every time point of the newest locked version of every reading of the trial, without training."""
    rows = connection.execute(
        select(
            READINGS,
            ASSIGNMENTS.c.repeat,
            ASSIGNMENTS.c.case_id,
            ASSIGNMENTS.c.visit_order,
            USERS.c.code,
            CASES.c.participant,
        )
        .join(ASSIGNMENTS, ASSIGNMENTS.c.id == READINGS.c.assignment_id)
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .join(CASES, CASES.c.id == ASSIGNMENTS.c.case_id)
        .where(READINGS.c.state == "locked", READINGS.c.kind.in_(INFLAMMATION), CASES.c.training.is_(False))
        .order_by(CASES.c.participant, CASES.c.round, USERS.c.code, ASSIGNMENTS.c.repeat, READINGS.c.version)
    )
    newest = {(row.assignment_id, row.kind): row for row in rows}
    visits = {row.id: row for row in connection.execute(select(VISITS))}
    return [each for row in newest.values() for each in _visits_of(row, visits)]


def _visits_of(row: Row[Any], visits: Mapping[int, Row[Any]]) -> Iterator[LockedVisit]:
    content = Content.model_validate_json(row.content)
    reasons: dict[str, dict[tuple[int, str, str], str]] = {}
    for each in json.loads(row.reasons):
        reasons.setdefault(each["label"], {})[each["slice"], each["joint"], each["item"]] = each["reason"]
    for label, visit in zip(LABELS, json.loads(row.visit_order), strict=False):
        stored = visits[visit]
        yield LockedVisit(
            row.participant,
            stored.visit,
            row.code,
            row.kind,
            row.repeat,
            row.locked_at,
            content.visits[label],
            reasons.get(label, {}),
            stored.machine,
            stored.images,
        )
