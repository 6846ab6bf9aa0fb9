"""The score that counts: from two locked readings or adjudication, never from the machine by default."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.reading import (
    Adjudication,
    CountedScore,
    Counts,
    MachineScore,
    Reading,
    ScoreSource,
    counted_score,
)

from .builders import content, protocol, readings

MACHINE = MachineScore("P001", "W0", 7, asas_positive=True)
LIMIT = Adjudication(3.4)


def counted(given: list[Reading], machine: MachineScore | None = MACHINE) -> CountedScore:
    return counted_score(given, machine, Counts.READINGS, LIMIT)


def test_two_readings_that_agree_count_by_their_mean() -> None:
    score = counted(readings(4, 7))

    assert (score.value, score.source, score.readers) == (5.5, ScoreSource.TWO_READINGS, ("R1", "R2"))
    assert score.difference == 3


@pytest.mark.parametrize(
    ("first", "third", "value", "readers"),
    [
        ((4, 10), 9, 9.5, ("R2", "ADJ")),
        ((4, 10), 5, 4.5, ("R1", "ADJ")),
        ((4, 10), 30, 7.0, ("R1", "R2")),
        ((4, 10), 7, 7.0, ("R1", "R2", "ADJ")),
    ],
)
def test_a_third_reading_settles_it_with_the_two_that_agree(
    first: tuple[float, float], third: float, value: float, readers: tuple[str, ...]
) -> None:
    score = counted(readings(*first, third=third))

    assert (score.value, score.source, score.readers) == (value, ScoreSource.ADJUDICATED, readers)


def test_a_third_reading_far_from_two_that_agree_changes_nothing() -> None:
    assert counted(readings(4, 5, third=20)).value == 4.5


def test_a_third_reading_decides_the_side_of_the_cut_off_of_two_readers_within_the_limit() -> None:
    assert counted(readings(1, 3)).value == 2
    settled = counted(readings(1, 3, third=1))
    assert (settled.value, settled.source, settled.readers) == (1, ScoreSource.ADJUDICATED, ("R1", "ADJ"))


def test_two_readings_within_the_limit_count_where_the_third_could_not_evaluate() -> None:
    third = Reading("P001", "W0", "ADJ", None, locked=True, adjudicator=True)
    assert counted([*readings(4, 5), third]).source is ScoreSource.TWO_READINGS


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "no reading"),
        (readings(4), "1 locked reading, where 2 are expected"),
        ([*readings(4), replace(readings(4, 5)[1], locked=False)], "1 locked reading and 1 not locked"),
        (readings(1, 2, 3), "3 locked readings"),
        ([readings(4)[0], replace(readings(4)[0], total=5)], "more than one locked reading"),
        (readings(4, None), "not evaluable for reader R2"),
        (readings(4, 10), "differ by 6, over 3.4"),
        (
            [*readings(4, 10), Reading("P001", "W0", "ADJ", None, locked=True, adjudicator=True)],
            "not evaluable for the third",
        ),
        ([*readings(4, 10), replace(readings(4, 10, third=5)[2], locked=False)], "no third reading is locked"),
    ],
)
def test_without_two_readings_nothing_counts_and_the_reason_is_given(given: list[Reading], reason: str) -> None:
    score = counted(given)

    assert (score.value, score.source) == (None, ScoreSource.NONE)
    assert score.reason is not None and reason in score.reason


def test_the_machine_counts_only_where_the_protocol_chooses_it() -> None:
    assert counted([]).value is None
    assert counted_score(readings(1, 1), MACHINE, Counts.MACHINE, LIMIT).value == 7
    assert counted_score(readings(1, 1), None, Counts.MACHINE, LIMIT).value is None
    unscored = replace(MACHINE, total=None, reason="not semicoronal")
    reason = counted_score(readings(1, 1), unscored, Counts.MACHINE, LIMIT).reason
    assert reason is not None and "not semicoronal" in reason


def test_a_repeated_reading_never_counts() -> None:
    again = replace(readings(4, 5)[0], total=40, repeat=2)

    assert counted([*readings(4, 5), again]).value == 4.5


def test_the_sign_at_entry_is_what_the_readers_agree_on() -> None:
    assert counted(readings(4, 5)).asas_positive is True
    split = [replace(each, asas_positive=sign) for each, sign in zip(readings(4, 5), (True, False), strict=True)]
    assert counted(split).asas_positive is None


@pytest.mark.parametrize("sign", [True, False, None])
def test_the_third_reader_settles_the_sign_where_the_first_two_disagree(sign: bool | None) -> None:
    split = [replace(each, asas_positive=mine) for each, mine in zip(readings(4, 20), (True, False), strict=True)]
    # The totals agree best between the second and the third: that must not decide the sign.
    third = replace(readings(4, third=19)[1], asas_positive=sign)

    assert counted([*split, third]).asas_positive is sign


@pytest.mark.parametrize("sign", [True, False])
@pytest.mark.parametrize("third", [None, 4, 12, 20])
def test_two_equal_signs_hold_whatever_the_totals(sign: bool, third: float | None) -> None:
    pair = [replace(each, asas_positive=sign) for each in readings(4, 20)]
    more = [] if third is None else [replace(readings(4, third=third)[1], asas_positive=not sign)]

    assert counted([*pair, *more]).asas_positive is sign


def test_a_sign_needs_two_equal_answers() -> None:
    first, second = readings(4, 5)
    third = readings(4, third=5)[1]

    assert counted([first, replace(second, asas_positive=None)]).asas_positive is None
    assert counted([first, replace(second, asas_positive=None), third]).asas_positive is True


@pytest.mark.parametrize(("inclusive", "pair"), [(False, (0, 3)), (False, (1, 2)), (True, (2, 3)), (True, (0, 3))])
def test_two_readings_on_two_sides_of_the_cut_off_need_a_third_where_the_protocol_asks(
    inclusive: bool, pair: tuple[float, float]
) -> None:
    rule = Adjudication(3.4, ((2.0, inclusive),))
    score = counted_score(readings(*pair), None, Counts.READINGS, rule)
    settled = counted_score(readings(*pair, third=pair[0]), None, Counts.READINGS, rule)

    assert score.value is None and score.reason is not None and "two sides of the cut-off" in score.reason
    assert (settled.value, settled.source) == (pair[0], ScoreSource.ADJUDICATED)
    assert counted(readings(*pair)).value == sum(pair) / 2
    assert counted_score(readings(0, 1), None, Counts.READINGS, rule).value == 0.5


def test_the_protocol_chooses_whether_readings_on_two_sides_count_without_a_third() -> None:
    asking = protocol({"imaging.adjudicate_at_cut_off": True})

    assert asking.adjudication == protocol().third_reading == Adjudication(3.4, ((2.0, False),))
    assert protocol().adjudication == Adjudication(3.4)
    assert protocol_from(content(), "open.toml").third_reading == Adjudication(3.4, ((2.0, False), (2.0, True)))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 72), st.floats(0, 72), st.floats(0, 72))
def test_the_score_is_among_its_readings_and_ignores_their_order(a: float, b: float, c: float) -> None:
    given_ = readings(a, b, third=c)
    score, turned = counted(given_), counted(given_[::-1])

    assert score.value is not None and turned.value == pytest.approx(score.value)
    assert min(a, b, c) - 1e-9 <= score.value <= max(a, b, c) + 1e-9
