"""Recorded dose steps of a participant against the protocol: the criterion of each step, and what contradicts it.

A record of criteria, never advice. A criterion is assessable only while the dose is the one that it observes: not after
a return to an earlier step, not before the end of the observation, and not where no planned visit reaches that end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.schedule import Criterion, StepCriterion, end_of_observation, step_criterion


class DoseFault(Enum):
    """Contradictions of recorded steps; the value is the note in tables."""

    ARM_WITHOUT_STEPS = "this arm has no dose step"
    NO_ARM = "the allocation has no arm of this participant"
    RETURN = "an earlier step than before is recorded"
    EARLY = "the step is recorded before its observation ended"
    NOT_BEGUN = "the step before is not recorded"
    NO_VISIT = "no planned visit is at the end of the observation"


@dataclass(frozen=True)
class RecordedDose:
    """The step recorded at one visit; 0 is the full dose."""

    planned: PlannedVisit
    step: int


@dataclass(frozen=True)
class StepRecord:
    """One step of one participant: its criterion, the visit from which it is recorded, and why it is not assessable."""

    criterion: StepCriterion
    recorded: PlannedVisit | None
    fault: DoseFault | None


def recorded_doses(participant: str, steps: Mapping[tuple[str, str], int], protocol: Protocol) -> list[RecordedDose]:
    """Return the recorded steps of a participant in the order of the visits."""
    return [
        RecordedDose(visit, steps[participant, visit.visit])
        for visit in protocol.visits
        if (participant, visit.visit) in steps
    ]


def first_recorded(doses: Sequence[RecordedDose], step: int) -> PlannedVisit | None:
    """Return the first visit at which this step or a later one is recorded."""
    return next((dose.planned for dose in doses if dose.step >= step), None)


def returns(doses: Sequence[RecordedDose]) -> list[PlannedVisit]:
    """Return the visits at which an earlier step than at the recorded visit before is recorded.

    Examples
    --------
    >>> visits = [PlannedVisit(f"W{week}", "", week, 14, 14) for week in (12, 24, 36)]
    >>> [visit.visit for visit in returns([RecordedDose(v, s) for v, s in zip(visits, (1, 0, 1))])]
    ['W24']
    """
    return [later.planned for before, later in zip(doses, doses[1:], strict=False) if later.step < before.step]


def step_record(
    protocol: Protocol, step: int, doses: Sequence[RecordedDose], asdas: Mapping[str, float | None]
) -> StepRecord:
    """Return the criterion of a step with the visit at which it is recorded.

    Parameters
    ----------
    asdas : ASDAS at each visit

    Raises
    ------
    ConfigError : the protocol leaves the definition or the observation unset
    """
    recorded = first_recorded(doses, step)
    begun = protocol.baseline if step == 1 else first_recorded(doses, step - 1)
    if begun is None:
        return StepRecord(StepCriterion(step, (), Criterion.NOT_ASSESSABLE), recorded, DoseFault.NOT_BEGUN)
    criterion = step_criterion(protocol, step, begun.week, asdas)
    fault = _fault(protocol, step, begun, recorded, doses)
    if fault is not None:
        criterion = StepCriterion(step, criterion.visits, Criterion.NOT_ASSESSABLE)
    return StepRecord(criterion, recorded, fault)


def _fault(
    protocol: Protocol,
    step: int,
    begun: PlannedVisit,
    recorded: PlannedVisit | None,
    doses: Sequence[RecordedDose],
) -> DoseFault | None:
    end = end_of_observation(protocol, step, begun.week)
    if recorded is not None and (end is None or recorded.week < end.week):
        return DoseFault.EARLY
    last = recorded or end or protocol.visits[-1]
    if any(begun.week < visit.week <= last.week for visit in returns(doses)):
        return DoseFault.RETURN
    return DoseFault.NO_VISIT if end is None else None
