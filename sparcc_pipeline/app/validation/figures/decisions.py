"""Decisions that follow from a score: cut-offs of the protocol, the ASAS sign, the choice of the six slices.

Contents: `CutOffFigures`, `cut_off_figures`, `SliceFigures`, `slice_figures`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.trial.agreement.measures import NORMAL_95, Estimate
from sparcc_pipeline.trial.cut_off import above, at_least
from sparcc_pipeline.trial.items import ItemReading


@dataclass(frozen=True)
class CutOffFigures:
    """The machine's decision against that of the readers.

    Parameters
    ----------
    name : "≥ 2", "> 2" or "ASAS"
    positive, negative : studies that are positive or negative for the readers
    sensitivity, specificity : with 95 % intervals over people; None without such studies
    """

    name: str
    people: int
    positive: int
    negative: int
    sensitivity: Estimate | None
    specificity: Estimate | None

    @property
    def cells(self) -> tuple[int, int, int, int]:
        """Studies that are rightly positive, missed, rightly negative, and called without need."""
        found = [
            (round(share.value * count) if share is not None else 0, count)
            for share, count in ((self.sensitivity, self.positive), (self.specificity, self.negative))
        ]
        (right, positive), (empty, negative) = found
        return right, positive - right, empty, negative - empty


@dataclass(frozen=True)
class SliceFigures:
    """First slice of one choice minus that of another: number of studies by difference."""

    machine: Mapping[int, int]
    readers: Mapping[int, int]


def cut_off_figures(material: Material, cut_off: float) -> list[CutOffFigures]:
    """Return sensitivity and specificity for inflammation at the protocol's cut-off, and for the ASAS sign.

    The truth is the mean of the readers' totals, or the answer that most readers share; ties are left out. The
    protocol's imaging half may be "below the cut-off" or "at most the cut-off": both are measured.
    """
    keys = list(material.by_study)
    machine = [float(material.studies[key].total) for key in keys]
    truth = [material.mean_total(key) or 0.0 for key in keys]
    rows = [
        _decided(
            f"≥ {cut_off:g}", keys, [at_least(t, cut_off) for t in truth], [at_least(m, cut_off) for m in machine]
        ),
        _decided(f"> {cut_off:g}", keys, [above(t, cut_off) for t in truth], [above(m, cut_off) for m in machine]),
    ]
    signs = {key: sign for key in keys if (sign := _shared_sign(material, key)) is not None}
    if signs:
        found = [material.studies[key].asas_positive for key in signs]
        rows.append(_decided("ASAS", list(signs), list(signs.values()), found))
    return rows


def _shared_sign(material: Material, key: StudyKey) -> bool | None:
    answers = [reading.asas_positive for reading in material.by_study[key] if reading.asas_positive is not None]
    positive = sum(answers)
    return None if 2 * positive == len(answers) else 2 * positive > len(answers)


def _decided(name: str, keys: Sequence[StudyKey], truth: Sequence[bool], machine: Sequence[bool]) -> CutOffFigures:
    t, m = np.array(truth, dtype=bool), np.array(machine, dtype=bool)
    people = np.array([key.participant for key in keys])

    def share(wanted: bool) -> Estimate | None:
        of_class = t == wanted
        if not of_class.any():
            return None
        return share_of(float((m[of_class] == wanted).mean()), len(set(people[of_class])))

    return CutOffFigures(name, len(set(people)), int(t.sum()), int((~t).sum()), share(True), share(False))


def share_of(share: float, people: int) -> Estimate:
    """Return a share with its 95 % interval by Wilson, for as many independent cases as there are people.

    A bootstrap has no interval for a share of 0 or 1, which few people often give. Source: [Wilson1927].

    Examples
    --------
    >>> found = share_of(1.0, 7)
    >>> round(found.low, 2), found.high
    (0.65, 1.0)
    """
    z2 = NORMAL_95**2
    middle = (share + z2 / (2 * people)) / (1 + z2 / people)
    half = NORMAL_95 * np.sqrt(share * (1 - share) / people + z2 / (4 * people**2)) / (1 + z2 / people)
    return Estimate(share, float(max(middle - half, 0.0)), float(min(middle + half, 1.0)))


def slice_figures(material: Material) -> SliceFigures | None:
    """Return the first slices of the machine and of readings, compared; None without items."""
    first: dict[StudyKey, dict[str, int]] = {}
    for reading in material.items:
        if reading.repeat == 1 and not reading.adjudicator:
            first.setdefault(StudyKey(reading.participant, reading.visit), {})[reading.reader or ""] = _first(reading)
    machine: Counter[int] = Counter()
    readers: Counter[int] = Counter()
    for key, slices in first.items():
        machine.update(material.studies[key].first - each for each in slices.values())
        readers.update(slices[b] - slices[a] for a, b in combinations(sorted(slices), 2))
    return SliceFigures(dict(sorted(machine.items())), dict(sorted(readers.items()))) if machine else None


def _first(reading: ItemReading) -> int:
    return min(place.slice_index for place in reading.points)
