"""Windows of visits, and the state of the steps of the taper arm."""

from __future__ import annotations

import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.schedule import Criterion, Timing, planned_at, step_criterion, taper_steps, timing

from .builders import content, protocol


@pytest.mark.parametrize(
    ("day", "expected"),
    [(69, Timing.EARLY), (70, Timing.IN_WINDOW), (98, Timing.IN_WINDOW), (99, Timing.LATE), (None, Timing.UNKNOWN)],
)
def test_both_ends_of_a_window_belong_to_it(day: int | None, expected: Timing) -> None:
    planned = protocol().visit("W12")

    assert planned is not None and planned.day == 84
    assert timing(planned, day) is expected


def test_a_day_belongs_to_one_planned_visit_or_none() -> None:
    made = protocol()
    names = [planned.visit if (planned := planned_at(made, day)) else None for day in (-28, 0, 1, 84, 98, 120)]

    assert names == ["W0", "W0", None, "W12", "W12", None]


@pytest.mark.parametrize(("weeks", "second"), [(12, 24), (24, 36)])
def test_steps_follow_the_choices(weeks: int, second: int) -> None:
    steps = taper_steps(protocol(observation_weeks=weeks))

    assert [(step.from_week, step.dose) for step in steps] == [
        (0, "15 mg daily"),
        (12, "5 mg every other day"),
        (second, "15 mg, with two days between doses"),
    ]
    assert [step.observed_weeks for step in steps] == [12, weeks, None]


def test_steps_need_their_choices() -> None:
    with pytest.raises(ConfigError, match=r"choices\.first_step.*choices\.observation_weeks.*choices\.second_step"):
        taper_steps(protocol_from(content(), "open.toml"))


@pytest.mark.parametrize(
    ("asdas", "state"),
    [(2.09, Criterion.MET), (2.1, Criterion.NOT_MET), (None, Criterion.NOT_ASSESSABLE)],
)
def test_the_first_step_depends_on_low_disease_activity_after_the_full_dose(
    asdas: float | None, state: Criterion
) -> None:
    found = step_criterion(protocol(), 1, 0, {"W0": 4.0, "W12": asdas})

    assert (found.visits, found.state) == (("W12",), state)


@pytest.mark.parametrize(
    ("weeks", "values", "visits", "state"),
    [
        (24, (1.0, 1.0, 1.0), ("W12", "W24", "W36"), Criterion.MET),
        (24, (1.0, 2.5, 1.0), ("W12", "W24", "W36"), Criterion.NOT_MET),
        (24, (1.0, None, 1.0), ("W12", "W24", "W36"), Criterion.NOT_ASSESSABLE),
        (24, (1.0, None, 2.5), ("W12", "W24", "W36"), Criterion.NOT_MET),
        (12, (1.0, 1.0, 2.5), ("W12", "W24"), Criterion.MET),
    ],
)
def test_the_second_step_needs_every_visit_of_the_observation(
    weeks: int, values: tuple[float | None, ...], visits: tuple[str, ...], state: Criterion
) -> None:
    asdas = dict(zip(("W12", "W24", "W36"), values, strict=True))
    found = step_criterion(protocol(observation_weeks=weeks), 2, 12, asdas)

    assert (found.visits, found.state) == (visits, state)
