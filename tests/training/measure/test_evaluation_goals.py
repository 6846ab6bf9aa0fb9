"""Every goal of the model, reached and just missed, and what other commands leave for the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.training.data.labels import PEOPLE, PEOPLE_WITH_LESIONS
from sparcc_pipeline.training.measure.evaluation_goals import Goal, goals_elsewhere, goals_of

TOTALS = {"machine": 3.0, "readers": 3.0, "machine_reading": 4.0, "reader_reading": 4.0}


def person(name: str) -> dict[str, Any]:
    return {
        "bone_dice": {"sacrum": 0.92, "right ilium": 0.93, "left ilium": 0.95},
        "first_slice": 5,
        "first_slice_read": 5,
        "score": {"total": 1},
        "score_own_slices": {"total": 1},
        "called": {"quadrants_on_the_six": 7},
    }


def result() -> dict[str, Any]:
    """Every figure at its goal."""
    certainty: dict[str, dict[str, Any]] = {
        name: {"reader_totals": [1, 2, 3, 4], "covered": 4} for name in PEOPLE_WITH_LESIONS
    }
    for name in PEOPLE_WITH_LESIONS[:2]:
        certainty[name]["covered"] = 3
    certainty["2015"] = {"reader_totals": [0], "covered": 0, "probability_remission": 0.5}
    return {
        "people": {name: person(name) for name in PEOPLE},
        "failures": {},
        "edema_dice_mean": 0.57,
        "reader_dice_mean": 0.6,
        "quadrant_kappa": 0.6,
        "reader_quadrant_kappa": 0.6,
        "empty_quadrants": 100,
        "empty_quadrants_called": 5,
        "total_differences": dict(TOTALS),
        "total_differences_own_slices": dict(TOTALS),
        "joint_line": {"percentile_95_mm": 2.7},
        "certainty": {"people": certainty, "mean_width": 18.0},
    }


def by_name(figures: dict[str, Any]) -> dict[str, Goal]:
    return {goal.name: goal for goal in goals_of(figures, with_t1=True)}


def test_all_goals_are_reached_at_their_border_and_2014_is_left_to_the_eye() -> None:
    goals = goals_of(result(), with_t1=True)

    assert [goal.name for goal in goals if goal.reached is False] == []
    looked_at = [goal for goal in goals if goal.reached is None]
    assert [(goal.value, goal.note) for goal in looked_at] == [(7, "looked at: slices below")]
    assert len(goals) == 17


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("edema Dice against the readings, mean", ("edema_dice_mean",), 0.569),
        ("quadrant kappa against the readings", ("quadrant_kappa",), 0.599),
        ("quadrant kappa against the readings", ("quadrant_kappa",), None),
        ("share of quadrants called that all readings leave empty", ("empty_quadrants_called",), 6),
        ("total, mean difference from the readers' mean", ("total_differences", "machine"), 3.1),
        ("the same on the machine's own six slices", ("total_differences_own_slices", "machine"), 3.1),
        ("total, mean difference from each reading", ("total_differences", "machine_reading"), 4.1),
        ("total of 2015, without edema, six as read or its own", ("people", "2015", "score", "total"), 2),
        ("total of 2015, without edema, six as read or its own", ("people", "2015", "score_own_slices", "total"), 2),
        ("probability of remission of 2015", ("certainty", "people", "2015", "probability_remission"), 0.49),
        ("Dice of the sacrum within 25 mm of the joint", ("people", "2014", "bone_dice", "sacrum"), 0.91),
        ("Dice of the ilia within 25 mm of the joint", ("people", "2014", "bone_dice", "left ilium"), 0.94),
        ("joint line, 95th percentile of the distance, mm", ("joint_line", "percentile_95_mm"), 2.71),
        ("joint line, 95th percentile of the distance, mm", ("joint_line", "percentile_95_mm"), None),
        ("first of the six slices within one of the reading", ("people", "1007", "first_slice"), 3),
        ("share of the readers' totals in the 90 % interval", ("certainty", "people", "1007", "covered"), 0),
        ("90 % interval, mean width", ("certainty", "mean_width"), 18.1),
    ],
)
def test_each_goal_can_be_missed(name: str, where: tuple[str, ...], value: float | None) -> None:
    figures = result()
    inner = figures
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value

    missed = [goal.name for goal in goals_of(figures, with_t1=True) if goal.reached is False]

    assert missed == [name]


def test_an_interval_that_always_holds_is_too_wide() -> None:
    figures = result()
    for name in PEOPLE_WITH_LESIONS:
        figures["certainty"]["people"][name]["covered"] = 4

    goal = by_name(figures)["share of the readers' totals in the 90 % interval"]

    assert goal.value == 1.0 and goal.reached is False


@pytest.mark.parametrize(("off", "exact", "reached"), [(3, 6, True), (4, 5, False)])
def test_six_of_nine_first_slices_are_enough(off: int, exact: int, reached: bool) -> None:
    figures = result()
    for name in PEOPLE[:off]:
        figures["people"][name]["first_slice"] = 6

    goals = by_name(figures)

    assert goals["first of the six slices as read"].value == exact
    assert goals["first of the six slices as read"].reached is reached
    assert goals["first of the six slices within one of the reading"].reached


def test_a_goal_over_people_is_not_reached_by_leaving_one_out() -> None:
    """2014 could not be scored: bones, joint lines and slices are of eight of nine, edema is of the seven."""
    figures = result()
    del figures["people"]["2014"]
    figures["failures"] = {"2014": "no joint"}

    goals = by_name(figures)

    missed = {name for name, goal in goals.items() if goal.reached is False}
    assert missed == {
        "people who could be scored",
        "Dice of the sacrum within 25 mm of the joint",
        "Dice of the ilia within 25 mm of the joint",
        "joint line, 95th percentile of the distance, mm",
        "first of the six slices within one of the reading",
    }
    assert goals["people who could be scored"].value == 8
    assert goals["2014, edema that no reader drew: quadrants called on its six slices"].value is None


def test_figures_of_other_commands_are_read_from_the_folder(tmp_path: Path) -> None:
    stress = {
        "model": {"name": "sparcc_stir", "version": "1.0.0"},
        "over_all": {"rows": 161, "median_change": 1.0, "largest_change": 11, "failed_without_reason": 0},
    }
    benchmark = {
        "warm": {"segment": [1.9, 3.0], "joint": [0.5, 0.5]},
        "peak_memory_mb": 635.0,
        "threads": 2,
        "machine": {"cores": 2, "load_before": 0.03},
    }
    retest = {
        "model": {"name": "sparcc_stir", "version": "1.0.0"},
        "over_all": {"matched": {"repeats": 90, "largest_sd_low": 1.6, "sdc": 4.0}},
    }
    (tmp_path / "retest.json").write_text(json.dumps(retest))
    (tmp_path / "stress.json").write_text(json.dumps(stress))
    (tmp_path / "benchmark.json").write_text(json.dumps(benchmark))

    goals = goals_elsewhere(tmp_path)

    assert [goal.value for goal in goals] == [1.6, 4.0, 1.0, 11, 0, pytest.approx(2.4), 635.0]
    assert [goal.reached for goal in goals] == [False, True, True, False, True, True, False]
    assert goals[0].note == "sparcc_stir 1.0.0, 90 repeats"
    assert goals[2].note == "sparcc_stir 1.0.0, 161 scans"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"over_all": {}}'])
def test_what_was_not_measured_has_no_value_and_the_command(tmp_path: Path, content: str | None) -> None:
    for name in ("retest.json", "stress.json", "benchmark.json"):
        if content is not None:
            (tmp_path / name).write_text(content)

    goals = goals_elsewhere(tmp_path)

    assert {goal.value for goal in goals} == {goal.reached for goal in goals} == {None}
    assert all("not measured here: `sparcc " in goal.note for goal in goals)
