"""Entry criteria, each met, not met or unknown, at its border."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.eligibility import Eligibility, EntryState, eligibility, reasons_against
from sparcc_pipeline.trial.instruments import basdai
from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource
from sparcc_pipeline.trial.records import Participant, Screening

from .builders import content, protocol

MET, NOT_MET, UNKNOWN = EntryState.MET, EntryState.NOT_MET, EntryState.UNKNOWN

GOOD = Screening(
    age_years=40,
    alt_u_l=30,
    alt_uln_u_l=40,
    ast_u_l=30,
    ast_uln_u_l=40,
    bilirubin_umol_l=10,
    bilirubin_uln_umol_l=20,
    egfr_ml_min=90,
    haemoglobin_g_l=140,
    neutrophils_1e9_l=4,
    platelets_1e9_l=250,
    lymphocytes_1e9_l=2,
    nyha_class=0,
    pregnancy=False,
    malignancy=False,
    tuberculosis=False,
    live_vaccine=False,
    other_inclusion_met=True,
    other_exclusion=False,
)
POSITIVE = CountedScore(8, ScoreSource.TWO_READINGS, asas_positive=True)


def checked(
    screening: Screening = GOOD,
    item: float | None = 4.0,
    overall: float | None = 4.0,
    score: CountedScore = POSITIVE,
    machine: MachineScore | None = None,
    settings: dict[str, Any] | None = None,
    items: tuple[float, ...] | None = None,
    **choices: int,
) -> Eligibility:
    return eligibility(
        Participant("P001", "S1", screening),
        basdai(items or (item,) * 6),
        overall,
        score,
        machine,
        protocol(settings, **choices),
    )


def state(found: Eligibility, name: str) -> EntryState:
    return next(c.state for c in found.criteria if name in c.name)


def test_every_criterion_of_the_registry_entry_is_there() -> None:
    found = checked()

    assert [c.name for c in found.criteria] == [
        "age",
        "BASDAI",
        "patient global",
        "inflammation on MRI of the sacroiliac joints",
        "ALT",
        "AST",
        "bilirubin",
        "eGFR",
        "haemoglobin",
        "neutrophils",
        "platelets",
        "lymphocytes",
        "heart failure",
        "no pregnancy or breast-feeding",
        "no malignancy",
        "no tuberculosis",
        "no live vaccine",
        "every other inclusion criterion of the protocol",
        "no other exclusion criterion of the protocol",
    ]
    assert found.state is MET
    assert reasons_against(found.criteria) == []


@pytest.mark.parametrize(
    ("field", "values", "name"),
    [
        ("age_years", {17.9: NOT_MET, 18: MET, 59: MET, 59.9: MET, 60: NOT_MET, None: UNKNOWN}, "age"),
        ("alt_u_l", {60: MET, 60.1: NOT_MET, None: UNKNOWN}, "ALT"),
        ("ast_u_l", {60: MET, 60.1: NOT_MET, None: UNKNOWN}, "AST"),
        ("alt_uln_u_l", {None: UNKNOWN}, "ALT"),
        ("bilirubin_umol_l", {24: MET, 24.1: NOT_MET, None: UNKNOWN}, "bilirubin"),
        ("egfr_ml_min", {60: MET, 59.9: NOT_MET, None: UNKNOWN}, "eGFR"),
        ("haemoglobin_g_l", {90: MET, 89.9: NOT_MET, None: UNKNOWN}, "haemoglobin"),
        ("neutrophils_1e9_l", {1.5: MET, 1.49: NOT_MET, None: UNKNOWN}, "neutrophils"),
        ("platelets_1e9_l", {100: MET, 99: NOT_MET, None: UNKNOWN}, "platelets"),
        ("lymphocytes_1e9_l", {0.5: MET, 0.3: NOT_MET, None: UNKNOWN}, "lymphocytes"),
        ("nyha_class", {0: MET, 2: MET, 3: NOT_MET, 4: NOT_MET, None: UNKNOWN}, "heart failure"),
        ("pregnancy", {False: MET, True: NOT_MET, None: UNKNOWN}, "pregnancy"),
        ("malignancy", {False: MET, True: NOT_MET, None: UNKNOWN}, "malignancy"),
        ("tuberculosis", {False: MET, True: NOT_MET, None: UNKNOWN}, "tuberculosis"),
        ("live_vaccine", {False: MET, True: NOT_MET, None: UNKNOWN}, "live vaccine"),
        ("other_inclusion_met", {True: MET, False: NOT_MET, None: UNKNOWN}, "other inclusion"),
        ("other_exclusion", {False: MET, True: NOT_MET, None: UNKNOWN}, "other exclusion"),
    ],
)
def test_each_value_at_its_border(field: str, values: dict[Any, EntryState], name: str) -> None:
    for value, expected in values.items():
        found = checked(replace(GOOD, **{field: value}))
        assert state(found, name) is expected, (field, value)
        assert found.state is expected


def test_age_and_haemoglobin_follow_the_choices() -> None:
    sixty = replace(GOOD, age_years=60, haemoglobin_g_l=80)

    assert checked(sixty, age_max_years=60, haemoglobin_min_g_l=80).state is MET
    assert checked(sixty).state is NOT_MET


def test_questionnaires_at_their_border() -> None:
    assert state(checked(item=3.9), "BASDAI") is NOT_MET
    assert state(checked(item=None), "BASDAI") is UNKNOWN
    assert state(checked(overall=3.9), "patient global") is NOT_MET
    assert state(checked(overall=None), "patient global") is UNKNOWN


def test_the_mri_sign_is_the_readers_by_default_and_the_machines_only_if_asked() -> None:
    machine = MachineScore("P001", "W0", 8, asas_positive=True)
    none = CountedScore(None, ScoreSource.NONE, reason="no reading")
    by_machine = CountedScore(8, ScoreSource.MACHINE, asas_positive=True)
    by_score = {"eligibility.mri_sign": "score"}

    assert state(checked(score=replace(POSITIVE, asas_positive=False)), "MRI") is NOT_MET
    assert state(checked(score=none, machine=machine), "MRI") is UNKNOWN
    assert state(checked(score=by_machine, machine=machine), "MRI") is UNKNOWN
    assert state(checked(score=none, machine=machine, settings=by_score), "MRI") is MET
    assert state(checked(machine=replace(machine, asas_positive=False), settings=by_score), "MRI") is NOT_MET
    assert state(checked(machine=None, settings=by_score), "MRI") is UNKNOWN


def test_one_failure_outweighs_unknown_values_and_reasons_are_given() -> None:
    found = checked(replace(GOOD, egfr_ml_min=50, platelets_1e9_l=None))

    assert found.state is NOT_MET
    assert reasons_against(found.criteria) == [
        "eGFR: expected 60 mL/min or more, found 50 mL/min: not met",
        "platelets: expected 100 x 10^9/L or more, found no value: unknown",
    ]


def test_an_unset_choice_stops() -> None:
    with pytest.raises(ConfigError, match=r"choices\.age_max_years.*choices\.haemoglobin_min_g_l"):
        eligibility(Participant("P1"), basdai((4,) * 6), 4, POSITIVE, None, protocol_from(content(), "open.toml"))
