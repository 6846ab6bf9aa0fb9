"""Each model against a fit of its own: closed forms and code written here, from the definitions of the models."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from sparcc_pipeline.app.trial_data.analysis import fits
from sparcc_pipeline.trial.protocol.analysis import Summary

Floats = NDArray[np.float64]


def _trial(people: int, visits: int, seed: int) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Changes (people, visits) with an effect of 0.3, the arm, and the baseline."""
    generator = np.random.default_rng(seed)
    baseline, tested = generator.normal(3.4, 0.8, people), np.arange(people) % 3 != 0
    root = np.linalg.cholesky(0.6 * np.ones((visits, visits)) + np.diag(np.linspace(0.3, 0.6, visits)))
    noise = generator.normal(size=(people, visits)) @ root.T
    return -1 + 0.3 * tested[:, None] - 0.5 * (baseline[:, None] - 3.4) + noise, tested, baseline


def test_ancova_is_the_formula_for_two_parallel_lines() -> None:
    """Textbook form: the difference of the means minus the pooled slope within arms times that of the baselines."""
    changes, tested, baseline = _trial(40, 1, 1)
    change, arms = changes[:, 0], (tested, ~tested)
    sxx = sum(((baseline[a] - baseline[a].mean()) ** 2).sum() for a in arms)
    sxy = sum(((baseline[a] - baseline[a].mean()) * (change[a] - change[a].mean())).sum() for a in arms)
    syy = sum(((change[a] - change[a].mean()) ** 2).sum() for a in arms)
    gap = baseline[tested].mean() - baseline[~tested].mean()
    effect = change[tested].mean() - change[~tested].mean() - sxy / sxx * gap
    variance = (syy - sxy**2 / sxx) / 37 * (1 / tested.sum() + 1 / (~tested).sum() + gap**2 / sxx)

    found = fits.ancova(change, tested, baseline[:, None])

    assert found.estimate == pytest.approx(effect, rel=1e-10)
    assert found.error == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert found.freedom == 37
    assert found.tested - found.other == pytest.approx(effect)
    at_mean = change[tested].mean() - sxy / sxx * (baseline[tested].mean() - baseline.mean())
    assert found.tested == pytest.approx(at_mean)


def test_the_mixed_model_of_complete_data_is_the_ancova_of_each_visit() -> None:
    """With the same terms at each visit and nothing missing, generalised least squares are ordinary ones."""
    changes, tested, baseline = _trial(60, 3, 2)

    found = fits.mmrm(changes, tested, baseline[:, None])

    for k, each in enumerate(found):
        alone = fits.ancova(changes[:, k], tested, baseline[:, None])
        assert each.estimate == pytest.approx(alone.estimate, abs=1e-6)
        assert each.error == pytest.approx(alone.error, rel=1e-3)
        assert each.freedom == alone.freedom
        assert (each.tested, each.other) == pytest.approx((alone.tested, alone.other), abs=1e-6)


def _reml(changes: Floats, terms: Floats) -> tuple[Floats, Floats]:
    """Effects and standard errors of a mixed model with unstructured covariance, by direct maximisation."""
    people, visits = changes.shape
    lower = np.tril_indices(visits)
    blocks = []
    for row, values in zip(terms, changes, strict=True):
        seen = ~np.isnan(values)
        blocks.append((np.kron(row, np.eye(visits))[seen], values[seen], seen))

    def solve(parameters: Floats) -> tuple[float, Floats, Floats]:
        root = np.zeros((visits, visits))
        root[lower] = parameters
        np.fill_diagonal(root, np.exp(np.diag(root)))
        covariance = root @ root.T
        cross, right, value = np.zeros((terms.shape[1] * visits,) * 2), np.zeros(terms.shape[1] * visits), 0.0
        pieces = []
        for x, y, seen in blocks:
            if not len(y):
                continue
            mine = covariance[np.ix_(seen, seen)]
            inverse = np.linalg.inv(mine)
            cross += x.T @ inverse @ x
            right += x.T @ inverse @ y
            value += np.linalg.slogdet(mine)[1]
            pieces.append((x, y, inverse))
        effects = np.linalg.solve(cross, right)
        value += np.linalg.slogdet(cross)[1]
        value += sum((y - x @ effects) @ inverse @ (y - x @ effects) for x, y, inverse in pieces)
        return value, effects, np.sqrt(np.diag(np.linalg.inv(cross)))

    best = optimize.minimize(lambda p: solve(p)[0], np.zeros(len(lower[0])), method="BFGS")
    _, effects, errors = solve(best.x)
    return effects, errors


def test_the_mixed_model_of_incomplete_data_is_a_direct_maximum_of_its_likelihood() -> None:
    changes, tested, baseline = _trial(50, 3, 3)
    generator = np.random.default_rng(4)
    changes[generator.random(changes.shape) < 0.15] = np.nan
    seen = ~np.isnan(changes).all(axis=1)
    changes, tested, baseline = changes[seen], tested[seen], baseline[seen]

    effects, errors = _reml(changes, np.column_stack([np.ones(len(tested)), tested, baseline - baseline.mean()]))
    found = fits.mmrm(changes, tested, baseline[:, None])

    for k, each in enumerate(found):
        assert each.estimate == pytest.approx(effects[3 + k], abs=2e-4)
        assert each.error == pytest.approx(errors[3 + k], rel=2e-3)


def test_the_mixed_model_corrects_a_loss_that_depends_on_the_visit_before() -> None:
    """In the test arm high values leave, so those who stay look better; the true effect is 0.3."""
    changes, tested, baseline = _trial(500, 2, 5)
    lost = tested & (changes[:, 0] > -1)
    full = fits.ancova(changes[:, 1], tested, baseline[:, None])
    changes[lost, 1] = np.nan
    known = ~np.isnan(changes[:, 1])

    naive = fits.ancova(changes[known, 1], tested[known], baseline[known, None])
    found = fits.mmrm(changes, tested, baseline[:, None])[1]

    assert naive.estimate < full.estimate - 0.3
    assert found.estimate == pytest.approx(full.estimate, abs=0.15)


def test_without_covariates_the_logistic_model_is_the_table_of_four_fields() -> None:
    met = np.repeat([1.0, 0.0, 1.0, 0.0], [30, 70, 25, 25])
    tested, none = np.repeat([True, False], [100, 50]), np.zeros((150, 0))

    ratio = fits.logistic(met, tested, none, Summary.ODDS_RATIO)
    difference = fits.logistic(met, tested, none, Summary.RISK_DIFFERENCE)

    assert np.exp(ratio.estimate) == pytest.approx(30 * 25 / (70 * 25))
    assert ratio.error == pytest.approx(np.sqrt(1 / 30 + 1 / 70 + 1 / 25 + 1 / 25), rel=1e-5)
    assert difference.estimate == pytest.approx(0.3 - 0.5)
    assert difference.error == pytest.approx(np.sqrt(0.3 * 0.7 / 100 + 0.5 * 0.5 / 50), rel=1e-5)
    assert (difference.tested, difference.other) == pytest.approx((0.3, 0.5))


def test_with_a_covariate_the_logistic_model_is_iterated_weighted_least_squares() -> None:
    generator = np.random.default_rng(6)
    baseline, tested = generator.normal(size=150), np.arange(150) % 3 != 0
    met = (generator.random(150) < 1 / (1 + np.exp(-(-0.5 + 0.4 * tested - 0.9 * baseline)))).astype(float)
    x, effects = np.column_stack([np.ones(150), tested, baseline]), np.zeros(3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ effects))
        effects = effects + np.linalg.solve(x.T * (p * (1 - p)) @ x, x.T @ (met - p))
    error = np.sqrt(np.linalg.inv(x.T * (p * (1 - p)) @ x)[1, 1])
    predicted = [1 / (1 + np.exp(-np.column_stack([x[:, 0], np.full(150, a), x[:, 2]]) @ effects)) for a in (0, 1)]

    ratio = fits.logistic(met, tested, baseline[:, None], Summary.ODDS_RATIO)
    difference = fits.logistic(met, tested, baseline[:, None], Summary.RISK_DIFFERENCE)

    assert (ratio.estimate, ratio.error) == pytest.approx((effects[1], error), rel=1e-5)
    assert difference.estimate == pytest.approx(predicted[1].mean() - predicted[0].mean(), rel=1e-5)


def test_the_error_of_the_risk_difference_is_that_of_many_trials() -> None:
    generator, found = np.random.default_rng(7), []
    for _ in range(250):
        baseline, tested = generator.normal(size=120), generator.random(120) < 0.5
        met = (generator.random(120) < 1 / (1 + np.exp(-(0.3 * tested - 0.8 * baseline)))).astype(float)
        found.append(fits.logistic(met, tested, baseline[:, None], Summary.RISK_DIFFERENCE))

    spread = np.std([each.estimate for each in found])

    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.12)


@pytest.mark.parametrize(
    ("met", "message"),
    [([1.0] * 10 + [0.0] * 10, "separate"), ([1.0] * 20, "alike")],
)
def test_separated_answers_are_not_estimable(met: list[float], message: str) -> None:
    tested = np.repeat([True, False], 10)

    with pytest.raises(fits.NotEstimableError, match=message):
        fits.logistic(np.array(met), tested, np.zeros((20, 0)), Summary.ODDS_RATIO)


def test_an_empty_arm_is_not_estimable() -> None:
    changes, _, baseline = _trial(20, 2, 8)

    for arm in (np.ones(20, bool), np.zeros(20, bool)):
        with pytest.raises(fits.NotEstimableError, match="an arm has no value"):
            fits.ancova(changes[:, 0], arm, baseline[:, None])
        with pytest.raises(fits.NotEstimableError, match="an arm has no value"):
            fits.mmrm(changes, arm, baseline[:, None])
