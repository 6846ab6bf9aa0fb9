"""Flares: every definition, from every visit, on both sides of every cut-off; unknown is never "no flare"."""

from __future__ import annotations

import itertools

import pytest

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.trial.course.flare import FlareVisit, flare, flare_by
from sparcc_pipeline.trial.course.lesions import Points, new_or_worsened
from sparcc_pipeline.trial.items import ITEMS, ItemPlace
from sparcc_pipeline.trial.protocol.over_time import CountsFrom, FlareDefinition, FlareRules

START = 12


def asdas(*values: float | None) -> list[FlareVisit]:
    return [FlareVisit(12 * number, value) for number, value in enumerate(values)]


def basdai(*values: float | None) -> list[FlareVisit]:
    return [FlareVisit(12 * number, None, value) for number, value in enumerate(values)]


def rise(course: list[FlareVisit], counts_from: CountsFrom) -> bool | None:
    return flare(course, FlareRules(counts_from=counts_from), START)


@pytest.mark.parametrize(
    ("earlier", "now", "counts_from", "expected"),
    [
        ([1.0, 1.2], 2.1, CountsFrom.PREVIOUS, True),
        ([1.0, 1.2], 2.09, CountsFrom.PREVIOUS, False),
        ([1.0, 1.2], 2.09, CountsFrom.LOWEST, True),
        ([1.2, None], 2.1, CountsFrom.PREVIOUS, True),
        ([None], 2.1, CountsFrom.PREVIOUS, None),
        ([], 2.1, CountsFrom.PREVIOUS, None),
        ([1.0], None, CountsFrom.PREVIOUS, None),
        ([3.0, 1.2], 2.1, CountsFrom.BASELINE, False),
        ([1.2, 2.0], 2.1, CountsFrom.BASELINE, True),
        ([None, 1.2], 2.1, CountsFrom.BASELINE, None),
        ([3.0, 1.2], 2.1, CountsFrom.START_OF_TAPER, True),
        ([3.0, 1.3, 1.0], 2.1, CountsFrom.START_OF_TAPER, False),
        ([3.0, None, 1.0], 2.1, CountsFrom.START_OF_TAPER, None),
        ([1.0], 2.1, CountsFrom.START_OF_TAPER, None),
        ([1.9], 2.8, CountsFrom.LOWEST, True),
    ],
)
def test_a_rise_of_asdas(
    earlier: list[float | None], now: float | None, counts_from: CountsFrom, expected: bool | None
) -> None:
    assert rise(asdas(*earlier, now), counts_from) is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((3.0, 1.2, 2.1), False),
        ((3.0, 1.2, 2.1, 2.1), True),
        ((3.0, 1.2, 2.1, 2.09), False),
        ((3.0, 1.2, 2.09, 2.1), False),
        ((3.0, 1.2, 3.5), False),
        ((3.0, 1.2, 3.51), True),
        ((3.0, 1.2, None, 2.1), None),
        ((3.0, 1.2, None, 3.51), True),
        ((3.0, 1.2, None, 2.0), False),
        ((3.0, 1.2, 2.5, None), None),
        ((3.0, 2.5, 2.5), False),
        ((3.0, None, 2.5, 2.5), True),
        ((3.0, 3.6), None),
    ],
)
def test_c_optimise_counts_visits_after_the_start_of_the_taper(
    values: tuple[float | None, ...], expected: bool | None
) -> None:
    rules = FlareRules(FlareDefinition.C_OPTIMISE, CountsFrom.START_OF_TAPER)

    assert flare(asdas(*values), rules, START) is expected


def test_c_optimise_counts_from_baseline_and_from_the_lowest() -> None:
    def found(counts_from: CountsFrom, *values: float | None) -> bool | None:
        return flare(asdas(*values), FlareRules(FlareDefinition.C_OPTIMISE, counts_from), START)

    assert found(CountsFrom.BASELINE, 3.0, 2.5, 2.5) is True
    assert found(CountsFrom.LOWEST, 3.0, 2.5, 2.5) is False
    assert found(CountsFrom.LOWEST, 3.0, 1.0, 2.5, 2.5) is True
    assert found(CountsFrom.LOWEST, None, 2.5) is None


@pytest.mark.parametrize("counts_from", list(CountsFrom))
def test_basdai_needs_the_value_and_the_rise(counts_from: CountsFrom) -> None:
    rules = FlareRules(FlareDefinition.BASDAI, counts_from)
    for now, before in itertools.product((3.9, 4.0, 5.0, None), (1.9, 2.0, 2.1, 3.0, 3.1, None)):
        # Baseline, start of taper, previous and lowest have the same value.
        course = basdai(before, before, now)
        if now == 3.9:
            expected: bool | None = False
        elif now is None or before is None:
            expected = None
        else:
            expected = now - before >= 2
        assert flare(course, rules, START) is expected, (now, before)


def test_basdai_of_binary_fractions_is_on_its_cut_off() -> None:
    rules = FlareRules(FlareDefinition.BASDAI, CountsFrom.BASELINE)

    assert flare(basdai(2.0, 3.9999999999999996), rules, START) is True
    assert flare(basdai(0.1 + 0.2, 4.3), rules, START) is True


def points(*on: tuple[int, Side, str], first: int = 3) -> Points:
    """All 72 items of six slices, 0 except these (position, side, item)."""
    every = {ItemPlace(first + k, side, item): 0 for k in range(6) for side in Side for item in ITEMS}
    return {**every, **{ItemPlace(first + k, side, item): 1 for k, side, item in on}}


LEFT, RIGHT = Side.LEFT, Side.RIGHT


@pytest.mark.parametrize(
    ("before", "now", "count"),
    [
        ([], [], 0),
        ([], [(0, LEFT, "upper_iliac")], 1),
        ([], [(0, LEFT, "upper_iliac"), (0, LEFT, "lower_iliac")], 1),
        ([], [(0, LEFT, "upper_iliac"), (0, LEFT, "upper_sacral")], 2),
        ([], [(0, LEFT, "upper_iliac"), (1, LEFT, "upper_iliac"), (2, LEFT, "upper_iliac")], 1),
        ([], [(0, LEFT, "upper_iliac"), (2, LEFT, "upper_iliac")], 2),
        ([], [(0, LEFT, "upper_iliac"), (1, LEFT, "lower_iliac")], 2),
        ([], [(0, LEFT, "upper_iliac"), (0, RIGHT, "upper_iliac")], 2),
        ([(0, LEFT, "upper_iliac")], [(0, LEFT, "upper_iliac"), (1, LEFT, "upper_iliac")], 0),
        ([(0, LEFT, "upper_iliac")], [], 0),
        ([(0, LEFT, "upper_iliac")], [(0, LEFT, "upper_iliac"), (0, LEFT, "deep")], 1),
        ([(0, LEFT, "upper_iliac")], [(0, LEFT, "upper_iliac"), (0, LEFT, "deep"), (0, LEFT, "intense")], 1),
        ([], [(0, LEFT, "upper_iliac"), (0, LEFT, "deep")], 1),
        ([(0, LEFT, "upper_iliac"), (0, LEFT, "deep")], [(0, LEFT, "upper_iliac"), (0, LEFT, "deep")], 0),
    ],
)
def test_new_and_worsened_lesions(
    before: list[tuple[int, Side, str]], now: list[tuple[int, Side, str]], count: int
) -> None:
    assert new_or_worsened(points(*before), points(*now, first=7)) == count


def test_an_item_that_one_reading_could_not_evaluate_is_no_new_lesion() -> None:
    unknown = {**points(), ItemPlace(3, LEFT, "upper_iliac"): None}

    assert new_or_worsened(unknown, points((0, LEFT, "upper_iliac"))) == 0


ONE, TWO = points((0, LEFT, "upper_iliac")), points((0, LEFT, "upper_iliac"), (0, RIGHT, "upper_iliac"))
THREE = points((0, LEFT, "upper_iliac"), (0, RIGHT, "upper_iliac"), (5, RIGHT, "lower_sacral"))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"R1": TWO, "R2": TWO}, True),
        ({"R1": ONE, "R2": TWO}, False),
        ({"R1": ONE, "R2": THREE}, True),
        ({"R1": TWO}, True),
        ({"R3": TWO}, None),
        ({}, None),
    ],
)
def test_an_mri_flare_is_the_mean_of_readers_who_read_both_visits(
    now: dict[str, Points], expected: bool | None
) -> None:
    rules = FlareRules(FlareDefinition.MRI_LESIONS, CountsFrom.START_OF_TAPER)
    none = {"R1": points(), "R2": points()}
    course = [FlareVisit(0), FlareVisit(12, points=none), FlareVisit(24, points=now)]

    assert flare(course, rules, START) is expected


def test_the_danish_taper_is_any_of_three() -> None:
    rules = FlareRules(FlareDefinition.DANISH_TAPER, CountsFrom.START_OF_TAPER)
    before = FlareVisit(12, 1.0, 1.0, {"R1": points()})
    quiet, rise_of_asdas, rise_of_basdai = (
        FlareVisit(24, a, b, {"R1": points()}) for a, b in ((1.0, 1.0), (1.9, 1.0), (1.0, 4.0))
    )

    for visit, expected in ((quiet, False), (rise_of_asdas, True), (rise_of_basdai, True)):
        assert flare([FlareVisit(0), before, visit], rules, START) is expected
    assert flare([FlareVisit(0), before, FlareVisit(24, 1.0, 1.0, {"R1": TWO})], rules, START) is True
    assert flare([FlareVisit(0), before, FlareVisit(24, 1.0, 1.0)], rules, START) is None
    assert flare([FlareVisit(0), before, FlareVisit(24, 1.9, None)], rules, START) is True


@pytest.mark.parametrize("definition", list(FlareDefinition))
def test_the_baseline_is_no_flare_and_has_none(definition: FlareDefinition) -> None:
    assert flare_by(definition, [FlareVisit(0, 4.0, 9.0, {"R1": TWO})], FlareRules(), START) is None
