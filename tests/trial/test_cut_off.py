"""A value on a cut-off is on it, whatever its binary fraction; every rule of a trial compares by the same function."""

from __future__ import annotations

import ast
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

import sparcc_pipeline.trial
from sparcc_pipeline.trial.cut_off import above, at_least, at_most, below
from sparcc_pipeline.trial.eligibility import EntryState
from sparcc_pipeline.trial.instruments import asdas_esr, basdai
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition
from sparcc_pipeline.trial.remission import clinical_half
from sparcc_pipeline.trial.states import DiseaseActivity, Improvement, asdas_improvement, disease_activity, health_state

from .builders import protocol
from .test_eligibility import checked, state


def test_basdai_of_exactly_four_meets_the_entry_criterion() -> None:
    items = (4.5, 0.8, 8.4, 5.6, 0.2, 1.2)

    assert basdai(items).value == 4.0
    assert state(checked(items=items), "BASDAI") is EntryState.MET


def test_basdai_agrees_with_decimal_arithmetic_around_the_cut_off() -> None:
    tenths = [Decimal(n) / 10 for n in (3, 8, 12, 41, 57, 99)]
    for items in itertools.product(tenths, repeat=5):
        # The sixth item brings the total near 4.0.
        wanted = 2 * (Decimal(20) - sum(items[:4])) - items[4]
        for last in (wanted - Decimal("0.1"), wanted, wanted + Decimal("0.1")):
            if not 0 <= last <= 10:
                continue
            true = (sum(items[:4]) + (items[4] + last) / 2) / 5
            value = basdai([float(each) for each in (*items, last)]).value
            assert value is not None
            assert at_least(value, 4) is (true >= 4), (items, last)


def test_asdas_on_the_cut_off_is_not_low() -> None:
    value = asdas_esr(2, 2, 3, 0, 25).value

    assert value == 2.1
    assert disease_activity(value) is DiseaseActivity.HIGH
    half = clinical_half(value, ClinicalDefinition.ASDAS_LOW, protocol().target)
    assert (half.met, half.distance) == (False, 0)


@pytest.mark.parametrize("cut_off", [1.3, 2.1, 3.5, 1.1, 2.0, 0.9, 4.0, 12.0])
def test_the_last_bits_never_decide(cut_off: float) -> None:
    for value in (cut_off - 4e-15, cut_off, cut_off + 4e-15):
        assert not below(value, cut_off) and not above(value, cut_off)
        assert at_least(value, cut_off) and at_most(value, cut_off)
    assert below(cut_off - 0.001, cut_off) and above(cut_off + 0.001, cut_off)


def test_states_and_improvements_use_it() -> None:
    noise = 4e-15

    assert disease_activity(1.3 - noise) is DiseaseActivity.LOW
    assert disease_activity(3.5 + noise) is DiseaseActivity.HIGH
    assert asdas_improvement(4.1, 3.0) is Improvement.IMPORTANT
    assert health_state(5 + noise).value == "good" and health_state(12 - noise).value == "poor"


LIMITS = ("limit", "cut_off", "_BELOW", "_ABOVE", "_UP_TO", "_FROM", "_IMPROVEMENT", "_min", "_max", "lowest", "uln")


def test_no_rule_of_a_trial_compares_with_a_limit_by_itself() -> None:
    folder = Path(sparcc_pipeline.trial.__path__[0])
    found = [
        f"{file.name}, line {node.lineno}"
        for file in folder.glob("*.py")
        if file.name != "cut_off.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        and any(isinstance(each, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for each in node.ops)
        and any(
            str(getattr(part, "attr", "") or getattr(part, "id", "")).endswith(LIMITS)
            for part in ast.walk(node)
            if isinstance(part, ast.Name | ast.Attribute)
        )
    ]

    assert found == []
