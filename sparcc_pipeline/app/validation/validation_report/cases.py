"""The cases in which machine and readers differ most, with the picture of the slice that differs most.

Contents: `Case`, `largest_differences`. Pictures of people: only the report of the site itself holds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.trial.items import ItemReading

CASES: Final = 6
"""Number of cases in a report."""


@dataclass(frozen=True)
class Case:
    """One case.

    Parameters
    ----------
    totals : readers with their totals
    difference : machine minus mean of the readers
    slice_index : slice with the most items that differ; None without items
    machine_only, readers_only : number of items there that only the machine, or only readers, gave
    picture : PNG of the machine's marks on this slice; None where the score folder has none
    """

    participant: str
    visit: str
    machine: int
    totals: Sequence[tuple[str, float]]
    difference: float
    slice_index: int | None
    machine_only: int
    readers_only: int
    picture: bytes | None


def largest_differences(material: Material, count: int = CASES) -> list[Case]:
    """Return the cases with the largest difference between the machine and the mean of the readers."""
    apart = {key: material.studies[key].total - (material.mean_total(key) or 0.0) for key in material.by_study}
    items: dict[StudyKey, list[ItemReading]] = {}
    for reading in material.items:
        if reading.repeat == 1 and not reading.adjudicator:
            items.setdefault(StudyKey(reading.participant, reading.visit), []).append(reading)
    keys = sorted(apart, key=lambda key: (-abs(apart[key]), key))[:count]
    return [_case(material.studies[key], material, items.get(key, []), apart[key]) for key in keys if apart[key]]


def _case(study: ScoredStudy, material: Material, items: Sequence[ItemReading], difference: float) -> Case:
    machine_only: Counter[int] = Counter()
    readers_only: Counter[int] = Counter()
    for reading in items:
        for place, point in reading.points.items():
            found = study.items.points.get(place)
            if found is not None and point is not None and found != point:
                (machine_only if found else readers_only)[place.slice_index] += 1
    both = machine_only + readers_only
    index = both.most_common(1)[0][0] if both else None
    return Case(
        participant=study.row.participant,
        visit=study.row.visit,
        machine=study.total,
        totals=[(each.reader, each.total or 0.0) for each in material.by_study[study.key]],
        difference=difference,
        slice_index=index,
        machine_only=0 if index is None else machine_only[index],
        readers_only=0 if index is None else readers_only[index],
        picture=_picture(study, study.first if index is None else index),
    )


def _picture(study: ScoredStudy, index: int) -> bytes | None:
    try:
        return (study.folder / "overlay" / f"slice_{index:02d}.png").read_bytes()
    except OSError:
        return None
