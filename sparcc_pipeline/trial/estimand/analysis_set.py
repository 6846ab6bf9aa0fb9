"""The values that an estimand analyses: of everyone in the allocation, after the strategies for intercurrent events.

Contents: `analysis_set`, `AnalysisSet`, `first_events`. Values after an event are those from the visit on that reports
it for rescue and for the end of the study drug, which happened since the visit before; and those from the next visit on
for a dose that changes back, which is recorded as taken from this visit on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.cut_off import at_most, below
from sparcc_pipeline.trial.doses import recorded_doses, returns
from sparcc_pipeline.trial.protocol.analysis import Estimand, EventKind, Strategy, Variable
from sparcc_pipeline.trial.protocol.choices import ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import Courses

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MEASURED: Final = (Variable.ASDAS, Variable.SPARCC)
"""Variables with a number at each visit; the dual target follows from both."""


@dataclass(frozen=True)
class Facts:
    """Facts beside the visits: arm and dose step.

    Parameters
    ----------
    arms : arm of each participant in the allocation
    steps : dose step by participant and visit; empty where it was not given
    """

    arms: Mapping[str, str]
    steps: Mapping[tuple[str, str], int]


@dataclass(frozen=True)
class AnalysisSet:
    """Values of an estimand, one row a participant of the population.

    More than ten fields: they are the columns of the table that the statistician receives.

    Parameters
    ----------
    tested : True in the test arm
    observed : (people, visits) of each variable before any strategy, the baseline first; NaN where missing
    values : the same after the strategies
    failed : (people,) True where a composite strategy makes the answer at the visit a "no"
    events : (people,) of each kind: True if the event precedes the value at the visit
    visit : column of the visit of the estimand
    """

    names: tuple[str, ...]
    sites: tuple[str | None, ...]
    tested: Flags
    observed: Mapping[Variable, Floats]
    values: Mapping[Variable, Floats]
    failed: Flags
    events: Mapping[EventKind, Flags]
    visit: int

    def met(self, asdas: Floats, sparcc: Floats, protocol: Protocol) -> Floats:
        """Return the dual target at the visit: 1, 0, or NaN where unknown.

        Parameters
        ----------
        asdas, sparcc : (people,) values at the visit, NaN where missing
        """
        limit = protocol.target.clinical_cut_off(protocol.dual_clinical)
        within = at_most if protocol.dual_imaging is ImagingDefinition.UP_TO else below
        found = np.full(len(asdas), np.nan)
        for k, (clinical, imaging) in enumerate(zip(asdas, sparcc, strict=True)):
            halves = (
                None if np.isnan(clinical) else below(clinical, limit),
                None if np.isnan(imaging) else within(imaging, protocol.target.sparcc_cut_off),
            )
            if self.failed[k] or False in halves:
                found[k] = 0.0
            elif None not in halves:
                found[k] = 1.0
        return found


def first_events(course: Sequence[VisitAssessment], facts: Facts, protocol: Protocol) -> dict[EventKind, int]:
    """Return the first visit whose value comes after each event, as number of the planned visit."""
    name = course[0].participant.participant
    order = [each.planned.visit for each in course]
    found: dict[EventKind, int] = {}
    rescued = [k for k, each in enumerate(course) if each.rescue]
    if rescued:
        found[EventKind.RESCUE] = rescued[0]
    ended = [k for k, each in enumerate(course) if each.visit is not None and each.visit.drug_ended]
    if ended:
        found[EventKind.STOP] = ended[0]
    back = returns(recorded_doses(name, facts.steps, protocol))
    if back:
        found[EventKind.DOSE_CHANGE_BACK] = order.index(back[0].visit) + 1
    return found


def analysis_set(courses: Courses, facts: Facts, protocol: Protocol, estimand: Estimand, test_arm: str) -> AnalysisSet:
    """Return the values of an estimand.

    Parameters
    ----------
    courses : assessments of each participant; those whom the allocation lacks are left out, because they have no arm
    """
    names = tuple(name for name in courses if name in facts.arms)
    visits = len(protocol.visits)
    at = [visit.visit for visit in protocol.visits].index(estimand.visit)
    observed = {each: np.full((len(names), visits), np.nan) for each in MEASURED}
    failed, after = np.zeros(len(names), bool), {kind: np.zeros(len(names), bool) for kind in EventKind}
    values = {each: array.copy() for each, array in observed.items()}
    for row, name in enumerate(names):
        course = courses[name]
        observed[Variable.ASDAS][row] = [_number(each.asdas.value) for each in course]
        observed[Variable.SPARCC][row] = [_number(each.score.value) for each in course]
        events = {kind: k for kind, k in first_events(course, facts, protocol).items() if k <= at}
        for kind in events:
            after[kind][row] = True
        for variable in MEASURED:
            values[variable][row] = _with_strategies(observed[variable][row], events, estimand, at)
        failed[row] = any(estimand.strategies[kind] is Strategy.COMPOSITE for kind in events)
    tested = np.array([facts.arms[name] == test_arm for name in names], bool)
    sites = tuple(courses[name][0].participant.site for name in names)
    return AnalysisSet(names, sites, tested, observed, values, failed, after, at)


def _with_strategies(values: Floats, events: Mapping[EventKind, int], estimand: Estimand, at: int) -> Floats:
    """Return the values of one participant after the strategies: the earliest event that changes values decides."""
    kept = values.copy()
    for kind, first in sorted(events.items(), key=lambda each: each[1]):
        strategy = estimand.strategies[kind]
        if strategy is Strategy.HYPOTHETICAL:
            kept[max(first, 1) :] = np.nan
            break
        if strategy is Strategy.WHILE_ON_TREATMENT:
            before = values[1 : max(first, 1)]
            known = before[~np.isnan(before)]
            kept[at] = known[-1] if len(known) else np.nan
            break
    return kept


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
