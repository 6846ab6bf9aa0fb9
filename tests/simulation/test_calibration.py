"""Calibration and check of a simulation: what the assumptions state is what the trials show, or the run is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import CAN_BE_CALIBRATED, Assumptions
from sparcc_pipeline.simulation.calibration.calibrate import calibrated
from sparcc_pipeline.simulation.calibration.check import Comparison, compared, require_consistent, shown_by
from sparcc_pipeline.simulation.calibration.figures import detectable_change_of_two, planned_at_week, spread_by_level
from sparcc_pipeline.simulation.simulate import simulate_trial

from .builders import assumptions, protocol

WHOLE = protocol(100, 50)
KEYS = [name.replace(".", "__") for name in CAN_BE_CALIBRATED]


def checks(assumed: Assumptions, seeds: tuple[int, ...] = (1, 2, 3)) -> tuple[Comparison, ...]:
    shown = [shown_by(simulate_trial(WHOLE, assumed, seed), WHOLE, assumed) for seed in seeds]
    return compared(shown, WHOLE, assumed)


@cache
def shipped() -> tuple[Comparison, ...]:
    return checks(assumptions())


def test_the_shipped_assumptions_show_what_they_state() -> None:
    require_consistent(shipped())
    found = {each.what: each for each in shipped()}
    low = next(each for what, each in found.items() if "ASDAS 2.1 at week 12" in what)

    assert len(shipped()) == 4 + 5 + 2
    assert low.expected == 0.5 and low.found == pytest.approx(0.5, abs=0.07) and low.n == 450


def test_the_effect_of_version_0_1_is_refused_with_what_to_change() -> None:
    """2.6 was meant to give about half under ASDAS 2.1, and gives about a third."""
    with pytest.raises(ConfigError) as refused:
        require_consistent(checks(assumptions(clinical__effect_mean=2.6)))

    text = str(refused.value)
    assert "expected.low_activity (share under ASDAS 2.1 at week 12 on the full dose): expected 0.5" in text
    assert "found 0.3" in text
    assert 'set clinical.effect_mean to "calibrated", or change expected.low_activity' in text
    assert "baseline_sparcc" not in text


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"activity__baseline_mean": -0.6}, "expected.baseline_sparcc"),
        ({"activity__effect_mean": 0.0}, "expected.imaging_remission"),
        ({"reader__item_sd": [0.05, 0.05, 0.05, 0.05, 0.05]}, "expected.reader_sd"),
        ({"machine__item_sd": 0.7}, "expected.machine_sdc"),
        ({"expected__reader_sdc_of_two": 2.4}, "expected.reader_sdc_of_two"),
    ],
)
def test_each_stated_fact_is_checked(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        require_consistent(checks(assumptions(**changes), (1, 2)))


def test_the_errors_of_readers_of_one_size_for_all_levels_are_refused() -> None:
    """The error rises with the true total; one size for all levels cannot fit 0 and 20 at once."""
    sd = {each.what: each.found for each in shipped() if each.key == "expected.reader_sd"}

    assert list(sd.values()) == sorted(sd.values())
    assert min(sd.values()) < 1 < 2.5 < max(sd.values())


def test_few_observations_contradict_nothing() -> None:
    few = Comparison("expected.low_activity", "share", 0.5, 0.0, 19, 0.05, "")

    assert few.holds and not replace(few, n=20).holds
    require_consistent([few])


@pytest.mark.parametrize("stated", [0.35, 0.65])
def test_another_stated_share_is_calibrated_to(stated: float) -> None:
    start = assumptions(clinical__effect_mean="calibrated", expected__low_activity=stated)
    found = calibrated(start, WHOLE, screened=3000)

    assert start.to_calibrate == {"clinical.effect_mean"} and not found.to_calibrate
    share = next(each for each in checks(found) if each.key == "expected.low_activity")
    assert share.holds and share.found == pytest.approx(stated, abs=0.07)
    assert found.values["clinical.effect_mean"] == found.clinical.effect_mean


def test_everything_calibrated_gives_the_shipped_numbers() -> None:
    """The numbers of the shipped file come from a larger sample: they agree within its error."""
    found = calibrated(assumptions(**dict.fromkeys(KEYS, "calibrated")), WHOLE, screened=3000)
    file = assumptions()

    assert found.activity.baseline_mean == pytest.approx(file.activity.baseline_mean, abs=0.1)
    assert found.activity.effect_mean == pytest.approx(file.activity.effect_mean, abs=0.1)
    assert found.clinical.effect_mean == pytest.approx(file.clinical.effect_mean, abs=0.15)
    assert found.machine.item_sd == pytest.approx(file.machine.item_sd, abs=0.05)
    assert np.allclose(found.reader.item_sd, file.reader.item_sd, atol=0.1)


def test_a_share_that_cannot_be_reached_is_refused() -> None:
    start = assumptions(clinical__effect_mean="calibrated", expected__low_activity=0.0001)

    with pytest.raises(ConfigError, match=r"expected expected\.low_activity in .*change expected\.low_activity"):
        calibrated(start, WHOLE, screened=1000)


def test_assumptions_that_wait_for_the_calibration_cannot_be_simulated() -> None:
    with pytest.raises(ConfigError, match=r"activity\.effect_mean"):
        simulate_trial(WHOLE, assumptions(activity__effect_mean="calibrated"), 1)


def test_a_week_without_a_visit_is_refused() -> None:
    assert planned_at_week(WHOLE, 24) == 2
    with pytest.raises(ConfigError, match="found 20; choose one of 0, 12"):
        planned_at_week(WHOLE, 20)


def test_spread_by_level_of_known_errors() -> None:
    truth = np.array([0, 0, 1, 4, 5, 6, 7])
    error = np.array([1.0, -1.0, 9.0, 2.0, 0.0, -2.0, 9.0])
    (zero, n), (five, m), (ten, none) = spread_by_level(truth, error, [0, 5, 10])

    assert zero == pytest.approx(np.sqrt(2)) and n == 2
    assert (five, m) == (2.0, 3)
    assert np.isnan(ten) and none == 0


def test_detectable_change_of_the_mean_of_two_readers() -> None:
    """Two readers with an error of 1.7 each: the mean has 1.7 / sqrt(2), and 1.96 * sqrt(2) of it is 3.3."""
    generator = np.random.default_rng(1)
    first, second = generator.normal(0, 1.7, (2, 200_000))

    assert detectable_change_of_two(first, second) == pytest.approx(1.96 * 1.7, rel=0.01)
