"""All agreement figures of one pair: two readers, one reader twice, or the machine and a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.trial.agreement.icc import IccForm, MeanSquares, icc_of_one, mean_squares
from sparcc_pipeline.trial.agreement.kappa import kappa_of_table, pabak, weighted_kappa
from sparcc_pipeline.trial.agreement.measures import (
    Agreement,
    Estimate,
    FloatVector,
    IndexVector,
    bootstrap,
    clustered_limits,
    smallest_detectable_change,
)

SQRT_2: Final = float(np.sqrt(2))

FEWEST_PAIRS: Final = 3
"""Fewer pairs give no agreement figure."""


@dataclass(frozen=True)
class TotalAgreement:
    """Agreement of two series of totals; the intervals of ICC, kappa and detectable change come from the bootstrap.

    Parameters
    ----------
    pairs, participants : their number
    icc_agreement : ICC(2,1), which a systematic difference lowers
    icc_consistency : ICC(3,1), which a systematic difference does not change
    weighted : kappa with quadratic weights, of the totals as ordered categories
    bland_altman : second minus first
    sem : standard error of measurement, of one total or of one change
    sdc : smallest detectable change of one reader's change
    """

    pairs: int
    participants: int
    icc_agreement: Estimate | None
    icc_consistency: Estimate | None
    weighted: Estimate | None
    bland_altman: Agreement
    sem: float
    sdc: Estimate

    @property
    def sdc_of_two(self) -> Estimate:
        """Smallest detectable change of the mean of two readers, whose errors are independent."""
        ends = (None if end is None else end / SQRT_2 for end in (self.sdc.low, self.sdc.high))
        return Estimate(self.sdc.value / SQRT_2, *ends)


@dataclass(frozen=True)
class QuadrantAgreement:
    """Agreement of two readings of the same quadrants, each 0 or 1.

    Parameters
    ----------
    quadrants, participants : number that both evaluated
    first_positive, second_positive : number of quadrants with 1
    kappa : Cohen's kappa; None where chance explains all
    adjusted : kappa adjusted for prevalence and bias
    agreed : share of quadrants with the same point in both
    """

    quadrants: int
    participants: int
    first_positive: int
    second_positive: int
    kappa: Estimate | None
    adjusted: Estimate
    agreed: float


def total_agreement(
    first: Sequence[float], second: Sequence[float], participants: Sequence[str], seed: int, *, of_change: bool = False
) -> TotalAgreement | None:
    """Return the agreement of paired totals; None with fewer than FEWEST_PAIRS.

    Parameters
    ----------
    of_change : True if the values are changes: their error is that of two totals already, so the smallest detectable
        change is 1.96 times the standard error and not 1.96 * sqrt(2) times

    Raises
    ------
    ValueError : the series differ in length
    """
    both = np.array([first, second], dtype=float).T
    if len(both) != len(participants):
        raise ValueError(f"expected a participant for each pair, found {len(participants)} for {len(both)}")
    if len(both) < FEWEST_PAIRS:
        return None
    intervals = bootstrap(lambda rows: _total_figures(both[rows], of_change), participants, seed)
    consistency, absolute, weighted, sdc = (
        _estimate(value, interval) for value, interval in zip(_total_figures(both, of_change), intervals, strict=True)
    )
    sem = _sem(mean_squares(both))
    return TotalAgreement(
        len(both),
        len(set(participants)),
        absolute,
        consistency,
        weighted,
        clustered_limits((both[:, 1] - both[:, 0]).tolist(), participants, seed),
        sem,
        sdc or Estimate(_sdc(sem, of_change)),
    )


def quadrant_agreement(
    first: Sequence[int | None], second: Sequence[int | None], participants: Sequence[str], seed: int
) -> QuadrantAgreement | None:
    """Return the agreement of paired quadrants; None with fewer than FEWEST_PAIRS.

    Quadrants that are not evaluable in one of both (None) are left out.

    Examples
    --------
    Four quadrants of two participants; one is not evaluable for the second reader:

    >>> found = quadrant_agreement([1, 0, 0, 1], [1, 0, 1, None], ["P1", "P1", "P2", "P2"], seed=1)
    >>> found.quadrants, found.first_positive, found.second_positive, round(found.agreed, 2)
    (3, 1, 2, 0.67)
    """
    tables: dict[str, NDArray[np.int64]] = {}
    for a, b, participant in zip(first, second, participants, strict=True):
        if a is not None and b is not None:
            tables.setdefault(participant, np.zeros((2, 2), dtype=np.int64))[a, b] += 1
    if sum(int(table.sum()) for table in tables.values()) < FEWEST_PAIRS:
        return None
    # The bootstrap draws whole participants, so it needs one table of each and not the single quadrants.
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


def _total_figures(both: FloatVector, of_change: bool) -> list[float]:
    """ICC(3,1), ICC(2,1), weighted kappa and smallest detectable change of totals (pairs, 2)."""
    squares = mean_squares(both)
    values = [icc_of_one(squares, form) for form in (IccForm.ICC_3_1, IccForm.ICC_2_1)]
    found = [float("nan") if each is None else each for each in values]
    return [*found, weighted_kappa(both[:, 0], both[:, 1]), _sdc(_sem(squares), of_change)]


def _sdc(sem: float, of_change: bool) -> float:
    return smallest_detectable_change(sem) / (SQRT_2 if of_change else 1.0)


def _sem(squares: MeanSquares) -> float:
    """`within_subject_sd` of complete pairs."""
    return float(np.sqrt(squares.within_targets))


def _estimate(value: float, interval: tuple[float, float] | None) -> Estimate | None:
    if not np.isfinite(value):
        return None
    return Estimate(value, *(interval or (None, None)))
