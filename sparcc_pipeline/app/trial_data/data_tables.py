"""Tables of the data that were read: participants, visits, instruments, readings, items, scores, queries.

Contents: `data_tables`, `query_table`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.results.tables import Row, Table
from sparcc_pipeline.app.trial_data import columns as out
from sparcc_pipeline.app.trial_data.read.field_table import NSAID_SLOTS
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.items import ItemReading
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore
from sparcc_pipeline.trial.records import ClinicalVisit, DataQuery
from sparcc_pipeline.trial.schedule import timing


def data_tables(loaded: LoadedTrial, protocol: Protocol) -> dict[str, Table]:
    """Return all data read, as tables; needs no choice of the protocol."""
    data = loaded.data
    return {
        "participants": Table(
            out.PARTICIPANTS,
            [
                {"participant": p.participant, "site": p.site, **asdict(p.screening), "end_reason": p.end_reason}
                for p in data.participants
            ],
        ),
        "visits": Table(out.VISITS, [_visit_row(visit, loaded, protocol) for visit in data.visits]),
        "instruments": Table(out.INSTRUMENTS, list(_instrument_rows(data.visits, protocol))),
        "readings": Table(out.READINGS, [asdict(reading) for reading in data.readings]),
        "scores": Table(out.SCORES, [_score_row(score) for score in data.scores]),
        **({"items": Table(out.ITEMS, list(_item_rows(data.items)))} if data.items else {}),
        "queries": query_table(data.queries),
    }


def query_table(queries: Iterable[DataQuery], words: Language = ENGLISH) -> Table:
    """Return the data queries for a site: sentences in this language, names of kinds unchanged."""
    return Table(
        out.QUERIES,
        [
            {
                **vars(query),
                "kind": query.kind.value,
                **{name: words.say(getattr(query, name)) for name in ("expected", "found", "remedy")},
            }
            for query in queries
        ],
    )


def _score_row(score: MachineScore) -> Row:
    low, high = score.interval_90 or (None, None)
    others = {name: value for name, value in asdict(score).items() if name != "interval_90"}
    return {**others, "low_90": low, "high_90": high}


def _item_rows(items: Iterable[ItemReading]) -> Iterable[Row]:
    for each in items:
        of_reading = {
            "participant": each.participant,
            "visit": each.visit,
            "reader": each.reader or "machine",
            "adjudicator": each.adjudicator,
            "repeat": each.repeat,
        }
        for place, point in each.points.items():
            where = {"slice_index": place.slice_index, "joint": place.side.value, "item": place.item}
            yield {**of_reading, **where, "value": point}


def _visit_row(visit: ClinicalVisit, loaded: LoadedTrial, protocol: Protocol) -> Row:
    planned = protocol.visit(visit.visit)
    items = {
        f"{name}_{n}": value
        for name in ("basdai", "basfi", "asas_hi", "asqol")
        for n, value in enumerate(getattr(visit, name), 1)
    }
    nsaids: dict[str, Any] = {"nsaid_taken": None if visit.nsaids is None else bool(visit.nsaids)}
    for n, intake in enumerate((visit.nsaids or ())[:NSAID_SLOTS], 1):
        nsaids |= {f"nsaid_{n}_drug": intake.drug, f"nsaid_{n}_dose_mg": intake.dose_mg, f"nsaid_{n}_days": intake.days}
    return {
        "participant": visit.participant,
        "visit": visit.visit,
        "week": planned.week if planned else None,
        "day": visit.day,
        "study_day": out.study_day(visit.day),
        "timing": timing(planned, visit.day).value if planned else None,
        "visit_date": loaded.dates.get((visit.participant, visit.visit)),
        "patient_global": visit.patient_global,
        "crp_mg_l": visit.crp_mg_l,
        "crp_limit_mg_l": visit.crp_limit_mg_l,
        "esr_mm_h": visit.esr_mm_h,
        "asdas_form": visit.asdas_form and visit.asdas_form.value,
        "nsaid_period_days": visit.nsaid_period_days,
        "rescue": visit.rescue,
        "drug_ended": visit.drug_ended,
        **items,
        **nsaids,
        **{kind.value: result.value for kind, result in instrument_results(visit, protocol).items()},
    }


def _instrument_rows(visits: Iterable[ClinicalVisit], protocol: Protocol) -> Iterable[Row]:
    for visit in visits:
        planned = protocol.visit(visit.visit)
        for kind, result in instrument_results(visit, protocol).items():
            yield {
                "participant": visit.participant,
                "visit": visit.visit,
                "week": planned.week if planned else None,
                "instrument": kind.value,
                "value": result.value,
                "items_used": len(result.items),
                "missing": " ".join(result.missing) or None,
                "reason": result.reason,
            }
