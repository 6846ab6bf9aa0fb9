"""Readings and machine scores of simulated images."""

from __future__ import annotations

from collections.abc import Sequence
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


class Imaging:
    """Points of two readers, a third, the first reader's second reading, and the machine, at every visit.

    Parameters
    ----------
    thresholds : (participants, 6 slices, 2 sides, 4 quadrants)
    level : (participants, visits), activity on MRI
    severity : systematic error of each reader; random where not given
    """

    def __init__(
        self,
        thresholds: Floats,
        level: Floats,
        assumptions: Assumptions,
        generator: np.random.Generator,
        severity: dict[str, float] | None = None,
    ) -> None:
        self._thresholds, self._assumptions, self._generator = thresholds, assumptions, generator
        reader, machine = assumptions.reader, assumptions.machine
        if severity is None:
            severity = {name: reader.severity_sd * generator.standard_normal() for name in (*READERS, THIRD_READER)}
        self._severity = {**severity, AGAIN: severity[READERS[0]], MACHINE: machine.severity}
        self.truth = see(level, thresholds, assumptions.activity, generator)
        self.points: dict[str, Points] = {}
        for name, of in self._severity.items():
            errors = machine if name == MACHINE else reader
            case = of + errors.case_sd * generator.standard_normal(level.shape)
            self.points[name] = see(level, thresholds, assumptions.activity, generator, errors.item_sd, case)

    def of(self, chosen: Sequence[int], level: Floats) -> Imaging:
        """Return the imaging of chosen participants at other visits; the points of the first visit are kept.

        `level` is (participants, visits), with the activity at the first visit in column 0.
        """
        rows = list(chosen)
        severity = {name: self._severity[name] for name in (*READERS, THIRD_READER)}
        later = Imaging(self._thresholds[rows], level, self._assumptions, self._generator, severity)
        later.truth = _first_from(self.truth, later.truth, rows)
        later.points = {name: _first_from(self.points[name], seen, rows) for name, seen in later.points.items()}
        return later

    def read(
        self, names: Sequence[str], visits: Sequence[str], imaged: NDArray[np.bool_], protocol: Protocol
    ) -> tuple[list[Reading], list[MachineScore]]:
        """Return the readings and machine scores of the visits with images, `imaged` (participants, visits) bool.

        ASAS-positive is recorded at the first visit only.
        """
        reader, g = self._assumptions.reader, self._generator
        totals = {name: points.totals for name, points in self.points.items()}
        # The first visit is complete, so that eligibility can be decided.
        blind = (g.random((len(READERS), *imaged.shape)) < reader.not_evaluable) & (np.arange(imaged.shape[1]) > 0)
        again = g.random(imaged.shape) < reader.read_again
        unscorable = (g.random(imaged.shape) < self._assumptions.machine.unscorable) & (np.arange(imaged.shape[1]) > 0)
        readings: list[Reading] = []
        scores: list[MachineScore] = []
        for i, v in np.argwhere(imaged):
            who, when = names[i], visits[v]
            pair = [None if blind[k, i, v] else float(totals[name][i, v]) for k, name in enumerate(READERS)]
            positives = [self.points[name].score(i, v).asas_positive if v == 0 else None for name in READERS]
            for name, total, positive in zip(READERS, pair, positives, strict=True):
                readings.append(Reading(who, when, name, total, locked=True, asas_positive=positive))
            if None not in pair and self._third_is_needed(v, positives, pair, protocol):
                positive = self.points[THIRD_READER].score(i, v).asas_positive if v == 0 else None
                third = float(totals[THIRD_READER][i, v])
                readings.append(
                    Reading(who, when, THIRD_READER, third, locked=True, adjudicator=True, asas_positive=positive)
                )
            if again[i, v]:
                readings.append(Reading(who, when, READERS[0], float(totals[AGAIN][i, v]), locked=True, repeat=2))
            positive = self.points[MACHINE].score(i, v).asas_positive if v == 0 else None
            scores.append(self._machine(who, when, None if unscorable[i, v] else int(totals[MACHINE][i, v]), positive))
        return readings, scores

    @staticmethod
    def _third_is_needed(
        visit: int, positives: Sequence[bool | None], pair: Sequence[float | None], protocol: Protocol
    ) -> bool:
        """True if two totals need a third reading, or, at the first visit, two answers on the ASAS definition do."""
        return protocol.adjudication.needed(pair[0] or 0.0, pair[1] or 0.0) or (
            visit == 0 and positives[0] != positives[1]
        )

    def _machine(self, participant: str, visit: str, total: int | None, positive: bool | None) -> MachineScore:
        if total is None:
            return MachineScore(participant, visit, None, reason="simulated: the joints are not visible")
        sd = self._assumptions.machine.total_sd
        return MachineScore(
            participant,
            visit,
            total,
            asas_positive=positive,
            expected=float(total),
            interval_90=(max(0.0, total - _NORMAL_90 * sd), min(float(LARGEST_TOTAL), total + _NORMAL_90 * sd)),
            probability_remission=probability_below(2.0, total, sd),
            evaluable_maximum=LARGEST_TOTAL,
        )


def _first_from(first: Points, later: Points, rows: Sequence[int]) -> Points:
    """`later`, with the first visit of `first` for these rows."""
    parts = []
    for name in ("edema", "intense", "deep"):
        joined = np.array(getattr(later, name))
        joined[:, 0] = getattr(first, name)[list(rows), 0]
        parts.append(joined)
    return Points(*parts)
