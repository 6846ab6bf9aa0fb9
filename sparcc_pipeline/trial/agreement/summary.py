"""All figures of agreement of one pair: reader against reader, a reader with himself, machine against reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.trial.agreement.kappa import kappa_of_table, pabak, weighted_kappa
from sparcc_pipeline.trial.agreement.measures import (
    Agreement,
    Estimate,
    FloatVector,
    IccForm,
    IndexVector,
    MeanSquares,
    bootstrap,
    icc_of_one,
    limits_of_agreement,
    mean_squares,
    smallest_detectable_change,
)

FEWEST_PAIRS: Final = 3
"""Fewer pairs of totals or quadrants give no figure of agreement."""


@dataclass(frozen=True)
class TotalAgreement:
    """Of two series of totals. The intervals of ICC, kappa and detectable change are from the bootstrap.

    Parameters
    ----------
    pairs, participants : how many
    icc_agreement : ICC(2,1): a systematic difference counts against it
    icc_consistency : ICC(3,1): it does not
    weighted : kappa with quadratic weights, of the totals as ordered categories
    bland_altman : second minus first
    sem, sdc : standard error of measurement, smallest detectable change of one total
    """

    pairs: int
    participants: int
    icc_agreement: Estimate | None
    icc_consistency: Estimate | None
    weighted: Estimate | None
    bland_altman: Agreement
    sem: float
    sdc: Estimate


@dataclass(frozen=True)
class QuadrantAgreement:
    """Of the same quadrants called 0 or 1 twice.

    Parameters
    ----------
    quadrants, participants : how many that both evaluated
    first_positive, second_positive : quadrants called 1
    kappa : Cohen's; None where chance explains all
    adjusted : kappa adjusted for prevalence and bias
    agreed : share on which both say the same
    """

    quadrants: int
    participants: int
    first_positive: int
    second_positive: int
    kappa: Estimate | None
    adjusted: Estimate
    agreed: float


def total_agreement(
    first: Sequence[float], second: Sequence[float], participants: Sequence[str], seed: int
) -> TotalAgreement | None:
    """The figures of paired totals; None with fewer than FEWEST_PAIRS.

    Raises
    ------
    ValueError : the series differ in length
    """
    both = np.array([first, second], dtype=float).T
    if len(both) != len(participants):
        raise ValueError(f"expected a participant for each pair, found {len(participants)} for {len(both)}")
    if len(both) < FEWEST_PAIRS:
        return None
    intervals = bootstrap(lambda rows: _total_figures(both[rows]), participants, seed)
    consistency, absolute, weighted, sdc = (
        _estimate(value, interval) for value, interval in zip(_total_figures(both), intervals, strict=True)
    )
    sem = _sem(mean_squares(both))
    return TotalAgreement(
        len(both),
        len(set(participants)),
        absolute,
        consistency,
        weighted,
        limits_of_agreement((both[:, 1] - both[:, 0]).tolist()),
        sem,
        sdc or Estimate(smallest_detectable_change(sem)),
    )


def quadrant_agreement(
    first: Sequence[int | None], second: Sequence[int | None], participants: Sequence[str], seed: int
) -> QuadrantAgreement | None:
    """The figures of paired quadrants; not evaluable ones (None) are left out. None with fewer than FEWEST_PAIRS."""
    tables: dict[str, NDArray[np.int64]] = {}
    for a, b, participant in zip(first, second, participants, strict=True):
        if a is not None and b is not None:
            tables.setdefault(participant, np.zeros((2, 2), dtype=np.int64))[a, b] += 1
    if sum(int(table.sum()) for table in tables.values()) < FEWEST_PAIRS:
        return None
    # Whole participants are drawn, so one table of each is all that the bootstrap needs.
    counts = np.stack(list(tables.values()))

    def figures(chosen: IndexVector) -> list[float]:
        table = counts[chosen].sum(axis=0)
        return [kappa_of_table(table, 1 - np.eye(2)), pabak(table)]

    kappa, adjusted = bootstrap(figures, list(tables), seed)
    values = figures(np.arange(len(counts)))
    whole = counts.sum(axis=0)
    return QuadrantAgreement(
        int(whole.sum()),
        len(counts),
        int(whole[1].sum()),
        int(whole[:, 1].sum()),
        _estimate(values[0], kappa),
        _estimate(values[1], adjusted) or Estimate(values[1]),
        float(np.trace(whole) / whole.sum()),
    )


def _total_figures(both: FloatVector) -> list[float]:
    """ICC(3,1), ICC(2,1), weighted kappa and smallest detectable change of (pairs, 2) totals."""
    squares = mean_squares(both)
    values = [icc_of_one(squares, form) for form in (IccForm.ICC_3_1, IccForm.ICC_2_1)]
    found = [float("nan") if each is None else each for each in values]
    return [*found, weighted_kappa(both[:, 0], both[:, 1]), smallest_detectable_change(_sem(squares))]


def _sem(squares: MeanSquares) -> float:
    """`within_subject_sd` of complete pairs."""
    return float(np.sqrt(squares.within_targets))


def _estimate(value: float, interval: tuple[float, float] | None) -> Estimate | None:
    if not np.isfinite(value):
        return None
    return Estimate(value, *(interval or (None, None)))
