"""Participants and visits from clinical tables: joined files, duplicates, windows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sparcc_pipeline.trial.records import QueryKind

from ..conftest import participant_row, visit_row, write_csv
from .clinical_files import only, read, read_rows, visit_of


def test_good_tables_raise_no_query(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row()])
    visits = write_csv(tmp_path / "visits.csv", [visit_row(), visit_row(week=12)])
    clinical, queries = read(people, visits)

    assert queries == []
    assert [(p.participant, p.site, p.screening.age_years) for p in clinical.participants] == [("P001", "S1", 35)]
    assert [(v.visit, v.day) for v in clinical.visits] == [("W0", 0), ("W12", 84)]
    assert clinical.dates["P001", "W12"] == date(2026, 5, 25)
    assert visit_of(clinical).basdai == (5,) * 6
    assert visit_of(clinical).nsaids == ()


def test_visits_out_of_their_window_count_and_are_asked_about(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row(week=12, visit_date="2026-08-17"))
    query = only(queries)

    assert (query.kind, query.row, query.column) == (QueryKind.OUT_OF_WINDOW, 3, "visit_date")
    assert query.message.endswith(
        "expected day 70 to 98 after baseline for W12, found day 168 (that day belongs to W24); check date and visit; "
        "if they are right, record the deviation"
    )
    assert query.left_out == "nothing"
    assert visit_of(clinical, "W12").day == 168


def test_a_missing_date_is_asked_about_once(tmp_path: Path) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row(week=12, visit_date=""))

    assert (only(queries).kind, only(queries).row) == (QueryKind.MISSING, 3)
    assert visit_of(clinical, "W12").day is None


def test_duplicates_that_differ_do_not_count_and_equal_ones_count_once(tmp_path: Path) -> None:
    clinical, queries = read_rows(
        tmp_path, visit_row("P001"), visit_row("P001", esr_mm_h=40), visit_row("P002"), visit_row("P002")
    )

    assert [(q.kind, q.row, q.participant) for q in queries] == [
        (QueryKind.DUPLICATE, 2, "P001"),
        (QueryKind.DUPLICATE, 3, "P001"),
        (QueryKind.DUPLICATE, 5, "P002"),
    ]
    assert "W0 of P001 also in row 3; remove the row that is wrong" in queries[0].message
    assert [v.participant for v in clinical.visits] == ["P002"]


def test_one_visit_may_be_spread_over_files_and_contradictions_do_not_count(tmp_path: Path) -> None:
    questionnaire = {k: v for k, v in visit_row().items() if k != "crp_mg_l"}
    lab = {"participant": "P001", "visit": "W0", "crp_mg_l": 8, "esr_mm_h": 99}
    clinical, queries = read(
        write_csv(tmp_path / "questionnaires.csv", [questionnaire]), write_csv(tmp_path / "laboratory.csv", [lab])
    )

    assert (only(queries).kind, only(queries).file, only(queries).column) == (
        QueryKind.DUPLICATE,
        "laboratory.csv",
        "esr_mm_h",
    )
    assert (visit_of(clinical).crp_mg_l, visit_of(clinical).esr_mm_h) == (8, None)


def test_a_participant_outside_the_list_is_left_out(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row("P001")])
    visits = write_csv(tmp_path / "visits.csv", [visit_row("P001"), visit_row("P01")])
    clinical, queries = read(visits, people)
    query = only(queries)

    assert (query.kind, query.row, query.column) == (QueryKind.UNKNOWN_PARTICIPANT, 3, "participant")
    assert "add the participant" in query.message
    assert [v.participant for v in clinical.visits] == ["P001"]


def test_a_participant_listed_twice_counts_once(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "participants.csv", [participant_row(), participant_row(age_years=60)])
    clinical, queries = read(people)

    assert (only(queries).kind, only(queries).row) == (QueryKind.DUPLICATE, 3)
    assert clinical.participants[0].screening.age_years == 35


@pytest.mark.parametrize("label", ["unscheduled", "W13", "visit 12", ""])
def test_a_visit_that_is_not_planned_is_left_out(tmp_path: Path, label: str) -> None:
    clinical, queries = read_rows(tmp_path, visit_row(), visit_row("P002", visit=label))
    query = only(queries)

    assert (query.row, query.column, query.left_out) == (3, "visit", "row")
    assert "one of W0, W12, W24" in query.message
    assert len(clinical.visits) == 1
