"""The visible height of a joint decides which quadrants are scored: both levels, one level undivided, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sparcc_pipeline.anatomy import Level

UNDIVIDED_BELOW_MM: Final = 30.0
"""A visible joint shorter than this is not divided into upper and lower quadrants. Source: [SpaImaging]."""

NOT_SCORED_UP_TO_MM: Final = 10.0
"""A visible joint of this height or less is not scored on this slice. Source: [SpaImaging]."""


def scored_levels(heights_mm: Sequence[float]) -> tuple[tuple[Level, ...], ...]:
    """Return the levels that are scored on each slice of one joint, from its visible heights, anterior to posterior.

    A joint of 3 cm or more has both levels. A shorter one is not divided: all of it is one level. In front it is the
    upper level, because the rule is about the upper anterior joint space ([SpaImaging], as this project reads it).
    Behind the last slice that shows 3 cm it is the lower level, because the upper part has become ligamentous there:
    decision of this project. A joint that is short on every slice counts as upper.

    Examples
    --------
    Short in front, too short to score, full on two slices, and short behind them:

    >>> [[level.value for level in levels] for levels in scored_levels([9.0, 22.0, 38.0, 35.0, 24.0, 10.0])]
    [[], ['upper'], ['upper', 'lower'], ['upper', 'lower'], ['lower'], []]
    >>> scored_levels([24.0]) == ((Level.UPPER,),)
    True
    """
    full = [position for position, height in enumerate(heights_mm) if height >= UNDIVIDED_BELOW_MM]
    last_full = full[-1] if full else len(heights_mm)
    return tuple(_levels(height, position > last_full) for position, height in enumerate(heights_mm))


def _levels(height_mm: float, behind_full_height: bool) -> tuple[Level, ...]:
    if height_mm <= NOT_SCORED_UP_TO_MM:
        return ()
    if height_mm >= UNDIVIDED_BELOW_MM:
        return tuple(Level)
    return (Level.LOWER,) if behind_full_height else (Level.UPPER,)
