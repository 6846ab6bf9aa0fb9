"""The criterion of each step of the taper arm, unblinded. A record of criteria, never advice.

Contents: `step_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sparcc_pipeline.app.results.tables import Row, Table
from sparcc_pipeline.app.trial_data import columns as out
from sparcc_pipeline.app.trial_data.unblinded.allocation import Allocation, Dosing
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import TrialData
from sparcc_pipeline.trial.schedule import Criterion, step_criterion, taper_steps

TAPER_ARM: Final = "taper"
"""Name of the arm with steps in the protocol file. Source: [Registry]."""


def step_table(data: TrialData, allocation: Allocation, dosing: Dosing, protocol: Protocol) -> Table:
    """Return one row a participant and step of the taper arm: criterion, and the visit of the recorded step.

    Raises
    ------
    ConfigError : the protocol leaves a step, the observation or low disease activity unset
    """
    steps = taper_steps(protocol)
    rows: list[Row] = []
    for participant in (p.participant for p in data.participants if allocation.arms.get(p.participant) == TAPER_ARM):
        asdas = {
            visit.visit: instrument_results(visit, protocol)[protocol.instruments.asdas_form.instrument].value
            for visit in data.visits
            if visit.participant == participant
        }
        for step in steps[1:]:
            begun = 0 if step.number == 1 else _begun(participant, step.number - 1, dosing, protocol)
            recorded = _recorded_at(participant, step.number, dosing, protocol)
            row: dict[str, Any] = {
                "participant": participant,
                "arm": TAPER_ARM,
                "step": step.number,
                "dose": step.dose,
                "recorded_at": recorded,
                "criterion": Criterion.NOT_ASSESSABLE.value,
            }
            if begun is not None:
                criterion = step_criterion(protocol, step.number, begun, asdas)
                row |= {"criterion": criterion.state.value, "visits": " ".join(criterion.visits)}
                if recorded is not None and criterion.state is not Criterion.NOT_ASSESSABLE:
                    row["agrees"] = criterion.state is Criterion.MET
            rows.append(row)
    return Table(out.STEPS, rows)


def _recorded_at(participant: str, step: int, dosing: Dosing, protocol: Protocol) -> str | None:
    """Return the first planned visit at which this step or a later one was recorded."""
    names: Sequence[str] = [visit.visit for visit in protocol.visits]
    return next((name for name in names if dosing.steps.get((participant, name), 0) >= step), None)


def _begun(participant: str, step: int, dosing: Dosing, protocol: Protocol) -> int | None:
    """Return the week from which a step was recorded."""
    name = _recorded_at(participant, step, dosing, protocol)
    planned = None if name is None else protocol.visit(name)
    return None if planned is None else planned.week
