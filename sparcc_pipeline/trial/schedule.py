"""Visits, their windows, and the steps of the taper arm.

There: `timing`, `planned_at`, `taper_steps`, `step_criterion`. What is said of a step is whether the protocol's
criterion was met in the data: a record, never advice. Source: clinical reference, section 1; days and weeks come from
the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.remission import clinical_half


class Timing(Enum):
    """Where a visit lies against its window; the value is its name in tables."""

    IN_WINDOW = "in window"
    EARLY = "early"
    LATE = "late"
    UNKNOWN = "unknown"
    NOT_RECORDED = "not recorded"


class Criterion(Enum):
    """Is a criterion met; the value is its name in tables."""

    MET = "met"
    NOT_MET = "not met"
    NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True)
class TaperStep:
    """One step of the taper arm.

    Parameters
    ----------
    number : 0 is the full dose
    from_week : first week in which the protocol allows it
    observed_weeks : weeks over which its criterion for the next step is observed; None for the last step
    """

    number: int
    dose: str
    from_week: int
    observed_weeks: int | None


@dataclass(frozen=True)
class StepCriterion:
    """Was the criterion of a step met at the visits that decide on it?

    Parameters
    ----------
    step : number of the step that the criterion is for
    visits : the visits that decide
    state : met at all of them, not met at one, or not assessable
    """

    step: int
    visits: tuple[str, ...]
    state: Criterion


def timing(planned: PlannedVisit, day: int | None) -> Timing:
    """Where the day of a visit lies against its window, both ends included."""
    if day is None:
        return Timing.UNKNOWN
    if day < planned.day - planned.before_days:
        return Timing.EARLY
    return Timing.LATE if day > planned.day + planned.after_days else Timing.IN_WINDOW


def planned_at(protocol: Protocol, day: int) -> PlannedVisit | None:
    """The planned visit in whose window a day lies."""
    return next((visit for visit in protocol.visits if timing(visit, day) is Timing.IN_WINDOW), None)


def taper_steps(protocol: Protocol) -> tuple[TaperStep, ...]:
    """The full dose and the two steps.

    Raises
    ------
    ConfigError : the protocol leaves a dose or the observation unset
    """
    protocol.require("first_step", "observation_weeks", "second_step")
    first, second = protocol.full_dose_weeks, protocol.full_dose_weeks + protocol.observation_weeks
    return (
        TaperStep(0, protocol.full_dose, 0, protocol.full_dose_weeks),
        TaperStep(1, protocol.step_dose("first_step"), first, protocol.observation_weeks),
        TaperStep(2, protocol.step_dose("second_step"), second, None),
    )


def step_criterion(protocol: Protocol, step: int, stepped_at: int, asdas: Mapping[str, float | None]) -> StepCriterion:
    """Was the criterion for the next step met: low disease activity, for step 2 at every visit of the observation?

    Parameters
    ----------
    step : 1 or 2, the step that the criterion is for
    stepped_at : week from which the current dose was taken: 0 for step 1, the week of the first step for step 2
    asdas : value at each visit, by its identifier; a visit that is absent or None is not assessable

    Raises
    ------
    ConfigError : the protocol leaves the definition or the observation unset
    """
    protocol.require("low_disease_activity", "observation_weeks")
    if step == 1:
        weeks = range(stepped_at + protocol.full_dose_weeks, stepped_at + protocol.full_dose_weeks + 1)
    else:
        weeks = range(stepped_at, stepped_at + protocol.observation_weeks + 1)
    decide = [visit.visit for visit in protocol.visits if visit.week in weeks]
    definition, rules = protocol.low_disease_activity, protocol.target
    met = [clinical_half(asdas.get(visit), definition, rules).met for visit in decide]
    return StepCriterion(step, tuple(decide), _all_met(met))


def _all_met(met: Sequence[bool | None]) -> Criterion:
    if False in met:
        return Criterion.NOT_MET
    return Criterion.NOT_ASSESSABLE if not met or None in met else Criterion.MET
