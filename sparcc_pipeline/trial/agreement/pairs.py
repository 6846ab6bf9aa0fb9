"""Pairs of totals and of quadrants for the agreement figures of a trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.agreement.summary import (
    QuadrantAgreement,
    TotalAgreement,
    quadrant_agreement,
    total_agreement,
)
from sparcc_pipeline.trial.items import QUADRANTS, ItemReading
from sparcc_pipeline.trial.reading import Adjudication, Counts, Reading, counted_score
from sparcc_pipeline.trial.records import TrialData


class PairKind(Enum):
    """Kinds of pairs; the value is the name in reports."""

    BETWEEN = "reader against reader"
    WITHIN = "reader against the same reader again"
    MACHINE = "machine against the readings"


class Measure(Enum):
    """Values that a pair compares; the value is the name in reports."""

    STATUS = "status"
    CHANGE = "change since baseline"


@dataclass(frozen=True)
class TotalPairs:
    """Pairs of totals, or of changes, of the same images, `second` against `first`, with the participant of each."""

    kind: PairKind
    first_name: str
    second_name: str
    first: tuple[float, ...]
    second: tuple[float, ...]
    participants: tuple[str, ...]
    measure: Measure = Measure.STATUS

    def agreement(self, seed: int) -> TotalAgreement | None:
        """Return all figures; None with too few pairs."""
        return total_agreement(
            self.first, self.second, self.participants, seed, of_change=self.measure is Measure.CHANGE
        )


@dataclass(frozen=True)
class _Pair:
    """Two totals of one visit; `readers` are those of the pair, or those whose mean the first total is."""

    key: tuple[PairKind, str, str]
    readers: tuple[str, ...]
    first: float
    second: float


def reading_pairs(data: TrialData, adjudication: Adjudication, baseline: str | None = None) -> tuple[TotalPairs, ...]:
    """Return all pairs of locked readings of the same images, and the machine against the score of the readings.

    Third readings are left out, because they exist only where two readers differed. The machine is compared with the
    score that counts when readings count (`reading.counted_score`).

    Parameters
    ----------
    baseline : with this visit, the pairs of changes since it follow; a change has the same readers at both visits
    """
    places: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for reading in data.readings:
        if reading.locked:
            places[reading.participant, reading.visit].append(reading)
    machine = {(score.participant, score.visit): score.total for score in data.scores}
    found: dict[tuple[Measure, PairKind, str, str], list[tuple[float, float, str]]] = defaultdict(list)
    visits = {
        place: [
            *_of_readers(places.get(place, [])),
            *_of_machine(places.get(place, []), machine.get(place), adjudication),
        ]
        for place in dict.fromkeys((*places, *machine))
    }
    for (participant, visit), pairs in visits.items():
        before = {(pair.key, pair.readers): pair for pair in visits.get((participant, baseline or ""), [])}
        for pair in pairs:
            found[Measure.STATUS, *pair.key].append((pair.first, pair.second, participant))
            start = before.get((pair.key, pair.readers))
            if start is not None and visit != baseline:
                change = (pair.first - start.first, pair.second - start.second, participant)
                found[Measure.CHANGE, *pair.key].append(change)
    measures, kinds = list(Measure), list(PairKind)
    order = sorted(found, key=lambda key: (measures.index(key[0]), kinds.index(key[1]), *key[2:]))
    return tuple(_pairs(key, found[key]) for key in order)


def readers_changed(data: TrialData) -> tuple[str, ...]:
    """Return the participants whose visits were not all read by the same two readers."""
    readers: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for reading in data.readings:
        if reading.locked and not reading.adjudicator:
            readers[reading.participant][reading.visit].add(reading.reader)
    return tuple(
        sorted(name for name, visits in readers.items() if len({frozenset(found) for found in visits.values()}) > 1)
    )


def _of_readers(readings: Sequence[Reading]) -> Iterator[_Pair]:
    ordered = sorted((r for r in readings if not r.adjudicator), key=lambda r: (r.reader, r.repeat))
    for number, a in enumerate(ordered):
        for b in ordered[number + 1 :]:
            same = a.reader == b.reader
            if a.total is not None and b.total is not None and (same or a.repeat == b.repeat == 1):
                key = (PairKind.WITHIN if same else PairKind.BETWEEN, a.reader, b.reader)
                yield _Pair(key, (f"{a.reader} {a.repeat}", f"{b.reader} {b.repeat}"), a.total, b.total)


def _of_machine(readings: Sequence[Reading], total: int | None, adjudication: Adjudication) -> Iterator[_Pair]:
    counted = counted_score(readings, None, Counts.READINGS, adjudication)
    if total is not None and counted.value is not None:
        yield _Pair((PairKind.MACHINE, "", ""), counted.readers, counted.value, float(total))


def _pairs(key: tuple[Measure, PairKind, str, str], rows: Sequence[tuple[float, float, str]]) -> TotalPairs:
    first, second, participants = zip(*rows, strict=True)
    return TotalPairs(*key[1:], first, second, participants, key[0])


@dataclass(frozen=True)
class QuadrantPairs:
    """Pairs of points of the same quadrants of the same slices, with the participant of each pair.

    Parameters
    ----------
    images : number of visits compared
    apart : quadrants that only one of the two scored, because the slices differ
    """

    kind: PairKind
    first_name: str
    second_name: str
    first: tuple[int | None, ...]
    second: tuple[int | None, ...]
    participants: tuple[str, ...]
    images: int
    apart: int

    def agreement(self, seed: int) -> QuadrantAgreement | None:
        """Return all figures; None with too few quadrants."""
        return quadrant_agreement(self.first, self.second, self.participants, seed)


def quadrant_pairs(readings: Sequence[ItemReading], items: Sequence[str] = QUADRANTS) -> tuple[QuadrantPairs, ...]:
    """Return the pairs of quadrants: between readers, within each reader, and the machine against each reader.

    A quadrant is compared where both scored its slice of the series. Third readings are left out, because they exist
    only where two readers differed.

    Parameters
    ----------
    items : names of the items to compare; by default the four quadrants
    """
    places: dict[tuple[str, str], list[ItemReading]] = defaultdict(list)
    for reading in readings:
        if not reading.adjudicator:
            places[reading.participant, reading.visit].append(reading)
    found: dict[tuple[PairKind, str, str], list[tuple[ItemReading, ItemReading]]] = defaultdict(list)
    for same_images in places.values():
        for kind, first, second in _item_pairs(same_images):
            found[kind, first.reader or "", second.reader or ""].append((first, second))
    order = list(PairKind)
    return tuple(
        _compared(*key, found[key], items) for key in sorted(found, key=lambda key: (order.index(key[0]), *key[1:]))
    )


def _item_pairs(same_images: Sequence[ItemReading]) -> Iterator[tuple[PairKind, ItemReading, ItemReading]]:
    readers = sorted((r for r in same_images if r.reader is not None), key=lambda r: (r.reader or "", r.repeat))
    for number, first in enumerate(readers):
        for second in readers[number + 1 :]:
            if first.reader == second.reader:
                yield PairKind.WITHIN, first, second
            elif first.repeat == second.repeat == 1:
                yield PairKind.BETWEEN, first, second
        if first.repeat == 1:
            yield from ((PairKind.MACHINE, first, machine) for machine in same_images if machine.reader is None)


def _compared(
    kind: PairKind,
    first_name: str,
    second_name: str,
    pairs: Sequence[tuple[ItemReading, ItemReading]],
    items: Sequence[str],
) -> QuadrantPairs:
    first: list[int | None] = []
    second: list[int | None] = []
    participants: list[str] = []
    apart = 0
    for one, other in pairs:
        mine = {place: point for place, point in one.points.items() if place.item in items}
        theirs = {place: point for place, point in other.points.items() if place.item in items}
        both = [place for place in mine if place in theirs]
        first += [mine[place] for place in both]
        second += [theirs[place] for place in both]
        participants += [one.participant] * len(both)
        apart += len(mine) + len(theirs) - 2 * len(both)
    return QuadrantPairs(
        kind, first_name, second_name, tuple(first), tuple(second), tuple(participants), len(pairs), apart
    )
