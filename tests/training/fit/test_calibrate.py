"""Lines and spread are found again in readings that were drawn from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from sparcc_pipeline.training.fit.calibrate import ReadItems, fit_calibration, reliability, widening_for_a_new_person

INTERCEPT = np.array([0.5, -1.0, -2.0])
SLOPE = np.array([0.8, 0.5, 1.2])
SD = 0.9


def drawn_readings(count: int) -> list[ReadItems]:
    rng = np.random.default_rng(11)
    readings = []
    for _ in range(count):
        kind = np.repeat([0, 1, 2], [48, 12, 12])
        margin = rng.normal(0, 2.5, kind.size)
        log_odds = INTERCEPT[kind] + SLOPE[kind] * margin + rng.normal(0, SD)
        readings.append(ReadItems(kind, margin, (rng.random(kind.size) < expit(log_odds)).astype(float)))
    return readings


def test_what_readings_were_drawn_from_is_found_again() -> None:
    found = fit_calibration([[reading] for reading in drawn_readings(120)])

    for i, line in enumerate((found.edema, found.intense, found.deep)):
        assert line.intercept == pytest.approx(INTERCEPT[i], abs=0.35)
        assert line.slope == pytest.approx(SLOPE[i], abs=0.2)
    assert found.reading_sd == pytest.approx(SD, abs=0.2)


def test_readings_without_a_single_point_give_a_calibration_that_is_finite_and_low() -> None:
    kind, margin = np.repeat([0, 1, 2], [48, 12, 12]), np.full(72, -4.0)
    found = fit_calibration([[ReadItems(kind, margin, np.zeros(72))] * 2] * 2)

    assert expit(found.edema.intercept + found.edema.slope * -4.0) < 0.05
    assert np.isfinite([found.reading_sd, found.deep.intercept, found.deep.slope]).all()


@pytest.mark.parametrize(("people", "factor"), [(2, 4.7013), (5, 1.4198), (6, 1.3232), (1000, 1.0015)])
def test_few_people_widen_the_interval_of_one_more(people: int, factor: float) -> None:
    """t(0.95, n - 1) / 1.6449 x sqrt(1 + 1/n), with t from the printed tables: 6.3138, 2.1318, 2.0150, 1.6464."""
    assert widening_for_a_new_person(people) == pytest.approx(factor, abs=2e-4)


def test_the_interval_of_one_more_person_holds_nine_of_ten() -> None:
    rng = np.random.default_rng(3)
    known, new = rng.normal(size=(20_000, 6)), rng.normal(size=20_000)

    reach = 1.6449 * known.std(axis=1, ddof=1) * widening_for_a_new_person(6)
    inside = np.abs(new - known.mean(axis=1)) <= reach

    assert inside.mean() == pytest.approx(0.90, abs=0.01)


def testreliability_compares_predicted_and_observed() -> None:
    bins = reliability(np.array([0.01, 0.02, 0.5, 0.55, 1.0]), np.array([0.0, 0.0, 1.0, 0.0, 1.0]))

    assert [(b["items"], round(b["said"], 3), b["happened"]) for b in bins] == [
        (2, 0.015, 0.0),
        (2, 0.525, 0.5),
        (1, 1.0, 1.0),
    ]
