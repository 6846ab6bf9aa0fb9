"""Intraclass correlation (ICC): agreement of readings of totals. Source: [ShroutFleiss1979]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from sparcc_pipeline.trial.agreement.measures import CONFIDENCE, Estimate

_ROUNDING: Final = 1e-12
"""A mean square below this share of the total is a rounding error and is taken as 0."""


class IccForm(Enum):
    """The six intraclass correlations of Shrout and Fleiss: (model, number of averaged ratings)."""

    ICC_1_1 = "ICC(1,1)"
    ICC_2_1 = "ICC(2,1)"
    ICC_3_1 = "ICC(3,1)"
    ICC_1_K = "ICC(1,k)"
    ICC_2_K = "ICC(2,k)"
    ICC_3_K = "ICC(3,k)"

    @property
    def model(self) -> str:
        """ "1" each target has other raters, "2" the raters are a sample, "3" these raters are the only ones."""
        return self.value[4]

    @property
    def averaged(self) -> bool:
        """True for the reliability of the mean of all raters, False for that of one rater."""
        return self.value[6] == "k"


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of a two-way analysis of variance of targets by raters."""

    targets: int
    raters: int
    between_targets: float
    within_targets: float
    between_raters: float
    error: float


def mean_squares(ratings: ArrayLike) -> MeanSquares:
    """Return the mean squares BMS, WMS, JMS and EMS of Shrout and Fleiss.

    Parameters
    ----------
    ratings : (targets, raters), no missing value

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
    """Return one of the six intraclass correlations with its interval; None where all ratings are equal.

    The interval assumes independent targets. Where a participant has several targets, use `measures.bootstrap`.

    Parameters
    ----------
    ratings : (targets, raters), no missing value

    Raises
    ------
    ValueError : fewer than two targets or raters, or a rating is missing

    Examples
    --------
    The six targets and four judges of [ShroutFleiss1979], table 2:

    >>> judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> {form.value: round(icc(judges, form).value, 2) for form in IccForm}
    {'ICC(1,1)': 0.17, 'ICC(2,1)': 0.29, 'ICC(3,1)': 0.71, 'ICC(1,k)': 0.44, 'ICC(2,k)': 0.62, 'ICC(3,k)': 0.91}
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
    """Return the ICC of one rater by the model of `form`; None where all ratings are equal."""
    n, k = m.targets, m.raters
    noise = m.within_targets if form.model == "1" else m.error
    below = m.between_targets + (k - 1) * noise
    if form.model == "2":
        below += k * (m.between_raters - m.error) / n
    return (m.between_targets - noise) / below if below > 0 else None


def _of_the_mean(single: float, k: int) -> float:
    """Reliability of the mean of `k` raters (Spearman-Brown); minus infinity at the lowest possible value of one."""
    below = 1 + (k - 1) * single
    return k * single / below if below > 0 else float("-inf")


def _icc_interval(m: MeanSquares, form: IccForm, single: float, confidence: float) -> tuple[float, float]:
    """Interval of the ICC of one rater."""
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
        freedom_2 = float(k - 1)  # the limit of the formula below
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
