"""Tables written out as CSV and Parquet with a codebook and a CDISC mapping, in one folder, whole or not at all.

There: `write_tables`, `Table`, the rows of each table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Row, Table, csv_text, parquet_bytes
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.trial_data import columns as out
from sparcc_pipeline.app.trial_data.read.field_table import NSAID_SLOTS
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial
from sparcc_pipeline.trial.assessment import VisitAssessment, instrument_results
from sparcc_pipeline.trial.eligibility import Eligibility
from sparcc_pipeline.trial.items import ItemReading
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import ClinicalVisit, DataQuery
from sparcc_pipeline.trial.schedule import timing

SCHEMA: Final = "sparcc-trial/1"
MAIN_FILE: Final = "trial.json"

TRIAL_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-trial/",
    re.compile(
        r"trial\.json|(participants|visits|instruments|readings|items|scores|queries|status|eligibility|steps|codebook"
        r"|cdisc_mapping)\.(csv|parquet)"
    ),
)
"""Folders of tables of a trial."""


def write_tables(folder: Path, tables: Mapping[str, Table], facts: Mapping[str, Any], *, force: bool) -> None:
    """Write tables, codebook, CDISC mapping and `trial.json` into a folder.

    Parameters
    ----------
    facts : what `trial.json` says beside the number of rows of each table
    force : replace an earlier result

    Raises
    ------
    OutputError : the folder holds something, or cannot be written
    """
    described = {name: table.columns for name, table in tables.items()}
    with ResultFolder(folder, force=force, kind=TRIAL_RESULT) as result:
        for name, table in tables.items():
            write_text(result.path / f"{name}.csv", csv_text(table))
            write_bytes(result.path / f"{name}.parquet", parquet_bytes(table))
        write_text(result.path / "codebook.csv", csv_text(Table(out.CODEBOOK, out.codebook_rows(described))))
        write_text(result.path / "cdisc_mapping.csv", csv_text(Table(out.CDISC, out.cdisc_rows(described))))
        rows = {name: len(table.rows) for name, table in tables.items()}
        main = {"schema": SCHEMA, "research_use_only": True, **facts, "rows": rows}
        write_text(result.path / MAIN_FILE, json_text(main))
        result.publish()


def data_tables(loaded: LoadedTrial, protocol: Protocol) -> dict[str, Table]:
    """Everything that was read, as tables; needs no choice of the protocol."""
    data = loaded.data
    return {
        "participants": Table(
            out.PARTICIPANTS,
            [{"participant": p.participant, "site": p.site, **asdict(p.screening)} for p in data.participants],
        ),
        "visits": Table(out.VISITS, [_visit_row(visit, loaded, protocol) for visit in data.visits]),
        "instruments": Table(out.INSTRUMENTS, list(_instrument_rows(data.visits, protocol))),
        "readings": Table(out.READINGS, [asdict(reading) for reading in data.readings]),
        "scores": Table(
            out.SCORES,
            [
                {
                    **{k: v for k, v in asdict(score).items() if k != "interval_90"},
                    "low_90": score.interval_90 and score.interval_90[0],
                    "high_90": score.interval_90 and score.interval_90[1],
                }
                for score in data.scores
            ],
        ),
        **({"items": Table(out.ITEMS, list(_item_rows(data.items)))} if data.items else {}),
        "queries": query_table(data.queries),
    }


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


def query_table(queries: Iterable[DataQuery], words: Language = ENGLISH) -> Table:
    """Data queries, as a site gets them: its sentences in this language, the names of kinds as they are."""
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


def status_table(assessed: Iterable[VisitAssessment]) -> Table:
    """The dual target by participant and visit, both definitions of each half side by side."""
    return Table(out.STATUS, [_status_row(each) for each in assessed])


def eligibility_table(found: Iterable[tuple[Eligibility, str | None]]) -> Table:
    """Every criterion of every participant; the site beside each."""
    return Table(
        out.ELIGIBILITY,
        [
            {
                "participant": each.participant,
                "site": site,
                "criterion": criterion.name,
                "expected": criterion.expected,
                "found": criterion.found,
                "state": criterion.state.value,
            }
            for each, site in found
            for criterion in each.criteria
        ],
    )


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
        "timing": timing(planned, visit.day).value if planned else None,
        "visit_date": loaded.dates.get((visit.participant, visit.visit)),
        "patient_global": visit.patient_global,
        "crp_mg_l": visit.crp_mg_l,
        "esr_mm_h": visit.esr_mm_h,
        "asdas_form": visit.asdas_form and visit.asdas_form.value,
        "nsaid_period_days": visit.nsaid_period_days,
        "rescue": visit.rescue,
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


def _status_row(each: VisitAssessment) -> Row:
    target, score = each.target, each.score
    row: dict[str, Any] = {
        "participant": each.participant.participant,
        "site": each.participant.site,
        "visit": each.planned.visit,
        "week": each.planned.week,
        "day": None if each.visit is None else each.visit.day,
        "timing": each.timing.value,
        "status": target.status.value,
        "probability_imaging": target.probability_imaging,
        "asdas": each.asdas.value,
        "activity": each.activity and each.activity.value,
        "improvement": each.improvement and each.improvement.value,
        "asdas_change": each.asdas_change,
        "sparcc": score.value,
        "sparcc_change": each.sparcc_change,
        "score_source": score.source.value,
        "readers": " ".join(score.readers) or None,
        "reader_difference": score.difference,
        "distance_sparcc": target.imaging_half.distance,
        "sustained": each.sustained,
        "flare": each.flare,
        "rescue": each.rescue,
        "reasons": "; ".join(target.reasons) or None,
    }
    for clinical in ClinicalDefinition:
        row[f"clinical_{clinical.value}"] = target.clinical[clinical].met
        row[f"distance_{clinical.value}"] = target.clinical[clinical].distance
        for imaging in ImagingDefinition:
            row[f"imaging_{imaging.value}"] = target.imaging[imaging].met
            row[f"status_{clinical.value}_{imaging.value}"] = target.status_by(clinical, imaging).value
    return row
