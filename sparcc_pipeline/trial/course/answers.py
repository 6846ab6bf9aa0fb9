"""Answers with three values over several visits: True, False, or None for unknown. Missing data is never a "no"."""

from __future__ import annotations

from collections.abc import Iterable

Answer = bool | None


def all_of(answers: Iterable[Answer]) -> Answer:
    """Return True if all answers are True, False if one is False, else None; None without an answer.

    Examples
    --------
    >>> all_of([True, True]), all_of([True, None]), all_of([False, None])
    (True, None, False)
    """
    known = list(answers)
    if False in known:
        return False
    return None if not known or None in known else True


def any_of(answers: Iterable[Answer]) -> Answer:
    """Return True if one answer is True, False if all are False, else None; None without an answer.

    Examples
    --------
    >>> any_of([False, True, None]), any_of([False, None]), any_of([False, False])
    (True, None, False)
    """
    known = list(answers)
    if True in known:
        return True
    return None if not known or None in known else False
