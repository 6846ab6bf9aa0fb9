"""Numbers for a monitoring committee, by group: adverse events, laboratory values, deviations.

Contents: `Group`, `group_of`, `event_counts`, `terms_of`, `laboratory_rows`, `shifts`. A grade that the site did not
give is counted as not given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sparcc_pipeline.trial.monitoring.safety_records import SEVERE_GRADE, AdverseEvent, Deviation, LaboratoryValue
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import Courses, Distribution, distribution, is_recorded

DAYS_A_YEAR: Final = 365.25

KINDS_OF_EVENT: Final[tuple[tuple[str, Callable[[AdverseEvent], bool]], ...]] = (
    ("any", lambda _: True),
    ("serious", lambda each: each.serious is True),
    ("severe", lambda each: each.grade is not None and each.grade >= SEVERE_GRADE),
    ("related", lambda each: each.related is True),
    ("special_interest", lambda each: each.special_interest is True),
    ("fatal", lambda each: each.outcome == "fatal" or each.grade == 5),
    ("no_grade", lambda each: each.grade is None),
)
"""Kinds of adverse events that are counted."""


@dataclass(frozen=True)
class Group:
    """One group of participants with its records; adverse events are those from the baseline on.

    Parameters
    ----------
    courses : assessments of each participant
    years : participant-years from the baseline to the last visit with a known day
    """

    name: str
    courses: Courses
    years: float
    events: tuple[AdverseEvent, ...]
    laboratory: tuple[LaboratoryValue, ...]
    deviations: tuple[Deviation, ...]

    @property
    def n(self) -> int:
        """Number of participants."""
        return len(self.courses)


@dataclass(frozen=True)
class EventCount:
    """Participants with at least one event of a kind, and the number of events."""

    participants: int
    events: int


@dataclass(frozen=True)
class LaboratoryRow:
    """Values of one test at one visit; `severe` counts grades 3-5 as given by the sites."""

    test: str
    unit: str
    visit: str
    values: Distribution
    lowest: float
    highest: float
    below: int
    above: int
    severe: int
    no_grade: int


def group_of(
    name: str,
    courses: Courses,
    events: Iterable[AdverseEvent],
    laboratory: Iterable[LaboratoryValue],
    deviations: Iterable[Deviation],
) -> Group:
    """Return the group with the records of its participants."""
    return Group(
        name,
        courses,
        _years(courses),
        tuple(each for each in events if each.participant in courses and not each.before_baseline),
        tuple(each for each in laboratory if each.participant in courses),
        tuple(each for each in deviations if each.participant in courses),
    )


def event_counts(events: Sequence[AdverseEvent]) -> dict[str, EventCount]:
    """Return the counts of each kind of event.

    Examples
    --------
    >>> events = [AdverseEvent("P1", "a", grade=3), AdverseEvent("P1", "a"), AdverseEvent("P2", "b", grade=1)]
    >>> found = event_counts(events)
    >>> found["any"], found["severe"], found["no_grade"].events
    (EventCount(participants=2, events=3), EventCount(participants=1, events=1), 1)
    """
    found = {}
    for name, holds in KINDS_OF_EVENT:
        chosen = [each for each in events if holds(each)]
        found[name] = EventCount(len({each.participant for each in chosen}), len(chosen))
    return found


def terms_of(events: Sequence[AdverseEvent]) -> dict[tuple[str, str], dict[int | None, int]]:
    """Return, for each category and term, the number of participants by their worst grade; None: no grade given.

    A participant with a graded and an ungraded event of one term counts with the grade.
    """
    worst: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for each in events:
        key = (each.category or "", each.term)
        worst[key][each.participant] = max(worst[key].get(each.participant, 0), each.grade or 0)
    found: dict[tuple[str, str], dict[int | None, int]] = {}
    for key, people in sorted(worst.items()):
        counts: dict[int | None, int] = defaultdict(int)
        for grade in people.values():
            counts[grade or None] += 1
        found[key] = dict(counts)
    return found


def laboratory_rows(values: Sequence[LaboratoryValue], protocol: Protocol) -> list[LaboratoryRow]:
    """Return the distribution of each test at each visit, tests in the order of their names."""
    placed: dict[tuple[str, str], list[LaboratoryValue]] = defaultdict(list)
    for each in values:
        placed[each.test, each.visit].append(each)
    rows = []
    for test in sorted({test for test, _ in placed}):
        for planned in protocol.visits:
            here = placed.get((test, planned.visit), [])
            numbers = [each.value for each in here]
            spread = distribution(numbers)
            if spread is None:
                continue
            rows.append(
                LaboratoryRow(
                    test,
                    here[0].unit,
                    planned.visit,
                    spread,
                    min(numbers),
                    max(numbers),
                    sum(each.side == -1 for each in here),
                    sum(each.side == 1 for each in here),
                    sum(each.grade is not None and each.grade >= SEVERE_GRADE for each in here),
                    sum(each.grade is None for each in here),
                )
            )
    return rows


def shifts(values: Sequence[LaboratoryValue], protocol: Protocol) -> dict[str, dict[tuple[int, int], int]]:
    """Return, for each test, the number of participants by grade at baseline and worst grade after it.

    Only participants with a given grade at both are counted.
    """
    first: dict[tuple[str, str], int] = {}
    worst: dict[tuple[str, str], int] = {}
    for each in values:
        if each.grade is None:
            continue
        key = (each.test, each.participant)
        if each.visit == protocol.baseline.visit:
            first[key] = each.grade
        else:
            worst[key] = max(worst.get(key, 0), each.grade)
    found: dict[str, dict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))
    for key in sorted(set(first) & set(worst)):
        found[key[0]][first[key], worst[key]] += 1
    return {test: dict(counts) for test, counts in found.items()}


def _years(courses: Courses) -> float:
    days = 0
    for course in courses.values():
        known = [each.visit.day for each in course if is_recorded(each) and each.visit is not None and each.visit.day]
        days += max([0, *known])
    return days / DAYS_A_YEAR
