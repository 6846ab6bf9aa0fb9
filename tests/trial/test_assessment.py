"""A whole trial, assessed visit by visit."""

from __future__ import annotations

import dataclasses

from sparcc_pipeline.trial import assessment, records
from sparcc_pipeline.trial.assessment import VisitAssessment, assess_trial
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import MachineScore
from sparcc_pipeline.trial.records import Participant, TrialData
from sparcc_pipeline.trial.remission import TargetStatus
from sparcc_pipeline.trial.schedule import Timing
from sparcc_pipeline.trial.states import DiseaseActivity, Improvement

from .builders import protocol, readings, visit

DATA = TrialData(
    participants=[Participant("P001", "S1"), Participant("P002", "S1")],
    visits=[
        visit(item=6.0, crp_mg_l=12.0),
        visit(name="W12", day=84, item=0.0),
        visit(name="W24", day=200, item=0.0),
        visit(name="W36", day=252, item=5.0, rescue=True),
    ],
    readings=[
        *readings(10, 12),
        *readings(1, 2, name="W12"),
        *readings(1, 1, name="W24"),
    ],
    scores=[MachineScore("P001", "W36", 1)],
)


def assessed() -> dict[tuple[str, str], VisitAssessment]:
    return {(each.participant.participant, each.planned.visit): each for each in assess_trial(DATA, protocol())}


def test_every_planned_visit_of_every_participant_is_there() -> None:
    found = assessed()

    assert len(found) == 2 * 8
    empty = found["P002", "W12"]
    assert (empty.visit, empty.timing, empty.target.status) == (None, Timing.NOT_RECORDED, TargetStatus.NOT_ASSESSABLE)
    assert empty.results[Instrument.BASDAI].value is None


def test_change_state_and_target_over_the_visits() -> None:
    found = assessed()
    baseline, second = found["P001", "W0"], found["P001", "W12"]

    assert (baseline.target.status, baseline.improvement, baseline.sparcc_change) == (TargetStatus.NEITHER, None, None)
    assert baseline.activity is DiseaseActivity.VERY_HIGH
    assert (second.target.status, second.sparcc_change) == (TargetStatus.BOTH, -9.5)
    assert (second.activity, second.improvement) == (DiseaseActivity.INACTIVE, Improvement.MAJOR)
    assert second.flare is False


def test_sustained_needs_this_visit_and_the_one_before() -> None:
    found = assessed()

    assert [found["P001", w].sustained for w in ("W0", "W12", "W24", "W36", "W48")] == [None, False, True, False, False]
    assert found["P001", "W60"].sustained is None


def test_flags_and_timing() -> None:
    found = assessed()

    assert found["P001", "W36"].flare is True
    assert found["P001", "W36"].rescue is True
    assert found["P001", "W24"].timing is Timing.LATE
    assert found["P001", "W36"].target.status is TargetStatus.NOT_ASSESSABLE, "the machine never stands in for readers"


def test_no_type_of_the_blinded_path_has_a_field_for_arm_or_dose() -> None:
    for module in (records, assessment):
        for kind in vars(module).values():
            if dataclasses.is_dataclass(kind) and kind is not Protocol:
                names = {field.name for field in dataclasses.fields(kind)}
                assert not {n for n in names if any(w in n for w in ("arm", "alloc", "treat", "dose_step"))}, kind
