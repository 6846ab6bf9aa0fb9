"""Readings and machine scores of simulated images, one visit after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.images import Floats, Points, see
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import LARGEST_TOTAL, MachineScore, Reading
from sparcc_pipeline.trial.remission import probability_below

READERS: Final = ("R1", "R2")
THIRD_READER: Final = "R3"
MACHINE: Final = "machine"
AGAIN: Final = "R1 again"
"""Keys of `Imaging.points`."""

_NORMAL_90: Final = 1.6449
"""Standard deviations on either side of the mean that hold 90 % of a normal distribution."""


def reader_item_sd(totals: NDArray[np.int64], assumptions: Assumptions) -> Floats:
    """Return the standard deviation of a reader's error of an item, for images of these true totals (any shape)."""
    return np.asarray(np.interp(totals, assumptions.expected.reader_levels, assumptions.reader.item_sd))


class Imaging:
    """Points of two readers, a third, the first reader's second reading, and the machine, at every visit so far.

    Parameters
    ----------
    thresholds : (participants, 6 slices, 2 sides, 4 quadrants)
    """

    def __init__(
        self,
        thresholds: Floats,
        assumptions: Assumptions,
        generator: np.random.Generator,
        severity: Mapping[str, float] | None = None,
        visits: Mapping[str, Sequence[Points]] | None = None,
    ) -> None:
        self._thresholds, self._assumptions, self._generator = thresholds, assumptions, generator
        if severity is None:
            sd = assumptions.reader.severity_sd
            drawn = {name: sd * generator.standard_normal() for name in (*READERS, THIRD_READER)}
            severity = {**drawn, AGAIN: drawn[READERS[0]], MACHINE: assumptions.machine.severity}
        self._severity = severity
        self._visits = {name: list((visits or {}).get(name, ())) for name in (_TRUTH, *severity)}

    def add(self, level: Floats) -> None:
        """Image everyone once more; `level` is (participants,), the activity on MRI."""
        a, g, level = self._assumptions, self._generator, level[:, None]
        truth = see(level, self._thresholds, a.activity, g)
        self._visits[_TRUTH].append(truth)
        by_level = reader_item_sd(truth.totals, a)
        for name, of in self._severity.items():
            errors = a.machine if name == MACHINE else a.reader
            item_sd = a.machine.item_sd if name == MACHINE else by_level
            case = of + errors.case_sd * g.standard_normal(level.shape)
            self._visits[name].append(see(level, self._thresholds, a.activity, g, item_sd, case))

    def of(self, chosen: Sequence[int]) -> Imaging:
        """Return the imaging of chosen participants, with the visits so far."""
        rows = list(chosen)
        visits = {name: [_rows(each, rows) for each in seen] for name, seen in self._visits.items()}
        return Imaging(self._thresholds[rows], self._assumptions, self._generator, self._severity, visits)

    @property
    def truth(self) -> Points:
        """Points without error."""
        return _joined(self._visits[_TRUTH])

    @property
    def points(self) -> dict[str, Points]:
        """Points of each reader and of the machine."""
        return {name: _joined(self._visits[name]) for name in self._severity}

    def read(
        self, names: Sequence[str], visit: str, imaged: NDArray[np.bool_], protocol: Protocol
    ) -> tuple[list[list[Reading]], list[MachineScore | None]]:
        """Return the readings and the machine score of each participant at the newest visit.

        ASAS-positive is recorded at the first visit only, which is complete, so that eligibility can be decided.

        Parameters
        ----------
        imaged : (participants,) bool, True where images were made
        """
        a, g, first = self._assumptions, self._generator, len(self._visits[_TRUTH]) == 1
        newest = {name: self._visits[name][-1] for name in self._severity}
        totals = {name: points.totals[:, 0] for name, points in newest.items()}
        positive = {name: points.asas_positive[:, 0] for name, points in newest.items()}
        blind = (g.random((len(READERS), len(imaged))) < a.reader.not_evaluable) & (not first)
        again = g.random(imaged.shape) < a.reader.read_again
        unscorable = (g.random(imaged.shape) < a.machine.unscorable) & (not first)
        readings: list[list[Reading]] = [[] for _ in names]
        scores: list[MachineScore | None] = [None] * len(names)
        for i in map(int, np.flatnonzero(imaged)):
            who = names[i]
            signs = {name: bool(positive[name][i]) if first else None for name in newest}
            pair = [None if blind[k, i] else float(totals[name][i]) for k, name in enumerate(READERS)]
            for name, total in zip(READERS, pair, strict=True):
                readings[i].append(Reading(who, visit, name, total, locked=True, asas_positive=signs[name]))
            if _third_is_needed(pair, [signs[name] for name in READERS], protocol):
                total, sign = float(totals[THIRD_READER][i]), signs[THIRD_READER]
                third = Reading(who, visit, THIRD_READER, total, locked=True, adjudicator=True, asas_positive=sign)
                readings[i].append(third)
            if again[i] and pair[0] is not None:
                readings[i].append(Reading(who, visit, READERS[0], float(totals[AGAIN][i]), locked=True, repeat=2))
            scored = None if unscorable[i] else int(totals[MACHINE][i])
            scores[i] = _machine_score(who, visit, scored, signs[MACHINE], a.machine.total_sd)
        return readings, scores


_TRUTH: Final = "truth"
"""Key of the points without error."""


def _third_is_needed(pair: Sequence[float | None], signs: Sequence[bool | None], protocol: Protocol) -> bool:
    """True if two totals need a third reading, or two answers on the ASAS definition differ."""
    first, second = pair
    if first is None or second is None:
        return False
    return protocol.adjudication.needed(first, second) or signs[0] != signs[1]


def _machine_score(participant: str, visit: str, total: int | None, sign: bool | None, sd: float) -> MachineScore:
    if total is None:
        return MachineScore(participant, visit, None, reason="simulated: the joints are not visible")
    return MachineScore(
        participant,
        visit,
        total,
        asas_positive=sign,
        expected=float(total),
        interval_90=(max(0.0, total - _NORMAL_90 * sd), min(float(LARGEST_TOTAL), total + _NORMAL_90 * sd)),
        probability_remission=probability_below(2.0, total, sd),
        evaluable_maximum=LARGEST_TOTAL,
    )


def _rows(points: Points, rows: Sequence[int]) -> Points:
    return Points(*(each[list(rows)] for each in (points.edema, points.intense, points.deep)))


def _joined(visits: Sequence[Points]) -> Points:
    return Points(
        *(np.concatenate([getattr(v, name) for v in visits], axis=1) for name in ("edema", "intense", "deep"))
    )
