"""Adjudication of structural readings by a third reader.

Contents: `give_third`, `is_third_needed`. A case needs one if, at any of its time points, two locked readings differ in
one of the four totals by more than the limit of the settings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.database import SYSTEM, Writing
from sparcc_pipeline.app.reader.readings.assignments import assign, readers
from sparcc_pipeline.app.reader.readings.content import LABELS
from sparcc_pipeline.app.reader.settings import Reading, Structural
from sparcc_pipeline.app.reader.structural.content import (
    STRUCTURAL,
    STRUCTURAL_THIRD,
    StructuralContent,
    StructuralTotals,
)
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, READINGS
from sparcc_pipeline.trial.reading import READERS
from sparcc_pipeline.trial.structural import Lesion


def is_third_needed(connection: Connection, case: int, settings: Structural) -> bool:
    """Return True if the two structural readings of a case are locked and differ."""
    rows = connection.execute(
        select(ASSIGNMENTS.c.user_id, ASSIGNMENTS.c.visit_order, READINGS.c.content)
        .join(READINGS, READINGS.c.assignment_id == ASSIGNMENTS.c.id)
        .where(
            ASSIGNMENTS.c.case_id == case,
            ASSIGNMENTS.c.kind == STRUCTURAL,
            ASSIGNMENTS.c.repeat == 1,
            READINGS.c.state == "locked",
        )
        .order_by(READINGS.c.version)
    )
    found: dict[int, Mapping[int, StructuralTotals]] = {}
    for row in rows:
        content = StructuralContent.model_validate_json(row.content)
        places = dict(zip(LABELS, json.loads(row.visit_order), strict=False))
        found[row.user_id] = {places[label]: StructuralTotals.of(visit) for label, visit in content.visits.items()}
    if len(found) != READERS:
        return False
    first, second = found.values()
    return any(_differ(first[visit], second[visit], settings) for visit in first)


def _differ(first: StructuralTotals, second: StructuralTotals, settings: Structural) -> bool:
    for lesion in Lesion:
        one, other = getattr(first, lesion), getattr(second, lesion)
        if one is not None and other is not None and abs(one - other) > getattr(settings, f"limit_{lesion}"):
            return True
    return False


def give_third(work: Writing, case: int, settings: Structural, reading: Reading) -> None:
    """Assign a case that needs a third structural reading, and has none, to the adjudicator with the fewest."""
    mine = ASSIGNMENTS.c.kind == STRUCTURAL_THIRD
    given = select(ASSIGNMENTS.c.id).where(mine, ASSIGNMENTS.c.case_id == case)
    if work.connection.execute(given).first() is not None or not is_third_needed(work.connection, case, settings):
        return

    def busy(user_id: int) -> int:
        count = select(func.count()).select_from(ASSIGNMENTS).where(mine, ASSIGNMENTS.c.user_id == user_id)
        return int(work.connection.execute(count).scalar_one())

    active = readers(work.connection, Role.ADJUDICATOR)
    if active:
        assign(work, min(active, key=lambda each: busy(each.id)), [case], reading, kind=STRUCTURAL_THIRD, by=SYSTEM)
