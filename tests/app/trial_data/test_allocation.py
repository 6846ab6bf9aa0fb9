"""The allocation list as a user gives it: listed once, days, order, blocks, sets and flow in the unblinded report."""

from __future__ import annotations

import base64
import csv
import re
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.trial_data.read.field_table import END_REASONS
from sparcc_pipeline.app.trial_data.trial_report.consort import consort_plot
from sparcc_pipeline.app.trial_data.trial_report.words import END_REASON, EXCLUSION
from sparcc_pipeline.trial.allocation.consort import ArmFlow, Consort
from sparcc_pipeline.trial.allocation.sets import Exclusion

from .conftest import Call, Files, participant_row, visit_row, write_csv

NAMES = tuple(f"P{n:03d}" for n in range(1, 7))
ARMS = ("taper", "taper", "control", "control", "taper", "taper")


def rows(**changes: dict[int, Any]) -> list[dict[str, Any]]:
    """Six participants of one stratum in two blocks; `changes` by column and place."""
    listed = [
        {
            "participant": name,
            "arm": arm,
            "stratum": "S1",
            "block": 1 + k // 3,
            "allocation_number": k + 1,
            "randomised_on": f"2026-03-{k + 2:02d}",
        }
        for k, (name, arm) in enumerate(zip(NAMES, ARMS, strict=True))
    ]
    for column, values in changes.items():
        for place, value in values.items():
            listed[place][column] = value
    return listed


def report(trial: Call, files: Files, protocol: Path, listed: list[dict[str, Any]]) -> tuple[Any, Path]:
    """The unblinded report of six participants, three visits each."""
    people = write_csv(files.folder / "people.csv", [participant_row(name) for name in NAMES])
    visits = write_csv(files.folder / "v.csv", [visit_row(name, week=w) for name in NAMES for w in (0, 12, 84)])
    allocation = write_csv(files.folder / "list.csv", listed)
    out = files.folder.parent / "report"
    ended = trial("report", people, visits, "--protocol", protocol, "--unblind", allocation, "--out", out)
    return ended, out


def test_a_list_in_order_raises_no_query(trial: Call, files: Files, made_protocol: Path) -> None:
    ended, out = report(trial, files, made_protocol, rows())

    assert ended.code == 0, ended.err
    assert "list.csv" not in ended.err
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Flow from screening to analysis" in page and "Allocation list" in page
    sets = list(csv.DictReader((out / "analysis_sets.csv").read_text(encoding="utf-8").splitlines()))
    assert [(each["participant"], each["arm"]) for each in sets] == list(zip(NAMES, ARMS, strict=True))
    assert {each["intention_to_treat"] for each in sets} == {"1"}
    assert {each["reasons"] for each in sets} == {"entry criteria not known; no primary outcome at the last visit"}


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        (
            [*rows(), rows()[0]],
            "row 8, column 'participant': expected each participant once, found P001 again; remove or correct one row",
        ),
        (
            rows(randomised_on={0: "2026-03-01"}),
            "row 2, column 'randomised_on': expected a day from the baseline to the next visit, found 2026-03-01",
        ),
        (rows(randomised_on={5: "2026-05-26"}), "row 7, column 'randomised_on': expected a day from the baseline"),
        (
            rows(randomised_on={3: "2026-03-03"}),
            "row 5, column 'randomised_on': expected days in the order of the numbers, found 2026-03-03, before number",
        ),
        (rows(allocation_number={1: 1}), "expected each number of a stratum once, found 1 of P001 too"),
        (
            rows(arm={0: "control"}),
            "column 'block': expected the ratio of the arms in each block, found another one in block 1 of stratum S1",
        ),
        ([{k: v for k, v in row.items() if k != "block"} for row in rows(arm={0: "control"})], "no block of one size"),
        (rows(participant={5: "p-001"}), "expected one spelling of a participant, found p-001 beside P001"),
        (rows(participant={5: "P099"}), "P099, who is not there"),
        (rows(arm={5: "placebo"}), "one of taper, control"),
        (rows(randomised_on={0: "02.03.2026"}), "write YYYY-MM-DD"),
        (rows()[:5], "1 participants without an arm: P006"),
    ],
)
def test_a_list_with_a_fault_raises_a_query(
    trial: Call, files: Files, made_protocol: Path, listed: list[dict[str, Any]], sentence: str
) -> None:
    ended, _ = report(trial, files, made_protocol, listed)

    assert ended.code == 0, ended.err
    assert sentence in ended.err


def test_the_first_of_two_rows_of_a_participant_counts_once(trial: Call, files: Files, made_protocol: Path) -> None:
    _, out = report(trial, files, made_protocol, [*rows(), rows()[0]])

    assert len((out / "analysis_sets.csv").read_text(encoding="utf-8").splitlines()) == 1 + len(NAMES)


def test_a_blinded_report_has_no_flow_by_arm(trial: Call, files: Files, made_protocol: Path, tmp_path: Path) -> None:
    given = [files.participants, files.visits, "--protocol", made_protocol, "--out", tmp_path / "out"]
    assert trial("report", *given).code == 0

    assert "Flow from screening" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "analysis_sets.csv").exists()


def test_the_picture_of_the_report_is_the_flow(trial: Call, files: Files, made_protocol: Path) -> None:
    _, out = report(trial, files, made_protocol, rows())
    page = (out / "report.html").read_text(encoding="utf-8")
    found = re.search(r'alt="Flow from screening to analysis" src="data:image/svg\+xml;base64,([^"]+)"', page)

    assert found is not None
    assert base64.b64decode(found[1]).decode().count("Screened (n = 6)") == 1


def test_the_picture_names_every_reason_in_both_languages() -> None:
    arm = ArmFlow(
        "taper", 100, 40, 1, 30, dict.fromkeys(("", *END_REASONS), 1), {"W12": 9}, 40, 20, dict.fromkeys(Exclusion, 2)
    )
    flow = Consort(90, 20, 5, 25, 3, {f"criterion {n}": n for n in range(9)}, 40, (arm, arm))
    for code in ("en", "zh"):
        words = language(code)
        svg = consort_plot(flow, words)
        for message in (*END_REASON.values(), *EXCLUSION.values()):
            assert words.say(message) in svg, message
        assert "9" in svg and svg.count("W12 9") == 2


def test_every_word_for_the_end_of_a_participation_has_a_name() -> None:
    assert set(END_REASON) == {*END_REASONS, ""}
    assert set(EXCLUSION) == set(Exclusion)


def test_an_unknown_reason_for_the_end_is_a_query(trial: Call, files: Files, tmp_path: Path) -> None:
    people = write_csv(
        files.folder / "people.csv",
        [participant_row(end_reason="Lost to follow-up"), participant_row("P002", end_reason="moved away")],
    )
    ended = trial("import", people, files.visits, "--out", tmp_path / "out")

    assert ended.code == 0
    assert "column 'end_reason': expected one of lost_to_follow_up, withdrew_consent" in ended.err
    imported = list(csv.DictReader((tmp_path / "out" / "participants.csv").read_text(encoding="utf-8").splitlines()))
    assert [each["end_reason"] for each in imported] == ["lost_to_follow_up", ""]
