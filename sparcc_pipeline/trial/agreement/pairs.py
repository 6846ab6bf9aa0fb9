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


@dataclass(frozen=True)
class TotalPairs:
    """Pairs of totals of the same images, `second` against `first`, with the participant of each pair."""

    kind: PairKind
    first_name: str
    second_name: str
    first: tuple[float, ...]
    second: tuple[float, ...]
    participants: tuple[str, ...]

    def agreement(self, seed: int) -> TotalAgreement | None:
        """Return all figures; None with too few pairs."""
        return total_agreement(self.first, self.second, self.participants, seed)


def reading_pairs(data: TrialData, adjudication: Adjudication) -> tuple[TotalPairs, ...]:
    """Return all pairs of locked readings of the same images, and the machine against the score of the readings.

    Third readings are left out, because they exist only where two readers differed. The machine is compared with the
    score that counts when readings count (`reading.counted_score`).
    """
    places: dict[tuple[str, str], list[Reading]] = defaultdict(list)
    for reading in data.readings:
        if reading.locked:
            places[reading.participant, reading.visit].append(reading)
    found: dict[tuple[PairKind, str, str], list[tuple[float, float, str]]] = defaultdict(list)
    for (participant, _), readings in places.items():
        ordered = sorted((r for r in readings if not r.adjudicator), key=lambda r: (r.reader, r.repeat))
        for number, a in enumerate(ordered):
            for b in ordered[number + 1 :]:
                same = a.reader == b.reader
                if a.total is not None and b.total is not None and (same or a.repeat == b.repeat == 1):
                    key = (PairKind.WITHIN if same else PairKind.BETWEEN, a.reader, b.reader)
                    found[key].append((a.total, b.total, participant))
    for score in data.scores:
        readings = places.get((score.participant, score.visit), [])
        counted = counted_score(readings, None, Counts.READINGS, adjudication)
        if score.total is not None and counted.value is not None:
            found[PairKind.MACHINE, "", ""].append((counted.value, float(score.total), score.participant))
    order = list(PairKind)
    return tuple(_pairs(key, found[key]) for key in sorted(found, key=lambda key: (order.index(key[0]), *key[1:])))


def _pairs(key: tuple[PairKind, str, str], rows: Sequence[tuple[float, float, str]]) -> TotalPairs:
    first, second, participants = zip(*rows, strict=True)
    return TotalPairs(*key, first, second, participants)


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


def quadrant_pairs(readings: Sequence[ItemReading]) -> tuple[QuadrantPairs, ...]:
    """Return the pairs of quadrants: between readers, within each reader, and the machine against each reader.

    A quadrant is compared where both scored its slice of the series. Third readings are left out, because they exist
    only where two readers differed.
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
    return tuple(_compared(*key, found[key]) for key in sorted(found, key=lambda key: (order.index(key[0]), *key[1:])))


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
    kind: PairKind, first_name: str, second_name: str, pairs: Sequence[tuple[ItemReading, ItemReading]]
) -> QuadrantPairs:
    first: list[int | None] = []
    second: list[int | None] = []
    participants: list[str] = []
    apart = 0
    for one, other in pairs:
        mine = {place: point for place, point in one.points.items() if place.item in QUADRANTS}
        theirs = {place: point for place, point in other.points.items() if place.item in QUADRANTS}
        both = [place for place in mine if place in theirs]
        first += [mine[place] for place in both]
        second += [theirs[place] for place in both]
        participants += [one.participant] * len(both)
        apart += len(mine) + len(theirs) - 2 * len(both)
    return QuadrantPairs(
        kind, first_name, second_name, tuple(first), tuple(second), tuple(participants), len(pairs), apart
    )
