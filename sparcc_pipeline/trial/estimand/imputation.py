"""Multiple imputation of missing values, and the rules that pool its estimates.

Contents: `impute`, `pool`, `Pooled`. Chained equations with Bayesian linear regression, "norm" of [VanBuuren2018]:
each incomplete column is drawn from its regression on all others, in turn. Values are not cut to the range of a score,
because cutting would bias their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CYCLES: Final = 10
"""Rounds over all columns before a completed data set is taken; 5-20 are usual ([VanBuuren2018])."""

_RIDGE: Final = 1e-5
"""Share of the diagonal added to X'X, as the method's reference implementation does, so that it has an inverse."""


@dataclass(frozen=True)
class Pooled:
    """Estimate of several completed data sets.

    Parameters
    ----------
    freedom : degrees of freedom
    between : share of the total variance that comes from the imputation
    """

    estimate: float
    error: float
    freedom: float
    between: float


def impute(values: Floats, covariates: Floats, generator: np.random.Generator) -> Floats:
    """Return the values with every missing one drawn once.

    Parameters
    ----------
    values : (people, columns), NaN where missing; a column without any value stays NaN
    covariates : (people, terms), complete
    """
    missing = np.isnan(values)
    columns = [j for j in range(values.shape[1]) if missing[:, j].any() and not missing[:, j].all()]
    done = values.copy()
    for j in columns:
        known = values[~missing[:, j], j]
        done[missing[:, j], j] = generator.choice(known, int(missing[:, j].sum()))
    usable = [j for j in range(values.shape[1]) if not missing[:, j].all()]
    for _ in range(CYCLES if columns else 0):
        for j in columns:
            others = [k for k in usable if k != j]
            x = np.column_stack([np.ones(len(done)), covariates, done[:, others]])
            done[missing[:, j], j] = _drawn(x, done[:, j], missing[:, j], generator)
    return done


def _drawn(x: Floats, y: Floats, missing: NDArray[np.bool_], generator: np.random.Generator) -> Floats:
    """Return draws of the missing values from the posterior of a linear regression."""
    known_x, known_y = x[~missing], y[~missing]
    cross = known_x.T @ known_x
    inverse = np.linalg.inv(cross + _RIDGE * np.diag(np.diag(cross)))
    estimate = inverse @ known_x.T @ known_y
    freedom = max(1, len(known_y) - x.shape[1])
    sigma = np.sqrt(float(((known_y - known_x @ estimate) ** 2).sum()) / generator.chisquare(freedom))
    root = np.linalg.cholesky((inverse + inverse.T) / 2)
    drawn = estimate + sigma * root @ generator.standard_normal(x.shape[1])
    found: Floats = x[missing] @ drawn + sigma * generator.standard_normal(int(missing.sum()))
    return found


def pool(estimates: Sequence[float], errors: Sequence[float], complete_freedom: float) -> Pooled:
    """Return the pooled estimate. Sources: [Rubin1987]; degrees of freedom: [BarnardRubin1999].

    Parameters
    ----------
    errors : standard errors
    complete_freedom : degrees of freedom without missing values; infinity for a normal distribution

    Examples
    --------
    >>> found = pool([1.0, 2.0, 3.0], [1.0, 1.0, 1.0], 50.0)
    >>> round(found.estimate, 3), round(found.error**2, 4), round(found.between, 4), round(found.freedom, 2)
    (2.0, 2.3333, 0.5714, 4.72)
    """
    count, values = len(estimates), np.asarray(estimates)
    within, between = float(np.mean(np.square(errors))), float(values.var(ddof=1))
    total = within + (1 + 1 / count) * between
    share = 0.0 if total == 0 else (1 + 1 / count) * between / total
    old = np.inf if share == 0 else (count - 1) / share**2
    if np.isinf(complete_freedom):
        freedom = old
    else:
        seen = (complete_freedom + 1) / (complete_freedom + 3) * complete_freedom * (1 - share)
        freedom = seen if np.isinf(old) else old * seen / (old + seen)
    return Pooled(float(values.mean()), float(np.sqrt(total)), float(freedom), share)
