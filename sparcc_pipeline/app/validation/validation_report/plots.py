"""Plots of a validation as SVG: reliability of the probabilities, differences of the first slices."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, ORANGE, SOFT, plot_style
from sparcc_pipeline.app.validation.figures.decisions import SliceFigures
from sparcc_pipeline.training.fit.calibrate import OBSERVED, PREDICTED


def reliability_plot(bins: Sequence[Mapping[str, Any]], words: Language) -> str:
    """Plot the observed share of points against the predicted one; the area of a spot is its number of items."""
    with plot_style():
        figure = Figure(figsize=(4.6, 3.8), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle="--")
        predicted, observed = ([each[name] for each in bins] for name in (PREDICTED, OBSERVED))
        axes.plot(predicted, observed, color=BLUE, linewidth=1)
        axes.scatter(predicted, observed, s=[12 + 3 * np.sqrt(each["items"]) for each in bins], color=BLUE)
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1),
            xlabel=words.say("Predicted probability of a point"),
            ylabel=words.say("Share of readings with the point"),
        )
        return _svg(figure)


def slices_plot(found: SliceFigures, words: Language) -> str:
    """Plot the number of comparisons by the difference of the first slices, machine and readers."""
    both = {words.say("Machine minus reader"): found.machine, words.say("Reader minus reader"): found.readers}
    shown = {name: counts for name, counts in both.items() if counts}
    with plot_style():
        figure = Figure(figsize=(4.4 * max(len(shown), 2) / 1.2, 2.6), layout="constrained")
        for number, (axes, (name, counts)) in enumerate(
            zip(np.atleast_1d(figure.subplots(1, len(shown))), shown.items(), strict=True)
        ):
            axes.bar(list(counts), list(counts.values()), color=(BLUE, ORANGE)[number], width=0.8)
            axes.axvline(0, color=INK, linewidth=0.6, linestyle=":")
            reach = max(3, *(abs(difference) for difference in counts)) + 0.6
            axes.set(title=name, xlabel=words.say("Difference of the first slices"), xlim=(-reach, reach))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.get_major_locator().set_params(integer=True)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
