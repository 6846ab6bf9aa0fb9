"""Pairs of totals whose agreement a trial reports. There: `reading_pairs`, `TotalPairs`, `PairKind`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.agreement_summary import TotalAgreement, total_agreement
from sparcc_pipeline.trial.reading import Counts, Reading, counted_score
from sparcc_pipeline.trial.records import TrialData


class PairKind(Enum):
    """What is compared; the value is its name in reports."""

    BETWEEN = "reader against reader"
    WITHIN = "reader against the same reader again"
    MACHINE = "machine against the readings"


@dataclass(frozen=True)
class TotalPairs:
    """Totals of the same images, `second` against `first`, each with its participant."""

    kind: PairKind
    first_name: str
    second_name: str
    first: tuple[float, ...]
    second: tuple[float, ...]
    participants: tuple[str, ...]

    def agreement(self, seed: int) -> TotalAgreement | None:
        """All figures; None with too few pairs."""
        return total_agreement(self.first, self.second, self.participants, seed)


def reading_pairs(data: TrialData, adjudication_limit: float) -> tuple[TotalPairs, ...]:
    """All pairs of locked readings of the same images, and the machine against the readings' score.

    Third readings are left out: they were asked for because two differed. The machine is compared with what would count
    if readings do (`reading.counted_score`).
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
        counted = counted_score(readings, None, Counts.READINGS, adjudication_limit)
        if score.total is not None and counted.value is not None:
            found[PairKind.MACHINE, "", ""].append((counted.value, float(score.total), score.participant))
    order = list(PairKind)
    return tuple(_pairs(key, found[key]) for key in sorted(found, key=lambda key: (order.index(key[0]), *key[1:])))


def _pairs(key: tuple[PairKind, str, str], rows: Sequence[tuple[float, float, str]]) -> TotalPairs:
    first, second, participants = zip(*rows, strict=True)
    return TotalPairs(*key, first, second, participants)
