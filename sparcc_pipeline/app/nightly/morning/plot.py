"""The plot of the last nights (SVG): studies received by their standing, and the time to score.

A hatch or the place in the bar repeats each color; the colors are those of Okabe and Ito.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sparcc_pipeline.app.nightly.morning.studies import NightCounts
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, ORANGE, SOFT, plot_style

_SIZE: Final = (10.4, 3.5)
"""Width and height, inches."""

_WAITING: Final = "#c9d1d8"
_UNSCORABLE: Final = "#56B4E9"
_LABELLED_NIGHTS: Final = 5
"""The date is written every so many nights, from the last one back."""

_LEAST_SCALE_MINUTES: Final = 1.0


def nights_plot(nights: Sequence[NightCounts], zone: tzinfo, words: Language) -> str:
    """Return two panels over the same nights: studies received as bars, minutes from receipt to score as points."""
    with plot_style():
        figure = Figure(figsize=_SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.1, 1))
        _bars(above, nights, words)
        _times(below, nights, words)
        last = len(nights) - 1
        shown = [number for number in range(len(nights)) if (last - number) % _LABELLED_NIGHTS == 0]
        below.set_xticks(shown, [nights[n].ends.astimezone(zone).strftime("%m-%d") for n in shown])
        below.set_xlim(-0.7, last + 0.7)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _bars(axes: Axes, nights: Sequence[NightCounts], words: Language) -> None:
    places, bottom = np.arange(len(nights)), np.zeros(len(nights))
    layers = (
        (words.say("scored"), BLUE, "", [night.scored for night in nights]),
        (words.say("method does not apply"), _UNSCORABLE, "....", [night.unscorable for night in nights]),
        (words.say("not processed yet"), _WAITING, "", [night.waiting for night in nights]),
        (words.say("needs attention"), ORANGE, "////", [night.needs_attention for night in nights]),
    )
    for label, color, hatch, values in layers:
        edge = "white" if hatch else color
        bars = axes.bar(places, values, bottom=bottom, width=0.78, label=label, color=color, edgecolor=edge)
        for bar in bars:
            bar.set(hatch=hatch, linewidth=0)
        bottom += np.array(values)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylim(0, max(1.0, 1.05 * float(bottom.max())))
    axes.set_ylabel(words.say("Studies received"))
    axes.tick_params(bottom=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0, handlelength=1.4)


def _times(axes: Axes, nights: Sequence[NightCounts], words: Language) -> None:
    for number, night in enumerate(nights):
        if night.to_score_median is not None and night.to_score_worst is not None:
            middle, worst = _minutes(night.to_score_median), _minutes(night.to_score_worst)
            axes.plot([number, number], [middle, worst], color=SOFT, linewidth=1.2, zorder=1)
            axes.plot(number, worst, "_", color=INK, markersize=6, zorder=2)
            axes.plot(number, middle, "o", color=BLUE, markersize=4, zorder=3)
    known = [_minutes(night.to_score_worst) for night in nights if night.to_score_worst is not None]
    # Minutes and days on one axis: a night that waited for a PACS must not hide the others.
    axes.set_yscale("log")
    axes.set_ylim(min([_LEAST_SCALE_MINUTES, *known]) * 0.8, max([100.0, *known]) * 1.6)
    axes.set_yticks([m for m in (1, 10, 60, 1440, 10080) if m <= axes.get_ylim()[1]], minor=False)
    names = {1: "1 min", 10: "10 min", 60: "1 h", 1440: "1 d", 10080: "7 d"}
    axes.set_yticklabels([names[int(m)] for m in axes.get_yticks()])
    axes.minorticks_off()
    axes.set_ylabel(words.say("Until scored"))


def _minutes(span: timedelta) -> float:
    return max(span.total_seconds() / 60, 0.05)
