"""Power of both primary outcomes, dropout, and the imputation, against known answers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sparcc_pipeline.simulation.power import (
    COMPLETE,
    IMPUTED,
    WHOLE,
    Fit,
    Fits,
    ancova,
    fit_trial,
    joint_power,
    power,
)
from sparcc_pipeline.simulation.simulate import leaves, simulate_trial

from .builders import assumptions, protocol

PEOPLE = 300


def test_ancova_finds_a_known_difference() -> None:
    generator = np.random.default_rng(0)
    baseline = generator.normal(10, 5, 4000)
    group = generator.random(4000) < 0.5
    follow_up = 0.4 * baseline + 1.5 * group + generator.normal(0, 2, 4000)
    follow_up[::7] = np.nan

    estimate, error, freedom = ancova(baseline, follow_up, group)

    assert estimate == pytest.approx(1.5, abs=3 * error)
    assert freedom == np.isfinite(follow_up).sum() - 3
    assert error == pytest.approx(2 * 2 / np.sqrt(freedom), rel=0.1)


def _fits(seed: int, worse: float) -> Fits:
    """Ninety participants whose values under taper are worse by a known amount at the last visit."""
    generator = np.random.default_rng(seed)
    tapering = np.arange(90) % 3 > 0
    values = np.column_stack([generator.normal(10, 3, 90), generator.normal(4, 2, 90) + worse * tapering])
    return fit_trial(values, values, tapering, 2, generator)


def test_power_is_high_where_the_arms_differ_and_the_error_is_kept_where_they_do_not() -> None:
    equal, worse = (power("x", IMPUTED, 2.5, [_fits(seed, by) for seed in range(200)]) for by in (0.0, 2.5))

    assert equal.different < 0.12 and equal.not_inferior > 0.95
    assert worse.different > 0.95 and worse.not_inferior < 0.1
    assert worse.difference == pytest.approx(2.5, abs=0.15)
    assert worse.bias == pytest.approx(0, abs=1e-9)


def fit(upper: float) -> Fits:
    """A fit whose 95 % interval ends here; with this error the 97.5 % interval ends 0.0286 higher."""
    return {IMPUTED: Fit(upper - 1.959964 * 0.1, 0.1, 1e9, 100)}


def test_joint_power_of_every_hierarchy_by_hand() -> None:
    """Margins 1.25 and 0.45. Trials: both clear, SPARCC alone, ASDAS alone, neither, and SPARCC just under."""
    sparcc = [fit(each) for each in (1.0, 1.0, 1.3, 1.3, 1.24)]
    asdas = [fit(each) for each in (0.3, 0.5, 0.3, 0.5, 0.44)]
    found = {each.hierarchy: each for each in joint_power(sparcc, asdas, assumptions())}

    def row(name: str) -> tuple[float, float, float, float]:
        each = found[name]
        return each.sparcc, each.asdas, each.both, each.one

    assert row("sparcc_then_asdas") == (0.6, 0.4, 0.4, 0.6)
    assert row("asdas_then_sparcc") == (0.4, 0.6, 0.4, 0.6)
    assert row("both_required") == (0.4, 0.4, 0.4, 0.4)
    assert row("holm") == (0.4, 0.4, 0.2, 0.6)


def test_independent_outcomes_multiply() -> None:
    generator = np.random.default_rng(3)
    sparcc = [fit(each) for each in 1.25 + np.where(generator.random(4000) < 0.7, -1, 1)]
    asdas = [fit(each) for each in 0.45 + np.where(generator.random(4000) < 0.6, -1, 1)]
    found = {each.hierarchy: each for each in joint_power(sparcc, asdas, assumptions())}

    assert found["both_required"].both == pytest.approx(0.42, abs=0.03)
    assert found["holm"].one == pytest.approx(1 - 0.3 * 0.4, abs=0.03)


@pytest.mark.parametrize("seen", [0.0, 1.0, 3.0])
def test_dropout_keeps_its_share_and_picks_by_the_last_visit(seen: float) -> None:
    conduct = assumptions(conduct__dropout_a_visit=0.1, conduct__dropout_seen=seen).conduct
    generator = np.random.default_rng(2)
    last, now = generator.normal(2, 1, 20_000), generator.normal(2, 1, 20_000)
    gone = leaves(np.ones(20_000, dtype=bool), last, now, conduct, generator)

    assert gone.mean() == pytest.approx(0.1, abs=0.007)
    higher = last[gone].mean() - last[~gone].mean()
    assert (abs(higher) < 0.1) if seen == 0 else higher > 0.5
    assert abs(now[gone].mean() - now[~gone].mean()) < 0.1


def test_dropout_that_depends_on_the_unseen_value_picks_by_it() -> None:
    conduct = assumptions(conduct__dropout_seen=0, conduct__dropout_unseen=2.0, conduct__dropout_a_visit=0.1).conduct
    generator = np.random.default_rng(2)
    last, now = generator.normal(2, 1, 5000), generator.normal(2, 1, 5000)
    gone = leaves(np.ones(5000, dtype=bool), last, now, conduct, generator)

    assert now[gone].mean() > now[~gone].mean() + 0.5


@cache
def _bias(kind: str) -> dict[str, float]:
    """Bias of the difference of two arms where those who worsen leave, by analysis."""
    fits = []
    for seed in range(60):
        g = np.random.default_rng(seed)
        tapering = np.arange(PEOPLE) % 2 > 0
        baseline = g.normal(0, 1, PEOPLE)
        middle = 0.3 * baseline + 1.0 * tapering + g.normal(0, 1, PEOPLE)
        last = 0.9 * middle + g.normal(0, 0.4, PEOPLE)
        values = np.column_stack([baseline, middle, last])
        reason = middle if kind == "seen" else last
        recorded = values.copy()
        recorded[(reason > 1.0) & (g.random(PEOPLE) < 0.8), 2] = np.nan
        fits.append(fit_trial(recorded, values, tapering, 5, g))
    return {name: power("x", name, 1, fits).bias for name in (COMPLETE, IMPUTED, WHOLE)}


def test_imputation_removes_the_bias_of_dropout_that_the_visits_explain() -> None:
    bias = _bias("seen")

    assert bias[COMPLETE] < -0.2
    assert abs(bias[IMPUTED]) < 0.05
    assert bias[WHOLE] == 0


def test_no_analysis_of_recorded_values_removes_the_bias_of_dropout_not_at_random() -> None:
    bias = _bias("unseen")

    assert bias[COMPLETE] < bias[IMPUTED] < -0.05


def test_a_trial_loses_the_assumed_share_whatever_its_reason() -> None:
    whole = protocol(100, 50)
    for changes in ({"conduct__dropout_seen": 0.0}, {"conduct__dropout_seen": 2.0}, {"conduct__dropout_unseen": 2.0}):
        here = simulate_trial(whole, assumptions(conduct__dropout_a_visit=0.05, **changes), 1).values.here

        assert here[:, -1].mean() == pytest.approx(0.95**7, abs=0.12)
        assert (here[:, 1:] <= here[:, :-1]).all()
