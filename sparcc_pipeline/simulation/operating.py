"""Operating characteristics of the imaging half, from simulated trials; the power is in `power.py`.

The true score of every simulated image is known, so the figures show the effect of scoring noise alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.simulation.readings import AGAIN, MACHINE, READERS
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.simulation.steering import TAPER
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.protocol.choices import ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol, TargetRules
from sparcc_pipeline.trial.remission import imaging_half

Floats = NDArray[np.float64]

SHOWN_TRUE_TOTALS: Final = 9
"""The share called as meeting the target is reported for true totals below this."""

ASDAS: Final = "ASDAS"

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
    whole : (participants, visits) the same scores and "ASDAS" with nothing missing; the score that counts is then the
        mean of two readers
    tapering : (participants,) bool, True in the taper arm
    again : (participants, visits) totals of one reader, and of the same reader's second reading
    """

    truth: Floats
    scores: Mapping[str, Floats]
    asdas: Floats
    whole: Mapping[str, Floats]
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
    truth = np.where(trial.imaged, trial.truth, np.nan)
    return TrialFigures(truth, scores, asdas, whole_values(trial), tapering, (first, again))


def whole_values(trial: SimulatedTrial) -> dict[str, Floats]:
    """Return scores by method, and ASDAS, of every participant and visit, as if nothing were missing."""
    first, second, machine = (trial.points[name].totals.astype(float) for name in (*READERS, MACHINE))
    two = (first + second) / 2
    return {**dict(zip(METHODS, (first, two, two, machine), strict=True)), ASDAS: trial.values.asdas_answered}


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
