"""Plots of a simulation about the choices of a protocol: rules for the taper, definitions of a flare.

Contents: `rule_plot`, `flare_plot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparcc_pipeline.app.report.plots import SOFT, plot_style
from sparcc_pipeline.app.trial_data.simulate.simulation_report import svg_of
from sparcc_pipeline.app.trial_data.trial_report.plots import COLORS

Series = tuple[str, str, str, str]
"""Key in the row, label, marker, color."""

STEPS: Final[tuple[Series, ...]] = (
    ("stepped", "first step, of the taper arm", "o", COLORS[0]),
    ("false_of_steps", "false steps, of these", "D", COLORS[1]),
    ("missed", "missed steps, of the taper arm", "s", COLORS[2]),
)
POWER: Final[tuple[Series, ...]] = (
    ("asdas_not_inferior", "ASDAS", "o", COLORS[0]),
    ("sparcc_not_inferior", "SPARCC", "D", COLORS[1]),
    ("both_not_inferior", "both", "s", COLORS[2]),
)


def rule_plot(document: Mapping[str, Any]) -> str:
    """Plot first steps, false steps and power under each rule for the taper; return SVG."""
    rows = document["taper_rules"]
    with plot_style():
        figure = Figure(figsize=(9.4, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _dots(left, rows, STEPS)
        left.set(title="Steps of the taper arm", xlabel="Share, %")
        _dots(right, rows, POWER)
        right.set(title="Not inferior", xlabel="Share of trials, %")
        left.set_yticks(range(len(rows)), [each["rule"] for each in rows])
        for axes in (left, right):
            axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncols=1, labelspacing=0.2)
        return svg_of(figure)


def flare_plot(document: Mapping[str, Any]) -> str:
    """Plot the share with a flare in each arm, and the false flares, by definition; return SVG."""
    arms = list(document["flares"][0]["by_arm"])
    rows = [{**each, **each["by_arm"]} for each in document["flares"]]
    series: tuple[Series, ...] = (
        *((arm, f"{arm} arm", "oD"[k % 2], COLORS[k % len(COLORS)]) for k, arm in enumerate(arms)),
        ("false_of_called", "false flares, of those called", "x", COLORS[2]),
    )
    with plot_style():
        figure = Figure(figsize=(8.8, 3.2), layout="constrained")
        axes = figure.subplots()
        _dots(axes, rows, series)
        axes.set(title="Flares after the start of the taper", xlabel="Share, %")
        axes.set_yticks(range(len(rows)), [each["definition"] for each in rows])
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return svg_of(figure)


def _dots(axes: Axes, rows: list[Any], series: tuple[Series, ...]) -> None:
    """Draw a row of markers for each row, at percentages."""
    for place in range(len(rows)):
        axes.axhline(place, color=SOFT, linewidth=0.5, zorder=0)
    for key, label, marker, color in series:
        known = [(100 * row[key], place) for place, row in enumerate(rows) if row[key] is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker, color=color, label=label, markersize=7)
    axes.set(xlim=(-3, 103), ylim=(len(rows) - 0.5, -0.5))
