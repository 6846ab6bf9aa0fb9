"""The imaging score of a visit that counts: from two locked readings, from adjudication, or from the machine.

The protocol chooses readings or the machine; the machine never replaces missing readings. Two readers read each visit.
If they differ by more than the protocol's limit, or (where the protocol asks for it) are on two sides of
the cut-off, a third reads it; the score is the mean of the two, or of the two of
three that agree best. Decision of this project.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sparcc_pipeline.trial.cut_off import above, at_most, below

LARGEST_TOTAL: Final = 72
"""Largest total of SPARCC. Source: [SpaImaging]; [Maksymowych2005]."""

READERS: Final = 2
"""Readers of a visit, without the adjudicator. Decision of this project."""


class Counts(Enum):
    """Sources of the imaging score that a protocol can choose; the value is the name in the protocol file."""

    READINGS = "readings"
    MACHINE = "machine"


class ScoreSource(Enum):
    """Sources of the score that counts; the value is the name in tables."""

    TWO_READINGS = "two locked readings"
    ADJUDICATED = "adjudicated"
    MACHINE = "machine"
    NONE = "none"


@dataclass(frozen=True)
class Reading:
    """One reader's total of one visit.

    Parameters
    ----------
    total : 0-72; None where the reader found the images not evaluable
    locked : only a locked reading counts
    adjudicator : True for a third reader, who reads because two differ
    asas_positive : the reader's answer to the ASAS definition of a positive MRI; None without an answer
    repeat : 1 for the reading that counts; 2 and more for further readings of the same images by the same reader, which
        measure agreement within a reader and never count
    """

    participant: str
    visit: str
    reader: str
    total: float | None
    locked: bool
    adjudicator: bool = False
    asas_positive: bool | None = None
    repeat: int = 1


@dataclass(frozen=True)
class Adjudication:
    """The rule that asks for a third reading.

    Parameters
    ----------
    limit : two readers who differ by more need a third
    cut_offs : cut-offs of the imaging half, each with True if the cut-off itself meets it; two readers on two sides of
        one need a third. Empty where the protocol does not ask for it
    """

    limit: float
    cut_offs: tuple[tuple[float, bool], ...] = ()

    def too_far_apart(self, first: float, second: float) -> bool:
        """Return True if two totals differ by more than the limit."""
        return above(abs(first - second), self.limit)

    def on_two_sides(self, first: float, second: float) -> bool:
        """Return True if one of two totals meets the imaging half and the other misses it.

        Examples
        --------
        >>> Adjudication(3.4, ((2.0, False),)).on_two_sides(0, 3), Adjudication(3.4).on_two_sides(0, 3)
        (True, False)
        """
        return any(
            (at_most if inclusive else below)(first, cut_off) != (at_most if inclusive else below)(second, cut_off)
            for cut_off, inclusive in self.cut_offs
        )

    def needed(self, first: float, second: float) -> bool:
        """Return True if two totals need a third reading."""
        return self.too_far_apart(first, second) or self.on_two_sides(first, second)


@dataclass(frozen=True)
class MachineScore:
    """The machine's score of one visit, from `score.json`.

    More than ten fields, because each is read from one score document and written to one row of the trial's tables.

    Parameters
    ----------
    total : 0-72; None where the study could not be scored, with the cause in `reason`
    expected : mean of the distribution of the total; None where the score has none
    interval_90 : 90 % interval of the total; None where the score has none
    probability_remission : P(SPARCC < 2); None where the score has none
    evaluable_maximum : largest total that this study could reach
    """

    participant: str
    visit: str
    total: int | None
    reason: str | None = None
    asas_positive: bool | None = None
    expected: float | None = None
    interval_90: tuple[float, float] | None = None
    probability_remission: float | None = None
    evaluable_maximum: int | None = None
    spacing_mm: float | None = None
    study_uid: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class CountedScore:
    """The imaging score of one visit that counts.

    Parameters
    ----------
    value : SPARCC, 0-72 (a mean of two readings can end in .5); None where no score counts
    source : where the value comes from
    readers : the readers whose readings it is the mean of
    difference : difference of the two readers, before adjudication; None without two readings
    reason : why there is no value; None where there is one
    asas_positive : the answer to the ASAS definition that two readers share, also where no value counts
    """

    value: float | None
    source: ScoreSource
    readers: tuple[str, ...] = ()
    difference: float | None = None
    reason: str | None = None
    asas_positive: bool | None = None


def counted_score(
    readings: Sequence[Reading], machine: MachineScore | None, counts: Counts, adjudication: Adjudication
) -> CountedScore:
    """Return the score of one visit that counts.

    A locked third reading counts whatever its reason: readers with similar totals may differ in the change, or be on
    two sides of the cut-off.

    Parameters
    ----------
    readings : all readings of this visit, locked or not
    machine : the machine's score of this visit; used only where `counts` is the machine
    adjudication : the rule that asks for a third reading

    Examples
    --------
    Totals of 8 and 4 differ by more than 3.4, so a third reading is needed; 5 is nearer to 4:

    >>> first, second = Reading("P1", "W0", "R1", 8, locked=True), Reading("P1", "W0", "R2", 4, locked=True)
    >>> rule = Adjudication(3.4)
    >>> counted_score([first, second], None, Counts.READINGS, rule).reason
    'the readers differ by 4, over 3.4, and no third reading is locked'
    >>> third = Reading("P1", "W0", "R3", 5, locked=True, adjudicator=True)
    >>> score = counted_score([first, second, third], None, Counts.READINGS, rule)
    >>> score.value, score.source.value, score.readers
    (4.5, 'adjudicated', ('R2', 'R3'))
    """
    if counts is Counts.MACHINE:
        return _machine(machine)
    mine = [reading for reading in readings if reading.repeat == 1]
    locked = [reading for reading in mine if reading.locked]
    first = [reading for reading in locked if not reading.adjudicator]
    third = [reading for reading in locked if reading.adjudicator]
    if len(first) != READERS or len(third) > 1 or len({reading.reader for reading in locked}) < len(locked):
        return _none(_why_not_two(mine, first, third))
    sign = _sign([*first, *third])
    totals = [reading.total for reading in first]
    if totals[0] is None or totals[1] is None:
        blind = ", ".join(reading.reader for reading in first if reading.total is None)
        return _none(f"not evaluable for reader {blind}", None, sign)
    difference = abs(totals[0] - totals[1])
    if not adjudication.needed(totals[0], totals[1]) and not (third and third[0].total is not None):
        return CountedScore(_mean(totals), ScoreSource.TWO_READINGS, _names(first), difference, asas_positive=sign)
    if not third:
        return _none(_why_a_third(totals[0], totals[1], adjudication), difference, sign)
    if third[0].total is None:
        return _none("the readers differ and the images are not evaluable for the third", difference, sign)
    agreeing = _agreeing(first, third[0])
    return CountedScore(
        _mean([reading.total for reading in agreeing]),
        ScoreSource.ADJUDICATED,
        _names(agreeing),
        difference,
        asas_positive=sign,
    )


def _machine(machine: MachineScore | None) -> CountedScore:
    if machine is None:
        return _none("no score of the machine")
    if machine.total is None:
        return _none(f"the machine could not score: {machine.reason or 'no reason was given'}")
    return CountedScore(float(machine.total), ScoreSource.MACHINE, asas_positive=machine.asas_positive)


def _why_not_two(mine: Sequence[Reading], first: Sequence[Reading], third: Sequence[Reading]) -> str:
    open_ = sum(not reading.locked for reading in mine)
    unlocked = f" and {open_} not locked" if open_ else ""
    if not mine:
        return "no reading"
    if len({reading.reader for reading in first} | {r.reader for r in third}) < len(first) + len(third):
        return "a reader has more than one locked reading of this visit"
    if len(third) > 1:
        return f"{len(third)} third readings, where one is expected"
    return f"{len(first)} locked reading{'' if len(first) == 1 else 's'}{unlocked}, where {READERS} are expected"


def _agreeing(first: Sequence[Reading], third: Reading) -> tuple[Reading, ...]:
    """The two of three with the smallest difference; all three where two pairs differ equally little."""
    pairs = list(itertools.combinations((*first, third), 2))
    apart = [abs((a.total or 0.0) - (b.total or 0.0)) for a, b in pairs]
    nearest = [pair for pair, distance in zip(pairs, apart, strict=True) if distance == min(apart)]
    return nearest[0] if len(nearest) == 1 else (*first, third)


def _sign(readings: Sequence[Reading]) -> bool | None:
    """The answer to the ASAS definition that two readers share, whatever their totals; None without two equal answers.

    Where the first two disagree, the third reader settles it.
    """
    answers = [reading.asas_positive for reading in readings]
    return next((sign for sign in (True, False) if answers.count(sign) >= READERS), None)


def _why_a_third(first: float, second: float, adjudication: Adjudication) -> str:
    difference = abs(first - second)
    if adjudication.too_far_apart(first, second):
        return f"the readers differ by {difference:g}, over {adjudication.limit:g}, and no third reading is locked"
    return "the readers are on two sides of the cut-off, and no third reading is locked"


def _mean(totals: Sequence[float | None]) -> float:
    known = [total for total in totals if total is not None]
    return sum(known) / len(known)


def _names(readings: Sequence[Reading]) -> tuple[str, ...]:
    return tuple(reading.reader for reading in readings)


def _none(reason: str, difference: float | None = None, sign: bool | None = None) -> CountedScore:
    return CountedScore(None, ScoreSource.NONE, (), difference, reason, sign)
