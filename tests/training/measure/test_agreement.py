"""The figures: Dice and kappa of known tables, and of readings that agree with themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.errors import UnscorableError
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.labels import Person, load_person
from sparcc_pipeline.training.measure import evaluate, evaluation_report
from sparcc_pipeline.training.measure.agreement import (
    Prediction,
    dice,
    edema_region,
    pooled_kappa,
    quadrant_points,
    reader_dice,
    reader_points,
    readers,
)
from sparcc_pipeline.volume import TissueMaps


def test_dice() -> None:
    a = np.array([1, 1, 1, 0, 0], dtype=bool)
    b = np.array([0, 1, 1, 1, 0], dtype=bool)

    assert dice(a, b) == pytest.approx(2 * 2 / 6)
    assert dice(a, ~a) == 0.0
    assert dice(np.zeros(3, dtype=bool), np.zeros(3, dtype=bool)) == 1.0


def test_pooled_kappa_looks_at_what_both_evaluated() -> None:
    keys = [(1, side, quadrant) for side in Side for quadrant in Quadrant]
    first = {key: index % 2 for index, key in enumerate(keys)}
    second = {key: first[key] for key in keys[:4]}

    assert pooled_kappa([(first, second)]) == 1.0


def test_readers_agree_as_published(shared_data: Path) -> None:
    """Reader against reader inside sacrum and ilium within 30 mm: 1007 0.58 and 1013 0.87 in the modelling notes."""
    people = [load_person(shared_data, name) for name in ("1007", "1013")]

    assert [reader_dice(person) for person in people] == pytest.approx([0.58, 0.87], abs=0.015)


def test_nothing_outside_sacrum_and_ilium_is_measured(shared_data: Path) -> None:
    person = load_person(shared_data, "1016")

    drawn = readers(person)

    assert person.readings is not None
    assert 0 < drawn.sum() < person.readings.sum()
    assert not (drawn & ~edema_region(person)).any()


def test_the_points_of_the_readings_lie_on_the_six_slices(shared_data: Path) -> None:
    person = load_person(shared_data, "1013")

    points = reader_points(person)

    assert all({key[0] for key in each} <= set(range(7, 13)) for each in points)
    assert all(sum(each.values()) >= 10 for each in points), "half of the marrow beside the left joint is edema"


def test_points_of_no_edema_are_0(shared_data: Path) -> None:
    from sparcc_pipeline.training.data.dataset import joints_of

    person = load_person(shared_data, "2015")

    points = quadrant_points(joints_of(person), np.zeros(person.anatomy.shape, dtype=bool), person.six_slices)

    assert len(points) == 48
    assert not any(points.values())


def as_labelled(person: Person) -> Prediction:
    """Bones and joints of the labels, edema of the first reading."""
    tissue = TissueMaps(
        geometry=person.stir.geometry,
        anatomy=person.known_anatomy,
        edema_probability=readers(person)[0].astype(np.float32),
        edema_threshold=0.5,
        vessel=np.zeros(person.anatomy.shape, dtype=bool),
        ligamentous=(np.arange(len(person.anatomy)) >= person.six_slices[1]).astype(np.float32),
    )
    return Prediction(person, tissue, joints_of(person))


@pytest.fixture(scope="module")
def two_people(shared_data: Path) -> dict[str, Any]:
    """The figures of 1007, 1013 and 2014 as the labels have them, and of 1234, whose fold found nothing."""
    found = {name: as_labelled(load_person(shared_data, name)) for name in ("1007", "1013", "2014")}
    return evaluate.figures(found, {"1234": "expected a joint on both sides, found none"}, with_t1=True)


def test_a_fold_without_a_joint_is_a_row_with_its_reason(two_people: dict[str, Any]) -> None:
    text = "\n".join(evaluation_report._figures(two_people))

    assert "| 1234 | not scored: expected a joint on both sides, found none |" in text
    assert list(two_people["people"]) == ["1007", "1013", "2014"]
    goals = {goal["name"]: goal for goal in two_people["goals"]}
    assert not goals["people who could be scored"]["reached"]
    quiet = goals["total of 2015, without edema, six as read or its own"]
    assert quiet["value"] is None and not quiet["reached"]
    assert not goals["edema Dice against the readings, mean"]["reached"], "two of five people are not all"
    with pytest.raises(UnscorableError, match="at least 2 people"):
        evaluate.figures({}, {"1007": "no joint"}, with_t1=True)


def test_the_first_reading_agrees_with_itself(two_people: dict[str, Any]) -> None:
    """What was predicted is the first reading: its Dice and differences are 0 or 1 where they must be."""
    person = two_people["people"]["1007"]

    assert person["edema_dice"][0] == pytest.approx(1.0)
    assert set(person["bone_dice"].values()) == {1.0}
    assert person["score"] == person["score_own_slices"] == person["reader_scores"][0]
    assert person["first_slice"] == person["first_slice_read"] == 5
    assert two_people["joint_line"] == two_people["joint_line_of_the_labels"]
    assert two_people["joint_line"]["percentile_95_mm"] < 1.0 and not two_people["joint_line"]["missing"]
    for counts in (each["machine"] for each in two_people["items"].values()):
        assert counts["both"] + counts["neither"] >= counts["first_only"] + counts["second_only"]
    edema = two_people["items"]["edema"]["machine"]
    assert sum(edema[key] for key in ("both", "first_only", "second_only", "neither")) == 2 * 4 * 48
    totals = {name: each["reader_totals"] for name, each in two_people["people"].items() if each["reader_totals"]}
    by_hand = np.mean([abs(r[0] - np.mean(r)) for r in totals.values()])
    assert two_people["total_differences"]["machine"] == pytest.approx(by_hand)


def test_json_and_markdown_carry_the_figures(two_people: dict[str, Any]) -> None:
    result = {
        **two_people,
        "stir_alone": two_people,
        "date": "2026-11-26",
        "software": "0.1.0",
        "command": "sparcc evaluate",
        "elsewhere": [{"name": "stress", "value": None, "goal": "<= 4", "reached": None, "note": "not measured"}],
    }
    result = json.loads(json.dumps(result, allow_nan=False))

    text = evaluation_report.evaluation_markdown(result)

    assert text.startswith("2026-11-26, sparcc-pipeline 0.1.0: `sparcc evaluate`\n")
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert headings[:3] == ["### With T1", "### STIR alone", "### How sure (with T1)"]
    assert "| stress |  | <= 4 | not measured |" in text
    assert "| joint line, 95th percentile of the distance, mm | 0." in text
    assert "- 2014, drawn by no reader: 0 quadrants called on its six slices 9-14, as read." in text
    assert "  - right joint, all slices (edema is in the upper sacrum on 6-10): none" in text
    for table in text.split("\n\n"):
        rows = [row for row in table.splitlines() if row.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, "every row of a table has its columns"


def test_the_fixed_threshold_is_one_of_those_reported(two_people: dict[str, Any]) -> None:
    fixed = next(row for row in two_people["thresholds"] if row["threshold"] == two_people["edema_threshold"])

    assert {key: two_people[key] for key in fixed if key != "threshold"} == {
        key: value for key, value in fixed.items() if key != "threshold"
    }
