"""Study days without a zero, totals that are no whole number, and files and participants that lack what all need."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from sparcc_pipeline.app.trial_data.columns import STATUS, VISITS, study_day
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.scores.readings import read_readings
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.records import QueryKind

from ....trial.builders import protocol
from ..conftest import participant_row, visit_row, write_csv, write_excel
from .clinical_files import only, read, read_rows, visit_of


def test_the_study_day_of_sdtm_has_no_zero() -> None:
    assert [study_day(day) for day in (-28, -1, 0, 1, 84)] == [-28, -1, 1, 2, 85]
    for columns in (VISITS, STATUS):
        assert [column.name for column in columns if column.cdisc == "SV.SVSTDY"] == ["study_day"]


@pytest.mark.parametrize(("total", "read_as"), [("3.7", None), ("3.5", None), ("3.0", 3), ("3", 3), ("72", 72)])
def test_a_total_is_a_whole_number(tmp_path: Path, total: str, read_as: int | None) -> None:
    queries = Queries()
    row = {"participant": "P001", "visit": "W0", "reader": "R1", "total": total, "locked": 1}
    found = read_readings([write_csv(tmp_path / "r.csv", [row])], ["P001"], protocol(), queries)

    assert [reading.total for reading in found] == ([] if read_as is None else [read_as])
    assert [query.kind for query in queries] == ([QueryKind.OUT_OF_RANGE] if read_as is None else [])


@pytest.mark.parametrize("period", [28, ""])
def test_no_nsaid_taken_is_an_index_of_zero(tmp_path: Path, period: int | str) -> None:
    found = visit_of(read_rows(tmp_path, visit_row(nsaid_taken=0, nsaid_period_days=period))[0])

    assert instrument_results(found, protocol())[Instrument.NSAID_INDEX].value == 0


def test_an_unknown_intake_is_no_index(tmp_path: Path) -> None:
    found = visit_of(read_rows(tmp_path, visit_row(nsaid_taken=""))[0])

    assert instrument_results(found, protocol())[Instrument.NSAID_INDEX].value is None


def test_a_participant_without_baseline_is_asked_about(tmp_path: Path) -> None:
    people = write_csv(tmp_path / "p.csv", [participant_row(), participant_row("P002"), participant_row("P003")])
    visits = write_csv(tmp_path / "v.csv", [visit_row(), visit_row("P002", week=12)])
    queries = read(people, visits)[1]

    assert [(query.participant, query.visit, query.kind) for query in queries] == [
        ("P002", "W0", QueryKind.MISSING),
        ("P003", "W0", QueryKind.MISSING),
    ]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_a_file_with_a_header_alone_is_asked_about(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"v.{suffix}"
    if suffix == "csv":
        file.write_text(",".join(visit_row()) + "\n", encoding="utf-8")
    else:
        write_excel(file, [dict.fromkeys(visit_row())])
    query = only(read(file)[1])

    assert query.file == file.name and query.row is None
    assert "expected rows under the header, found a header alone" in query.message


@pytest.mark.parametrize("written", ["1926-03-02", "2926-03-02", datetime(1926, 3, 2)])
def test_a_baseline_in_another_century_is_asked_about(tmp_path: Path, written: object) -> None:
    clinical, queries = read(write_excel(tmp_path / "v.xlsx", [visit_row(visit_date=written), visit_row(week=12)]))

    assert only(queries).kind is QueryKind.OUT_OF_RANGE and "26-03-02; check the year" in only(queries).message
    assert visit_of(clinical, "W12").day is None
