"""Plots of an analysis as SVG: effects with their intervals, and effects under the shifts of a tipping point."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, SOFT, plot_style
from sparcc_pipeline.app.trial_data.analysis.outcome import EstimandResult, Estimate
from sparcc_pipeline.trial.protocol.analysis import Estimand, Summary, Variable

_WIDE: Final = 9.0
"""Width of a plot, inches."""


def forest_plot(results: Sequence[EstimandResult], alpha: float, words: Language) -> str:
    """Return the effect of each estimand with its interval, one panel an estimand, because the units differ."""
    with plot_style():
        figure = Figure(figsize=(_WIDE, 0.9 * len(results) + 0.4), layout="constrained")
        panels = np.atleast_1d(figure.subplots(len(results), 1)).ravel()
        for axes, result in zip(panels, results, strict=True):
            rows = [(words.say("primary analysis"), result.primary, "o")]
            rows.append((words.say("participants with a value only"), result.complete_cases, "D"))
            for place, (_, found, marker) in enumerate(rows):
                if found is not None:
                    axes.plot([found.low, found.high], [-place, -place], color=BLUE, linewidth=1.5)
                    axes.plot([found.estimate], [-place], marker=marker, color=BLUE)
            axes.axvline(no_effect(result.estimand), color=INK, linewidth=0.8)
            if (margin := margin_line(result.estimand)) is not None:
                axes.axvline(margin, color=INK, linewidth=0.8, linestyle=":")
            axes.set_yticks([0, -1], [f"{name} ({_n(found)})" for name, found, _ in rows])
            axes.set_ylim(-1.6, 0.6)
            axes.set_title(result.estimand.name)
        return _svg(figure)


def tipping_plot(results: Sequence[EstimandResult], words: Language) -> str:
    """Return the effect and its interval over the shift, one panel an estimand."""
    with plot_style():
        figure = Figure(figsize=(max(_WIDE / 2, 3.0 * len(results)), 2.8), layout="constrained")
        for axes, result in zip(np.atleast_1d(figure.subplots(1, len(results))).ravel(), results, strict=True):
            shifts = [each.shift for each in result.tipping]
            found = [each.estimate for each in result.tipping]
            axes.fill_between(
                shifts, [f.low for f in found], [f.high for f in found], color=BLUE, alpha=0.2, linewidth=0
            )
            axes.plot(shifts, [f.estimate for f in found], color=BLUE)
            axes.axhline(no_effect(result.estimand), color=INK, linewidth=0.8)
            if (margin := margin_line(result.estimand)) is not None:
                axes.axhline(margin, color=INK, linewidth=0.8, linestyle=":")
            if result.tips_at is not None:
                axes.axvline(result.tips_at, color=SOFT, linestyle="--")
            axes.set_title(f"{result.estimand.name} ({_n(found[0])})")
            is_target = result.estimand.variable is Variable.TARGET
            axes.set_xlabel(words.say("Share turned") if is_target else words.say("Shift"))
        return _svg(figure)


def no_effect(estimand: Estimand) -> float:
    """Return the effect of two equal arms."""
    return 1.0 if estimand.summary is Summary.ODDS_RATIO else 0.0


def margin_line(estimand: Estimand) -> float | None:
    """Return the effect on the margin; None for superiority."""
    if estimand.margin is None:
        return None
    return -estimand.margin if estimand.variable is Variable.TARGET else estimand.margin


def _n(found: Estimate | None) -> str:
    return "n = 0" if found is None else f"n = {found.analysed[0]} + {found.analysed[1]}"


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
