"""Power of the primary outcomes of simulated trials: each outcome, both in their hierarchy, and the effect of dropout.

Contents: `Fit`, `fit_trial`, `power`, `joint_power`, `ancova`. The analysis is the change since baseline at the last
visit on arm and baseline. Missing values are imputed several times from all visits, arm and baseline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from sparcc_pipeline.simulation.assumptions import HIERARCHIES, Assumptions
from sparcc_pipeline.simulation.images import Bits, Floats
from sparcc_pipeline.trial.estimand.imputation import impute, pool

SIGNIFICANCE: Final = 0.05
"""Two-sided level of both primary outcomes together."""

IMPUTED: Final = "multiple imputation"
COMPLETE: Final = "complete cases"
WHOLE: Final = "nothing missing"
"""Analyses of one outcome: of the recorded values, of those who have both visits, and of all answers and images,
also those that a real trial never sees."""


@dataclass(frozen=True)
class Fit:
    """Difference of the arms in one trial: taper minus control, positive is worse under taper."""

    estimate: float
    error: float
    freedom: float
    analysed: int

    def upper(self, level: float) -> float:
        """Upper end of the interval with this two-sided level."""
        return self.estimate + float(special.stdtrit(self.freedom, 1 - level / 2)) * self.error

    @property
    def different(self) -> bool:
        """True if the arms differ at the two-sided level."""
        return abs(self.estimate) > float(special.stdtrit(self.freedom, 1 - SIGNIFICANCE / 2)) * self.error


Fits = Mapping[str, Fit]
"""Fits of one outcome of one trial, by analysis."""


@dataclass(frozen=True)
class Power:
    """Power of one outcome by one analysis.

    Parameters
    ----------
    analysed : mean number of participants analysed
    difference : mean over trials of taper minus control; positive is worse under taper
    bias : mean over trials of this difference minus that with nothing missing
    standard_error : mean over trials
    different : share of trials in which the arms differ (two-sided 5 %)
    not_inferior : share of trials in which the upper end of the 95 % interval is below the margin
    """

    outcome: str
    analysis: str
    analysed: float
    difference: float
    bias: float
    standard_error: float
    margin: float
    different: float
    not_inferior: float
    trials: int


@dataclass(frozen=True)
class JointPower:
    """Power of both primary outcomes, not inferior, in one hierarchy; the error of both together stays at 5 %.

    Parameters
    ----------
    sparcc, asdas : share of trials in which the outcome is shown
    both, one : share of trials with both, and with at least one
    """

    hierarchy: str
    sparcc: float
    asdas: float
    both: float
    one: float


def fit_trial(
    recorded: Floats, whole: Floats, tapering: Bits, imputations: int, generator: np.random.Generator
) -> dict[str, Fit]:
    """Return the fits of one outcome.

    Parameters
    ----------
    recorded : (participants, visits), NaN where missing
    whole : (participants, visits), as if nothing were missing
    tapering : (participants,) bool
    """
    fits = {}
    for name, values in ((COMPLETE, recorded), (WHOLE, whole)):
        estimate, error, freedom = ancova(values[:, 0], values[:, -1], tapering)
        fits[name] = Fit(estimate, error, freedom, freedom + 3)
    arm = tapering[:, None].astype(float)
    drawn = [impute(recorded, arm, generator) for _ in range(imputations)]
    found = [ancova(values[:, 0], values[:, -1], tapering) for values in drawn]
    pooled = pool([each[0] for each in found], [each[1] for each in found], len(tapering) - 3)
    fits[IMPUTED] = Fit(pooled.estimate, pooled.error, pooled.freedom, len(tapering))
    return fits


def ancova(baseline: Floats, follow_up: Floats, group: Bits) -> tuple[float, float, int]:
    """Return the difference of two groups in the change since baseline, its standard error and degrees of freedom.

    Ordinary least squares of the change on an intercept, the group and the baseline; missing values are left out.

    Parameters
    ----------
    baseline, follow_up : (participants,), NaN where missing
    group : (participants,) bool

    Examples
    --------
    The change is -2 in the first group and -1 in the second, whatever the baseline:

    >>> baseline = np.array([4.0, 6.0, 9.0, 5.0, 7.0, 8.0])
    >>> follow_up = np.array([2.0, 4.0, 7.0, 4.0, 6.0, 7.0])
    >>> difference, error, freedom = ancova(baseline, follow_up, np.array([0, 0, 0, 1, 1, 1], dtype=bool))
    >>> round(difference, 6), round(error, 6), freedom
    (1.0, 0.0, 3)
    """
    known = ~np.isnan(baseline) & ~np.isnan(follow_up)
    x = np.column_stack([np.ones(known.sum()), group[known], baseline[known]])
    y = follow_up[known] - baseline[known]
    inverse = np.linalg.pinv(x.T @ x)
    coefficients = inverse @ x.T @ y
    freedom = max(1, int(known.sum()) - x.shape[1])
    variance = float(((y - x @ coefficients) ** 2).sum()) / freedom
    return float(coefficients[1]), float(np.sqrt(variance * inverse[1, 1])), freedom


def power(outcome: str, analysis: str, margin: float, trials: Sequence[Fits]) -> Power:
    """Return the power of one outcome by one analysis."""
    fits = [each[analysis] for each in trials]
    return Power(
        outcome=outcome,
        analysis=analysis,
        analysed=float(np.mean([fit.analysed for fit in fits])),
        difference=float(np.mean([fit.estimate for fit in fits])),
        bias=float(np.mean([each[analysis].estimate - each[WHOLE].estimate for each in trials])),
        standard_error=float(np.mean([fit.error for fit in fits])),
        margin=margin,
        different=float(np.mean([fit.different for fit in fits])),
        not_inferior=float(np.mean([fit.upper(SIGNIFICANCE) < margin for fit in fits])),
        trials=len(fits),
    )


def joint_power(sparcc: Sequence[Fits], asdas: Sequence[Fits], assumptions: Assumptions) -> tuple[JointPower, ...]:
    """Return the power of both primary outcomes in every hierarchy, by multiple imputation.

    In a fixed order the second outcome is tested only if the first is shown. "Both required" is one claim of both.
    Holm: the clearer outcome at half of the level, the other at the whole level if the first is shown.
    Source: [Holm1979].
    """
    margins = assumptions.margins
    shown = {
        level: (_shown(sparcc, margins.sparcc, level), _shown(asdas, margins.asdas, level))
        for level in (SIGNIFICANCE, SIGNIFICANCE / 2)
    }
    (s, a), (s_half, a_half) = shown[SIGNIFICANCE], shown[SIGNIFICANCE / 2]
    # A pair of hypotheses: one is rejected at half of the level, and then the other at the whole level.
    claims = {
        "sparcc_then_asdas": (s, s & a),
        "asdas_then_sparcc": (a & s, a),
        "both_required": (s & a, s & a),
        "holm": (s_half | (a_half & s), a_half | (s_half & a)),
    }
    return tuple(
        JointPower(name, *(float(each.mean()) for each in (x, y, x & y, x | y)))
        for name, (x, y) in ((name, claims[name]) for name in HIERARCHIES)
    )


def _shown(trials: Sequence[Fits], margin: float, level: float) -> Bits:
    return np.array([each[IMPUTED].upper(level) < margin for each in trials], dtype=bool)
