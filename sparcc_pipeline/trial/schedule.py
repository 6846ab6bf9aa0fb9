"""Visits, their windows, and the steps of the taper arm. Source: [Registry]; days and weeks come from the protocol.

For each step the data show whether the protocol's criterion was met. This is a record, never advice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.remission import clinical_half


class Timing(Enum):
    """Timing of a visit relative to its window; the value is the name in tables."""

    IN_WINDOW = "in window"
    EARLY = "early"
    LATE = "late"
    UNKNOWN = "unknown"
    NOT_RECORDED = "not recorded"


class Criterion(Enum):
    """State of the criterion of a step; the value is the name in tables."""

    MET = "met"
    NOT_MET = "not met"
    NOT_ASSESSABLE = "not assessable"


@dataclass(frozen=True)
class TaperStep:
    """One step of the taper arm.

    Parameters
    ----------
    number : 0 for the full dose
    from_week : first week in which the protocol allows the step
    observed_weeks : weeks over which the criterion of the next step is observed; None for the last step
    """

    number: int
    dose: str
    from_week: int
    observed_weeks: int | None


@dataclass(frozen=True)
class StepCriterion:
    """State of the criterion of a step.

    Parameters
    ----------
    step : number of the step that the criterion allows
    visits : the visits that decide
    state : met at all of these visits, not met at one, or not assessable
    """

    step: int
    visits: tuple[str, ...]
    state: Criterion


def timing(planned: PlannedVisit, day: int | None) -> Timing:
    """Return the timing of a visit on `day` relative to its window; both ends belong to the window.

    Examples
    --------
    Week 12 is day 84; the window is 14 days either side:

    >>> week_12 = PlannedVisit("W12", "week 12", week=12, before_days=14, after_days=14)
    >>> [timing(week_12, day).value for day in (69, 70, 98, 99)]
    ['early', 'in window', 'in window', 'late']
    """
    if day is None:
        return Timing.UNKNOWN
    if day < planned.day - planned.before_days:
        return Timing.EARLY
    return Timing.LATE if day > planned.day + planned.after_days else Timing.IN_WINDOW


def planned_at(protocol: Protocol, day: int) -> PlannedVisit | None:
    """Return the planned visit whose window includes `day`; None outside all windows."""
    return next((visit for visit in protocol.visits if timing(visit, day) is Timing.IN_WINDOW), None)


def taper_steps(protocol: Protocol) -> tuple[TaperStep, ...]:
    """Return the full dose and the two steps.

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
    """Return the state of the criterion of a step: low disease activity, for step 2 at every visit of the observation.

    Parameters
    ----------
    step : 1 or 2, the step that the criterion allows
    stepped_at : first week of the current dose: 0 for step 1, the week of the first step for step 2
    asdas : ASDAS at each visit, by identifier of the visit; a visit that is absent or None is not assessable

    Raises
    ------
    ConfigError : the protocol leaves the definition or the observation unset

    Examples
    --------
    The first step needs ASDAS under 2.1 after 12 weeks of the full dose:

    >>> from sparcc_pipeline.trial.protocol.definition import TargetRules
    >>> visits = tuple(PlannedVisit(f"W{week}", "", week, 14, 14) for week in (0, 12, 24))
    >>> target = TargetRules(1.3, 2.1, 2.0)
    >>> chosen = {"low_disease_activity": "asdas_low", "observation_weeks": 12}
    >>> protocol = Protocol("a.toml", "A", "", 1, (), visits, "", 12, None, None, target, None, chosen, {}, {})
    >>> step_criterion(protocol, 1, 0, {"W0": 3.4, "W12": 1.9})
    StepCriterion(step=1, visits=('W12',), state=<Criterion.MET: 'met'>)
    >>> step_criterion(protocol, 2, 12, {"W0": 3.4, "W12": 1.9, "W24": 2.5}).state.value
    'not met'
    """
    protocol.require("low_disease_activity", "observation_weeks")
    end = end_of_observation(protocol, step, stepped_at)
    last = protocol.visits[-1].week if end is None else end.week
    first = last if step == 1 and end is not None else stepped_at
    decide = [visit.visit for visit in protocol.visits if first <= visit.week <= last]
    definition, rules = protocol.low_disease_activity, protocol.target
    met = [clinical_half(asdas.get(visit), definition, rules).met for visit in decide]
    if end is None:
        # The criterion needs the whole observation, so visits of a part of it can only contradict it.
        met.append(None)
    return StepCriterion(step, tuple(decide), _all_met(met))


def end_of_observation(protocol: Protocol, step: int, stepped_at: int) -> PlannedVisit | None:
    """Return the first planned visit at which the dose before a step was taken long enough; None if none is planned.

    Parameters
    ----------
    step, stepped_at : as in `step_criterion`

    Raises
    ------
    ConfigError : the protocol leaves the observation unset
    """
    weeks = protocol.full_dose_weeks if step == 1 else protocol.observation_weeks
    return next((visit for visit in protocol.visits if visit.week >= stepped_at + weeks), None)


def _all_met(met: Sequence[bool | None]) -> Criterion:
    if False in met:
        return Criterion.NOT_MET
    return Criterion.NOT_ASSESSABLE if not met or None in met else Criterion.MET
