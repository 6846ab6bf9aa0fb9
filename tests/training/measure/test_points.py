"""Agreement on points and totals, against counts and differences worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SixSlices
from sparcc_pipeline.training.data.labels import Person
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec
from sparcc_pipeline.training.measure.agreement import Prediction
from sparcc_pipeline.training.measure.points import agreement_of, called_edema, total_differences


def score(intense: Sequence[int | None], edema: int | None = 0) -> SparccScore:
    joints = tuple(
        JointSliceScore(k, Side.RIGHT, dict.fromkeys(Quadrant, edema), point, 0, 40.0, None)
        for k, point in enumerate(intense)
    )
    return SparccScore(SixSlices(0, "user"), joints, None)


def test_differences_of_totals_by_hand() -> None:
    machine = {"a": 10, "b": 4}
    readings = {"a": [12, 14, 8, 10], "b": [4, 4, 6, 6]}

    found = total_differences(machine, readings)

    assert found["machine"] == pytest.approx((abs(10 - 11) + abs(4 - 5)) / 2)
    assert found["readers"] == pytest.approx((abs(13 - 9) + abs(4 - 6)) / 2)
    assert found["machine_reading"] == pytest.approx(((2 + 4 + 2 + 0) / 4 + (0 + 0 + 2 + 2) / 4) / 2)
    assert found["reader_reading"] == pytest.approx(((4 + 2 + 6 + 4) / 4 + 2) / 2)


def test_kappa_of_the_textbook_table() -> None:
    """20 both, 5 first only, 10 second only, 15 neither: observed 0.7, expected 0.5, kappa 0.4 (Cohen 1960)."""
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15

    found = agreement_of([(score(first), score(second))], "intensity")

    counts = {key: found[key] for key in ("both", "first_only", "second_only", "neither", "not_compared")}
    assert counts == {"both": 20, "first_only": 5, "second_only": 10, "neither": 15, "not_compared": 0}
    assert found["kappa"] == pytest.approx(0.4)


def test_what_one_could_not_evaluate_is_no_disagreement() -> None:
    found = agreement_of([(score([None, 1, 0, None]), score([1, 1, 0, None]))], "intensity")

    assert (found["both"], found["neither"], found["not_compared"]) == (1, 1, 2)
    assert found["first_only"] == found["second_only"] == 0


def test_edema_counts_four_quadrants_a_joint_and_no_kappa_where_nobody_gives_a_point() -> None:
    found = agreement_of([(score([0, 0]), score([0, 0]))], "edema")

    assert found["neither"] == 8
    assert found["kappa"] is None


def test_called_edema_names_slices_sides_and_quadrants() -> None:
    """Two lesions on the six slices and one in front of them."""
    phantom = make_phantom(
        PhantomSpec(
            shape=(12, 204, 204),
            spacing_mm=(4.0, 0.9, 0.9),
            noise=0.0,
            bias=0.0,
            lesions=(
                Lesion(2, Side.RIGHT, Quadrant.UPPER_SACRAL),
                Lesion(5, Side.RIGHT, Quadrant.UPPER_ILIAC),
                Lesion(7, Side.LEFT, Quadrant.LOWER_SACRAL),
            ),
        )
    )
    tissue = phantom.tissue
    person = Person("x", phantom.volume, phantom.volume.signal, tissue.anatomy, None, {}, (2, 9), (4, 9))

    called = called_edema(Prediction(person, tissue, find_joints(tissue.anatomy, tissue.geometry)))

    assert called["six_slices"] == [4, 9]
    assert called["quadrants_on_the_six"] == 2
    assert called["slices"] == [
        {"slice": 2, "side": "right", "quadrants": ["upper_sacral"]},
        {"slice": 5, "side": "right", "quadrants": ["upper_iliac"]},
        {"slice": 7, "side": "left", "quadrants": ["lower_sacral"]},
    ]


def test_another_threshold_is_of_the_same_maps() -> None:
    phantom = make_phantom(PhantomSpec(shape=(8, 204, 204), spacing_mm=(4.0, 0.9, 0.9), transitional_slice=6))
    person = Person("x", phantom.volume, phantom.volume.signal, phantom.tissue.anatomy, None, {}, (1, 6), (1, 6))
    prediction = Prediction(person, phantom.tissue, find_joints(phantom.tissue.anatomy, phantom.tissue.geometry))

    assert prediction.at(0.2).tissue.edema_threshold == 0.2
    assert prediction.tissue.edema_threshold == 0.5
    assert np.shares_memory(prediction.at(0.2).tissue.vessel, prediction.tissue.vessel)
