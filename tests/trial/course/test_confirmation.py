"""The target over several visits: every combination of known and unknown halves, and every border of C-OPTIMISE."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from sparcc_pipeline.trial.course.answers import all_of, any_of
from sparcc_pipeline.trial.course.confirmation import Halves, confirmed_target, sustained_target
from sparcc_pipeline.trial.protocol.over_time import Confirmation, CountsFrom, SustainedDefinition, SustainedRules

THREE = (True, False, None)
WEEKS = (0, 12, 24, 32, 36, 48, 60)


def worst(*answers: bool | None) -> bool | None:
    """The answer to "all of these", by counting instead of by the function under test."""
    return False if answers.count(False) else None if answers.count(None) else True


@pytest.mark.parametrize("length", [1, 2, 3])
def test_all_and_any_of_every_combination(length: int) -> None:
    for answers in itertools.product(THREE, repeat=length):
        assert all_of(answers) is worst(*answers)
        opposite = worst(*(None if answer is None else not answer for answer in answers))
        assert any_of(answers) is (None if opposite is None else not opposite)
    assert all_of([]) is None and any_of([]) is None


def test_confirmation_in_every_combination_of_two_visits() -> None:
    for c1, i1, c2, i2 in itertools.product(THREE, repeat=4):
        course = [Halves(c1, i1), Halves(c2, i2)]

        assert confirmed_target(course, Confirmation.SINGLE_VISIT) is worst(c2, i2)
        assert confirmed_target(course, Confirmation.TWO_VISITS) is worst(c1, i1, c2, i2)
        assert confirmed_target(course, Confirmation.SECOND_SCAN) is worst(i1, c2, i2)


@pytest.mark.parametrize("confirmation", [Confirmation.TWO_VISITS, Confirmation.SECOND_SCAN])
def test_the_first_visit_confirms_nothing(confirmation: Confirmation) -> None:
    assert confirmed_target([Halves(True, True)], confirmation) is None
    assert confirmed_target([Halves(False, True)], confirmation) is False
    assert confirmed_target([Halves(True, True)], Confirmation.SINGLE_VISIT) is True


def test_the_second_scan_is_the_last_planned_one() -> None:
    between = Halves(True, None, scan_planned=False)

    assert confirmed_target([Halves(False, True), between, Halves(True, True)], Confirmation.SECOND_SCAN) is True
    assert confirmed_target([Halves(False, False), between, Halves(True, True)], Confirmation.SECOND_SCAN) is False
    assert confirmed_target([Halves(True, True), between, Halves(True, True)], Confirmation.TWO_VISITS) is None


def sustained(asdas: Mapping[int, float | None], last: int = 48, **rules: object) -> bool | None:
    weeks = [week for week in WEEKS if week <= last]
    chosen = SustainedRules(SustainedDefinition.C_OPTIMISE, **rules)  # type: ignore[arg-type]
    return sustained_target(chosen, weeks, [None] * len(weeks), asdas, 12, 1.3)


def test_sustained_by_c_optimise_on_every_side_of_the_cut_off() -> None:
    values = {1.29: True, 1.2999999999999998: False, 1.3: False, 1.31: False, None: None}
    for (a, first), (b, second), (c, last) in itertools.product(values.items(), repeat=3):
        early = True if True in (first, second) else None if None in (first, second) else False
        assert sustained({32: a, 36: b, 48: c}) is worst(early, last), (a, b, c)


def test_c_optimise_is_asked_at_its_last_week_alone() -> None:
    asdas = {32: 1.0, 36: 1.0, 48: 1.0, 60: 1.0}

    assert [sustained(asdas, week) for week in (36, 48, 60)] == [None, True, None]


def test_weeks_count_from_the_start_of_the_taper_where_the_protocol_chooses_it() -> None:
    asdas = {36: 1.0, 24: 1.0, 60: 1.2}
    rules = {"first_week": 12, "second_week": 24, "last_week": 48, "counts_from": CountsFrom.START_OF_TAPER}

    assert sustained(asdas, 60, **rules) is True
    assert sustained({**asdas, 24: 2.0, 36: 2.0}, 60, **rules) is False
    assert sustained(asdas, 48, **rules) is None


def test_a_week_without_a_planned_visit_does_not_count() -> None:
    rules = SustainedRules(SustainedDefinition.C_OPTIMISE)

    assert sustained_target(rules, [0, 12, 24, 36, 48], [None] * 5, {36: 1.2, 48: 1.2}, 12, 1.3) is True
    assert sustained_target(rules, [0, 12, 24, 36, 48], [None] * 5, {36: 1.4, 48: 1.2}, 12, 1.3) is False


@pytest.mark.parametrize("met", list(itertools.product(THREE, repeat=3)))
def test_sustained_at_two_visits(met: tuple[bool | None, ...]) -> None:
    assert sustained_target(SustainedRules(), [0, 12, 24], met, {}, 12, 1.3) is worst(*met[1:])
    assert sustained_target(SustainedRules(), [0], met[:1], {}, 12, 1.3) is None
