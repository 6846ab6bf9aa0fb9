"""Results of an analysis: numbers of participants, effects, tipping points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparcc_pipeline.trial.estimand.analysis_set import AnalysisSet
from sparcc_pipeline.trial.protocol.analysis import Estimand


@dataclass(frozen=True)
class Counts:
    """Numbers of one arm behind an estimate.

    Parameters
    ----------
    randomised : participants of the arm in the allocation
    without_data : of these, participants who are in no table of data; they cannot be analysed
    observed : values at the visit as observed
    used : values at the visit after the strategies
    imputed : participants in the data without a value after the strategies
    events : participants with each intercurrent event before the value, by name of the event
    """

    randomised: int
    without_data: int
    observed: int
    used: int
    imputed: int
    events: Mapping[str, int]


@dataclass(frozen=True)
class Estimate:
    """An effect with its interval and p value. Two-sided; for non-inferiority p is twice the one-sided p.

    Parameters
    ----------
    freedom : degrees of freedom; infinity for a normal distribution
    tested, other : adjusted mean, or mean adjusted probability, of each arm
    analysed : number of participants of the test arm and of the other arm in the model
    imputation_share : share of the variance that comes from the imputation; None without imputation
    """

    estimate: float
    error: float
    freedom: float
    low: float
    high: float
    p: float
    tested: float
    other: float
    analysed: tuple[int, int]
    imputation_share: float | None = None


@dataclass(frozen=True)
class Tipping:
    """The result after imputed values of the test arm were made worse by a shift, or a share of its answers turned."""

    shift: float
    estimate: Estimate
    succeeds: bool


@dataclass(frozen=True)
class EstimandResult:
    """All results of one estimand.

    Parameters
    ----------
    primary, complete_cases : None where not estimable; the reason is in `note`
    adjusted_p : p adjusted for several primary estimands; None for a secondary one
    tips_at : smallest shift at which the conclusion changes; None if it does not, or if nothing is imputed
    """

    estimand: Estimand
    counts: tuple[Counts, Counts]
    primary: Estimate | None
    complete_cases: Estimate | None
    adjusted_p: float | None
    tipping: tuple[Tipping, ...]
    note: str | None
    of: AnalysisSet

    @property
    def tips_at(self) -> float | None:
        """The smallest shift at which the conclusion is another one than without a shift."""
        return next((t.shift for t in self.tipping if t.succeeds != self.tipping[0].succeeds), None)
