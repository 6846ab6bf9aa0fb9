"""Write a simulated trial as the files of a real one, so that every command can read it.

Contents: `write_trial_files`. Score folders hold a `score.json` with the fields that a trial reads and a mark
that it is simulated.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import tomli_w

from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.files import SCORE_FILE, write_text
from sparcc_pipeline.simulation.items import FIRST_SLICE, simulated_items
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.trial.items import QUADRANTS, ItemPlace, ItemReading
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore, Reading
from sparcc_pipeline.trial.records import ClinicalVisit, Participant

FIRST_DAY: Final = date(2026, 3, 2)
"""Baseline of every simulated participant, an arbitrary day."""

PARTICIPANTS: Final = "participants.csv"
VISITS: Final = "visits.csv"
READINGS: Final = "readings.csv"
ITEMS: Final = "reading_items.csv"
SCORES: Final = "scores.csv"
SCORE_FOLDERS: Final = "scores"
ALLOCATION: Final = "allocation.csv"
DOSING: Final = "dosing.csv"
PROTOCOL: Final = "protocol.toml"


def write_trial_files(
    trial: SimulatedTrial, protocol: Protocol, protocol_content: Mapping[str, Any], folder: Path
) -> None:
    """Write all tables (participants, visits, readings, items, scores, allocation, doses), score folders and protocol.

    Raises
    ------
    OutputError : a file cannot be written
    """
    data = trial.data
    write_text(folder / PROTOCOL, tomli_w.dumps(dict(protocol_content)))
    write_text(folder / PARTICIPANTS, _csv([_participant(each) for each in data.participants]))
    write_text(folder / VISITS, _csv([_visit(each) for each in data.visits]))
    write_text(folder / READINGS, _csv([_reading(each) for each in data.readings]))
    items = list(simulated_items(trial, protocol))
    write_text(folder / ITEMS, _csv([row for each in items if each.reader is not None for row in _item_rows(each)]))
    points = {(each.participant, each.visit): each.points for each in items if each.reader is None}
    manifest = []
    for score in data.scores:
        path = Path(SCORE_FOLDERS) / score.participant / score.visit
        (folder / path).mkdir(parents=True, exist_ok=True)
        document = _score(score, protocol) | _joints(points.get((score.participant, score.visit), {}))
        write_text(folder / path / SCORE_FILE, json.dumps(document, indent=1) + "\n")
        manifest.append({"participant": score.participant, "visit": score.visit, "path": path.as_posix()})
    write_text(folder / SCORES, _csv(manifest))
    write_text(folder / ALLOCATION, _csv(_allocation(trial, protocol)))
    steps = [{"participant": name, "visit": visit, "dose_step": step} for (name, visit), step in trial.steps.items()]
    write_text(folder / DOSING, _csv(steps))


def _allocation(trial: SimulatedTrial, protocol: Protocol) -> list[dict[str, Any]]:
    """Rows of the allocation list: permuted blocks of the smallest size within each site."""
    planned = [arm.participants for arm in protocol.arms]
    size, numbers, rows = sum(planned) // math.gcd(*planned), Counter[str](), []
    sites = {each.participant: each.site or "" for each in trial.data.participants}
    for name, arm in trial.arms.items():
        numbers[sites[name]] += 1
        number = numbers[sites[name]]
        rows.append(
            {
                "participant": name,
                "arm": arm,
                "stratum": sites[name],
                "block": -(-number // size),
                "allocation_number": number,
                "randomised_on": FIRST_DAY.isoformat(),
            }
        )
    return rows


def _participant(each: Participant) -> dict[str, Any]:
    return {"participant": each.participant, "site": each.site, **vars(each.screening), "end_reason": each.end_reason}


def _visit(each: ClinicalVisit) -> dict[str, Any]:
    row: dict[str, Any] = {
        "participant": each.participant,
        "visit": each.visit,
        "visit_date": None if each.day is None else (FIRST_DAY + timedelta(days=each.day)).isoformat(),
    }
    for name in ("basdai", "basfi", "asas_hi", "asqol"):
        row |= {f"{name}_{number}": value for number, value in enumerate(getattr(each, name), 1)}
    row |= {"patient_global": each.patient_global, "crp_mg_l": each.crp_mg_l, "esr_mm_h": each.esr_mm_h}
    row |= {"asdas_form": None if each.asdas_form is None else each.asdas_form.value}
    row |= {"nsaid_taken": bool(each.nsaids), "nsaid_period_days": each.nsaid_period_days, "rescue": each.rescue}
    # The first row sets the columns, so the keys are present even without a drug.
    drug = each.nsaids[0] if each.nsaids else None
    row |= {
        "nsaid_1_drug": drug and drug.drug,
        "nsaid_1_dose_mg": drug and drug.dose_mg,
        "nsaid_1_days": drug and drug.days,
    }
    return row


def _reading(each: Reading) -> dict[str, Any]:
    return {**vars(each)}


def _item_rows(each: ItemReading) -> Iterator[dict[str, Any]]:
    for place, point in each.points.items():
        yield {
            "participant": each.participant,
            "visit": each.visit,
            "reader": each.reader,
            "kind": "adjudication" if each.adjudicator else "primary",
            "repeat": each.repeat,
            "slice": place.slice_index - FIRST_SLICE + 1,
            "slice_index": place.slice_index,
            "joint": place.side.value,
            "item": place.item,
            "value": point,
            "reason": None,
        }


def _joints(points: Mapping[ItemPlace, int | None]) -> dict[str, Any]:
    """Return the points in the form of `score.json`."""
    joints = [
        {
            "slice": k - FIRST_SLICE,
            "side": side.value,
            "edema": {item: points[ItemPlace(k, side, item)] for item in QUADRANTS},
            **{item: points[ItemPlace(k, side, item)] for item in ("intense", "deep")},
        }
        for k, side in dict.fromkeys((place.slice_index, place.side) for place in points)
    ]
    slices = [{"slice_index": k} for k in dict.fromkeys(place.slice_index for place in points)]
    return {"slices": slices, "joints": joints}


def _score(each: MachineScore, protocol: Protocol) -> dict[str, Any]:
    scored = each.total is not None
    return {
        "schema": "sparcc-score/1",
        "simulated": True,
        "status": "scored" if scored else "unscorable",
        "reason": each.reason,
        "total": each.total,
        "asas_positive": each.asas_positive,
        "expected": each.expected,
        "interval_90": None if each.interval_90 is None else list(each.interval_90),
        "probability_remission": each.probability_remission,
        "evaluable_maximum": each.evaluable_maximum,
        "chosen_by": protocol.imaging.slice_anchor if scored else None,
        "reference_signal": {"kind": protocol.imaging.intensity_reference, "value": 1.0} if scored else None,
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    return rows_as_csv(list(rows[0]) if rows else [], [{k: _cell(v) for k, v in row.items()} for row in rows])


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
