"""The figures: Dice and kappa of known tables, and thresholds that never see their own fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.errors import UnscorableError
from sparcc_pipeline.training import evaluate
from sparcc_pipeline.training.dataset import joints_of
from sparcc_pipeline.training.labels import IGNORE, PEOPLE_WITH_LESIONS, load_person
from sparcc_pipeline.training.measure import (
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


def test_a_threshold_never_sees_its_own_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    best = dict(zip(PEOPLE_WITH_LESIONS, (0.2, 0.3, 0.3, 0.3, 0.3), strict=True))

    def edema_dice(prediction: str, threshold: float) -> list[float]:
        return [1.0 - abs(threshold - best[prediction])]

    monkeypatch.setattr(evaluate, "edema_dice", edema_dice)
    predictions: dict[str, Prediction] = {name: name for name in PEOPLE_WITH_LESIONS}  # type: ignore[misc]
    others = evaluate.best_threshold(predictions, leaving_out="1007")
    best["1007"] = 0.9

    assert evaluate.best_threshold(predictions, leaving_out="1007") == others == pytest.approx(0.3)


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
    from sparcc_pipeline.training.dataset import joints_of

    person = load_person(shared_data, "2015")

    points = quadrant_points(joints_of(person), np.zeros(person.anatomy.shape, dtype=bool), person.six_slices)

    assert len(points) == 48
    assert not any(points.values())


def test_a_fold_without_a_joint_is_a_row_that_says_so(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people as the labels have them, and 1234, whose fold found nothing: the two are measured all the same."""
    monkeypatch.setattr(evaluate, "THRESHOLDS", (0.5,))
    monkeypatch.setattr(evaluate, "PLAIN_FACTORS", (1.8,))
    people = {name: load_person(shared_data, name) for name in ("1007", "1013")}
    found = {}
    for name, person in people.items():
        edema = np.zeros(person.anatomy.shape, dtype=np.float32) if person.readings is None else readers(person)[0]
        tissue = TissueMaps(
            geometry=person.stir.geometry,
            anatomy=np.where(person.anatomy == IGNORE, np.uint8(0), person.anatomy),
            edema_probability=edema.astype(np.float32),
            edema_threshold=0.5,
            vessel=np.zeros(person.anatomy.shape, dtype=bool),
            ligamentous=(np.arange(len(person.anatomy)) >= person.six_slices[1]).astype(np.float32),
        )
        found[name] = Prediction(person, tissue, joints_of(person))

    result = evaluate.figures(found, {"1234": "expected a joint on both sides, found none"})
    text = "\n".join(evaluate._figures(result))

    assert "| 1234 | not scored: expected a joint on both sides, found none |" in text
    assert list(result["people"]) == list(people)
    goals = {goal["name"]: goal for goal in result["goals"]}
    assert not goals["people who could be scored"]["reached"]
    assert goals["total of 2015, without edema"]["value"] is None
    assert not goals["total of 2015, without edema"]["reached"]
    assert result["people"]["1007"]["edema_dice"][0] == pytest.approx(1.0)
    with pytest.raises(UnscorableError, match="at least 2 people"):
        evaluate.figures({"1013": found["1013"]}, {"1007": "no joint"})
