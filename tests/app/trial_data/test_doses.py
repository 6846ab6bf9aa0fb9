"""Recorded dose steps that contradict arm or protocol: shown, queried, not assessable."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from ...trial.builders import protocol
from .conftest import Call, Files, participant_row, visit_row, write_csv

WEEKS = (0, 12, 24, 36, 48, 60, 72, 84)


def steps(trial: Call, files: Files, made_protocol: Path, arm: str, doses: dict[int, int]) -> tuple[Any, list[Any]]:
    people = write_csv(files.folder / "people.csv", [participant_row()])
    visits = write_csv(
        files.folder / "quiet.csv", [visit_row(week=w, item=5 if w == 0 else 0, crp_mg_l=0.4) for w in WEEKS]
    )
    allocation = write_csv(
        files.folder / "a.csv",
        [{"participant": "P001", "arm": arm}] if arm else [{"participant": "P009", "arm": "taper"}],
    )
    dosing = write_csv(
        files.folder / "d.csv", [{"participant": "P001", "visit": f"W{w}", "dose_step": s} for w, s in doses.items()]
    )
    out = files.folder.parent / "steps"
    given = ["--allocation", allocation, "--dosing", dosing, "--protocol", made_protocol, "--out", out]
    ended = trial("steps", people, visits, *given)
    assert ended.code == 0, ended.err
    with (out / "steps.csv").open(encoding="utf-8") as stream:
        return ended, list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("arm", "doses", "step", "note", "query"),
    [
        ("control", {0: 0, 12: 1, 24: 1}, 1, "this arm has no dose step", "expected the full dose at every visit"),
        ("", {0: 0, 12: 1}, 1, "the allocation has no arm", "expected an arm for each participant with a step"),
        ("taper", {0: 0, 12: 1, 24: 0, 36: 0}, 2, "an earlier step", "expected the step of the visit before"),
        ("taper", {0: 0, 12: 2}, 2, "before its observation ended", "expected a step after the observation"),
        ("taper", {0: 1}, 1, "before its observation ended", "expected a step after the observation"),
        ("taper", {0: 0, 84: 1}, 2, "no planned visit", "expected a planned visit at the end"),
    ],
)
def test_a_step_that_contradicts_the_protocol_is_not_assessable(
    trial: Call,
    files: Files,
    made_protocol: Path,
    arm: str,
    doses: dict[int, int],
    step: int,
    note: str,
    query: str,
) -> None:
    ended, rows = steps(trial, files, made_protocol, arm, doses)
    row = next(each for each in rows if each["step"] == str(step))

    assert (row["criterion"], row["agrees"]) == ("not assessable", "")
    assert note in row["note"] and note in ended.out
    assert query in ended.err


def test_an_observation_that_the_schedule_does_not_reach_is_not_assessable() -> None:
    from sparcc_pipeline.trial.schedule import Criterion, step_criterion

    quiet = {f"W{week}": 1.0 for week in WEEKS}
    long = protocol(observation_weeks=24)

    assert step_criterion(long, 2, 72, quiet).state is Criterion.NOT_ASSESSABLE
    assert step_criterion(long, 2, 60, quiet).state is Criterion.MET
    assert step_criterion(long, 2, 72, {**quiet, "W84": 3.0}).state is Criterion.NOT_MET


def test_steps_as_planned_raise_no_query(trial: Call, files: Files, made_protocol: Path) -> None:
    doses = {0: 0, 12: 1, 24: 2, 36: 2}
    ended, rows = steps(trial, files, made_protocol, "taper", doses)

    assert [(row["criterion"], row["agrees"], row["note"]) for row in rows] == [("met", "1", "")] * 2
    assert "0 data queries" in ended.out


def test_the_control_arm_on_the_full_dose_has_no_row(trial: Call, files: Files, made_protocol: Path) -> None:
    ended, rows = steps(trial, files, made_protocol, "control", {0: 0, 12: 0})

    assert rows == [] and "0 data queries" in ended.out
