"""Drift of a reader over time: a control chart of the differences from other readings of the same images.

Contents: `DriftChart`, `drift_chart`. The chart is an exponentially weighted moving average (EWMA).
Source: [LucasSaccucci1990].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

WEIGHT: Final = 0.2
"""Weight of the newest difference: a slow drift is found, and one odd case is not taken for one."""

LIMIT: Final = 3.5
"""Width of the limits, in standard errors of the average: of 100 steady readers, one leaves them in 60 cases."""

WARM_UP: Final = 10
"""Differences from which the usual level is taken; before that many there is no chart. Decision of this project."""

_RANGE_TO_SD: Final = 1.128
"""Expected distance of two values of a normal distribution, in standard deviations."""

SMALLEST_SD: Final = 0.5
"""Totals are whole numbers: a spread below half a point is a coincidence."""


@dataclass(frozen=True)
class DriftChart:
    """The average after each difference, relative to the usual level, with its limit.

    `found_at` is the number of differences after which the average first passed the limit; None if it never did.
    """

    averages: tuple[float, ...]
    limits: tuple[float, ...]
    found_at: int | None


def drift_chart(differences: Sequence[float]) -> DriftChart | None:
    """Return the chart of differences in the order of reading; None with too few.

    Examples
    --------
    >>> steady = [1.0, -1.0] * 20
    >>> drift_chart(steady).found_at is None
    True
    >>> drift_chart(steady + [4.0] * 10).found_at
    45
    """
    if len(differences) <= WARM_UP:
        return None
    level = sum(differences[:WARM_UP]) / WARM_UP
    # The spread is taken from one difference to the next: a slow drift does not widen it.
    steps = [abs(b - a) for a, b in zip(differences, differences[1:], strict=False)]
    sd = max(sum(steps) / len(steps) / _RANGE_TO_SD, SMALLEST_SD)
    averages, limits, now = [], [], 0.0
    for number, difference in enumerate(differences[WARM_UP:], 1):
        now = WEIGHT * (difference - level) + (1 - WEIGHT) * now
        share = WEIGHT / (2 - WEIGHT) * (1 - (1 - WEIGHT) ** (2 * number))
        averages.append(round(now, 3))
        # The usual level is known from WARM_UP differences only.
        limits.append(round(LIMIT * sd * sqrt(share + 1 / WARM_UP), 3))
    outside = (k for k, (average, limit) in enumerate(zip(averages, limits, strict=True), 1) if abs(average) > limit)
    first = next(outside, None)
    return DriftChart(tuple(averages), tuple(limits), None if first is None else WARM_UP + first)
