"""The report of a validation as HTML and PDF, in both languages.

Contents: `ReportFacts`, `report_page`, `number_of`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline import __version__
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import embedded, template
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.trial_data.trial_report.plots import bland_altman_plot
from sparcc_pipeline.app.validation.figures.agreement import ItemFigures, TotalRowFigures
from sparcc_pipeline.app.validation.figures.groups import GroupFigures
from sparcc_pipeline.app.validation.figures.validation import Validation, findings
from sparcc_pipeline.app.validation.validation_report.cases import largest_differences
from sparcc_pipeline.app.validation.validation_report.plots import reliability_plot, slices_plot
from sparcc_pipeline.app.validation.validation_report.words import GROUPINGS, ITEMS, pair_name
from sparcc_pipeline.trial.agreement.measures import Estimate
from sparcc_pipeline.trial.agreement.pairs import PairKind
from sparcc_pipeline.trial.records import DataQuery

PAGE: Final = "validation.html"
QUERIES_SHOWN: Final = 40
PANELS: Final = 3


@dataclass(frozen=True)
class ReportFacts:
    """How a report was made: UTC time, and name and SHA-256 of each input file."""

    created_at: str
    inputs: Sequence[tuple[str, str]]


def report_page(result: Validation, facts: ReportFacts, words: Language, font_url: str | None = None) -> str:
    """Return the page; with `font_url` it is the page of the PDF."""
    panels = [
        (words.say(pair_name(row.pairs.kind, row.pairs.first_name, row.pairs.second_name)), row.pairs)
        for row in _drawn(result)
    ]
    certainty = result.certainty
    content: dict[str, Any] = {
        "created_at": facts.created_at,
        "version": __version__,
        "inputs": list(facts.inputs),
        "models": sorted({study.model for study in result.material.studies.values()}),
        "people": result.people,
        "studies": result.studies,
        "readers": len(result.material.readers),
        "headline": _headline(result),
        "findings": findings(result),
        "totals": [_total_row(row, words) for row in result.totals],
        "bland_altman": picture(bland_altman_plot(panels, words)) if panels else None,
        "items": [_item_row(row, words) for row in result.items],
        "groups": [_group_row(each, words) for each in result.groups],
        "certainty": certainty,
        "reliability": picture(reliability_plot(certainty.bins, words)) if certainty and certainty.bins else None,
        "cut_offs": [
            {
                "found": each,
                "sensitivity": number_of(each.sensitivity, 2),
                "specificity": number_of(each.specificity, 2),
            }
            for each in result.cut_offs
        ],
        "slices": None if result.slices is None else picture(slices_plot(result.slices, words)),
        "cases": _cases(result),
        "queries": list(_first(result.material.queries)),
        "more_queries": max(0, len(result.material.queries) - QUERIES_SHOWN),
    }
    return template(PAGE, words, font_url).render(**content)


def number_of(found: Estimate | None, digits: int) -> str | None:
    """Return a value with its interval; None where there is none."""
    if found is None:
        return None
    ends = "" if found.low is None else f" ({found.low:.{digits}f}; {found.high:.{digits}f})"
    return f"{found.value:.{digits}f}{ends}"


def _headline(result: Validation) -> Mapping[str, str | None]:
    """Return the ICC of machine and readers, and that of the readers, as text."""
    found = {}
    for name, kind in (("machine", PairKind.MACHINE), ("readers", PairKind.BETWEEN)):
        row = result.pooled(kind)
        found[name] = None if row is None or row.found is None else number_of(row.found.icc_agreement, 2)
    return found


def _drawn(result: Validation) -> list[TotalRowFigures]:
    """Return the rows of the Bland-Altman plot: the machine with all readers, and the first pairs of readers."""
    rows = [row for row in result.totals if row.found is not None]
    machine = [row for row in rows if row.pairs.kind is PairKind.MACHINE][:1]
    return machine + [row for row in rows if row.pairs.kind is PairKind.BETWEEN and row.directed][: PANELS - 1]


def _total_row(row: TotalRowFigures, words: Language) -> dict[str, Any]:
    pairs, found = row.pairs, row.found
    shown: dict[str, Any] = {
        "name": words.say(pair_name(pairs.kind, pairs.first_name, pairs.second_name)),
        "pooled": not pairs.first_name,
        "pairs": len(pairs.first),
        "people": len(set(pairs.participants)),
        "found": found,
        "apart": f"{row.mean_absolute:.2f}",
    }
    if found is not None:
        limits = found.bland_altman
        shown |= {
            "icc": number_of(found.icc_agreement, 2),
            "consistency": number_of(found.icc_consistency, 2),
            "bias": _signed(Estimate(limits.mean, *(limits.mean_interval or (None, None)))) if row.directed else None,
            "limits": f"{limits.lower:+.1f}; {limits.upper:+.1f}" if row.directed else None,
        }
    return shown


def _signed(found: Estimate) -> str:
    ends = "" if found.low is None else f" ({found.low:+.1f}; {found.high:+.1f})"
    return f"{found.value:+.1f}{ends}"


def _item_row(row: ItemFigures, words: Language) -> dict[str, Any]:
    found = row.found
    return {
        "item": words.say(ITEMS[row.item]),
        "name": words.say(pair_name(row.pairs.kind, row.pairs.first_name, row.pairs.second_name)),
        "pooled": not row.pairs.first_name,
        "counts": row.counts,
        "apart": row.pairs.apart,
        "found": found,
        "kappa": None if found is None else number_of(found.kappa, 2),
        "pabak": None if found is None else number_of(found.adjusted, 2),
    }


def _group_row(each: GroupFigures, words: Language) -> dict[str, Any]:
    machine = None if each.machine is None else each.machine.found
    readers = None if each.readers is None else each.readers.found
    quadrants = None if each.quadrants is None else each.quadrants.found
    return {
        "by": words.say(GROUPINGS[each.by]),
        "name": each.name or words.say("not recorded"),
        "studies": each.studies,
        "people": each.people,
        "machine": None if machine is None else number_of(machine.icc_agreement, 2),
        "readers": None if readers is None else number_of(readers.icc_agreement, 2),
        "kappa": None if quadrants is None else number_of(quadrants.kappa, 2),
        "bias": None if machine is None else f"{machine.bland_altman.mean:+.1f}",
        "apart": None if each.machine is None else f"{each.machine.mean_absolute:.1f}",
    }


def _cases(result: Validation) -> list[dict[str, Any]]:
    return [
        {"case": case, "picture": None if case.picture is None else embedded(case.picture)}
        for case in largest_differences(result.material)
    ]


def _first(queries: Sequence[DataQuery]) -> Sequence[DataQuery]:
    return queries[:QUERIES_SHOWN]
