"""Plots of a trial report as SVG, drawn by matplotlib: change of SPARCC, courses, waterfall, target, Bland-Altman.

Each plot takes the participants in groups: one group in the blinded report, the arms in the unblinded one. The colors
are those of Okabe and Ito; a line style, a position or a word repeats the meaning of each color.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, ORANGE, SOFT, plot_style
from sparcc_pipeline.app.trial_data.trial_report.words import STATUS
from sparcc_pipeline.sparcc.follow_up.change import (
    MACHINE_DETECTABLE_CHANGE,
    SMALLEST_DETECTABLE_CHANGE,
    SMALLEST_IMPORTANT_CHANGE,
)
from sparcc_pipeline.trial.agreement.measures import clustered_limits
from sparcc_pipeline.trial.agreement.pairs import TotalPairs
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.reading import Counts
from sparcc_pipeline.trial.remission import TargetStatus
from sparcc_pipeline.trial.summary import Courses

Groups = Mapping[str, Courses]
"""Participants by the name of their group, in the language of the report."""

COLORS: Final = (BLUE, "#D55E00", "#009E73", "#CC79A7")
DASHES: Final = ("-", "--", ":", "-.")

STATUS_COLORS: Final = {
    TargetStatus.BOTH: BLUE,
    TargetStatus.CLINICAL_ONLY: "#56B4E9",
    TargetStatus.IMAGING_ONLY: ORANGE,
    TargetStatus.NEITHER: "#D55E00",
    TargetStatus.NOT_ASSESSABLE: "#d9dfe4",
}
"""Color of each status of the target, in plots and timelines."""

TITLE_LETTERS: Final = 30
"""Letters in a line of the title of one of three panels."""

_PANEL: Final = (4.4, 3.0)
"""Width and height of a panel, inches."""

BOOTSTRAP_SEED: Final = 20260228
"""Seed of the bootstrap, fixed so that the same data give the same intervals."""


def cumulative_plot(groups: Groups, visits: Sequence[PlannedVisit], protocol: Protocol, words: Language) -> str:
    """Plot the cumulative probability of the change in SPARCC since baseline, one panel a visit."""

    def draw(axes: Axes, panel: tuple[int, PlannedVisit]) -> None:
        _, visit = panel
        title = _visit(visit, words)
        for number, (name, inside) in enumerate(groups.items()):
            change = np.sort(_values(inside, visit, protocol, lambda each: each.sparcc_change))
            if change.size:
                share = 100 * (np.arange(change.size) + 0.5) / change.size
                axes.plot(
                    share, change, DASHES[number], color=COLORS[number], label=_with_n(name, change.size), linewidth=1.8
                )
            if len(groups) == 1:
                title = words.say("{visit}, {n} participants", visit=title, n=change.size)
        for limit in (-SMALLEST_IMPORTANT_CHANGE, SMALLEST_IMPORTANT_CHANGE):
            axes.axhline(limit, color=SOFT, linewidth=0.8, linestyle=":")
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(title=title, xlim=(0, 100), xlabel=words.say("Cumulative share of participants, %"))
        if len(groups) > 1:
            axes.legend(loc="lower right")  # the curves rise from the lower left

    return _panels(list(enumerate(visits)), draw, words.say("Change in SPARCC since baseline"), share_y=True)


def spaghetti_plot(groups: Groups, protocol: Protocol, words: Language) -> str:
    """Plot every participant's SPARCC and ASDAS over the visits, and the median of each group."""
    weeks = [visit.week for visit in protocol.visits]
    what: dict[str, Callable[[VisitAssessment], float | None]] = {
        "SPARCC": lambda each: each.score.value,
        "ASDAS": lambda each: each.asdas.value,
    }
    limits = {
        "SPARCC": [protocol.target.sparcc_cut_off],
        "ASDAS": [protocol.target.asdas_inactive_below, protocol.target.asdas_low_below],
    }

    def draw(axes: Axes, panel: tuple[str, Callable[[VisitAssessment], float | None]]) -> None:
        name, value = panel
        for number, (group, inside) in enumerate(groups.items()):
            table = np.array([[_number(value(each)) for each in course] for course in inside.values()])
            for row in table.reshape(-1, len(weeks)):
                known = ~np.isnan(row)
                axes.plot(np.array(weeks)[known], row[known], color=COLORS[number], alpha=0.16, linewidth=0.6)
            seen = [k for k in range(len(weeks)) if table.size and not np.isnan(table[:, k]).all()]
            middle = [float(np.nanmedian(table[:, k])) for k in seen]
            color = INK if len(groups) == 1 else COLORS[number]
            label = words.say("Median") if len(groups) == 1 else words.say("Median, {group}", group=group)
            label = _with_n(label, int((~np.isnan(table)).any(axis=1).sum()) if table.size else 0)
            axes.plot(
                [weeks[k] for k in seen],
                middle,
                DASHES[number],
                color=color,
                linewidth=2.4,
                marker="o",
                markersize=4,
                label=label,
            )
        for limit in limits[name]:
            axes.axhline(limit, color=SOFT, linewidth=0.9, linestyle=":")
        axes.set(title=name, xticks=weeks, xlabel=words.say("Week"))
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper right")

    return _panels(list(what.items()), draw, "")


def detectable_change(protocol: Protocol) -> float:
    """Return the smallest detectable change of the score that counts: the machine's own, or that of two readers."""
    by_machine = protocol.imaging.counts is Counts.MACHINE
    return MACHINE_DETECTABLE_CHANGE if by_machine else SMALLEST_DETECTABLE_CHANGE


def waterfall_plot(groups: Groups, visit: PlannedVisit, protocol: Protocol, words: Language) -> str:
    """Plot each participant's change in SPARCC at one visit, sorted, with the important and the detectable change."""
    detectable = detectable_change(protocol)

    def draw(axes: Axes, panel: tuple[str, Courses]) -> None:
        name, inside = panel
        change = np.sort(_values(inside, visit, protocol, lambda each: each.sparcc_change))[::-1]
        colors = np.where(change <= -detectable, BLUE, SOFT)
        colors = np.where(change >= detectable, ORANGE, colors)
        axes.bar(np.arange(change.size), change, width=1.0, color=colors.tolist())
        for limit, dash in ((SMALLEST_IMPORTANT_CHANGE, ":"), (detectable, "--")):
            for sign in (-1, 1):
                axes.axhline(sign * limit, color=INK, linewidth=0.8, linestyle=dash)
        axes.axhline(0, color=INK, linewidth=0.8)
        title = words.say("{visit}, {n} participants", visit=_visit(visit, words), n=change.size)
        axes.set(title=title if len(groups) == 1 else f"{name}: {title}", xticks=[])
        axes.set_xlabel(words.say("Participants, in the order of their change"))

    return _panels(list(groups.items()), draw, words.say("Change in SPARCC since baseline"), share_y=True, wide=True)


def target_plot(groups: Groups, protocol: Protocol, words: Language) -> str:
    """Plot the status of the dual target at each visit, as shares of the participants in the trial."""

    def draw(axes: Axes, panel: tuple[str, Courses]) -> None:
        name, inside = panel
        places = np.arange(len(protocol.visits))
        below = np.zeros(len(places))
        for status, color in STATUS_COLORS.items():
            count = _status_counts(inside, status, len(places))
            share = 100 * count / max(1, len(inside))
            axes.bar(
                places, share, bottom=below, width=0.78, color=color, edgecolor="white", label=words.say(STATUS[status])
            )
            for place, value, base, number in zip(places, share, below, count, strict=True):
                if value >= 5:
                    dark = status in (TargetStatus.BOTH, TargetStatus.NEITHER)
                    axes.text(
                        float(place),
                        base + value / 2,
                        f"{number:.0f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if dark else INK,
                    )
            below += share
        axes.set(xticks=places, ylim=(0, 100))
        axes.set_xticklabels([visit.visit for visit in protocol.visits])
        axes.set_title(_with_n(name, len(inside)))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=5 if len(groups) == 1 else 3)

    return _panels(list(groups.items()), draw, words.say("Share of participants, %"), wide=True)


def bland_altman_plot(pairs: Sequence[tuple[str, TotalPairs]], words: Language) -> str:
    """Plot difference against mean for each pair of totals, with bias and limits of agreement."""

    def draw(axes: Axes, panel: tuple[str, TotalPairs]) -> None:
        name, found = panel
        first, second = np.array(found.first), np.array(found.second)
        middle, difference = (first + second) / 2, second - first
        spots, counts = np.unique(np.column_stack([middle, difference]), axis=0, return_counts=True)
        axes.scatter(spots[:, 0], spots[:, 1], s=6 + 5 * np.sqrt(counts), color=BLUE, alpha=0.45, linewidths=0)
        limits = clustered_limits(difference.tolist(), found.participants, BOOTSTRAP_SEED)
        for value, interval, dash in (
            (limits.lower, limits.lower_interval, "--"),
            (limits.mean, limits.mean_interval, "-"),
            (limits.upper, limits.upper_interval, "--"),
        ):
            if interval is not None:
                axes.axhspan(*interval, color=SOFT, alpha=0.25, linewidth=0)
            axes.axhline(value, color=INK, linewidth=1, linestyle=dash)
            axes.annotate(
                f"{value:+.1f}", (1.0, value), xycoords=("axes fraction", "data"), fontsize=8, va="bottom", ha="right"
            )
        axes.set_title(textwrap.fill(_with_n(name, len(found.first)), TITLE_LETTERS))
        axes.set_xlabel(words.say("Mean of both totals"))

    return _panels(list(pairs), draw, words.say("Difference"))


def _panels(
    panels: Sequence[Any], draw: Callable[[Axes, Any], None], y_label: str, *, share_y: bool = False, wide: bool = False
) -> str:
    """Draw panels side by side and return SVG."""
    width, height = _PANEL
    if len(panels) > 2:
        width = 3.1  # three panels must be readable at the width of a page
    with plot_style():
        whole = 2 * width if wide and len(panels) == 1 else width * max(2, len(panels))
        figure = Figure(figsize=(whole, height), layout="constrained")
        axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=share_y)).ravel()
        for each, panel in zip(axes, panels, strict=True):
            draw(each, panel)
        axes[0].set_ylabel(y_label)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _with_n(name: str, n: int) -> str:
    """Return a name with the number behind it: no figure stands without its n."""
    return f"{name} (n = {n})"


def _visit(visit: PlannedVisit, words: Language) -> str:
    return words.say("Week {week}", week=visit.week)


def _values(
    inside: Courses, visit: PlannedVisit, protocol: Protocol, of: Callable[[VisitAssessment], float | None]
) -> np.ndarray:
    number = protocol.visits.index(visit)
    found = [of(course[number]) for course in inside.values()]
    return np.array([value for value in found if value is not None], dtype=float)


def _status_counts(inside: Courses, status: TargetStatus, visits: int) -> NDArray[np.float64]:
    """Return the number of participants with this status at each visit."""
    return np.array([sum(c[k].target.status is status for c in inside.values()) for k in range(visits)], dtype=float)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
