"""Tables of an export: readings, items, the score that counts, agreement, comparison with the machine.

Contents: `export_tables` and one tuple of columns a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.readings.content import LABELS, Content, points
from sparcc_pipeline.app.reader.readings.locked_visits import LockedVisit
from sparcc_pipeline.app.reader.readings.stored import REVISED
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table
from sparcc_pipeline.trial.agreement.pairs import reading_pairs
from sparcc_pipeline.trial.agreement.summary import TotalAgreement
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Adjudication, Counts, MachineScore, Reading, counted_score
from sparcc_pipeline.trial.records import TrialData

AGREEMENT_SEED: Final = 1
"""Seed of the bootstrap, fixed so that the same readings give the same intervals."""

_T, _N, _W = ColumnKind.TEXT, ColumnKind.NUMBER, ColumnKind.WHOLE
_PLACE: Final = (
    Column("participant", "trial number of the participant, never a name", cdisc="DM.SUBJID"),
    Column("visit", "planned visit, for instance W12", cdisc="SV.VISIT"),
    Column("reader", "reader", cdisc="MO.MOEVALID"),
)
READING_COLUMNS: Final = (
    *_PLACE,
    Column("total", "SPARCC total of the reading; empty where not evaluable", _W, "", "MO.SPARCC"),
    Column("locked", "the reading is locked", ColumnKind.YES_NO, "", "MO.LOCKED"),
    Column("adjudicator", "third reading", ColumnKind.YES_NO, "", "MO.ADJUD"),
    Column("asas_positive", "ASAS-positive MRI", ColumnKind.YES_NO, "", "MO.ASASPOS"),
    Column("repeat", "1, or 2 and more for the same images read again by the same reader", _W, "", "MO.REPEAT"),
)
"""Columns that `sparcc trial` reads; a test compares them with the data dictionary."""

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
    Column("readers", "readers whose readings count"),
    Column("difference", "difference between the two readers", _N),
    Column("reason", "why there is no value"),
)

MACHINE: Final = (
    *_PLACE,
    _KIND,
    _REPEAT,
    Column("total", "SPARCC of the reading", _W),
    Column("machine_total", "SPARCC of the machine", _W),
    Column("difference", "machine minus reading", _W),
    Column("evaluable_maximum", "largest total possible in the reading", _W),
    Column("machine_evaluable_maximum", "largest total possible in the machine's score", _W),
)

AGREEMENT: Final = (
    Column("kind", "kind of comparison"),
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


def export_tables(visits: Sequence[LockedVisit], store: PictureStore, protocol: Protocol) -> dict[str, Table]:
    """Return all tables of an export."""
    primary = [each for each in visits if each.kind != REVISED]
    readings = [each.as_reading for each in primary]
    machines = {name: store.result(name).total for name in {each.machine for each in visits} if name is not None}
    scores = {
        (v.participant, v.visit): MachineScore(v.participant, v.visit, machines[v.machine])
        for v in primary
        if v.machine
    }
    data = TrialData((), (), readings, tuple(scores.values()))
    return {
        "readings": Table(READING_COLUMNS, [asdict(each) for each in readings]),
        "readings_revised": Table(READING_COLUMNS, [asdict(v.as_reading) for v in visits if v.kind == REVISED]),
        "reading_items": Table(ITEMS, [row for each in visits for row in _items(each)]),
        "counted": Table(COUNTED, list(_counted(readings, protocol.adjudication))),
        "agreement": Table(
            AGREEMENT,
            [
                _agreement(pair.kind.value, pair.first_name, pair.second_name, found)
                for pair in reading_pairs(data, protocol.adjudication)
                if (found := pair.agreement(AGREEMENT_SEED)) is not None
            ],
        ),
        "machine": Table(MACHINE, [_compared(v, store) for v in visits if v.machine is not None]),
    }


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


def _counted(readings: Sequence[Reading], adjudication: Adjudication) -> Iterator[dict[str, Any]]:
    for participant, visit in sorted({(each.participant, each.visit) for each in readings}):
        mine = [each for each in readings if (each.participant, each.visit) == (participant, visit)]
        counted = counted_score(mine, None, Counts.READINGS, adjudication)
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
