"""The criterion of each step of the taper arm, unblinded. A record of criteria, never advice.

Contents: `step_table`, `ask_about_doses`, `dose_faults`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sparcc_pipeline.app.results.tables import Row, Table
from sparcc_pipeline.app.trial_data import columns as out
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.unblinded.allocation import Allocation, Dosing
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.doses import DoseFault, StepRecord, first_recorded, recorded_doses, returns, step_record
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.records import QueryKind, TrialData
from sparcc_pipeline.trial.schedule import Criterion, StepCriterion, TaperStep, end_of_observation, taper_steps

_QUESTIONS: Final = {
    DoseFault.ARM_WITHOUT_STEPS: (
        Message("the full dose at every visit of this arm"),
        Message("this arm has no dose step"),
        Message("check arm and step; if both are right, record the deviation"),
    ),
    DoseFault.NO_ARM: (
        Message("an arm for each participant with a step"),
        Message("the allocation has no arm of this participant"),
        Message("complete the allocation"),
    ),
    DoseFault.RETURN: (
        Message("the step of the visit before, or the next one"),
        Message("an earlier step than before is recorded"),
        Message("check the step; if it is right, record why and the date"),
    ),
    DoseFault.EARLY: (
        Message("a step after the observation of the dose before"),
        Message("the step is recorded before its observation ended"),
        Message("check visit and step; if both are right, record the deviation"),
    ),
    DoseFault.NO_VISIT: (
        Message("a planned visit at the end of the observation"),
        Message("no planned visit is at the end of the observation"),
        Message("check visit and step; the criterion of the next step is not assessable"),
    ),
}
"""Expected, found, and what to do, for each contradiction."""

TAPER_ARM: Final = "taper"
"""Name of the arm with steps in the protocol file. Source: [Registry]."""


def step_table(data: TrialData, allocation: Allocation, dosing: Dosing, protocol: Protocol) -> Table:
    """Return one row a participant and step: criterion, visit of the recorded step, and why it is not assessable.

    The rows are those of the taper arm, and of every other participant with a recorded step: none is left out.

    Raises
    ------
    ConfigError : the protocol leaves a step, the observation or low disease activity unset
    """
    rows: list[Row] = []
    for participant in (each.participant for each in data.participants):
        arm = allocation.arms.get(participant)
        doses = recorded_doses(participant, dosing.steps, protocol)
        asdas = {
            visit.visit: instrument_results(visit, protocol)[protocol.instruments.asdas_form.instrument].value
            for visit in data.visits
            if visit.participant == participant
        }
        for step in taper_steps(protocol)[1:]:
            found = step_record(protocol, step.number, doses, asdas)
            if arm != TAPER_ARM:
                if found.recorded is None:
                    continue
                fault = DoseFault.NO_ARM if arm is None else DoseFault.ARM_WITHOUT_STEPS
                criterion = StepCriterion(step.number, (), Criterion.NOT_ASSESSABLE)
                found = StepRecord(criterion, found.recorded, fault)
            rows.append(_row(participant, arm, step, found, returns(doses)))
    return Table(out.STEPS, rows)


def _row(participant: str, arm: str | None, step: TaperStep, found: StepRecord, back: Sequence[PlannedVisit]) -> Row:
    state = found.criterion.state
    row: dict[str, Any] = {
        "participant": participant,
        "arm": arm,
        "step": step.number,
        "dose": step.dose,
        "criterion": state.value,
        "visits": " ".join(found.criterion.visits) or None,
        "recorded_at": found.recorded and found.recorded.visit,
        "returned_at": " ".join(visit.visit for visit in back) or None,
        "note": found.fault and found.fault.value,
    }
    if found.recorded is not None and state is not Criterion.NOT_ASSESSABLE:
        row["agrees"] = state is Criterion.MET
    return row


def ask_about_doses(
    data: TrialData, allocation: Allocation, dosing: Dosing, protocol: Protocol, queries: Queries
) -> None:
    """Ask about recorded steps that contradict the arm or the protocol: none of them is assessable.

    Raises
    ------
    ConfigError : the protocol leaves the observation or low disease activity unset
    """
    for participant in (each.participant for each in data.participants):
        for visit, fault in dose_faults(participant, allocation, dosing, protocol):
            row = dosing.rows.get((participant, visit.visit))
            expected, found, remedy = _QUESTIONS[fault]
            kind = QueryKind.IMPLAUSIBLE
            queries.ask(kind, row, "dose_step", expected, found, remedy, left_out="nothing", visit=visit.visit)


def dose_faults(
    participant: str, allocation: Allocation, dosing: Dosing, protocol: Protocol
) -> list[tuple[PlannedVisit, DoseFault]]:
    """Return the recorded steps of a participant that contradict arm or protocol, with their visits.

    Raises
    ------
    ConfigError : the protocol leaves the observation or low disease activity unset
    """
    arm, doses = allocation.arms.get(participant), recorded_doses(participant, dosing.steps, protocol)
    faults = [(visit, DoseFault.RETURN) for visit in returns(doses)]
    for step in (1, 2):
        visit = first_recorded(doses, step)
        if visit is None or (step == 2 and visit == first_recorded(doses, 1) and arm != TAPER_ARM):
            continue
        if arm != TAPER_ARM:
            faults.append((visit, DoseFault.NO_ARM if arm is None else DoseFault.ARM_WITHOUT_STEPS))
        elif step_record(protocol, step, doses, {}).fault is DoseFault.EARLY:
            faults.append((visit, DoseFault.EARLY))
        elif step == 1 and end_of_observation(protocol, 2, visit.week) is None:
            faults.append((visit, DoseFault.NO_VISIT))
    return faults
