"""Tables of safety: adverse events, laboratory values, deviations, one row a record, without the arm.

Contents: `safety_tables`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table
from sparcc_pipeline.app.trial_data.safety.read import Safety
from sparcc_pipeline.trial.monitoring.safety_records import Deviation

_T, _N, _W, _Y, _D = ColumnKind
_WHO: Final = Column("participant", "trial number of the participant")

ADVERSE_EVENTS: Final = (
    _WHO,
    Column("term", "adverse event, in the words of the site"),
    Column("category", "body system"),
    Column("first_day", "first day after the baseline visit, which is day 0", _W),
    Column("last_day", "last day after the baseline visit", _W),
    Column("grade", "CTCAE grade as given; empty where the site gave none", _W),
    Column("serious", "serious", _Y),
    Column("related", "related to the study drug, by the investigator", _Y),
    Column("special_interest", "of special interest", _Y),
    Column("outcome", "outcome"),
    Column("before_baseline", "began before the baseline: not counted", _Y),
)
LABORATORY: Final = (
    _WHO,
    Column("visit", "planned visit"),
    Column("test", "laboratory test"),
    Column("value", "value", _N),
    Column("unit", "unit"),
    Column("lower", "lower limit of normal", _N),
    Column("upper", "upper limit of normal", _N),
    Column("grade", "CTCAE grade as given; empty where the site gave none", _W),
    Column("side", "-1 below the limits, 1 over them, 0 within", _W),
)
DEVIATIONS: Final = (
    _WHO,
    Column("visit", "planned visit"),
    Column("kind", "kind of deviation"),
    Column("found", "what was found, or the words of the site"),
    Column("source", "site, or data"),
    Column("date", "day, YYYY-MM-DD"),
    Column("major", "major, by the site; empty where it follows from the data", _Y),
)


def safety_tables(safety: Safety, deviations: Iterable[Deviation]) -> dict[str, Table]:
    """Return the tables by name."""
    events = [
        {name: getattr(each, name) for name in (column.name for column in ADVERSE_EVENTS)}
        for each in safety.adverse_events
    ]
    values = [
        {name: getattr(each, name) for name in (column.name for column in LABORATORY)} for each in safety.laboratory
    ]
    return {
        "adverse_events": Table(ADVERSE_EVENTS, events),
        "laboratory": Table(LABORATORY, values),
        "deviations": Table(DEVIATIONS, [vars(each) for each in deviations]),
    }
