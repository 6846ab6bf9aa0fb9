"""The drift chart finds a reader who moves, and seldom one who does not."""

from __future__ import annotations

import numpy as np

from sparcc_pipeline.trial.agreement.drift import WARM_UP, drift_chart


def rate_found(drift: float, *, cases: int = 60, tries: int = 300) -> float:
    """Return how often a reader with noise of 2 points and this drift a case from the middle on is found."""
    random = np.random.default_rng(7)
    found = 0
    for _ in range(tries):
        moved = drift * np.maximum(np.arange(cases) - cases // 2, 0)
        chart = drift_chart((random.normal(0, 2, cases) + moved).tolist())
        assert chart is not None
        found += chart.found_at is not None
    return found / tries


def test_a_drift_is_found_and_noise_is_not() -> None:
    assert rate_found(0.0) < 0.05
    assert rate_found(0.2) > 0.9


def test_a_steady_bias_is_no_drift() -> None:
    chart = drift_chart([5.0, 4.0, 6.0] * 20)
    assert chart is not None and chart.found_at is None


def test_there_is_no_chart_before_the_usual_level_is_known() -> None:
    assert drift_chart([1.0] * WARM_UP) is None
    assert drift_chart([1.0] * (WARM_UP + 1)) is not None
