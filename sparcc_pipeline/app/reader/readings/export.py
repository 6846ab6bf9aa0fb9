"""Readings taken out: totals, items, the score that counts, agreement, comparison with the machine, DICOM SR.

Before the database is locked this needs a reason, and is told to the trail: whoever has these tables has the scores.
Primary, revised and adjudicated readings stay apart: only the newest locked primary version and the adjudication are in
`readings`, what a second opinion changed is in `readings_revised`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION
from sparcc_pipeline.app.reader.readings.content import LABELS, Content, VisitReading, points
from sparcc_pipeline.app.reader.readings.reading import REVISED
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, READINGS, USERS, VISITS
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table, csv_text, parquet_bytes
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.errors import BlindingError
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.trial.agreement.pairs import reading_pairs
from sparcc_pipeline.trial.agreement.summary import TotalAgreement
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Counts, MachineScore, Reading, counted_score
from sparcc_pipeline.trial.records import TrialData

SCHEMA: Final = "sparcc-readings/1"
MAIN_FILE: Final = "export.json"
AGREEMENT_SEED: Final = 1

EXPORT_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-readings/",
    re.compile(
        r"export\.json|(readings|readings_revised|reading_items|counted|agreement|machine)\.(csv|parquet)"
        r"|dicom(/[A-Za-z0-9_.-]+\.dcm)?"
    ),
)

_T, _N, _W = ColumnKind.TEXT, ColumnKind.NUMBER, ColumnKind.WHOLE
_PLACE: Final = (
    Column("participant", "trial number of the participant, never a name", cdisc="DM.SUBJID"),
    Column("visit", "planned visit, for instance W12", cdisc="SV.VISIT"),
    Column("reader", "reader", cdisc="MO.MOEVALID"),
)
READING_COLUMNS: Final = (
    *_PLACE,
    Column("total", "SPARCC total of the reading; empty where not evaluable", _N, "", "MO.SPARCC"),
    Column("locked", "the reading is locked", ColumnKind.YES_NO, "", "MO.LOCKED"),
    Column("adjudicator", "third reading", ColumnKind.YES_NO, "", "MO.ADJUD"),
    Column("asas_positive", "ASAS-positive MRI", ColumnKind.YES_NO, "", "MO.ASASPOS"),
    Column("repeat", "1, or 2 and more for the same images read again by the same reader", _W, "", "MO.REPEAT"),
)
"""As `sparcc trial` reads them: a test compares this with the data dictionary."""

_KIND: Final = Column("kind", "primary, revised (after the second opinion), or adjudication")
_REPEAT: Final = Column("repeat", "2 for the same images read again by the same reader", _W)

ITEMS: Final = (
    *_PLACE,
    _KIND,
    _REPEAT,
    Column("slice", "1-6, anterior to posterior", _W),
    Column("slice_index", "counted from 0 at the most anterior slice of the series", _W),
    Column("joint", "the patient's right or left"),
    Column("item", "quadrant, or intense, or deep"),
    Column("value", "1 or 0; empty where not evaluable", _W),
    Column("reason", "why it was not evaluable, or why a revised reading changed it"),
)

COUNTED: Final = (
    *_PLACE[:2],
    Column("value", "SPARCC that counts by the protocol", _N),
    Column("source", "two locked readings, adjudicated, or none"),
    Column("readers", "whose readings made it"),
    Column("difference", "between the two readers", _N),
    Column("reason", "why there is none"),
)

MACHINE: Final = (
    *_PLACE,
    _KIND,
    _REPEAT,
    Column("total", "SPARCC of the reading", _W),
    Column("machine_total", "SPARCC of the machine", _W),
    Column("difference", "machine minus reading", _W),
    Column("evaluable_maximum", "largest total that the reading could reach", _W),
    Column("machine_evaluable_maximum", "largest total that the machine's score could reach", _W),
)

AGREEMENT: Final = (
    Column("kind", "what is compared"),
    Column("first", "first reader"),
    Column("second", "second reader"),
    Column("pairs", "totals of the same images", _W),
    Column("participants", "participants", _W),
    *(
        Column(f"{name}{end}", f"{label}{meaning}", _N)
        for name, label in (
            ("icc_agreement", "ICC(2,1)"),
            ("icc_consistency", "ICC(3,1)"),
            ("weighted_kappa", "kappa with quadratic weights"),
            ("sdc", "smallest detectable change of one total"),
        )
        for end, meaning in (("", ""), ("_low", ", lower end of its 95 % interval"), ("_high", ", upper end"))
    ),
    Column("mean_difference", "second minus first", _N),
    Column("lower_limit", "lower limit of agreement", _N),
    Column("upper_limit", "upper limit of agreement", _N),
    Column("sem", "standard error of measurement", _N),
)


@dataclass(frozen=True)
class LockedVisit:
    """One time point of one locked reading."""

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
        """None where nothing could be evaluated."""
        return self.score.total if self.score.evaluable_maximum else None

    @property
    def as_reading(self) -> Reading:
        """As the trial's rules take it."""
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


def export_readings(
    database: ReaderDatabase,
    settings: ReaderSettings,
    folder: Path,
    before_lock: str | None,
    manifest: Path | None,
    *,
    force: bool,
) -> dict[str, int]:
    """Write all tables (and DICOM SR for the studies of `manifest`); gives how many rows each has.

    Raises
    ------
    BlindingError : the database is not locked and no reason is given
    OutputError : the folder holds something, or cannot be written
    """
    with database.reading() as connection:
        locked = database.is_locked(connection)
        if not locked and not (before_lock or "").strip():
            raise BlindingError(
                "expected a locked database, found one that is still read from; lock it with `sparcc reader "
                "lock-database`, or say why you need the scores now with --before-lock"
            )
        visits = locked_visits(connection)
    protocol, store = load_protocol(settings.protocol_file), PictureStore(database.folder)
    tables = export_tables(visits, store, protocol)
    with ResultFolder(folder, force=force, kind=EXPORT_RESULT) as result:
        for name, table in tables.items():
            write_text(result.path / f"{name}.csv", csv_text(table))
            write_bytes(result.path / f"{name}.parquet", parquet_bytes(table))
        counts = {name: len(table.rows) for name, table in tables.items()}
        if manifest is not None:
            from sparcc_pipeline.app.reader.readings.export_dicom import write_reports

            counts["dicom"] = write_reports(visits, store, manifest, result.path / "dicom")
        main = {"schema": SCHEMA, "research_use_only": True, "database_locked": locked, "rows": counts}
        write_text(result.path / MAIN_FILE, json_text(main))
        # Told before it is there: nobody has the scores without an entry.
        with database.writing() as work:
            work.record(SYSTEM, "export", "readings", new=counts, reason=(before_lock or "").strip())
        result.publish()
    return counts


def locked_visits(connection: Connection) -> list[LockedVisit]:
    """Every time point of the newest locked version of every reading of the trial, training aside."""
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
        .where(READINGS.c.state == "locked", CASES.c.training.is_(False))
        .order_by(CASES.c.participant, CASES.c.round, USERS.c.code, ASSIGNMENTS.c.repeat, READINGS.c.version)
    )
    newest = {(row.assignment_id, row.kind): row for row in rows}
    visits = {row.id: row for row in connection.execute(select(VISITS))}
    return [each for row in newest.values() for each in _visits_of(row, visits)]


def export_tables(visits: Sequence[LockedVisit], store: PictureStore, protocol: Protocol) -> dict[str, Table]:
    """All tables of an export."""
    primary = [each for each in visits if each.kind != REVISED]
    readings = [each.as_reading for each in primary]
    machines = {name: store.result(name).total for name in {each.machine for each in visits} if name is not None}
    scores = {
        (v.participant, v.visit): MachineScore(v.participant, v.visit, machines[v.machine])
        for v in primary
        if v.machine
    }
    data = TrialData((), (), readings, tuple(scores.values()))
    limit = protocol.imaging.adjudication_limit
    return {
        "readings": Table(READING_COLUMNS, [asdict(each) for each in readings]),
        "readings_revised": Table(READING_COLUMNS, [asdict(v.as_reading) for v in visits if v.kind == REVISED]),
        "reading_items": Table(ITEMS, [row for each in visits for row in _items(each)]),
        "counted": Table(COUNTED, list(_counted(readings, limit))),
        "agreement": Table(
            AGREEMENT,
            [
                _agreement(pair.kind.value, pair.first_name, pair.second_name, found)
                for pair in reading_pairs(data, limit)
                if (found := pair.agreement(AGREEMENT_SEED)) is not None
            ],
        ),
        "machine": Table(MACHINE, [_compared(v, store) for v in visits if v.machine is not None]),
    }


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


def _place(each: LockedVisit) -> dict[str, Any]:
    return {
        "participant": each.participant,
        "visit": each.visit,
        "reader": each.reader,
        "kind": each.kind,
        "repeat": each.repeat,
    }


def _items(each: LockedVisit) -> Iterator[dict[str, Any]]:
    why = {(joint.slice, joint.joint): joint.reason for joint in each.reading.joints}
    for _, number, joint, item, value in points(Content(visits={LABELS[0]: each.reading})):
        changed = each.reasons.get((number, joint, item), "")
        yield _place(each) | {
            "slice": number,
            "slice_index": each.reading.first + number - 1,
            "joint": joint,
            "item": item,
            "value": value,
            "reason": changed or (why[number, joint] if value is None else None) or None,
        }


def _counted(readings: Sequence[Reading], limit: float) -> Iterator[dict[str, Any]]:
    for participant, visit in sorted({(each.participant, each.visit) for each in readings}):
        mine = [each for each in readings if (each.participant, each.visit) == (participant, visit)]
        counted = counted_score(mine, None, Counts.READINGS, limit)
        yield {
            "participant": participant,
            "visit": visit,
            "value": counted.value,
            "source": counted.source.value,
            "readers": " ".join(counted.readers),
            "difference": counted.difference,
            "reason": counted.reason,
        }


def _compared(each: LockedVisit, store: PictureStore) -> dict[str, Any]:
    machine = store.result(str(each.machine))
    both = each.total is not None and machine.total is not None
    return _place(each) | {
        "total": each.total,
        "machine_total": machine.total,
        "difference": (machine.total or 0) - (each.total or 0) if both else None,
        "evaluable_maximum": each.score.evaluable_maximum,
        "machine_evaluable_maximum": machine.evaluable_maximum,
    }


def _agreement(kind: str, first: str, second: str, found: TotalAgreement) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": kind,
        "first": first or None,
        "second": second or None,
        "pairs": found.pairs,
        "participants": found.participants,
        "mean_difference": found.bland_altman.mean,
        "lower_limit": found.bland_altman.lower,
        "upper_limit": found.bland_altman.upper,
        "sem": found.sem,
    }
    for name, estimate in (
        ("icc_agreement", found.icc_agreement),
        ("icc_consistency", found.icc_consistency),
        ("weighted_kappa", found.weighted),
        ("sdc", found.sdc),
    ):
        row |= {
            name: estimate and estimate.value,
            f"{name}_low": estimate and estimate.low,
            f"{name}_high": estimate and estimate.high,
        }
    return row
