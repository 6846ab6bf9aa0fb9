"""Published numbers of the instruments, typed again from their sources and not read from the code.

Sources by key of docs/references.md: [Asdas], [AsdasStates], [Garrett1994], [Calin1994], [Kiltz2015], [Kiltz2018],
[Doward2003], [Dougados2011].
"""

from __future__ import annotations

import pytest

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial import states
from sparcc_pipeline.trial.crp import CrpUnit, crp_in_mg_l
from sparcc_pipeline.trial.instruments import asas_hi, asdas_crp, asdas_esr, asqol, basdai, basfi
from sparcc_pipeline.trial.nsaid import NSAID_EQUIVALENT_MG, NsaidIntake, nsaid_index
from sparcc_pipeline.trial.states import DiseaseActivity, HealthState, Improvement


def _value(value: float | None) -> float:
    assert value is not None
    return value


def test_the_worked_example_of_asdas() -> None:
    assert round(_value(asdas_crp(6, 5, 6, 3, 12).value), 3) == 3.380
    assert round(_value(asdas_esr(6, 5, 6, 3, 30).value), 3) == 3.360
    assert round(_value(asdas_crp(0, 0, 0, 0, 0.3).value), 3) == 0.636


@pytest.mark.parametrize(
    ("place", "weight"), [(0, 0.121), (1, 0.058), (2, 0.110), (3, 0.073)], ids=["back", "stiffness", "global", "joints"]
)
def test_weights_of_asdas_crp(place: int, weight: float) -> None:
    items: tuple[float, float, float, float] = (2.0, 2.0, 2.0, 2.0)
    a, b, c, d = (value + (n == place) for n, value in enumerate(items))

    assert _value(asdas_crp(a, b, c, d, 5).value) - _value(asdas_crp(*items, 5).value) == pytest.approx(weight)


@pytest.mark.parametrize(("place", "weight"), [(0, 0.079), (1, 0.069), (2, 0.113), (3, 0.086)])
def test_weights_of_asdas_esr(place: int, weight: float) -> None:
    items: tuple[float, float, float, float] = (2.0, 2.0, 2.0, 2.0)
    a, b, c, d = (value + (n == place) for n, value in enumerate(items))

    assert _value(asdas_esr(a, b, c, d, 5).value) - _value(asdas_esr(*items, 5).value) == pytest.approx(weight)


def test_crp_under_2_counts_as_2() -> None:
    assert asdas_crp(1, 1, 1, 1, 0.0).value == asdas_crp(1, 1, 1, 1, 2.0).value
    assert _value(asdas_crp(1, 1, 1, 1, 2.1).value) > _value(asdas_crp(1, 1, 1, 1, 2.0).value)


def test_crp_in_mg_dl_is_ten_times_that_in_mg_l() -> None:
    assert crp_in_mg_l(1.2, CrpUnit.MG_DL) == pytest.approx(12)
    assert crp_in_mg_l(12, CrpUnit.MG_L) == 12
    with pytest.raises(ClinicalValueError, match=r"60 mg/dL \(600 mg/L\)"):
        crp_in_mg_l(60, CrpUnit.MG_DL)


def test_basdai_halves_the_two_stiffness_items() -> None:
    assert basdai((4, 5, 6, 3, 8, 2)).value == pytest.approx((4 + 5 + 6 + 3 + 5) / 5)


def test_basfi_is_the_mean_of_ten() -> None:
    assert basfi((0, 1, 2, 3, 4, 5, 6, 7, 8, 9)).value == pytest.approx(4.5)


def test_yes_no_instruments_are_sums() -> None:
    assert asas_hi((1,) * 17).value == 17
    assert asqol((1,) * 18).value == 18
    assert asas_hi((1, 0) * 8 + (1,)).value == 9


@pytest.mark.parametrize(
    ("asdas", "state"),
    [
        (1.299, DiseaseActivity.INACTIVE),
        (1.3, DiseaseActivity.LOW),
        (2.099, DiseaseActivity.LOW),
        (2.1, DiseaseActivity.HIGH),
        (3.5, DiseaseActivity.HIGH),
        (3.501, DiseaseActivity.VERY_HIGH),
    ],
)
def test_states_of_asdas(asdas: float, state: DiseaseActivity) -> None:
    assert states.disease_activity(asdas) is state


@pytest.mark.parametrize(
    ("before", "after", "improvement"),
    [
        (4.1, 3.0, Improvement.IMPORTANT),
        (4.1, 3.01, Improvement.NONE),
        (4.1, 2.1, Improvement.MAJOR),
        (3.0, 4.1, Improvement.NONE),
    ],
)
def test_improvement_of_asdas(before: float, after: float, improvement: Improvement) -> None:
    assert states.asdas_improvement(before, after) is improvement


def test_states_of_asas_hi() -> None:
    assert [states.health_state(s) for s in (5, 6, 11, 12)] == [
        HealthState.GOOD,
        HealthState.MODERATE,
        HealthState.MODERATE,
        HealthState.POOR,
    ]
    assert states.ASAS_HI_SMALLEST_DETECTABLE_CHANGE == 3.0


EQUIVALENTS = (
    "diclofenac 150, naproxen 1000, aceclofenac 200, celecoxib 400, etodolac 600, etoricoxib 90, flurbiprofen 200, "
    "ibuprofen 2400, indometacin 150, ketoprofen 200, meloxicam 15, phenylbutazone 400, piroxicam 20, tenoxicam 20"
)


def test_equivalent_doses_of_nsaids() -> None:
    typed = {name: float(mg) for name, mg in (each.split() for each in EQUIVALENTS.split(", "))}

    assert dict(NSAID_EQUIVALENT_MG) == typed


def test_nsaid_index_sums_over_drugs() -> None:
    taken = (NsaidIntake("Naproxen", 500, 14), NsaidIntake("celecoxib", 200, 28))

    assert nsaid_index(taken, 28).value == pytest.approx(100 * 0.5 * 0.5 + 100 * 0.5)
    assert nsaid_index((NsaidIntake("diclofenac", 150, 28),), 28).value == pytest.approx(100)
    assert nsaid_index((), 28).value == 0


def test_a_drug_outside_the_list_is_never_guessed() -> None:
    result = nsaid_index((NsaidIntake("naproxen", 500, 14), NsaidIntake("aspirin", 500, 14)), 28)

    assert result.value is None
    assert result.reason is not None and "drug 2 is not in the list" in result.reason
