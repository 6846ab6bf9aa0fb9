"""`sparcc trial safety`: tables for a monitoring committee, blinded unless the allocation is given."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.trial_data.safety.content import KINDS, OUTCOME_NAMES
from sparcc_pipeline.app.trial_data.safety.fields import OUTCOMES, TEST_UNITS
from sparcc_pipeline.app.trial_data.safety.summary import KINDS_OF_EVENT, event_counts, shifts, terms_of
from sparcc_pipeline.trial.monitoring.safety_records import AdverseEvent, LaboratoryValue

from ....trial.builders import protocol
from ..conftest import Call, Files, inputs, write_csv


def _event(person: str = "P001", **more: Any) -> dict[str, Any]:
    row = {"participant": person, "term": "nausea", "start_date": "2026-04-01", "ctcae_grade": 1, "serious": 0}
    return {**row, "related": 0, "outcome": "recovered", **more}


def _value(person: str = "P001", **more: Any) -> dict[str, Any]:
    row = {"participant": person, "visit": "W12", "test": "alt", "value": 55, "unit": "U/L", "upper_limit": 40}
    return {**row, "ctcae_grade": 1, **more}


@pytest.fixture
def tables(files: Files) -> list[str | Path]:
    """Options with a table of adverse events, one of laboratory values and one of deviations."""
    events = [
        _event(),
        _event("P002", ctcae_grade=3, serious=1, outcome="recovering"),
        _event("P002", term="acne", ctcae_grade=""),
        _event(term="old pain", start_date="2026-02-20"),
    ]
    values = [_value(), _value("P002", value=30, ctcae_grade=0), _value(test="neutrophils", value=62, unit="%")]
    deviations = [{"participant": "P001", "visit": "W12", "category": "consent", "description": "late", "major": 1}]
    return [
        *("--adverse-events", write_csv(files.folder / "ae.csv", events)),
        *("--laboratory", write_csv(files.folder / "lab.csv", values)),
        *("--deviations", write_csv(files.folder / "dv.csv", deviations)),
    ]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_blinded_tables(
    trial: Call, files: Files, tables: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    ended = trial("safety", *inputs(files), *tables, "--protocol", made_protocol, "--out", tmp_path / "out")

    assert ended.code == 0, ended.err
    events = _rows(tmp_path / "out" / "adverse_events.csv")
    assert [row["grade"] for row in events] == ["1", "3", "", "1"]
    assert [row["before_baseline"] for row in events] == ["0", "0", "0", "1"]
    assert [row["first_day"] for row in events] == ["30", "30", "30", "-10"]
    values = _rows(tmp_path / "out" / "laboratory.csv")
    assert [(row["test"], row["side"], row["grade"]) for row in values] == [("alt", "1", "1"), ("alt", "0", "0")]
    assert "convert value and limits" in ended.err
    assert [(row["kind"], row["source"]) for row in _rows(tmp_path / "out" / "deviations.csv")] == [("consent", "site")]
    page = (tmp_path / "out" / "safety.html").read_text(encoding="utf-8")
    assert "Blinded: made without the allocation." in page and "All participants (n = 2)" in page
    assert "2 (100 %) [3]" in page
    assert "taper" not in page and "control" not in page
    assert json.loads((tmp_path / "out" / "safety.json").read_text())["unblinded"] is False


def test_only_unblind_shows_the_arms_and_the_listings_stay_without(
    trial: Call, files: Files, tables: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    given = [*inputs(files), *tables, "--protocol", made_protocol]
    trial("safety", *given, "--out", tmp_path / "blind")
    ended = trial("safety", *given, "--unblind", files.allocation, "--out", tmp_path / "arms", "--lang", "zh")

    assert ended.code == 0 and ended.out.startswith("UNBLINDED"), ended.err
    page = (tmp_path / "arms" / "safety.html").read_text(encoding="utf-8")
    assert "taper (n = 1)" in page and "control (n = 1)" in page and "不良事件" in page
    for name in ("adverse_events", "laboratory", "deviations"):
        same = [(tmp_path / folder / f"{name}.csv").read_bytes() for folder in ("blind", "arms")]
        assert same[0] == same[1] and b"taper" not in same[0]


def test_the_blinded_tables_do_not_depend_on_the_allocation(
    trial: Call, files: Files, tables: list[str | Path], made_protocol: Path, tmp_path: Path
) -> None:
    given = [*inputs(files), *tables, "--protocol", made_protocol]
    trial("safety", *given, "--out", tmp_path / "first")
    files.allocation.unlink()
    assert trial("safety", *given, "--out", tmp_path / "second").code == 0

    for name in ("adverse_events.csv", "laboratory.csv", "deviations.csv", "queries.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (_event(ctcae_grade=6), "a whole number of 1-5"),
        (_event(ctcae_grade=""), "nothing is guessed"),
        (_event(end_date="2026-03-01"), "a last day on the first day or after it"),
        (_event(outcome="fatal", ctcae_grade=3), "grade 5 together with a fatal outcome"),
        (_event("P009"), "a participant of the clinical tables"),
    ],
)
def test_faulty_events_are_asked_about(
    row: dict[str, Any], message: str, trial: Call, files: Files, made_protocol: Path, tmp_path: Path
) -> None:
    table = write_csv(files.folder / "ae.csv", [row])

    ended = trial(
        "safety", *inputs(files), "--adverse-events", table, "--protocol", made_protocol, "--out", tmp_path / "out"
    )

    assert ended.code == 0 and message in ended.err


@pytest.mark.parametrize("term", ["rash after dose reduction", "减量后皮疹"])
def test_a_text_that_reveals_the_arm_stops_the_command(
    term: str, trial: Call, files: Files, made_protocol: Path, tmp_path: Path
) -> None:
    table = write_csv(files.folder / "ae.csv", [_event(term=term)])

    ended = trial(
        "safety", *inputs(files), "--adverse-events", table, "--protocol", made_protocol, "--out", tmp_path / "out"
    )

    assert ended.code == 2 and "found one in row 2, column 'term'" in ended.err


def test_deviations_follow_from_the_data(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    text = files.visits.read_text().splitlines()
    late = [line.replace("2026-05-25", "2026-06-25") for line in text if not line.startswith("P002,W12")]
    files.visits.write_text("\n".join(late) + "\n")
    files.readings.write_text(
        "\n".join(line for line in files.readings.read_text().splitlines() if not line.startswith("P001,W24")) + "\n"
    )

    trial("safety", *inputs(files), "--protocol", made_protocol, "--out", tmp_path / "out")

    found = [(r["participant"], r["visit"], r["kind"]) for r in _rows(tmp_path / "out" / "deviations.csv")]
    assert found == [
        ("P001", "W12", "visit out of window"),
        ("P001", "W24", "no SPARCC"),
        ("P002", "W12", "visit missed"),
    ]


def test_a_participant_counts_once_with_the_worst_grade() -> None:
    events = [AdverseEvent("P1", "a", grade=g) for g in (1, 3, None)] + [AdverseEvent("P2", "a")]

    assert terms_of(events) == {("", "a"): {3: 1, None: 1}}
    assert (event_counts(events)["any"].participants, event_counts(events)["no_grade"].events) == (2, 2)


def test_a_shift_needs_a_given_grade_at_both() -> None:
    def value(person: str, visit: str, grade: int | None) -> LaboratoryValue:
        return LaboratoryValue(person, visit, "alt", 30, "U/L", grade=grade)

    values = [value("P1", "W0", 0), value("P1", "W12", 2), value("P1", "W24", 1)]
    values += [value("P2", "W0", None), value("P2", "W12", 3), value("P3", "W0", 1)]

    assert shifts(values, protocol()) == {"alt": {(0, 2): 1}}


def test_every_kind_and_outcome_has_a_name_and_every_test_a_unit() -> None:
    assert set(KINDS) == {name for name, _ in KINDS_OF_EVENT}
    assert set(OUTCOME_NAMES) == set(OUTCOMES)
    assert all(TEST_UNITS.values())
