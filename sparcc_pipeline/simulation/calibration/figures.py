"""Figures that the calibration of a simulation and the check of its results share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.images import Floats
from sparcc_pipeline.trial.agreement.measures import smallest_detectable_change
from sparcc_pipeline.trial.protocol.definition import Protocol

BAND: Final = 0.2
"""Half width of the band around a level, as a share of it; level 0 is 0 alone."""


def level_bands(levels: Sequence[float]) -> list[tuple[float, float]]:
    """Return the lowest and highest true total that belong to each level.

    Examples
    --------
    >>> level_bands([0, 2, 5, 10])
    [(0.0, 0.0), (2.0, 2.0), (4.0, 6.0), (8.0, 12.0)]
    """
    return [(float(np.ceil(each * (1 - BAND))), float(np.floor(each * (1 + BAND)))) for each in levels]


def spread_by_level(truth: np.ndarray, error: np.ndarray, levels: Sequence[float]) -> list[tuple[float, int]]:
    """Return the standard deviation of the errors of readings at each level, and their number; NaN under two.

    Parameters
    ----------
    truth, error : (n,) true totals, and reading minus truth
    """
    found = []
    for low, high in level_bands(levels):
        mine = error[(truth >= low) & (truth <= high)]
        found.append((float(mine.std(ddof=1)) if mine.size > 1 else float("nan"), int(mine.size)))
    return found


def detectable_change(error: Floats) -> float:
    """Return the smallest detectable change of one reading or score, from its errors (n,)."""
    return smallest_detectable_change(float(error.std(ddof=1)))


def detectable_change_of_two(first: Floats, second: Floats) -> float:
    """Return the smallest detectable change of the mean of two readers, from their totals (n,) of the same images."""
    return smallest_detectable_change(float((first - second).std(ddof=1)) / 2)


def planned_at_week(protocol: Protocol, week: float) -> int:
    """Return the column of the planned visit at this week.

    Raises
    ------
    ConfigError : there is none
    """
    weeks = [visit.week for visit in protocol.visits]
    if week not in weeks:
        raise ConfigError(
            f"expected a week of a planned visit under [expected] of the assumptions, found {week:g}; choose one of "
            f"{', '.join(map(str, weeks))}"
        )
    return weeks.index(int(week))
