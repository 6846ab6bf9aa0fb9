"""Comparison of a value with a cut-off: the only place in the trial's rules that decides on which side a value is.

Binary fractions have no exact tenths: six BASDAI items with a mean of 4.0 give 3.9999999999999996. So both sides are
rounded to nine decimals, far finer than anything that a visit measures, and a value on a cut-off is on it.
"""

from __future__ import annotations

from typing import Final

DECIMALS: Final = 9
"""Decimals that are compared: items have one or two, and the error of a sum of tenths is in the sixteenth."""


def exact(value: float) -> float:
    """Return the value without the error of binary fractions.

    Examples
    --------
    >>> 4.1 - 3.0, exact(4.1 - 3.0)
    (1.0999999999999996, 1.1)
    """
    return round(value, DECIMALS)


def below(value: float, cut_off: float) -> bool:
    """Return True if the value is under the cut-off.

    Examples
    --------
    >>> 0.3 < 0.1 + 0.2, below(0.3, 0.1 + 0.2)
    (True, False)
    """
    return exact(value) < exact(cut_off)


def above(value: float, cut_off: float) -> bool:
    """Return True if the value is over the cut-off."""
    return below(cut_off, value)


def at_least(value: float, cut_off: float) -> bool:
    """Return True if the value is on the cut-off or over it.

    Examples
    --------
    >>> 4.1 - 3.0 >= 1.1, at_least(4.1 - 3.0, 1.1)
    (False, True)
    """
    return not below(value, cut_off)


def at_most(value: float, cut_off: float) -> bool:
    """Return True if the value is on the cut-off or under it."""
    return not below(cut_off, value)
