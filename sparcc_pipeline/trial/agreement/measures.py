"""Agreement of readings of totals: limits of agreement, smallest detectable change, bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatVector = NDArray[np.float64]
IndexVector = NDArray[np.int64]

CONFIDENCE: Final = 0.95
"""Confidence of every interval, unless a parameter gives another."""

NORMAL_95: Final = 1.96
"""Standard deviations on either side of the mean that hold 95 % of a normal distribution."""

FEWEST_PARTICIPANTS: Final = 2
"""One participant alone has no interval: every resample is the same."""

RESAMPLES: Final = 1000
"""Resamples of a bootstrap: each end of a 95 % interval then rests on 25 of them."""


@dataclass(frozen=True)
class Estimate:
    """A value and its interval; `low` and `high` are None where there is no interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Agreement:
    """Mean and standard deviation of differences, the limits of agreement, and their 95 % intervals (None: unknown)."""

    mean: float
    sd: float
    lower: float
    upper: float
    mean_interval: tuple[float, float] | None
    lower_interval: tuple[float, float] | None
    upper_interval: tuple[float, float] | None


def limits_of_agreement(differences: Sequence[float]) -> Agreement:
    """Return the mean difference -+ 1.96 standard deviations, each with its 95 % interval. Source: [BlandAltman1986].

    The intervals are for independent differences. Where a participant has several visits use `clustered_limits`.
    The standard error of the mean is sd / sqrt(n), that of a limit sqrt(3) times as large. Each repeat of a scan counts
    as one pair.

    Raises
    ------
    ValueError : fewer than two differences

    Examples
    --------
    Differences of 2, 0, -1 and 3 points between two readers:

    >>> agreement = limits_of_agreement([2, 0, -1, 3])
    >>> agreement.mean, round(agreement.sd, 2), round(agreement.lower, 2), round(agreement.upper, 2)
    (1.0, 1.83, -2.58, 4.58)
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"expected at least two differences, found {n}")
    mean, sd = float(np.mean(differences)), float(np.std(differences, ddof=1))
    half = float(special.stdtrit(n - 1, 1 - (1 - CONFIDENCE) / 2)) * sd / float(np.sqrt(n))
    half_limit = half * float(np.sqrt(3))
    lower, upper = mean - NORMAL_95 * sd, mean + NORMAL_95 * sd
    return Agreement(
        mean,
        sd,
        lower,
        upper,
        (mean - half, mean + half),
        (lower - half_limit, lower + half_limit),
        (upper - half_limit, upper + half_limit),
    )


def clustered_limits(differences: Sequence[float], participants: Sequence[str], seed: int) -> Agreement:
    """Return `limits_of_agreement` with intervals from a bootstrap of participants, whose visits are not independent.

    Source: [BlandAltman1986]; [FieldWelsh2007].

    Raises
    ------
    ValueError : fewer than two differences
    """
    found = limits_of_agreement(differences)
    x = np.asarray(differences, dtype=float)

    def figures(rows: IndexVector) -> list[float]:
        mean, half = float(x[rows].mean()), NORMAL_95 * float(x[rows].std(ddof=1))
        return [mean, mean - half, mean + half]

    mean, lower, upper = bootstrap(figures, participants, seed)
    return replace(found, mean_interval=mean, lower_interval=lower, upper_interval=upper)


def within_subject_sd(groups: Sequence[Sequence[float]]) -> float:
    """Return the standard error of measurement: the root of the mean variance within groups, weighted by freedom.

    Source: [BlandAltman1996] (one-way analysis of variance).

    Raises
    ------
    ValueError : no group has two values

    Examples
    --------
    Two scans read twice and one read three times, with variances 2, 0.5 and 4:

    >>> round(within_subject_sd([[10, 12], [5, 6], [20, 22, 24]]), 3)
    1.62
    """
    freedom = [len(group) - 1 for group in groups if len(group) > 1]
    if not freedom:
        raise ValueError("expected a scan with at least two repeats, found none")
    squares = sum(float(np.var(group, ddof=1)) * (len(group) - 1) for group in groups if len(group) > 1)
    return float(np.sqrt(squares / sum(freedom)))


def smallest_detectable_change(sem: float) -> float:
    """Return 1.96 * sqrt(2) * `sem`; measurement error alone exceeds it in 5 %. Source: [Terwee2007].

    Examples
    --------
    >>> round(smallest_detectable_change(1.23), 1)
    3.4
    """
    return NORMAL_95 * float(np.sqrt(2)) * sem


def bootstrap(
    statistic: Callable[[IndexVector], Sequence[float]],
    participants: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> list[tuple[float, float] | None]:
    """Return percentile intervals of statistics, by drawing whole participants again. Source: [FieldWelsh2007].

    Visits of one participant depend on each other, so all of them are drawn together.

    Parameters
    ----------
    statistic : function from the indices (n,) of the drawn rows (repeated where drawn twice) to some values; NaN for a
        value that does not exist
    participants : the participant of each row
    seed : the same seed gives the same intervals

    Returns
    -------
    an interval for each value; None where fewer than half of the resamples have the value, and with one participant,
    whose resamples are all alike

    Examples
    --------
    >>> totals = np.array([2.0, 3.0, 10.0, 12.0, 7.0])
    >>> [interval] = bootstrap(lambda rows: [totals[rows].mean()], ["P1", "P1", "P2", "P2", "P3"], seed=1)
    >>> round(interval[0], 2), round(interval[1], 2)
    (2.5, 11.0)
    """
    names = np.unique(np.asarray(participants), return_inverse=True)[1]
    rows = [np.flatnonzero(names == number) for number in range(int(names.max()) + 1)]
    if len(rows) < FEWEST_PARTICIPANTS:
        return [None] * len(statistic(np.concatenate(rows)))
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, len(rows), size=(resamples, len(rows)))
    figures = np.array([statistic(np.concatenate([rows[each] for each in draw])) for draw in drawn], dtype=float)
    tail = (1 - confidence) / 2
    intervals: list[tuple[float, float] | None] = []
    for column in figures.T:
        known = column[np.isfinite(column)]
        if 2 * known.size < resamples:
            intervals.append(None)
            continue
        low, high = np.quantile(known, [tail, 1 - tail])
        intervals.append((float(low), float(high)))
    return intervals
