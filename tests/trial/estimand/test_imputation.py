"""Multiple imputation: where the answer is known, and where values are missing at random."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.trial.estimand.imputation import impute, pool


def test_observed_values_stay_and_missing_ones_are_drawn() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(60, 3))
    holes = generator.random((60, 3)) < 0.2
    values[holes] = np.nan

    done = impute(values, generator.normal(size=(60, 1)), np.random.default_rng(2))

    assert not np.isnan(done).any()
    assert (done[~holes] == values[~holes]).all()


def test_a_column_without_any_value_stays_missing() -> None:
    values = np.column_stack([np.arange(20.0), np.full(20, np.nan)])
    values[3, 0] = np.nan

    done = impute(values, np.zeros((20, 0)), np.random.default_rng(1))

    assert not np.isnan(done[:, 0]).any() and np.isnan(done[:, 1]).all()


def test_the_mean_is_right_where_values_are_missing_at_random() -> None:
    """The second visit is lost after a high first one, so the mean of the values seen is too low by far."""
    generator = np.random.default_rng(3)
    first = generator.normal(size=4000)
    second = 0.8 * first + 0.6 * generator.normal(size=4000)
    seen = np.where(generator.random(4000) < 1 / (1 + np.exp(-2 * first)), np.nan, second)

    means = [impute(np.column_stack([first, seen]), np.zeros((4000, 0)), generator)[:, 1].mean() for _ in range(20)]

    assert np.nanmean(seen) < -0.3
    assert np.mean(means) == pytest.approx(second.mean(), abs=0.04)


def test_the_spread_between_data_sets_is_that_of_the_posterior() -> None:
    """With one incomplete column the variance of its mean over draws has a closed form."""
    generator = np.random.default_rng(4)
    values = np.where(np.arange(200) < 120, generator.normal(size=200), np.nan)[:, None]
    drawn = [impute(values, np.zeros((200, 0)), generator).mean() for _ in range(3000)]
    known = values[~np.isnan(values)]
    sigma2 = known.var(ddof=1) * 119 / 117  # the mean of the posterior of the variance

    expected = 0.4**2 * sigma2 / 120 + 0.4 * sigma2 / 200

    assert np.var(drawn) == pytest.approx(expected, rel=0.1)
    assert np.mean(drawn) == pytest.approx(known.mean(), abs=0.01)


def test_pooling_without_missing_values_is_the_single_analysis() -> None:
    found = pool([1.5, 1.5, 1.5], [0.2, 0.2, 0.2], 40.0)

    assert (found.estimate, found.between) == (1.5, 0.0)
    assert found.error == pytest.approx(0.2)
    assert found.freedom == pytest.approx(41 / 43 * 40)
    assert pool([1.5, 1.5], [0.2, 0.2], float("inf")).freedom == float("inf")
