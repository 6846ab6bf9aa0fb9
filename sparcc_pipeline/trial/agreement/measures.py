"""How well two readings, or a reading and the machine, agree on totals: ICC, Bland-Altman, smallest detectable change.

Sources: ICC and its intervals, Shrout and Fleiss 1979, doi 10.1037/0033-2909.86.2.420; limits of agreement and their
intervals, Bland and Altman 1986, doi 10.1016/S0140-6736(86)90837-8; within-subject standard deviation, Bland and Altman
1996, doi 10.1136/bmj.313.7059.744; smallest detectable change, Terwee et al. 2007, doi 10.1016/j.jclinepi.2006.03.012;
bootstrap of whole participants, Field and Welsh 2007, doi 10.1111/j.1467-9868.2007.00593.x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

FloatVector = NDArray[np.float64]
IndexVector = NDArray[np.int64]

CONFIDENCE: Final = 0.95
"""Of every interval here unless said otherwise."""

NORMAL_95: Final = 1.96
"""Standard deviations about the mean between which 95 % of a normal distribution lie."""

RESAMPLES: Final = 1000
"""Of a bootstrap: the ends of a 95 % interval then rest on 25 resamples each."""

_ROUNDING: Final = 1e-12
"""A mean square below this share of the total is rounding, and is taken as 0."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; `low` and `high` are None where no interval can be given."""

    value: float
    low: float | None = None
    high: float | None = None


class IccForm(Enum):
    """The six intraclass correlations of Shrout and Fleiss: (model, ratings that are averaged)."""

    ICC_1_1 = "ICC(1,1)"
    ICC_2_1 = "ICC(2,1)"
    ICC_3_1 = "ICC(3,1)"
    ICC_1_K = "ICC(1,k)"
    ICC_2_K = "ICC(2,k)"
    ICC_3_K = "ICC(3,k)"

    @property
    def model(self) -> str:
        """ "1" each target has raters of its own, "2" the raters are a sample, "3" these raters are the only ones."""
        return self.value[4]

    @property
    def averaged(self) -> bool:
        """Reliability of the mean of all raters, and not of one."""
        return self.value[6] == "k"


@dataclass(frozen=True)
class MeanSquares:
    """Two-way analysis of variance of (targets, raters) ratings."""

    targets: int
    raters: int
    between_targets: float
    within_targets: float
    between_raters: float
    error: float


def mean_squares(ratings: ArrayLike) -> MeanSquares:
    """The mean squares BMS, WMS, JMS and EMS of Shrout and Fleiss.

    Parameters
    ----------
    ratings : (targets, raters), complete

    Raises
    ------
    ValueError : fewer than two targets or raters, or a rating is missing
    """
    x = np.asarray(ratings, dtype=float)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(f"expected ratings of at least two targets by at least two raters, found shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("expected complete ratings, found a missing one; leave out its target")
    n, k = x.shape
    grand = x.mean()
    total = float(((x - grand) ** 2).sum())
    targets = k * float(((x.mean(axis=1) - grand) ** 2).sum())
    raters = n * float(((x.mean(axis=0) - grand) ** 2).sum())

    def mean_square(squares: float, freedom: int) -> float:
        return squares / freedom if squares > _ROUNDING * total else 0.0

    return MeanSquares(
        n,
        k,
        mean_square(targets, n - 1),
        mean_square(total - targets, n * (k - 1)),
        mean_square(raters, k - 1),
        mean_square(total - targets - raters, (n - 1) * (k - 1)),
    )


def icc(ratings: ArrayLike, form: IccForm, confidence: float = CONFIDENCE) -> Estimate | None:
    """One of the six intraclass correlations, with the interval of Shrout and Fleiss; None where all ratings are equal.

    The interval takes the targets as independent. Where a participant has several, `bootstrap` is the one to use.

    Raises
    ------
    ValueError : see `mean_squares`
    """
    squares = mean_squares(ratings)
    single = icc_of_one(squares, form)
    if single is None:
        return None
    low, high = _icc_interval(squares, form, single, confidence)
    if not form.averaged:
        return Estimate(single, low, high)
    k = squares.raters
    return Estimate(*(_of_the_mean(each, k) for each in (single, low, high)))


def icc_of_one(m: MeanSquares, form: IccForm) -> float | None:
    """The ICC of one rater by the model of `form`; None where all ratings are equal. Source: Shrout and Fleiss 1979."""
    n, k = m.targets, m.raters
    noise = m.within_targets if form.model == "1" else m.error
    below = m.between_targets + (k - 1) * noise
    if form.model == "2":
        below += k * (m.between_raters - m.error) / n
    return (m.between_targets - noise) / below if below > 0 else None


def _of_the_mean(single: float, k: int) -> float:
    """Spearman and Brown: reliability of the mean of `k` raters; minus infinity at the lowest possible single one."""
    below = 1 + (k - 1) * single
    return k * single / below if below > 0 else float("-inf")


def _icc_interval(m: MeanSquares, form: IccForm, single: float, confidence: float) -> tuple[float, float]:
    """Of one rater. Source: Shrout and Fleiss 1979."""
    n, k = m.targets, m.raters
    tail = 1 - (1 - confidence) / 2
    if form.model != "2":
        noise, freedom = (m.within_targets, n * (k - 1)) if form.model == "1" else (m.error, (n - 1) * (k - 1))
        if noise == 0:
            return 1.0, 1.0
        ratio = m.between_targets / noise
        ends = ratio / special.fdtri(n - 1, freedom, tail), ratio * special.fdtri(freedom, n - 1, tail)
        low, high = (float((end - 1) / (end + k - 1)) for end in ends)
        return low, high
    if m.error == 0:
        freedom_2 = float(k - 1)  # what the formula below tends to
    else:
        f_raters = m.between_raters / m.error
        rest = n * (1 + (k - 1) * single) - k * single
        above = (k - 1) * (n - 1) * (k * single * f_raters + rest) ** 2
        freedom_2 = above / ((n - 1) * (k * single * f_raters) ** 2 + rest**2)
    f_low, f_high = float(special.fdtri(n - 1, freedom_2, tail)), float(special.fdtri(freedom_2, n - 1, tail))
    spread = k * m.between_raters + (k * n - k - n) * m.error
    low = n * (m.between_targets - f_low * m.error) / (f_low * spread + n * m.between_targets)
    high = n * (f_high * m.between_targets - m.error) / (spread + n * f_high * m.between_targets)
    return low, high


@dataclass(frozen=True)
class Agreement:
    """Bland-Altman: mean difference, standard deviation of the differences, limits of agreement, their intervals."""

    mean: float
    sd: float
    lower: float
    upper: float
    mean_interval: tuple[float, float]
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]


def limits_of_agreement(differences: Sequence[float]) -> Agreement:
    """Mean difference -+ 1.96 standard deviations, each with its 95 % interval. Source: Bland and Altman 1986.

    The standard error of the mean is sd / sqrt(n), that of a limit sqrt(3) times as large. Several repeats of one scan
    count as so many pairs.

    Raises
    ------
    ValueError : fewer than two differences
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


def within_subject_sd(groups: Sequence[Sequence[float]]) -> float:
    """Standard error of measurement: root of the mean variance within the groups, weighted by their freedom.

    Source: Bland and Altman 1996 (one-way analysis of variance).

    Raises
    ------
    ValueError : no group has two values
    """
    freedom = [len(group) - 1 for group in groups if len(group) > 1]
    if not freedom:
        raise ValueError("expected a scan with at least two repeats, found none")
    squares = sum(float(np.var(group, ddof=1)) * (len(group) - 1) for group in groups if len(group) > 1)
    return float(np.sqrt(squares / sum(freedom)))


def smallest_detectable_change(sem: float) -> float:
    """1.96 * sqrt(2) * SEM: a change beyond it is measurement error in 5 % only. Source: Terwee 2007."""
    return NORMAL_95 * float(np.sqrt(2)) * sem


def bootstrap(
    statistic: Callable[[IndexVector], Sequence[float]],
    participants: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> list[tuple[float, float] | None]:
    """Percentile intervals of figures when whole participants are drawn again, with all their visits.

    Parameters
    ----------
    statistic : from the indices of the rows drawn (repeated where drawn twice) to some figures; NaN where it has none
    participants : whose each row is
    seed : the same seed gives the same intervals

    Returns
    -------
    an interval for each figure; None where fewer than half of the resamples gave one
    """
    names = np.unique(np.asarray(participants), return_inverse=True)[1]
    rows = [np.flatnonzero(names == number) for number in range(int(names.max()) + 1)]
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
