"""P1 and p1, 001 and 1, R1 and r1: one person or a query, never silently two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.spelling import likeness
from sparcc_pipeline.app.trial_data.scores.readings import read_readings
from sparcc_pipeline.trial.reading import Adjudication, Counts, counted_score

from ....trial.builders import protocol
from ..conftest import participant_row, visit_row, write_csv
from .clinical_files import only, read


@pytest.mark.parametrize(
    ("one", "other"), [("P1", "p1"), ("001", "1"), ("P-01", "P01"), ("P_1", "p001"), ("S1-02", "s1-2")]
)
def test_two_spellings_of_a_participant_are_asked_about(tmp_path: Path, one: str, other: str) -> None:
    together = read(write_csv(tmp_path / "p.csv", [participant_row(one), participant_row(other)]))[1]
    visits = read(write_csv(tmp_path / "v.csv", [visit_row(one), visit_row(other)]))[1]

    for queries in (together, visits):
        query = only(queries)
        assert query.column == "participant" and "expected one spelling of a participant" in query.message
        assert one in query.found and other in query.found


@pytest.mark.parametrize(("one", "other"), [("P1", "P2"), ("1-1", "11"), ("10", "1"), ("S1-1", "S11")])
def test_two_participants_are_two(tmp_path: Path, one: str, other: str) -> None:
    assert likeness(one) != likeness(other)
    assert read(write_csv(tmp_path / "p.csv", [participant_row(one), participant_row(other)]))[1] == []


def _readings(folder: Path, *rows: tuple[str, str, int]) -> tuple[Any, Queries]:
    queries = Queries()
    table = [
        {"participant": "P001", "visit": visit, "reader": reader, "total": total, "locked": 1}
        for visit, reader, total in rows
    ]
    return read_readings([write_csv(folder / "r.csv", table)], ["P001"], protocol(), queries), queries


@pytest.mark.parametrize("other", ["r1", "R01", "R-1", "R_1"])
def test_two_spellings_of_a_reader_are_no_two_readings(tmp_path: Path, other: str) -> None:
    found, queries = _readings(tmp_path, ("W0", "R1", 4), ("W0", other, 5))

    assert counted_score(found, None, Counts.READINGS, Adjudication(3.4)).value is None
    assert "expected one spelling of a reader" in queries[0].message


def test_a_reader_spelled_otherwise_at_another_visit_is_the_same_reader(tmp_path: Path) -> None:
    found, queries = _readings(tmp_path, ("W0", "R1", 4), ("W12", "r1", 5), ("W24", "r1", 5), ("W0", "R2", 4))

    assert [reading.reader for reading in found] == ["R1", "R1", "R1", "R2"]
    assert only(queries).found == "r1 beside R1"
