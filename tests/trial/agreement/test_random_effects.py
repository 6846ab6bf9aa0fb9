"""Random effects against figures computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.trial.agreement.measures import Estimate
from sparcc_pipeline.trial.agreement.random_effects import pooled_difference, pooled_icc, random_effects


def test_between_sites_variance_of_two_equal_sites_is_that_of_dersimonian_and_laird() -> None:
    # Weights 1/v are 25 each: Q = 25 + 25 = 50, c = 50 - 1250 / 50 = 25, so tau2 = (50 - 1) / 25 = 1.96.
    found = random_effects([1.0, 3.0], [0.04, 0.04])

    assert found.mean.value == pytest.approx(2.0)
    assert found.between_sd == pytest.approx(1.4)
    assert found.i_squared == pytest.approx(1 - 1 / 50)
    # Hartung and Knapp with one degree of freedom: t = 12.706, half = 12.706 * sqrt(2 / 2 / 1).
    assert found.mean.high == pytest.approx(2 + 12.7062 * np.sqrt(1.0), abs=1e-3)


def test_one_site_has_no_interval_and_no_spread() -> None:
    found = random_effects([0.5], [0.1])

    assert (found.sites, found.mean.value, found.mean.low, found.between_sd) == (1, 0.5, None, 0.0)


def test_larger_sites_weigh_more_where_sites_agree() -> None:
    found = pooled_difference([Estimate(0.0, -0.1, 0.1), Estimate(0.3, -1.0, 1.6)])

    assert found is not None and abs(found.mean.value) < 0.01


def test_iccs_are_pooled_after_the_transform_and_stay_below_one() -> None:
    found = pooled_icc([Estimate(0.95, 0.9, 0.98), Estimate(0.99, 0.97, 1.0), Estimate(0.97, None, None)])

    assert found is not None and found.sites == 2
    assert 0.95 < found.mean.value < 0.99
    assert found.mean.high is not None and found.mean.high <= 1
    assert pooled_icc([Estimate(0.9)]) is None


@pytest.mark.parametrize(("values", "variances"), [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0])])
def test_wrong_input_is_refused(values: list[float], variances: list[float]) -> None:
    with pytest.raises(ValueError, match="a positive variance for each site"):
        random_effects(values, variances)
