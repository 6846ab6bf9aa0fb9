"""Intraclass correlation (ICC): agreement of readings of totals. Source: [ShroutFleiss1979]."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

_ROUNDING: Final = 1e-12
"""A mean square below this share of the total is a rounding error and is taken as 0."""


class IccForm(Enum):
    """The three intraclass correlations of one rating of Shrout and Fleiss."""

    ICC_1_1 = "ICC(1,1)"
    ICC_2_1 = "ICC(2,1)"
    ICC_3_1 = "ICC(3,1)"

    @property
    def model(self) -> str:
        """ "1" each target has other raters, "2" the raters are a sample, "3" these raters are the only ones."""
        return self.value[4]


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


def icc_of_one(m: MeanSquares, form: IccForm) -> float | None:
    """Return the ICC of one rater by the model of `form`; None where all ratings are equal.

    Examples
    --------
    The six targets and four judges of [ShroutFleiss1979], table 2:

    >>> judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> squares = mean_squares(judges)
    >>> {form.value: round(icc_of_one(squares, form), 2) for form in IccForm}
    {'ICC(1,1)': 0.17, 'ICC(2,1)': 0.29, 'ICC(3,1)': 0.71}
    """
    n, k = m.targets, m.raters
    noise = m.within_targets if form.model == "1" else m.error
    below = m.between_targets + (k - 1) * noise
    if form.model == "2":
        below += k * (m.between_raters - m.error) / n
    return (m.between_targets - noise) / below if below > 0 else None
