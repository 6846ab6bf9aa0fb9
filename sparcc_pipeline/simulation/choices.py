"""What the choices of a protocol about several visits do: steps of the taper, called targets, flares.

Each figure compares an answer from the recorded values with the answer from the values without error.

Contents: `rule_figures`, `target_figures`, `flare_figures`, and the sums of them over trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import special

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.images import Bits, Floats
from sparcc_pipeline.simulation.items import item_points
from sparcc_pipeline.simulation.power import SIGNIFICANCE
from sparcc_pipeline.simulation.readings import READERS
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.simulation.steering import TAPER, Steering
from sparcc_pipeline.trial.course.answers import Answer
from sparcc_pipeline.trial.course.confirmation import Halves, confirmed_target, sustained_target
from sparcc_pipeline.trial.course.flare import FlareVisit, flare_by
from sparcc_pipeline.trial.cut_off import below
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.over_time import (
    Confirmation,
    CountsFrom,
    FlareDefinition,
    SustainedDefinition,
    SustainedRules,
    require_over_time,
)
from sparcc_pipeline.trial.remission import clinical_half, imaging_half

FLARES: Final = (
    (FlareDefinition.ASDAS_RISE, CountsFrom.PREVIOUS),
    (FlareDefinition.ASDAS_RISE, CountsFrom.LOWEST),
    (FlareDefinition.ASDAS_RISE, CountsFrom.START_OF_TAPER),
    (FlareDefinition.C_OPTIMISE, CountsFrom.START_OF_TAPER),
    (FlareDefinition.BASDAI, CountsFrom.START_OF_TAPER),
    (FlareDefinition.MRI_LESIONS, CountsFrom.START_OF_TAPER),
    (FlareDefinition.DANISH_TAPER, CountsFrom.START_OF_TAPER),
)
"""Definitions of a flare that a simulation compares, each with the visit from which it counts."""


@dataclass(frozen=True)
class Counts:
    """Calls by recorded values, and what the values without error answer.

    Parameters
    ----------
    asked : visits or participants with an answer
    called : with the answer "yes"
    false : of those called, "no" without error
    true : "yes" without error
    missed : of those, not called
    """

    asked: int = 0
    called: int = 0
    false: int = 0
    true: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Steps:
    """First steps of the taper arm under one rule.

    Parameters
    ----------
    participants : participants of the taper arm
    stepped, false : with a first step, and those whose values without error then miss what the rule asks for
    missed : without a step, although the values without error meet it at a visit that the rule asks about
    weeks : week of each first step
    """

    participants: int
    stepped: int
    false: int
    missed: int
    weeks: tuple[int, ...]


def counted(recorded: Sequence[Answer], true: Sequence[Answer]) -> Counts:
    """Return the counts of pairs of answers; a pair without an answer by the recorded values is left out."""
    pairs = [(r, t) for r, t in zip(recorded, true, strict=True) if r is not None and t is not None]
    called = [t for r, t in pairs if r]
    return Counts(
        asked=len(pairs),
        called=len(called),
        false=sum(not t for t in called),
        true=sum(t is True for _, t in pairs),
        missed=sum(t is True and not r for r, t in pairs),
    )


def rule_figures(trial: SimulatedTrial, protocol: Protocol, rule: Steering) -> Steps:
    """Return the first steps of one trial that was simulated under this rule."""
    tapering = np.array([trial.arms[name] == TAPER for name in trial.randomised])
    definition = protocol.dual_clinical if rule.dual else protocol.low_disease_activity
    meets = _clinical(trial.values.asdas_true, definition, protocol)
    if rule.dual:
        meets = meets & _imaging(trial.truth, protocol)
    weeks = np.array([visit.week for visit in protocol.visits])
    first = int(np.argmax(weeks >= protocol.full_dose_weeks))
    asked = slice(first, None if rule.any_visit else first + 1)
    stepped = tapering & (trial.first_steps >= 0)
    rows = np.flatnonzero(stepped)
    seen = meets[:, asked] & trial.values.attended[:, asked]
    return Steps(
        participants=int(tapering.sum()),
        stepped=len(rows),
        false=int((~meets[rows, trial.first_steps[rows]]).sum()),
        missed=int((tapering & ~stepped & seen.any(axis=1)).sum()),
        weeks=tuple(int(week) for week in weeks[trial.first_steps[rows]]),
    )


def target_figures(trial: SimulatedTrial, protocol: Protocol) -> dict[str, Counts]:
    """Return the counts of the target: by each condition that confirms it, and by each definition of sustained.

    A confirmed target is compared with both halves without error at the same visit, a sustained one with the same
    definition without error.
    """
    rules, start = protocol.target, protocol.full_dose_weeks
    later = [k for k, visit in enumerate(protocol.visits) if visit.week >= start]
    weeks = [visit.week for visit in protocol.visits]
    found = {f"target, {each.value}": Counts() for each in Confirmation}
    sustained = _sustained_rules(protocol)
    found |= {f"sustained, {name}": Counts() for name in sustained}
    for row in range(len(trial.randomised)):
        recorded, true = (_halves(trial, row, protocol, without_error=error) for error in (False, True))
        for each in Confirmation:
            calls = [confirmed_target(recorded[: k + 1], each) for k in later]
            found[f"target, {each.value}"] += counted(calls, [true[k].met for k in later])
        for name, (which, asked) in sustained.items():
            answers = []
            for halves, asdas in ((recorded, trial.values.asdas), (true, trial.values.asdas_true)):
                known = {week: _known(asdas[row, k]) for k, week in enumerate(weeks)}
                met = [half.met for half in halves]
                cut_off = rules.asdas_inactive_below
                answers.append(
                    [sustained_target(which, weeks[: k + 1], met[: k + 1], known, start, cut_off) for k in asked]
                )
            found[f"sustained, {name}"] += counted(*answers)
    return found


def flare_figures(trial: SimulatedTrial, protocol: Protocol) -> dict[str, dict[str, Counts]]:
    """Return the participants with a flare after the start of the taper, by definition and arm.

    Only participants with low ASDAS at the start of the taper, in both arms: the others have nothing to lose.
    """
    start = next(k for k, visit in enumerate(protocol.visits) if visit.week >= protocol.full_dose_weeks)
    found = {name: {arm.name: Counts() for arm in protocol.arms} for name in flare_names()}
    for row, who in enumerate(trial.randomised):
        at_start = _known(trial.values.asdas[row, start])
        if at_start is None or not below(at_start, protocol.target.asdas_low_below):
            continue
        courses = [_flare_course(trial, row, protocol, without_error=error) for error in (False, True)]
        for name, (definition, counts_from) in zip(flare_names(), FLARES, strict=True):
            rules = replace(protocol.target.flare, definition=definition, counts_from=counts_from)
            ever = [
                any(
                    flare_by(definition, course[: k + 1], rules, protocol.full_dose_weeks) is True
                    for k in range(start + 1, len(course))
                )
                for course in courses
            ]
            arm = trial.arms[who]
            found[name][arm] += counted([ever[0]], [ever[1]])
    return found


def flare_names() -> list[str]:
    """Return the name of each definition of a flare with the visit from which it counts."""
    return [f"{definition.value}, from {counts_from.value}" for definition, counts_from in FLARES]


def arms_differ(taper: Counts, control: Counts) -> bool:
    """Return True if the shares of two arms differ at the two-sided level (normal approximation, pooled variance)."""
    n, m = taper.asked, control.asked
    if not n or not m:
        return False
    pooled = (taper.called + control.called) / (n + m)
    error = float(np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)))
    limit = float(special.ndtri(1 - SIGNIFICANCE / 2))
    return error > 0 and abs(taper.called / n - control.called / m) > limit * error


def _sustained_rules(protocol: Protocol) -> dict[str, tuple[SustainedRules, range]]:
    """The definitions of sustained that the planned visits allow, each with the visits at which it is asked."""
    weeks = [visit.week for visit in protocol.visits]
    start = next(k for k, week in enumerate(weeks) if week >= protocol.full_dose_weeks)
    found = {}
    for definition in SustainedDefinition:
        rules = replace(protocol.target.sustained, definition=definition)
        try:
            require_over_time(rules, protocol.target.flare, tuple(weeks), protocol.full_dose_weeks, protocol.file)
        except ConfigError:
            continue
        found[definition.value] = (rules, range(start + 1, len(weeks)))
    return found


def _halves(trial: SimulatedTrial, row: int, protocol: Protocol, *, without_error: bool) -> list[Halves]:
    values = trial.values
    asdas = (values.asdas_true if without_error else values.asdas)[row]
    sparcc = trial.truth[row].astype(float) if without_error else values.sparcc[row]
    rules = protocol.target
    return [
        Halves(
            clinical_half(_known(asdas[k]), protocol.dual_clinical, rules).met,
            imaging_half(_known(sparcc[k]), protocol.dual_imaging, rules).met,
            visit.mri,
        )
        for k, visit in enumerate(protocol.visits)
    ]


def _flare_course(trial: SimulatedTrial, row: int, protocol: Protocol, *, without_error: bool) -> list[FlareVisit]:
    v = trial.values
    asdas, basdai = (v.asdas_true, v.basdai_true) if without_error else (v.asdas, v.basdai)
    course = []
    for k, visit in enumerate(protocol.visits):
        if without_error:
            points = {"": item_points(trial.true_points, row, k)}
        elif trial.imaged[row, k]:
            points = {name: item_points(trial.points[name], row, k) for name in READERS}
        else:
            points = {}
        course.append(FlareVisit(visit.week, _known(asdas[row, k]), _known(basdai[row, k]), points))
    return course


def _clinical(asdas: Floats, definition: ClinicalDefinition, protocol: Protocol) -> Bits:
    cut_off = protocol.target.clinical_cut_off(definition)
    return np.asarray(np.vectorize(lambda value: below(float(value), cut_off), otypes=[bool])(asdas))


def _imaging(sparcc: np.ndarray, protocol: Protocol) -> Bits:
    totals, places = np.unique(sparcc, return_inverse=True)
    met = np.array([imaging_half(float(each), protocol.dual_imaging, protocol.target).met for each in totals], bool)
    return np.asarray(met[places].reshape(sparcc.shape))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
