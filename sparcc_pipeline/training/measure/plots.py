"""Pictures (SVG) of a retest and of a stress test. Equal figures give equal bytes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sparcc_pipeline.training.measure.stress import LARGEST_GOAL

COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""One for each scan: the colors of Okabe and Ito, which people with color blindness can distinguish."""

INK: Final = "#222222"
GOAL_BAND: Final = "#EEF3F6"

DOT_AREA: Final = 36.0
"""Area of a dot for one repeat, in square points; that of several repeats at one place is so many times as large."""

SMALLEST_HALF_RANGE: Final = 2.0
"""The axis of differences reaches at least this far to both sides."""

ROW_INCHES: Final = 0.24
SPREAD: Final = 0.1
"""Distance between the dots of one distortion, in rows, so that those of two scans do not hide each other."""

_STYLE: Final[Any] = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "sparcc",
}


def retest_svg(result: Mapping[str, Any], choice: str = "matched") -> str:
    """Return a Bland-Altman picture: difference from the baseline against the mean of both, limits of agreement."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(7.6, 4.6), layout="constrained")
        draw_retest(figure.subplots(), result, choice)
        return _svg(figure)


def stress_svg(result: Mapping[str, Any]) -> str:
    """Return a picture of the change of the total: a dot for each scan and distortion. The light band is the goal."""
    with matplotlib.rc_context(_STYLE):
        height = 1.0 + ROW_INCHES * len(result["distortions"])
        figure = Figure(figsize=(8.6, height), layout="constrained")
        draw_stress(figure.subplots(), result)
        return _svg(figure)


def draw_retest(axes: Axes, result: Mapping[str, Any], choice: str) -> None:
    """Draw the picture of `retest_svg`."""
    agreement = result["over_all"][choice]["agreement"]
    limits = {} if agreement is None else {key: agreement[key] for key in ("lower", "mean", "upper")}
    farthest_mean, farthest = 5.0, max([SMALLEST_HALF_RANGE, *map(abs, limits.values())])
    for index, (name, row) in enumerate(result["scans"].items()):
        baseline = row["baseline"]["total"]
        repeats = Counter(((total + baseline) / 2, total - baseline) for total in row[choice]["totals"])
        means, differences = [mean for mean, _ in repeats], [difference for _, difference in repeats]
        areas = [DOT_AREA * count for count in repeats.values()]
        axes.scatter(means, differences, areas, color=_color(index), alpha=0.75, linewidths=0, label=name)
        farthest_mean = max([farthest_mean, *means])
        farthest = max([farthest, *map(abs, differences)])
    for key, value in limits.items():
        name = key if key == "mean" else f"{key} limit"
        axes.axhline(value, color=INK, linewidth=0.9, linestyle="-" if key == "mean" else "--")
        axes.text(1.02, value, f"{name} {value:+.1f}", transform=axes.get_yaxis_transform(), va="center")
    axes.set_xlim(-0.02 * farthest_mean, 1.05 * farthest_mean)
    axes.set_ylim(-1.15 * farthest, 1.15 * farthest)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_signed))
    axes.set_xlabel("mean of first and second total")
    axes.set_ylabel("second minus first total")
    axes.set_title("Totals of second scans against the first")
    _legend(axes)


def draw_stress(axes: Axes, result: Mapping[str, Any]) -> None:
    """Draw the picture of `stress_svg`."""
    scans = list(result["scans"])
    places = {each["name"]: place for place, each in enumerate(result["distortions"])}
    axes.axvspan(-LARGEST_GOAL, LARGEST_GOAL, color=GOAL_BAND, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.9)
    farthest = LARGEST_GOAL + 2
    for index, scan in enumerate(scans):
        rows = [row for row in result["rows"] if row["scan"] == scan and row["distortion"] in places]
        scored = [row for row in rows if row["change"] is not None]
        changes = [row["change"] for row in scored]
        offset = SPREAD * (index - (len(scans) - 1) / 2)
        heights = [places[row["distortion"]] + offset for row in scored]
        axes.scatter(changes, heights, DOT_AREA, color=_color(index), alpha=0.8, linewidths=0, label=scan)
        # A scan without a score has a cross beside the axes, at the height of the distortion.
        crosses = [places[row["distortion"]] for row in rows if row["change"] is None]
        beside = [1.02 + 0.018 * index] * len(crosses)
        axes.plot(beside, crosses, "x", color=_color(index), transform=axes.get_yaxis_transform(), clip_on=False)
        farthest = max([farthest, *map(abs, changes)])
    axes.set_xlim(-1.05 * farthest, 1.05 * farthest)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_yticks(range(len(places)), [each["words"] for each in result["distortions"]])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_signed))
    axes.set_xlabel("change of the total (cross: no score)")
    axes.set_title("Change of the total with the acquisition")
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Name the scans, to the right of the axes and the marks beside them."""
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.2, 1.0), handletextpad=0.3)
    for dot in legend.legend_handles:
        if isinstance(dot, PathCollection):
            dot.set_sizes([DOT_AREA])


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


def _signed(value: float, _position: int | None) -> str:
    return f"{value:+.0f}" if value else "0"


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
