"""The distribution of a total against sums worked out by hand, and the meaning of a margin."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit

from sparcc_pipeline.anatomy import Bone, Quadrant, Side
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.intensity import VESSELS, ReferenceSignal
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.margins import JointSliceMargins
from sparcc_pipeline.sparcc.score import score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.sparcc.uncertainty import (
    Calibration,
    Logistic,
    reading_offsets,
    score_likelihood,
    study_likelihood,
)

from .builders import VESSEL, Anatomy, Lesion

PLAIN = Logistic(0.0, 1.0)
UNSPREAD = Calibration(PLAIN, PLAIN, PLAIN, reading_sd=0.0)


def margins(*probabilities: float | None, intense: float | None = None, deep: float | None = None) -> JointSliceMargins:
    """A joint-slice whose quadrants have these probabilities under a calibration that changes nothing."""
    values = [None if p is None else float(logit(p)) for p in (*probabilities, intense, deep)]
    values = [*values[:-2], *[None] * (4 - len(probabilities)), *values[-2:]]
    return JointSliceMargins(0, Side.RIGHT, dict(zip(Quadrant, values[:4], strict=True)), values[4], values[5])


def test_the_total_of_three_items_is_the_sum_worked_out_by_hand() -> None:
    found = score_likelihood([margins(0.1, 0.5, deep=0.9)], UNSPREAD)

    # 0.9 * 0.5 * 0.1; 0.1 * 0.5 * 0.1 + 0.9 * 0.5 * 0.1 + 0.9 * 0.5 * 0.9; and so on
    assert_allclose(found.total, [0.045, 0.455, 0.455, 0.045])
    assert found.expected == pytest.approx(1.5)
    assert found.probability_remission == pytest.approx(0.5)


def test_items_that_are_not_evaluable_have_no_probability_and_no_place_in_the_total() -> None:
    found = score_likelihood([margins(0.2, None, None, None), margins(None)], UNSPREAD)

    assert len(found.total) == 2
    assert found.joints[0].edema[Quadrant.UPPER_ILIAC] == pytest.approx(0.2)
    assert found.joints[0].edema[Quadrant.LOWER_ILIAC] is found.joints[1].intense is found.joints[1].deep is None


def test_each_kind_of_item_has_its_own_line() -> None:
    calibration = Calibration(Logistic(1.0, 2.0), Logistic(-1.0, 0.5), Logistic(0.5, 1.0), reading_sd=0.0)
    found = score_likelihood([margins(0.5, intense=0.5, deep=float(expit(1.0)))], calibration).joints[0]

    assert found.edema[Quadrant.UPPER_ILIAC] == pytest.approx(float(expit(1.0)))
    assert found.intense == pytest.approx(float(expit(-1.0)))
    assert found.deep == pytest.approx(float(expit(1.5)))


def test_the_spread_between_readings_widens_the_interval_as_drawn_readings_do() -> None:
    joints = [margins(0.1, 0.3, 0.6, 0.8, intense=0.2, deep=0.1) for _ in range(12)]
    narrow = score_likelihood(joints, UNSPREAD)
    wide = score_likelihood(joints, Calibration(PLAIN, PLAIN, PLAIN, reading_sd=1.2))

    rng = np.random.default_rng(3)
    log_odds = logit(np.tile([0.1, 0.3, 0.6, 0.8, 0.2, 0.1], 12))
    drawn = (rng.random((20_000, 72)) < expit(log_odds + 1.2 * rng.normal(size=(20_000, 1)))).sum(axis=1)
    assert wide.total.sum() == pytest.approx(1.0)
    assert wide.expected == pytest.approx(drawn.mean(), abs=0.3)
    assert wide.interval_90[0] == pytest.approx(np.quantile(drawn, 0.05), abs=1)
    assert wide.interval_90[1] == pytest.approx(np.quantile(drawn, 0.95), abs=1)
    assert wide.interval_90[0] < narrow.interval_90[0] < narrow.interval_90[1] < wide.interval_90[1]


def test_the_interval_leaves_at_most_a_twentieth_on_either_side() -> None:
    found = score_likelihood([margins(0.04, 0.04, 0.9, 0.97)], UNSPREAD)
    low, high = found.interval_90

    assert found.total[:low].sum() <= 0.05 < found.total[: low + 1].sum()
    assert found.total[high + 1 :].sum() <= 0.05 < found.total[high:].sum()


def test_a_score_that_is_certain_has_a_point_for_an_interval() -> None:
    certain = Calibration(Logistic(-30.0, 0.0), Logistic(-30.0, 0.0), Logistic(-30.0, 0.0), reading_sd=0.0)
    found = score_likelihood([margins(0.5, 0.5, 0.5, 0.5, intense=0.5, deep=0.5)], certain)

    assert found.interval_90 == (0, 0)
    assert found.probability_remission == pytest.approx(1.0)


def test_the_offsets_have_the_spread_asked_for() -> None:
    offsets, weights = reading_offsets(0.7)

    assert weights.sum() == pytest.approx(1.0)
    assert weights @ offsets == pytest.approx(0.0, abs=1e-12)
    assert weights @ offsets**2 == pytest.approx(0.49)


def test_a_calibration_survives_its_file() -> None:
    calibration = Calibration(Logistic(0.1, 0.9), Logistic(-1.5, 0.4), Logistic(-2.0, 0.6), reading_sd=0.8)

    assert Calibration.from_json(asdict(calibration)) == calibration


def test_a_doubtful_reference_moves_the_probability_of_intensity() -> None:
    lesion = Lesion(4, Side.LEFT, Bone.ILIUM, to_mm=9.0, top_mm=2.0, bottom_mm=18.0, signal=1.1 * VESSEL)
    anatomy = Anatomy(lesions=(lesion,))
    tissue = anatomy.tissue()
    stir, joints = anatomy.stir(tissue), find_joints(tissue.anatomy, tissue.geometry)
    sure = score_sparcc(stir, tissue, joints, choose_six_slices(joints, tissue.ligamentous))
    doubtful = replace(
        sure, reference_signal=ReferenceSignal(VESSELS, VESSEL, (Message("doubt"),), VESSEL / 1.25, VESSEL * 1.25)
    )

    both = [study_likelihood(stir, tissue, joints, score, UNSPREAD) for score in (sure, doubtful)]
    highest = [max(joint.intense or 0.0 for joint in found.joints) for found in both]

    # At the highest of the three values the lesion is not intense.
    assert sure.intensity == 1
    assert highest[1] < highest[0]
    assert [float(found.total.sum()) for found in both] == pytest.approx([1.0, 1.0])
