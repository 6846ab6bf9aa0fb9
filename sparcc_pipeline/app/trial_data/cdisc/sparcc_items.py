"""The SDTM dataset MK (musculoskeletal findings): totals and items of SPARCC, of each reader and of the machine.

Contents: `sparcc_items`. MK is the domain of the standard for findings of joints, with location and side; a domain of
the sponsor would need both again. The slice of the series is in MKSPID.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sparcc_pipeline.app.trial_data.cdisc.dataset import KEYS, VISIT, Dataset, Kind, Variable, numbered
from sparcc_pipeline.app.trial_data.cdisc.source import ExportData
from sparcc_pipeline.trial.reading import Reading

_ITEMS: Final = {
    "upper_iliac": ("SPUPIL", "SPARCC Edema, Upper Iliac Quadrant"),
    "lower_iliac": ("SPLOIL", "SPARCC Edema, Lower Iliac Quadrant"),
    "upper_sacral": ("SPUPSA", "SPARCC Edema, Upper Sacral Quadrant"),
    "lower_sacral": ("SPLOSA", "SPARCC Edema, Lower Sacral Quadrant"),
    "intense": ("SPINTEN", "SPARCC Intensity"),
    "deep": ("SPDEEP", "SPARCC Depth"),
}
"""Sponsor's test code and name of each item."""

_TOTAL: Final = ("SPTOTAL", "SPARCC Total, 0-72")
_MACHINE: Final = "MACHINE"


def sparcc_items(data: ExportData) -> Dataset:
    """Return MK."""
    rows = [*_totals(data), *_points(data)]
    numbered(rows, "MKSEQ")
    variables = (
        *KEYS,
        Variable("MKSEQ", "Sequence Number", Kind.WHOLE, "Derived"),
        Variable("MKSPID", "Sponsor-Defined Identifier", origin="Assigned", comment="slice of the series, 0-based"),
        Variable("MKTESTCD", "Musculoskeletal Test Short Name", origin="Assigned", comment="sponsor's codes"),
        Variable("MKTEST", "Musculoskeletal Test Name", origin="Assigned"),
        Variable("MKCAT", "Category for Musculoskeletal Test", origin="Assigned"),
        Variable("MKORRES", "Result or Finding in Original Units"),
        Variable("MKSTRESC", "Character Result/Finding in Std Format", origin="Assigned"),
        Variable("MKSTRESN", "Numeric Result/Finding in Standard Units", Kind.NUMBER, "Assigned"),
        Variable("MKSTAT", "Completion Status"),
        Variable("MKREASND", "Reason Not Done", comment="not evaluable is never 0"),
        Variable("MKLOC", "Location Used for the Measurement", origin="Assigned"),
        Variable("MKLAT", "Laterality"),
        Variable("MKMETHOD", "Method of Test or Examination", origin="Assigned"),
        Variable("MKEVAL", "Evaluator", origin="Assigned"),
        Variable("MKEVALID", "Evaluator Identifier"),
        Variable("MKREPNUM", "Repetition Number", Kind.WHOLE),
        *VISIT,
        Variable("MKDTC", "Date/Time of Test"),
        Variable("MKDY", "Study Day of Test", Kind.WHOLE, "Derived"),
    )
    return Dataset(
        "MK",
        "Musculoskeletal System Findings",
        "SDTM",
        "FINDINGS",
        "One record per SPARCC item per slice per joint per evaluator per visit per subject",
        ("STUDYID", "USUBJID", "VISITNUM", "MKEVALID", "MKREPNUM", "MKTESTCD", "MKLAT", "MKSPID"),
        variables,
        rows,
    )


def _totals(data: ExportData) -> Iterator[dict[str, Any]]:
    for each in data.loaded.data.readings:
        if each.locked:
            yield _row(data, each.participant, each.visit, _of_reader(each), _TOTAL, each.total)
    for score in data.loaded.data.scores:
        evaluator = {"MKEVALID": _MACHINE, "MKREPNUM": 1}
        yield _row(data, score.participant, score.visit, evaluator, _TOTAL, score.total)


def _of_reader(each: Reading) -> dict[str, Any]:
    return {"MKEVALID": each.reader, "MKREPNUM": each.repeat}


def _points(data: ExportData) -> Iterator[dict[str, Any]]:
    for each in data.loaded.data.items:
        evaluator = {"MKEVALID": each.reader or _MACHINE, "MKREPNUM": each.repeat}
        for place, point in each.points.items():
            row = _row(data, each.participant, each.visit, evaluator, _ITEMS[place.item], point)
            yield row | {"MKLAT": place.side.value.upper(), "MKSPID": str(place.slice_index)}


def _row(
    data: ExportData,
    participant: str,
    visit: str,
    evaluator: dict[str, Any],
    test: tuple[str, str],
    value: float | None,
) -> dict[str, Any]:
    text = None if value is None else f"{value:g}"
    return {
        **data.key("MK", participant),
        **evaluator,
        "MKTESTCD": test[0],
        "MKTEST": test[1],
        "MKCAT": "SPARCC SACROILIAC JOINT",
        "MKORRES": text,
        "MKSTRESC": text,
        "MKSTRESN": value,
        "MKSTAT": "NOT DONE" if value is None else None,
        "MKREASND": "NOT EVALUABLE" if value is None else None,
        "MKLOC": "SACROILIAC JOINT",
        "MKMETHOD": "MRI",
        "MKEVAL": "INDEPENDENT ASSESSOR",
        "VISITNUM": data.number(visit),
        "VISIT": visit,
        "MKDTC": data.date(participant, visit),
        "MKDY": data.day(participant, visit),
    }
