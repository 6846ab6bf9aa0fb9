"""The dual target: five answers, both definitions, distances, probabilities."""

from __future__ import annotations

import itertools
import math

import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.instruments import Instrument, InstrumentResult
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition, ImagingDefinition
from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource
from sparcc_pipeline.trial.remission import (
    DualTarget,
    TargetStatus,
    dual_target,
    probability_below,
    target_status,
)

from .builders import MADE, content, protocol


def asdas(value: float | None) -> InstrumentResult:
    return InstrumentResult(Instrument.ASDAS_CRP, value, reason=None if value is not None else "missing: crp_mg_l")


def sparcc(value: float | None, source: ScoreSource = ScoreSource.TWO_READINGS) -> CountedScore:
    if value is None:
        return CountedScore(None, ScoreSource.NONE, reason="no reading")
    return CountedScore(value, source)


def target(clinical: float | None, imaging: float | None, **choices: str) -> DualTarget:
    return dual_target("P001", "W12", asdas(clinical), sparcc(imaging), None, protocol(**choices))


@pytest.mark.parametrize(
    ("clinical", "imaging", "status"),
    [
        (1.29, 1.5, TargetStatus.BOTH),
        (1.29, 2.0, TargetStatus.CLINICAL_ONLY),
        (1.30, 1.5, TargetStatus.IMAGING_ONLY),
        (1.30, 2.0, TargetStatus.NEITHER),
        (None, 1.5, TargetStatus.NOT_ASSESSABLE),
        (1.29, None, TargetStatus.NOT_ASSESSABLE),
        (3.00, None, TargetStatus.NOT_ASSESSABLE),
        (None, None, TargetStatus.NOT_ASSESSABLE),
    ],
)
def test_five_answers_at_their_borders(clinical: float | None, imaging: float | None, status: TargetStatus) -> None:
    assert target(clinical, imaging).status is status


def test_both_definitions_of_each_half_stand_side_by_side() -> None:
    found = target(1.5, 2.0)

    assert {d: half.met for d, half in found.clinical.items()} == {
        ClinicalDefinition.ASDAS_INACTIVE: False,
        ClinicalDefinition.ASDAS_LOW: True,
    }
    assert {d: half.met for d, half in found.imaging.items()} == {
        ImagingDefinition.BELOW: False,
        ImagingDefinition.UP_TO: True,
    }
    assert found.status_by(ClinicalDefinition.ASDAS_LOW, ImagingDefinition.UP_TO) is TargetStatus.BOTH
    assert target(1.5, 2.0, dual_clinical="asdas_low", dual_imaging="up_to_cut_off").status is TargetStatus.BOTH


def test_distances_are_negative_under_the_cut_off() -> None:
    found = target(1.0, 5.0)

    assert found.clinical_half.distance == pytest.approx(-0.3)
    assert found.clinical[ClinicalDefinition.ASDAS_LOW].distance == pytest.approx(-1.1)
    assert found.imaging_half.distance == 3
    assert target(None, 5.0).clinical_half.distance is None


def test_missing_data_is_never_a_no_and_is_reported() -> None:
    found = target(None, 5.0)

    assert found.clinical_half.met is None
    assert found.reasons == ("clinical: missing: crp_mg_l",)
    assert target(1.0, None).reasons == ("imaging: no reading",)
    assert target(1.0, 1.0).reasons == ()


def test_met_is_known_to_be_missed_as_soon_as_one_half_is() -> None:
    assert target(3.0, None).met is False
    assert target(1.0, None).met is None
    assert target(1.0, 1.0).met is True


def test_an_unset_definition_stops() -> None:
    made = {k: v for k, v in MADE.items() if k != "dual_imaging"}

    with pytest.raises(ConfigError, match="SPARCC <= 2"):
        dual_target("P001", "W12", asdas(1.0), sparcc(1.0), None, protocol_from(content(**made), "mine.toml"))


def test_probability_of_the_imaging_half_for_readings() -> None:
    assert target(1.0, 2.0).probability_imaging == pytest.approx(0.5)
    assert target(1.0, 2.0 + 1.23 * 1.96).probability_imaging == pytest.approx(0.025, abs=1e-4)
    assert target(1.0, None).probability_imaging is None
    assert probability_below(2, 0, 1.23) == pytest.approx(0.5 * (1 + math.erf(2 / 1.23 / math.sqrt(2))))


def test_probability_of_the_imaging_half_for_the_machine_is_its_own() -> None:
    machine = MachineScore("P001", "W12", 1, probability_remission=0.8)
    counts = sparcc(1.0, ScoreSource.MACHINE)

    def probability(machine: MachineScore, **choices: str) -> float | None:
        return dual_target("P001", "W12", asdas(1.0), counts, machine, protocol(**choices)).probability_imaging

    assert probability(machine) == 0.8
    assert probability(MachineScore("P001", "W12", 1)) is None
    assert probability(machine, dual_imaging="up_to_cut_off") is None


def test_status_of_all_pairs() -> None:
    answers = {pair: target_status(*pair) for pair in itertools.product((True, False, None), repeat=2)}

    assert sum(answer is TargetStatus.NOT_ASSESSABLE for answer in answers.values()) == 5
    assert answers[True, True] is TargetStatus.BOTH
    assert answers[False, True] is TargetStatus.IMAGING_ONLY
