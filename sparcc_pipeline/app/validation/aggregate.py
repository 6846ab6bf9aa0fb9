"""The figures that may leave a hospital: aggregates alone, small cells suppressed, no UID, date, name or path.

Contents: `aggregate`, `SCHEMA`. Readers and sites are not named, visits and participants are only counted. A figure of
fewer than SMALLEST_CELL people is left out, and so is a table with a count of studies from 1 to 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline import __version__
from sparcc_pipeline.app.validation.figures.agreement import MEAN_OF_READERS, ItemFigures, TotalRowFigures
from sparcc_pipeline.app.validation.figures.certainty import Certainty
from sparcc_pipeline.app.validation.figures.decisions import CutOffFigures
from sparcc_pipeline.app.validation.figures.groups import GROUPINGS, GroupFigures
from sparcc_pipeline.app.validation.figures.validation import Validation
from sparcc_pipeline.training.fit.calibrate import OBSERVED, PREDICTED
from sparcc_pipeline.trial.agreement.measures import Estimate
from sparcc_pipeline.trial.agreement.pairs import PairKind

SCHEMA: Final = "sparcc-validation/1"

SMALLEST_CELL: Final = 5
"""Fewest people of a figure, and studies of a count: fewer could point to a person (decision of this project)."""

_KINDS: Final = {PairKind.MACHINE: "machine", PairKind.BETWEEN: "between", PairKind.WITHIN: "within"}
_SUPPRESSED: Final = {"suppressed": True}


def aggregate(result: Validation) -> dict[str, Any]:
    """Return the aggregates, ready for JSON."""
    models = {study.model for study in result.material.studies.values()}
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "research_use_only": True,
        "software": __version__,
        "smallest_cell": SMALLEST_CELL,
        "models": [_model(*each) for each in sorted(models)],
        "people": _count(result.people),
        "studies": _count(result.studies),
        "readers": len(result.material.readers),
        "totals": [_totals(row) for row in result.totals if row.pairs.first_name in ("", MEAN_OF_READERS)],
        "items": [_items(row) for row in result.items if not row.pairs.first_name],
        "groups": _groups(result.groups),
        "certainty": _certainty(result.certainty),
        "cut_offs": [_cut_off(each) for each in result.cut_offs],
        "slices": None,
    }
    if result.slices is not None and result.people >= SMALLEST_CELL:
        content["slices"] = {
            "machine": _within_one(result.slices.machine),
            "readers": _within_one(result.slices.readers),
        }
    return content


def _model(name: str, version: str, sha256: str) -> dict[str, str]:
    """Return a model; the name of an overlay is left out, because sites name it after themselves."""
    bundle, is_overlay, _ = name.partition("+")
    return {"name": bundle + ("+overlay" if is_overlay else ""), "version": version, "sha256": sha256}


def _count(number: int) -> int | None:
    """Return a number of people or studies; None for 1 to 4."""
    return number if number == 0 or number >= SMALLEST_CELL else None


def _totals(row: TotalRowFigures) -> dict[str, Any]:
    names = {"pair": _KINDS[row.pairs.kind], "mean_of_readers": row.pairs.first_name == MEAN_OF_READERS}
    found, people = row.found, len(set(row.pairs.participants))
    if found is None or people < SMALLEST_CELL:
        return {**names, **_SUPPRESSED}
    limits = found.bland_altman
    return {
        **names,
        "pairs": found.pairs,
        "people": people,
        "icc_agreement": _estimate(found.icc_agreement),
        "icc_consistency": _estimate(found.icc_consistency),
        "weighted_kappa": _estimate(found.weighted),
        "difference": _estimate(Estimate(limits.mean, *(limits.mean_interval or (None, None))))
        if row.directed
        else None,
        "difference_sd": round(limits.sd, 3),
        "mean_absolute_difference": round(row.mean_absolute, 3),
    }


def _items(row: ItemFigures) -> dict[str, Any]:
    names = {"item": row.item, "pair": _KINDS[row.pairs.kind]}
    found = row.found
    if found is None or found.participants < SMALLEST_CELL:
        return {**names, **_SUPPRESSED}
    counts = row.counts
    shown = None if any(_count(each) is None for each in counts) else list(counts)
    return {
        **names,
        "people": found.participants,
        "items": found.quadrants,
        "both_first_second_neither": shown,
        "kappa": _estimate(found.kappa),
        "pabak": _estimate(found.adjusted),
    }


def _groups(groups: Sequence[GroupFigures]) -> list[dict[str, Any]]:
    """Return the groups; sites get numbers instead of their names."""
    numbers: dict[str, int] = dict.fromkeys(GROUPINGS, 0)
    found = []
    for each in groups:
        numbers[each.by] += 1
        name = f"site {numbers[each.by]}" if each.by == "site" and each.name else each.name or None
        entry: dict[str, Any] = {"by": each.by, "group": name}
        if each.people < SMALLEST_CELL:
            # The name of a scanner that few people had could point to them as well.
            found.append({"by": each.by, "group": None, **_SUPPRESSED})
            continue
        found.append(
            entry
            | {
                "people": each.people,
                "machine": None if each.machine is None else _totals(each.machine),
                "readers": None if each.readers is None else _totals(each.readers),
                "quadrants": None if each.quadrants is None else _items(each.quadrants),
            }
        )
    return found


def _certainty(found: Certainty | None) -> dict[str, Any] | None:
    if found is None:
        return None
    if found.people < SMALLEST_CELL:
        return dict(_SUPPRESSED)
    bins = [
        {"from": each["from"], "to": each["to"], "items": each["items"], "predicted": round(each[PREDICTED], 4)}
        | {"observed": round(each[OBSERVED], 4)}
        for each in found.bins
        if each["items"] >= SMALLEST_CELL
    ]
    return {
        "people": found.people,
        "readings": found.readings,
        "coverage": round(found.covered / found.readings, 4),
        "crps": round(found.crps, 4),
        "crps_of_total": round(found.crps_of_total, 4),
        "brier": None if found.brier is None else round(found.brier, 5),
        "brier_of_the_mean": None if found.brier_of_the_mean is None else round(found.brier_of_the_mean, 5),
        "reliability": bins,
    }


def _cut_off(found: CutOffFigures) -> dict[str, Any]:
    """Return shares to two digits; the counts as well, unless one of the four cells is small."""
    entry: dict[str, Any] = {"cut_off": found.name}
    if found.people < SMALLEST_CELL:
        return entry | _SUPPRESSED
    counted = not any(_count(cell) is None for cell in found.cells)
    return entry | {
        "people": found.people,
        "positive": found.positive if counted else None,
        "negative": found.negative if counted else None,
        "sensitivity": _estimate(found.sensitivity, 2) if found.positive >= SMALLEST_CELL else None,
        "specificity": _estimate(found.specificity, 2) if found.negative >= SMALLEST_CELL else None,
    }


def _within_one(counts: Mapping[int, int]) -> dict[str, Any]:
    """Return the shares of equal first slices, and of those within one: shares of a few studies are suppressed."""
    whole = sum(counts.values())
    if whole < SMALLEST_CELL:
        return dict(_SUPPRESSED)
    near = sum(count for difference, count in counts.items() if abs(difference) <= 1)
    return {"pairs": whole, "same": round(counts.get(0, 0) / whole, 3), "within_one": round(near / whole, 3)}


def _estimate(found: Estimate | None, digits: int = 4) -> dict[str, float | None] | None:
    if found is None:
        return None
    low, high = (None if end is None else round(end, digits) for end in (found.low, found.high))
    return {"value": round(found.value, digits), "low": low, "high": high}
