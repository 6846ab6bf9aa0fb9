"""Agreement by scanner, field strength, spacing of slices, site, and size of the score.

Contents: `GroupFigures`, `group_figures`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.app.results.score_document import SLICE_SPACING_RANGE_MM
from sparcc_pipeline.app.validation.figures.agreement import (
    SEED,
    ItemFigures,
    TotalRowFigures,
    item_figures,
    total_figures,
    total_pairs,
)
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.trial.agreement.measures import Estimate, bootstrap
from sparcc_pipeline.trial.agreement.pairs import PairKind

SIZES: Final = ((2.0, "< 2"), (11.0, "2-10"), (21.0, "11-20"), (73.0, "> 20"))
"""Classes of the readers' mean total: remission on MRI, mild, moderate, severe (decision of this project)."""

GROUPINGS: Final = ("scanner", "field strength", "slice spacing", "site", "size of the score")

ALARM_CONFIDENCE: Final = 0.99
"""Confidence of the intervals that compare a group with all others: about twenty groups are compared at a time."""


@dataclass(frozen=True)
class GroupFigures:
    """One group of studies.

    Parameters
    ----------
    by, name : grouping and group; "" where the studies do not record it
    machine, readers : machine with each reader, reader with reader
    quadrants : machine with each reader, edema of quadrants
    bias : machine minus mean of the readers
    bias_beside, distance_beside : machine minus reading, and its size, in this group minus all others, with an interval
        of ALARM_CONFIDENCE; None for the only group
    """

    by: str
    name: str
    studies: int
    people: int
    machine: TotalRowFigures | None
    readers: TotalRowFigures | None
    quadrants: ItemFigures | None
    bias: float
    bias_beside: Estimate | None
    distance_beside: Estimate | None

    @property
    def worse(self) -> bool:
        """True if the bias of this group is larger than that of all other studies: of two groups, one differs."""
        return self.bias_beside is not None and abs(self.bias) >= abs(self.bias - self.bias_beside.value)


def group_figures(material: Material) -> list[GroupFigures]:
    """Return the figures of each group of each grouping, in the order of GROUPINGS."""
    found = []
    for by in GROUPINGS:
        groups: dict[str, list[StudyKey]] = defaultdict(list)
        for key in material.by_study:
            groups[_group_of(material.studies[key], material, by)].append(key)
        if set(groups) == {""}:
            continue
        found += [_figures(by, name, groups, material) for name in sorted(groups, key=lambda name: _order(by, name))]
    return found


def _group_of(study: ScoredStudy, material: Material, by: str) -> str:
    scan = study.acquisition
    match by:
        case "scanner":
            return scan.scanner or ""
        case "field strength":
            return "" if scan.field_t is None else f"{scan.field_t:g} T"
        case "slice spacing":
            return _spacing(scan.spacing_mm)
        case "site":
            return study.row.site or ""
    mean = material.mean_total(study.key)
    return next((name for limit, name in SIZES if mean is not None and mean < limit), "")


def _spacing(spacing_mm: float | None) -> str:
    lowest, highest = SLICE_SPACING_RANGE_MM
    if spacing_mm is None:
        return ""
    rounded = round(spacing_mm, 2)
    if rounded < lowest:
        return f"< {lowest:g} mm"
    return f"{lowest:g}-{highest:g} mm" if rounded <= highest else f"> {highest:g} mm"


def _order(by: str, name: str) -> tuple[int, str]:
    """Sizes from small to large, other groups by name, unknown last."""
    sizes = [each for _, each in SIZES]
    return (99 if name == "" else sizes.index(name) if by == GROUPINGS[-1] else 0, name)


def _figures(by: str, name: str, groups: Mapping[str, list[StudyKey]], material: Material) -> GroupFigures:
    keys = groups[name]
    inside = material.of(keys)
    pairs = [each for each in total_pairs(inside, single=False) if not each.first_name]
    rows = {row.pairs.kind: row for row in total_figures(pairs, len(material.readers))}
    items = [each for each in item_figures(inside, single=False) if each.item == "edema"]
    bias, distance = _beside(material, set(keys)) if len(groups) > 1 else (None, None)
    return GroupFigures(
        by,
        name,
        len(keys),
        len({key.participant for key in keys}),
        rows.get(PairKind.MACHINE),
        rows.get(PairKind.BETWEEN),
        next((each for each in items if each.pairs.kind is PairKind.MACHINE), None),
        _bias(material, keys),
        bias,
        distance,
    )


def _bias(material: Material, keys: Sequence[StudyKey]) -> float:
    return float(np.mean([material.studies[key].total - (material.mean_total(key) or 0.0) for key in keys]))


def _beside(material: Material, inside: set[StudyKey]) -> tuple[Estimate, Estimate]:
    """Return mean difference and mean absolute difference of machine and readings, in the group minus outside it."""
    keys = list(material.by_study)
    difference = np.array([material.studies[key].total - (material.mean_total(key) or 0.0) for key in keys])
    member = np.array([key in inside for key in keys])

    def figures(rows: np.ndarray) -> list[float]:
        here, there = difference[rows][member[rows]], difference[rows][~member[rows]]
        if not here.size or not there.size:
            return [float("nan")] * 2
        return [float(here.mean() - there.mean()), float(np.abs(here).mean() - np.abs(there).mean())]

    people = [key.participant for key in keys]
    intervals = bootstrap(figures, people, SEED, confidence=ALARM_CONFIDENCE)
    values = figures(np.arange(len(keys)))
    bias, distance = (
        Estimate(value, *(interval or (None, None))) for value, interval in zip(values, intervals, strict=True)
    )
    return bias, distance
