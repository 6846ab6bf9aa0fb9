"""Intercurrent events and their strategies, by hand on one participant a case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.estimand.analysis_set import AnalysisSet, Facts, analysis_set
from sparcc_pipeline.trial.protocol.analysis import EventKind, Variable
from sparcc_pipeline.trial.records import Participant, TrialData
from sparcc_pipeline.trial.summary import courses

from ..builders import readings, visit
from ..plans import analysis_protocol

WEEKS = (0, 12, 24, 36, 48)
TARGET: dict[str, Any] = {
    "variable": "dual_target",
    "model": "logistic",
    "summary": "risk_difference",
    "hypothesis": "superiority",
    "margin": None,
}


def _set(
    estimand: dict[str, Any], steps: dict[int, int] | None = None, lost: tuple[int, ...] = (), **flags: int
) -> AnalysisSet:
    """One participant with ASDAS that rises from visit to visit; `flags` give the week from which a flag is set."""
    protocol = analysis_protocol(**estimand)

    def flagged(week: int) -> dict[str, Any]:
        return {flag: week == at for flag, at in flags.items()}

    visits = [
        visit(name=f"W{week}", day=7 * week, item=k / 2, **flagged(week))
        for k, week in enumerate(WEEKS)
        if week not in lost
    ]
    scored = [each for k, week in enumerate(WEEKS) if week not in lost for each in readings(k, k, name=f"W{week}")]
    data = TrialData([Participant("P001", "S1")], visits, scored)
    of = courses(assess_trial(data, protocol))
    doses = {("P001", f"W{week}"): step for week, step in (steps or {}).items()}
    return analysis_set(of, Facts({"P001": "taper"}, doses), protocol, protocol.plan.estimands[0], "taper")


def _sparcc(found: AnalysisSet) -> list[float | None]:
    values = found.values[Variable.SPARCC][0][: len(WEEKS)]
    return [None if np.isnan(value) else float(value) for value in values]


def test_without_an_event_every_strategy_is_the_observed_value() -> None:
    found = _set({"variable": "sparcc"})

    assert _sparcc(found) == [0, 1, 2, 3, 4]
    assert not any(flags.any() for flags in found.events.values())


def test_rescue_counts_from_the_visit_that_reports_it() -> None:
    assert _sparcc(_set({"variable": "sparcc", "rescue": "hypothetical"}, rescue=36)) == [0, 1, 2, None, None]
    assert _sparcc(_set({"variable": "sparcc", "rescue": "treatment_policy"}, rescue=36)) == [0, 1, 2, 3, 4]


def test_a_dose_that_changes_back_counts_from_the_next_visit() -> None:
    found = _set({"variable": "sparcc", "dose_change_back": "hypothetical"}, {0: 0, 12: 1, 24: 0})

    assert _sparcc(found) == [0, 1, 2, None, None]
    assert found.events[EventKind.DOSE_CHANGE_BACK].tolist() == [True]


def test_while_on_treatment_takes_the_last_value_before_the_event() -> None:
    on = {"variable": "sparcc", "model": "ancova", "stop": "while_on_treatment"}

    assert _sparcc(_set(on, drug_ended=36))[4] == 2
    assert _sparcc(_set(on, lost=(24,), drug_ended=36))[4] == 1
    assert _sparcc(_set(on, drug_ended=12))[4] is None


def test_an_event_after_the_visit_changes_nothing() -> None:
    found = _set({"variable": "sparcc", "visit": "W24", "rescue": "hypothetical"}, rescue=48)

    assert _sparcc(found) == [0, 1, 2, 3, 4] and not found.events[EventKind.RESCUE].any()


def test_the_earliest_event_that_changes_values_decides() -> None:
    both = {"variable": "sparcc", "model": "ancova", "rescue": "hypothetical", "stop": "while_on_treatment"}

    assert _sparcc(_set(both, rescue=24, drug_ended=36)) == [0, 1, None, None, None]
    assert _sparcc(_set(both, rescue=36, drug_ended=24))[4] == 1


@pytest.mark.parametrize(("values", "met"), [((1.0, 1.0), 1.0), ((1.0, 2.0), 0.0), ((np.nan, 5.0), 0.0)])
def test_the_target_follows_from_both_halves(values: tuple[float, float], met: float) -> None:
    found = _set(TARGET)

    assert found.met(np.array([values[0]]), np.array([values[1]]), analysis_protocol(**TARGET)).tolist() == [met]


def test_an_unknown_half_is_no_answer_unless_the_composite_strategy_makes_it_no() -> None:
    unknown, protocol = np.array([np.nan]), analysis_protocol(**TARGET)
    composite = _set({**TARGET, "rescue": "composite"}, rescue=24)

    assert np.isnan(_set(TARGET).met(unknown, np.array([1.0]), protocol)).all()
    assert composite.met(unknown, np.array([1.0]), protocol).tolist() == [0.0]
    assert composite.failed.tolist() == [True]


def test_a_participant_whom_the_allocation_lacks_is_left_out() -> None:
    protocol = analysis_protocol()
    data = TrialData([Participant("P001"), Participant("P002")], [visit(), visit("P002")])
    of = courses(assess_trial(data, protocol))

    found = analysis_set(of, Facts({"P002": "control"}, {}), protocol, protocol.plan.estimands[0], "taper")

    assert found.names == ("P002",) and found.tested.tolist() == [False]
