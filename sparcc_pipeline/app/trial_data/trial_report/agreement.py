"""Agreement of totals and of quadrants for a trial report.

Contents: `agreement_content`.
"""

from __future__ import annotations

from typing import Any, Final

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.trial_data.trial_report import plots
from sparcc_pipeline.app.trial_data.trial_report import words as terms
from sparcc_pipeline.trial.agreement.measures import Estimate
from sparcc_pipeline.trial.agreement.pairs import (
    Measure,
    PairKind,
    QuadrantPairs,
    TotalPairs,
    quadrant_pairs,
    readers_changed,
    reading_pairs,
)
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import TrialData

BLAND_ALTMAN_PANELS: Final = 3


def agreement_content(data: TrialData, protocol: Protocol, words: Language) -> dict[str, Any]:
    """Return the rows of both tables of agreement, totals and quadrants, and the Bland-Altman plot."""
    rows, drawn = [], []
    for pairs in reading_pairs(data, protocol.adjudication, protocol.baseline.visit):
        name = _pair_name(pairs, words)
        found = pairs.agreement(plots.BOOTSTRAP_SEED)
        if found is None:
            rows.append({"name": name, "pairs": len(pairs.first), "found": None})
            continue
        estimates = [found.icc_agreement, found.icc_consistency, found.weighted]
        rows.append(
            {
                "name": name,
                "pairs": found.pairs,
                "participants": found.participants,
                "found": found,
                "estimates": [_interval(each, 2) for each in estimates],
                # The error of the machine against readings is that of both, so it is the detectable change of neither.
                "sdc": None if pairs.kind is PairKind.MACHINE else _interval(found.sdc, 1),
                "sdc_of_two": _interval(found.sdc_of_two, 1) if pairs.kind is PairKind.BETWEEN else None,
            }
        )
        if pairs.measure is Measure.STATUS:
            drawn.append((name, pairs))
    svg = plots.bland_altman_plot(drawn[:BLAND_ALTMAN_PANELS], words) if drawn else None
    return {
        "agreement": rows,
        "readers_changed": len(readers_changed(data)),
        "bland_altman": None if svg is None else picture(svg),
        "quadrants": [_quadrant_row(pairs, words) for pairs in quadrant_pairs(data.items)],
    }


def _quadrant_row(pairs: QuadrantPairs, words: Language) -> dict[str, Any]:
    found = pairs.agreement(plots.BOOTSTRAP_SEED)
    row: dict[str, Any] = {
        "name": _pair_name(pairs, words),
        "images": pairs.images,
        "apart": pairs.apart,
        "found": found,
    }
    if found is not None:
        row |= {"kappa": _interval(found.kappa, 2), "pabak": _interval(found.adjusted, 2)}
    return row


def _pair_name(pairs: TotalPairs | QuadrantPairs, words: Language) -> str:
    kind = words.say(terms.PAIRS[pairs.kind])
    if isinstance(pairs, TotalPairs) and pairs.measure is Measure.CHANGE:
        kind = f"{kind}, {words.say(terms.CHANGE)}"
    if pairs.kind is PairKind.BETWEEN:
        return f"{pairs.first_name} – {pairs.second_name}: {kind}"
    if pairs.kind is PairKind.WITHIN:
        return f"{pairs.first_name}: {kind}"
    return f"{pairs.first_name}: {words.say(terms.MACHINE_AGAINST_READER)}" if pairs.first_name else kind


def _interval(found: Estimate | None, digits: int) -> str | None:
    if found is None:
        return None
    ends = "" if found.low is None else f" ({found.low:.{digits}f}; {found.high:.{digits}f})"
    return f"{found.value:.{digits}f}{ends}"
