"""Operating characteristics of the imaging half and power of the primary outcomes, from simulated trials.

The true score of every simulated image is known, so the figures show the effect of scoring noise alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.readings import AGAIN, MACHINE, READERS
from sparcc_pipeline.simulation.simulate import TAPER, SimulatedTrial
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.protocol.choices import ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol, TargetRules
from sparcc_pipeline.trial.remission import imaging_half

Floats = NDArray[np.float64]

SIGNIFICANCE: Final = 0.05
"""Two-sided level of the comparison of arms."""

SHOWN_TRUE_TOTALS: Final = 9
"""The share called as meeting the target is reported for true totals below this."""

METHODS: Final = ("one reader", "mean of two readers", "score that counts", "machine")
"""Kinds of scores; "score that counts" is the protocol's, with adjudication by a third reader."""


@dataclass(frozen=True, eq=False)
class TrialFigures:
    """Arrays of one simulated trial over participants and visits; NaN without a score.

    Parameters
    ----------
    truth : (participants, visits) true SPARCC
    scores : (participants, visits) scores by method
    asdas : (participants, visits) ASDAS
    tapering : (participants,) bool, True in the taper arm
    again : (participants, visits) totals of one reader, and of the same reader's second reading
    """

    truth: Floats
    scores: Mapping[str, Floats]
    asdas: Floats
    tapering: NDArray[np.bool_]
    again: tuple[Floats, Floats]


@dataclass(frozen=True)
class Flips:
    """Frequency of wrong calls of the imaging half that are due to scoring noise.

    Parameters
    ----------
    false_met : share called as meeting the target, of visits whose true score misses it
    false_missed : share called as missing the target, of visits whose true score meets it
    turned : share called wrongly, of all visits
    between_visits : share called differently, of pairs of consecutive visits whose true scores give the same answer
    chance_met : share called as meeting the target for a true total of 0, 1, 2, ...; NaN where no visit has that total
    """

    method: str
    definition: ImagingDefinition
    scored: int
    false_met: float
    false_missed: float
    turned: float
    between_visits: float
    chance_met: tuple[float, ...]


@dataclass(frozen=True)
class Power:
    """Change since baseline at the last visit, taper against control, adjusted for the baseline (ANCOVA).

    Parameters
    ----------
    analysed : mean number of participants analysed
    difference : mean over trials of taper minus control; positive is worse under taper
    standard_error : mean over trials
    different : share of trials in which the arms differ (two-sided 5 %)
    not_inferior : share of trials in which the upper end of the 95 % interval is below the margin
    """

    outcome: str
    analysed: float
    difference: float
    standard_error: float
    margin: float
    different: float
    not_inferior: float
    trials: int


def observe(trial: SimulatedTrial, assessments: Sequence[VisitAssessment], protocol: Protocol) -> TrialFigures:
    """Return the figures of one trial, from the same assessments as the reports."""
    shape = trial.truth.shape
    counted, asdas, machine = (np.full(shape, np.nan) for _ in range(3))
    rows = {name: number for number, name in enumerate(trial.randomised)}
    columns = {planned.visit: number for number, planned in enumerate(protocol.visits)}
    for each in assessments:
        row = rows.get(each.participant.participant)
        if row is not None:
            at = row, columns[each.planned.visit]
            counted[at] = np.nan if each.score.value is None else each.score.value
            asdas[at] = np.nan if each.asdas.value is None else each.asdas.value
            if each.machine is not None and each.machine.total is not None:
                machine[at] = each.machine.total
    first, second, again = (np.where(trial.imaged, trial.points[name].totals, np.nan) for name in (*READERS, AGAIN))
    machine = np.where(np.isnan(machine), np.nan, trial.points[MACHINE].totals)
    scores = dict(zip(METHODS, (first, (first + second) / 2, counted, machine), strict=True))
    tapering = np.array([trial.arms[name] == TAPER for name in trial.randomised])
    return TrialFigures(np.where(trial.imaged, trial.truth, np.nan), scores, asdas, tapering, (first, again))


def operating_characteristics(trials: Sequence[TrialFigures], rules: TargetRules) -> tuple[Flips, ...]:
    """Return the wrong calls over all trials and visits after the baseline, for each definition and method."""
    found = []
    for definition in ImagingDefinition:
        truth = np.concatenate([each.truth[:, 1:] for each in trials])
        for method in METHODS:
            score = np.concatenate([each.scores[method][:, 1:] for each in trials])
            found.append(_flips(method, definition, truth, score, rules))
    return tuple(found)


def changed_by_rereading(trials: Sequence[TrialFigures], definition: ImagingDefinition, rules: TargetRules) -> float:
    """Return the share of images for which the same reader's second reading changes the imaging half."""
    first, again = (np.concatenate([each.again[k][:, 1:].ravel() for each in trials]) for k in (0, 1))
    known = ~np.isnan(first) & ~np.isnan(again)
    return float((_met(first[known], definition, rules) != _met(again[known], definition, rules)).mean())


def power(trials: Sequence[TrialFigures], assumptions: Assumptions) -> tuple[Power, ...]:
    """Return the power for the primary outcomes: SPARCC by each method, and ASDAS."""
    outcomes = {
        f"SPARCC, {method}": (assumptions.margins.sparcc, [t.scores[method] for t in trials]) for method in METHODS
    }
    outcomes["ASDAS"] = (assumptions.margins.asdas, [t.asdas for t in trials])
    return tuple(
        _power(name, margin, [(values, t.tapering) for values, t in zip(series, trials, strict=True)])
        for name, (margin, series) in outcomes.items()
    )


def ancova(baseline: Floats, follow_up: Floats, group: NDArray[np.bool_]) -> tuple[float, float, int]:
    """Return the difference of two groups in the change since baseline, its standard error and degrees of freedom.

    Ordinary least squares of the change on an intercept, the group and the baseline; complete cases only.

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
    inverse = np.linalg.inv(x.T @ x)
    coefficients = inverse @ x.T @ y
    freedom = int(known.sum()) - x.shape[1]
    variance = float(((y - x @ coefficients) ** 2).sum()) / freedom
    return float(coefficients[1]), float(np.sqrt(variance * inverse[1, 1])), freedom


def _power(name: str, margin: float, trials: Sequence[tuple[Floats, NDArray[np.bool_]]]) -> Power:
    results = [ancova(values[:, 0], values[:, -1], tapering) for values, tapering in trials]
    reach = [float(special.stdtrit(freedom, 1 - SIGNIFICANCE / 2)) for _, _, freedom in results]
    return Power(
        outcome=name,
        analysed=float(np.mean([freedom + 3 for _, _, freedom in results])),
        difference=float(np.mean([estimate for estimate, _, _ in results])),
        standard_error=float(np.mean([error for _, error, _ in results])),
        margin=margin,
        different=float(np.mean([abs(e) > t * se for (e, se, _), t in zip(results, reach, strict=True)])),
        not_inferior=float(np.mean([e + t * se < margin for (e, se, _), t in zip(results, reach, strict=True)])),
        trials=len(results),
    )


def _met(score: Floats, definition: ImagingDefinition, rules: TargetRules) -> NDArray[np.bool_]:
    """(n,) bool: the imaging half of every score (n,), by the function that the reports use."""
    values, places = np.unique(score, return_inverse=True)
    answers = np.array([imaging_half(float(value), definition, rules).met for value in values], dtype=bool)
    return np.asarray(answers[places])


def _flips(method: str, definition: ImagingDefinition, truth: Floats, score: Floats, rules: TargetRules) -> Flips:
    known = ~np.isnan(truth) & ~np.isnan(score)
    should, called = np.zeros(truth.shape, dtype=bool), np.zeros(truth.shape, dtype=bool)
    should[known] = _met(truth[known], definition, rules)
    called[known] = _met(score[known], definition, rules)
    both = known[:, 1:] & known[:, :-1] & (should[:, 1:] == should[:, :-1])
    wrong = called != should
    return Flips(
        method,
        definition,
        int(known.sum()),
        _share(called, known & ~should),
        _share(~called, known & should),
        _share(wrong, known),
        _share(called[:, 1:] != called[:, :-1], both),
        tuple(_share(called, known & (truth == total)) for total in range(SHOWN_TRUE_TOTALS)),
    )


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(of[among].mean()) if among.any() else float("nan")
