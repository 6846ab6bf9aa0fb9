"""Properties of every instrument: range, monotone in each item, missing items named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial import instruments as ins
from sparcc_pipeline.trial.instruments import InstrumentResult
from sparcc_pipeline.trial.nsaid import NSAID_EQUIVALENT_MG, NsaidIntake, nsaid_index

FEW = settings(max_examples=40, deadline=None)


@dataclass(frozen=True)
class Known:
    compute: Callable[[Sequence[float | None]], InstrumentResult]
    largest: tuple[float, ...]
    whole: bool
    range: tuple[float, float]


KNOWN = {
    "asdas_crp": Known(lambda v: ins.asdas_crp(*v), (10.0,) * 4 + (500.0,), False, (0.636, 7.3)),
    "asdas_esr": Known(lambda v: ins.asdas_esr(*v), (10.0,) * 4 + (200.0,), False, (0.0, 7.7)),
    "basdai": Known(ins.basdai, (10.0,) * 6, False, (0, 10)),
    "basfi": Known(ins.basfi, (10.0,) * 10, False, (0, 10)),
    "asas_hi": Known(ins.asas_hi, (1.0,) * 17, True, (0, 17)),
    "asqol": Known(ins.asqol, (1.0,) * 18, True, (0, 18)),
}
each_instrument = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)


def answers(known: Known) -> st.SearchStrategy[list[float]]:
    return st.tuples(
        *(st.integers(0, 1).map(float) if known.whole else st.floats(0, largest) for largest in known.largest)
    ).map(list)


@each_instrument
@FEW
@given(data=st.data())
def test_in_range_and_monotone_in_each_item(known: Known, data: st.DataObject) -> None:
    items = data.draw(answers(known))
    place = data.draw(st.integers(0, len(items) - 1))
    value = known.compute(items).value
    more = known.compute([*items[:place], known.largest[place], *items[place + 1 :]]).value

    assert value is not None and more is not None
    assert known.range[0] - 1e-3 <= value <= known.range[1] + 1e-9
    assert more >= value - 1e-12


@each_instrument
@FEW
@given(data=st.data())
def test_a_missing_item_gives_no_value_and_is_named(known: Known, data: st.DataObject) -> None:
    items: list[float | None] = [*data.draw(answers(known))]
    complete = known.compute(items)
    place = data.draw(st.integers(0, len(items) - 1))
    items[place] = None
    result = known.compute(items)

    assert result.value is None
    assert result.missing == (list(complete.items)[place],)
    assert result.reason == f"missing: {result.missing[0]}"
    assert len(complete.items) == len(items)


@each_instrument
@pytest.mark.parametrize("bad", [-0.1, 1e6, float("nan"), float("inf")])
def test_an_item_out_of_range_is_refused(known: Known, bad: float) -> None:
    with pytest.raises(ClinicalValueError, match="expected"):
        known.compute([bad, *known.largest[1:]])


@pytest.mark.parametrize(
    ("name", "compute", "allowed"),
    [
        ("basfi", ins.basfi, 2),
        ("asas_hi", ins.asas_hi, 3),
        ("asqol", ins.asqol, 3),
    ],
)
@FEW
@given(data=st.data())
def test_a_rule_for_missing_items_keeps_range_and_limit(
    name: str, compute: Callable[[Sequence[float | None], int], InstrumentResult], allowed: int, data: st.DataObject
) -> None:
    known = KNOWN[name]
    items: list[float | None] = [*data.draw(answers(known))]
    gone = data.draw(st.sets(st.integers(0, len(items) - 1), min_size=1, max_size=allowed))
    some = [None if n in gone else value for n, value in enumerate(items)]
    result = compute(some, allowed)

    assert result.value is not None and known.range[0] <= result.value <= known.range[1] + 1e-9
    assert len(result.missing) == len(gone) and result.reason is not None
    assert compute(some, len(gone) - 1).value is None


def test_half_answers_are_refused_where_yes_or_no_is_asked() -> None:
    with pytest.raises(ClinicalValueError, match=r"asqol_1 to be 0 or 1, found 0\.5"):
        ins.asqol([0.5] + [0.0] * 17)


@pytest.mark.parametrize("count", [5, 7])
def test_a_wrong_number_of_items_is_refused(count: int) -> None:
    with pytest.raises(ClinicalValueError, match=f"expected 6 items of basdai, found {count}"):
        ins.basdai([1.0] * count)


@FEW
@given(
    st.sampled_from(sorted(NSAID_EQUIVALENT_MG)),
    st.floats(0, 2000),
    st.floats(0, 28),
    st.floats(0, 500),
    st.floats(0, 28),
)
def test_nsaid_index_grows_with_dose_and_days(drug: str, dose: float, days: float, more: float, longer: float) -> None:
    value = nsaid_index((NsaidIntake(drug, dose, days),), 28).value
    higher = nsaid_index((NsaidIntake(drug, dose + more, max(days, longer)),), 28).value

    assert value is not None and higher is not None
    assert 0 <= value <= higher + 1e-9


@pytest.mark.parametrize("intake", [(-1.0, 3.0), (100.0, 29.0), (100.0, -1.0), (float("nan"), 3.0)])
def test_an_impossible_intake_is_refused(intake: tuple[float, float]) -> None:
    with pytest.raises(ClinicalValueError, match="correct drug 1"):
        nsaid_index((NsaidIntake("naproxen", *intake),), 28)


def test_unknown_facts_about_nsaids_are_named() -> None:
    assert nsaid_index(None, 28).missing == ("nsaid_intakes",)
    assert nsaid_index([NsaidIntake("naproxen", 500, 14)], None).missing == ("nsaid_period_days",)
    assert nsaid_index((), None).value == 0.0
