"""Read clinical tables in tests, and find their visits and queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparcc_pipeline.app.trial_data.read.clinical import Clinical, read_clinical
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.trial.records import ClinicalVisit, DataQuery

from ....trial.builders import protocol
from ..conftest import visit_row, write_csv


def read(*files: Path) -> tuple[Clinical, Queries]:
    queries = Queries()
    return read_clinical(files, protocol(), queries), queries


def read_rows(folder: Path, *rows: dict[str, Any]) -> tuple[Clinical, Queries]:
    return read(write_csv(folder / "visits.csv", rows))


def only(queries: Queries) -> DataQuery:
    assert len(queries) == 1, [query.message for query in queries]
    return queries[0]


def visit_of(clinical: Clinical, name: str = "W0", participant: str = "P001") -> ClinicalVisit:
    return next(v for v in clinical.visits if (v.participant, v.visit) == (participant, name))


def redcap_row(week: int, boxes: int, complete: int) -> dict[str, Any]:
    row = {
        k: v
        for k, v in visit_row(week=week).items()
        if not k.startswith("asas_hi") and k not in ("participant", "visit")
    }
    event = "baseline_arm_1" if week == 0 else f"week_{week}_arm_1"
    return {
        "record_id": "P001",
        "redcap_event_name": event,
        "redcap_repeat_instrument": "",
        "redcap_repeat_instance": "",
        "redcap_data_access_group": "S1",
        **row,
        **{f"asas_hi___{n}": int(n <= boxes) for n in range(1, 18)},
        "asas_hi_complete": complete,
    }
