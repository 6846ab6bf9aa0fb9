"""Agreement against the published tables, typed again, and against independent implementations."""

from __future__ import annotations

import math
import tracemalloc
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import ArrayLike

from sparcc_pipeline.trial.agreement.icc import IccForm, icc_of_one, mean_squares
from sparcc_pipeline.trial.agreement.kappa import cohen_kappa, kappa_of_table, pabak, weighted_kappa
from sparcc_pipeline.trial.agreement.measures import (
    bootstrap,
    limits_of_agreement,
    smallest_detectable_change,
    within_subject_sd,
)
from sparcc_pipeline.trial.agreement.summary import quadrant_agreement, total_agreement

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Table 2 of Shrout and Fleiss 1979: six targets, four judges."""

PRINTED = {"ICC(1,1)": 0.17, "ICC(2,1)": 0.29, "ICC(3,1)": 0.71}
"""Table 4 of Shrout and Fleiss 1979."""

LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
LARGE_AGAIN = [490, 397, 512, 401, 470, 611, 415, 431, 638, 429, 420, 633, 275, 492, 165, 372, 421]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
"""Peak expiratory flow (l/min) of 17 people, Bland and Altman 1986."""

totals = arrays(np.float64, (12, 2), elements=st.integers(0, 72).map(float))
points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


def icc(ratings: ArrayLike, form: IccForm) -> float | None:
    """The ICC of one rater."""
    return icc_of_one(mean_squares(ratings), form)


@pytest.mark.parametrize("form", IccForm)
def test_icc_of_shrout_and_fleiss(form: IccForm) -> None:
    found = icc(SHROUT_FLEISS, form)

    assert found is not None and round(found, 2) == PRINTED[form.value]


def test_mean_squares_of_shrout_and_fleiss() -> None:
    """Table 3: between targets 11.24, within targets 6.26, between judges 32.49, residual 1.02."""
    m = mean_squares(SHROUT_FLEISS)

    assert [round(v, 2) for v in (m.between_targets, m.within_targets, m.between_raters, m.error)] == [
        11.24,
        6.26,
        32.49,
        1.02,
    ]


def test_mean_squares_by_a_linear_model() -> None:
    """The same sums of squares from least squares with dummy variables, which knows nothing of means."""
    x = np.random.default_rng(4).normal(size=(9, 3)) + np.arange(9)[:, None] + np.array([0.0, 1.0, 4.0])
    target, rater = np.indices(x.shape)
    y = x.ravel()
    target_columns = (target.ravel()[:, None] == np.arange(9)).astype(float)
    rater_columns = (rater.ravel()[:, None] == np.arange(3)).astype(float)

    def residual(*columns: np.ndarray) -> float:
        design = np.hstack(columns)
        return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())

    one, both = np.ones((y.size, 1)), residual(target_columns, rater_columns)
    m = mean_squares(x)

    assert m.error == pytest.approx(both / 16)
    assert m.between_targets == pytest.approx((residual(rater_columns) - both) / 8)
    assert m.between_raters == pytest.approx((residual(target_columns) - both) / 2)
    assert m.within_targets == pytest.approx(residual(target_columns) / 18)
    assert residual(one) == pytest.approx(8 * m.between_targets + 18 * m.within_targets)


def test_identical_readings_agree_wholly() -> None:
    for form in IccForm:
        assert icc([[0.0, 0.0], [3.0, 3.0], [7.0, 7.0]], form) == 1.0


def test_a_constant_shift_counts_against_agreement_and_not_against_consistency() -> None:
    shifted = np.array([[v, v + 5] for v in (0, 4, 9, 15)])
    consistency, absolute = icc(shifted, IccForm.ICC_3_1), icc(shifted, IccForm.ICC_2_1)

    assert consistency is not None and absolute is not None
    assert consistency == pytest.approx(1.0)
    assert absolute < 0.9


def test_equal_ratings_have_no_icc_and_missing_ones_are_refused() -> None:
    assert icc([[2, 2], [2, 2]], IccForm.ICC_2_1) is None
    with pytest.raises(ValueError, match="missing"):
        icc([[1.0, 2.0], [3.0, float("nan")]], IccForm.ICC_2_1)
    with pytest.raises(ValueError, match="at least two targets"):
        icc([[1, 2]], IccForm.ICC_2_1)


@given(totals)
def test_icc_is_in_its_range(ratings: np.ndarray) -> None:
    for form in IccForm:
        found = icc(ratings, form)
        assert found is None or -1 - 1e-9 <= found <= 1 + 1e-9


def test_bland_altman_1986() -> None:
    """The paper prints, with 2 and not 1.96 deviations: mean -2.1, SD 38.8, limits -79.7 and 75.5, SE of the mean 9.4
    and of a limit 16.3, interval of the mean -22.0 to 17.8, of the limits -114.3 to -45.1 and 40.9 to 110.1."""
    found = limits_of_agreement([a - b for a, b in zip(LARGE_METER, MINI_METER, strict=True)])
    shift = 0.04 * found.sd

    assert round(found.mean, 1) == -2.1
    assert round(found.sd, 1) == 38.8
    assert found.lower - shift == pytest.approx(-79.7, abs=0.1)
    assert found.upper + shift == pytest.approx(75.5, abs=0.1)
    assert found.mean_interval == pytest.approx((-22.0, 17.8), abs=0.1)
    assert found.lower_interval is not None and found.upper_interval is not None
    assert tuple(v - shift for v in found.lower_interval) == pytest.approx((-114.3, -45.1), abs=0.2)
    assert tuple(v + shift for v in found.upper_interval) == pytest.approx((40.9, 110.1), abs=0.2)


def test_repeatability_of_bland_altman_1986() -> None:
    """The large meter twice: SD of the differences 21.6, so that the coefficient of repeatability is 43.2.

    Their SD takes the mean difference as 0: root of the mean squared difference, which is sqrt(2) * SEM.
    """
    sem = within_subject_sd(list(zip(LARGE_METER, LARGE_AGAIN, strict=True)))

    assert math.sqrt(2) * sem == pytest.approx(21.6, abs=0.05)
    assert smallest_detectable_change(sem) == pytest.approx(43.2 * 1.96 / 2, abs=0.1)


def test_limits_of_agreement_worked_out_by_hand() -> None:
    """1, -1, 2, 0, 3: mean 1, squares 0 + 4 + 1 + 1 + 4 = 10, SD sqrt(10 / 4) = 1.5811, limits 1 -+ 3.0990."""
    found = limits_of_agreement([1, -1, 2, 0, 3])

    assert found.mean == pytest.approx(1.0)
    assert found.sd == pytest.approx(1.5811, abs=1e-4)
    assert found.lower == pytest.approx(-2.0990, abs=1e-4)
    assert found.upper == pytest.approx(4.0990, abs=1e-4)


def test_within_subject_sd_and_detectable_change_worked_out_by_hand() -> None:
    """(1, 3): squares 2, 1 free. (4, 4, 7): 1 + 1 + 4 = 6, 2 free. SEM sqrt(8 / 3) = 1.6330, SDC 4.5264."""
    sem = within_subject_sd([[1, 3], [4, 4, 7], [50]])

    assert sem == pytest.approx(1.6330, abs=1e-4)
    assert smallest_detectable_change(sem) == pytest.approx(4.5264, abs=1e-4)


def test_too_few_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        limits_of_agreement([1.0])
    with pytest.raises(ValueError, match="at least two"):
        within_subject_sd([[1], [2]])


def test_kappa_of_the_textbook_table() -> None:
    """Cohen's kappa of 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no is 0.40."""
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15

    assert cohen_kappa(first, second) == pytest.approx(0.40)
    assert cohen_kappa(first, first) == 1.0
    assert math.isnan(cohen_kappa([0, 0], [0, 0]))


def test_weighted_kappa_of_cohen_1968() -> None:
    """Table 1 of Cohen 1968, 200 patients of two psychiatrists: kappa .492, weighted kappa .348."""
    table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]

    assert round(kappa_of_table(table, 1 - np.eye(3)), 3) == 0.492
    assert round(kappa_of_table(table, [[0, 1, 3], [1, 0, 6], [3, 6, 0]]), 3) == 0.348


def test_pabak_of_byrt_1993() -> None:
    """Equal agreement, other prevalence: 0.80 of the pairs agree in both, so PABAK is 0.60 while kappa falls."""
    balanced = [1] * 40 + [0] * 40 + [1] * 10 + [0] * 10, [1] * 40 + [0] * 40 + [0] * 10 + [1] * 10
    rare = [1] * 5 + [0] * 75 + [1] * 10 + [0] * 10, [1] * 5 + [0] * 75 + [0] * 10 + [1] * 10

    assert pabak([[40, 10], [10, 40]]) == pytest.approx(0.6)
    assert pabak([[75, 10], [10, 5]]) == pytest.approx(0.6)
    assert cohen_kappa(*balanced) == pytest.approx(0.6)
    assert cohen_kappa(*rare) < 0.25


@settings(deadline=None)
@given(points)
def test_kappa_as_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (extra test)")
    a, b = zip(*pairs, strict=True)
    if len({*a, *b}) < 2 or not cohen_kappa(a, b) <= 1:
        return
    labels = list(range(5))

    assert cohen_kappa(a, b) == pytest.approx(metrics.cohen_kappa_score(a, b))
    for weights in ("linear", "quadratic"):
        expected = metrics.cohen_kappa_score(a, b, weights=weights, labels=labels)
        assert weighted_kappa(a, b, weights) == pytest.approx(expected)


@given(totals)
def test_quadratic_kappa_is_the_concordance_correlation(ratings: np.ndarray) -> None:
    a, b = ratings.T
    below = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    if below > 0:
        concordance = 2 * ((a - a.mean()) * (b - b.mean())).mean() / below
        assert weighted_kappa(a, b, "quadratic") == pytest.approx(concordance, abs=1e-9)


def test_bootstrap_draws_whole_participants() -> None:
    """Twenty similar visits of each of ten participants give the interval of ten values."""
    generator = np.random.default_rng(1)
    level = generator.normal(size=10)
    names = [f"P{p}" for p in range(10) for _ in range(20)]
    values = np.repeat(level, 20) + 0.01 * generator.normal(size=200)

    ((low, high),) = (each for each in bootstrap(lambda rows: [float(values[rows].mean())], names, 7) if each)
    alone = bootstrap(lambda rows: [float(values[rows].mean())], [str(n) for n in range(200)], 7)[0]

    assert alone is not None
    assert high - low > 3 * (alone[1] - alone[0])
    assert high - low == pytest.approx(2 * 1.96 * level.std() / math.sqrt(10), rel=0.15)


def test_bootstrap_is_repeatable_by_seed() -> None:
    def mean(rows: np.ndarray) -> list[float]:
        return [float(rows.mean())]

    names = [str(n) for n in range(30)]
    assert bootstrap(mean, names, 3) == bootstrap(mean, names, 3)
    assert bootstrap(mean, names, 3) != bootstrap(mean, names, 4)


def test_agreement_of_totals_in_one_table() -> None:
    generator = np.random.default_rng(2)
    truth = generator.integers(0, 30, 60).astype(float)
    second = truth + generator.normal(1, 2, 60)
    names = [f"P{n // 2}" for n in range(60)]

    found = total_agreement(truth.tolist(), second.tolist(), names, 5)

    assert found is not None and found.icc_agreement is not None and found.icc_consistency is not None
    assert (found.pairs, found.participants) == (60, 30)
    expected = icc(np.column_stack([truth, second]), IccForm.ICC_2_1)
    assert expected is not None and found.icc_agreement.value == pytest.approx(expected)
    assert found.sem == pytest.approx(within_subject_sd(list(zip(truth, second, strict=True))))
    assert found.sdc.value == pytest.approx(smallest_detectable_change(found.sem))
    assert found.bland_altman.mean == pytest.approx(float((second - truth).mean()))
    assert total_agreement([1.0, 2.0], [1.0, 2.0], ["a", "b"], 5) is None


def test_quadrants_that_one_could_not_evaluate_are_left_out() -> None:
    found = quadrant_agreement([1, 0, None, 0, 1], [1, 0, 1, None, 0], ["a", "a", "b", "b", "c"], 1)

    assert found is not None
    assert (found.quadrants, found.participants) == (3, 2)
    assert found.agreed == pytest.approx(2 / 3)
    assert found.adjusted.value == pytest.approx(1 / 3)
    assert quadrant_agreement([None, 1], [1, None], ["a", "b"], 1) is None


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_is_that_of_the_table_of_all_pairs(weights: Literal["linear", "quadratic"]) -> None:
    generator = np.random.default_rng(6)
    for _ in range(50):
        a = generator.integers(0, 12, 30) / 2
        b = np.abs(a + generator.integers(-3, 4, 30) / 2)
        values = np.unique(np.concatenate([a, b]))
        table = np.array([[np.sum((a == x) & (b == y)) for y in values] for x in values])
        distance = np.abs(values[:, None] - values[None, :])
        expected = kappa_of_table(table, distance if weights == "linear" else distance**2)

        assert weighted_kappa(a, b, weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_weighted_kappa_of_20000_values_needs_no_table_of_all_pairs(weights: Literal["linear", "quadratic"]) -> None:
    a = np.arange(20_000) * 0.37
    tracemalloc.start()
    found = weighted_kappa(a, a[::-1].copy(), weights)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == pytest.approx(-0.5 if weights == "linear" else -1, abs=1e-3)
    assert peak < 10e6
