"""Tables of structural readings for an export.

Contents: `structural_tables`, and the columns that `sparcc trial structural` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.readings.content import LABELS
from sparcc_pipeline.app.reader.structural.content import (
    STRUCTURAL,
    STRUCTURAL_ITEMS,
    STRUCTURAL_THIRD,
    StructuralContent,
    StructuralVisit,
)
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, READINGS, USERS, VISITS
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table
from sparcc_pipeline.trial.structural import Lesion

_W: Final = ColumnKind.WHOLE
_PLACE: Final = (
    Column("participant", "trial number of the participant, never a name", cdisc="DM.SUBJID"),
    Column("visit", "planned visit, for instance W12", cdisc="SV.VISIT"),
    Column("reader", "reader", cdisc="MO.MOEVALID"),
    Column("repeat", "1, or 2 and more for the same images read again by the same reader", _W, "", "MO.REPEAT"),
    Column("adjudicator", "third reading", ColumnKind.YES_NO, "", "MO.ADJUD"),
)
STRUCTURAL_COLUMNS: Final = (
    *_PLACE,
    *(
        Column(lesion.value, f"SSS {lesion.value}, 0-{lesion.largest}; empty where not evaluable", _W)
        for lesion in Lesion
    ),
    *(Column(f"{lesion.value}_maximum", f"evaluable parts for {lesion.value}", _W) for lesion in Lesion),
    Column("image_quality", "good, adequate or poor"),
)
ITEM_COLUMNS: Final = (
    *_PLACE,
    Column("slice", "1-5, anterior to posterior", _W),
    Column("slice_index", "counted from 0 at the most anterior slice of the series", _W),
    Column("joint", "the patient's right or left"),
    Column("item", "lesion and quadrant, or lesion and half"),
    Column("value", "1 or 0; empty where not evaluable", _W),
    Column("reason", "why it was not evaluable"),
)


def structural_tables(connection: Connection) -> dict[str, Table]:
    """Return the newest locked structural readings, and their items."""
    visits = list(_locked(connection))
    return {
        "structural": Table(STRUCTURAL_COLUMNS, [place | _totals(visit) for place, visit in visits]),
        "structural_items": Table(ITEM_COLUMNS, [row for place, visit in visits for row in _items(place, visit)]),
    }


def _locked(connection: Connection) -> Iterator[tuple[dict[str, Any], StructuralVisit]]:
    """Yield the place and the reading of every time point."""
    rows = connection.execute(
        select(READINGS, ASSIGNMENTS.c.repeat, ASSIGNMENTS.c.visit_order, USERS.c.code, CASES.c.participant)
        .join(ASSIGNMENTS, ASSIGNMENTS.c.id == READINGS.c.assignment_id)
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .join(CASES, CASES.c.id == ASSIGNMENTS.c.case_id)
        .where(READINGS.c.state == "locked", READINGS.c.kind.in_((STRUCTURAL, STRUCTURAL_THIRD)))
        .order_by(CASES.c.participant, CASES.c.round, USERS.c.code, ASSIGNMENTS.c.repeat, READINGS.c.version)
    )
    newest: dict[int, Row[Any]] = {row.assignment_id: row for row in rows}
    names = {row.id: row.visit for row in connection.execute(select(VISITS.c.id, VISITS.c.visit))}
    for row in newest.values():
        content = StructuralContent.model_validate_json(row.content)
        for label, visit in zip(LABELS, json.loads(row.visit_order), strict=False):
            place = {
                "participant": row.participant,
                "visit": names[visit],
                "reader": row.code,
                "repeat": row.repeat,
                "adjudicator": row.kind == STRUCTURAL_THIRD,
            }
            yield place, content.visits[label]


def _totals(visit: StructuralVisit) -> dict[str, Any]:
    score = visit.score
    totals: dict[str, Any] = {lesion.value: score.total(lesion) for lesion in Lesion}
    totals |= {f"{lesion.value}_maximum": score.maximum(lesion) for lesion in Lesion}
    return totals | {"image_quality": visit.image_quality}


def _items(place: dict[str, Any], visit: StructuralVisit) -> Iterator[dict[str, Any]]:
    for joint in visit.joints:
        for item in STRUCTURAL_ITEMS:
            value = joint.value(item)
            yield place | {
                "slice": joint.slice,
                "slice_index": visit.first + joint.slice - 1,
                "joint": joint.joint,
                "item": item,
                "value": value,
                "reason": joint.reason if value is None else None,
            }
