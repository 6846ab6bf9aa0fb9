"""Write the figures of a simulation as Markdown and as plots.

Contents: `simulation_markdown`, `chance_plot`, `wrong_plot`, `svg_of`. The tables of choices are in
`choice_tables.py`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from sparcc_pipeline.app.report.plots import SOFT, plot_style
from sparcc_pipeline.app.trial_data.simulate.choice_tables import (
    checks,
    flares,
    joint_power,
    missing_data,
    percent,
    table,
    taper_rules,
    targets,
)
from sparcc_pipeline.app.trial_data.trial_report.plots import COLORS, DASHES

WRONG: Final = (
    ("false_met", "called met though missed", "o", COLORS[0]),
    ("false_missed", "called missed though met", "D", COLORS[1]),
)
"""Both kinds of error: key, label, marker and color."""

CUT_OFFS: Final = {"below_cut_off": "SPARCC < 2", "up_to_cut_off": "SPARCC <= 2"}


def simulation_markdown(document: Mapping[str, Any]) -> str:
    """Return all tables of a simulation as Markdown."""
    lines = [
        f"{document['trials']} simulated trials of {document['participants']} participants, seed {document['seed']}.",
        "",
        *checks(document),
        "",
        *_flips(document),
        "",
        *_chances(document),
        "",
        *_power(document),
        "",
        *missing_data(document),
        "",
        *joint_power(document),
        "",
        *taper_rules(document),
        "",
        *targets(document),
        "",
        *flares(document),
        "",
        *_agreement(document),
    ]
    return "\n".join(lines) + "\n"


def _flips(document: Mapping[str, Any]) -> list[str]:
    head = (
        "cut-off",
        "score",
        "called met though missed",
        "called missed though met",
        "called wrongly",
        "two visits in a row called differently though the truth is the same",
    )
    keys = ("false_met", "false_missed", "turned", "between_visits")
    rows = [
        [CUT_OFFS[each["definition"]], each["method"], *(percent(each[key]) for key in keys)]
        for each in document["flips"]
    ]
    repeats = [
        f"One reader who reads the same images again decides differently in {percent(share)} ({CUT_OFFS[name]})."
        for name, share in document["turned_by_reading_again"].items()
    ]
    intro = "How often noise of the score alone flips the imaging target (visits after the baseline):"
    return [intro, "", *table(head, rows), "", *repeats]


def _chances(document: Mapping[str, Any]) -> list[str]:
    totals = range(len(document["flips"][0]["chance_met"]))
    rows = [
        [CUT_OFFS[each["definition"]], each["method"], *(percent(chance) for chance in each["chance_met"])]
        for each in document["flips"]
    ]
    intro = "Share called as meeting the target, by true total:"
    return [intro, "", *table(("cut-off", "score", *map(str, totals)), rows)]


def _power(document: Mapping[str, Any]) -> list[str]:
    head = ("outcome", "analysed", "difference", "standard error", "arms differ (5 %)", "margin", "not inferior")
    rows = [
        [
            each["outcome"],
            f"{each['analysed']:.0f}",
            f"{each['difference']:+.2f}",
            f"{each['standard_error']:.2f}",
            percent(each["different"]),
            f"{each['margin']:g}",
            percent(each["not_inferior"]),
        ]
        for each in document["power"]
    ]
    # Largest standard error of a share, at one half.
    error = 50 / math.sqrt(document["trials"])
    return [
        "Taper against control at the last visit (change adjusted for the baseline; multiple imputation):",
        "",
        *table(head, rows),
        "",
        f"Shares of trials have a Monte Carlo standard error of at most {error:.1f} points. "
        "Differences and standard errors are means over the trials.",
    ]


def _agreement(document: Mapping[str, Any]) -> list[str]:
    head = ("pair", "ICC(2,1)", "smallest detectable change of one reading", "quadrant kappa", "PABAK")
    rows = [
        [
            each["pair"],
            _estimate(each["totals"]["icc_agreement"]),
            _estimate(each["totals"]["sdc"], 1),
            _estimate(each["quadrants"]["kappa"]),
            _estimate(each["quadrants"]["adjusted"]),
        ]
        for each in document["agreement"]
    ]
    intro = "Agreement in the first trial (95 % intervals from a bootstrap of participants):"
    return [intro, "", *table(head, rows)]


def chance_plot(document: Mapping[str, Any]) -> str:
    """Plot the share called as meeting the target against the true total, one panel a cut-off; return SVG."""
    names = list(CUT_OFFS)
    with plot_style():
        figure = Figure(figsize=(8.8, 3.4), layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True)
        for axes, name in zip(panels, names, strict=True):
            rows = [f for f in document["flips"] if f["definition"] == name]
            for number, row in enumerate(rows):
                known = [(total, 100 * chance) for total, chance in enumerate(row["chance_met"]) if chance is not None]
                axes.plot(
                    *zip(*known, strict=True),
                    DASHES[number],
                    color=COLORS[number],
                    marker="o",
                    markersize=3.5,
                    label=row["method"],
                )
            axes.axvline(1.5 if name == "below_cut_off" else 2.5, color=SOFT, linestyle=":", linewidth=1)
            axes.set(title=CUT_OFFS[name], xlabel="True SPARCC", ylim=(-2, 102))
        panels[0].set_ylabel("Called as meeting the target, %")
        panels[1].legend(loc="upper right")
        return svg_of(figure)


def wrong_plot(document: Mapping[str, Any]) -> str:
    """Plot the share of visits called wrongly, by score and direction, one panel a cut-off; return SVG."""
    names = list(CUT_OFFS)
    with plot_style():
        figure = Figure(figsize=(8.8, 2.8), layout="constrained")
        panels = figure.subplots(1, len(names), sharex=True, sharey=True)
        for axes, name in zip(panels, names, strict=True):
            rows = [f for f in document["flips"] if f["definition"] == name]
            places = list(range(len(rows)))
            for key, label, marker, color in WRONG:
                axes.plot([100 * f[key] for f in rows], places, marker, color=color, label=label, markersize=7)
            axes.hlines(places, *zip(*(_ends(f) for f in rows), strict=True), color=SOFT, linewidth=1, zorder=0)
            axes.set(title=CUT_OFFS[name], xlabel="Share of visits, %", xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))
            axes.set_yticks(places, [f["method"] for f in rows])
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(WRONG))
        return svg_of(figure)


def _ends(row: Mapping[str, Any]) -> tuple[float, float]:
    shares = [100 * row[key] for key, *_ in WRONG]
    return min(shares), max(shares)


def svg_of(figure: Figure) -> str:
    """Return a figure as SVG, the same bytes for the same figure."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _estimate(found: Mapping[str, Any] | None, digits: int = 2) -> str:
    if found is None:
        return "-"
    ends = "" if found["low"] is None else f" ({found['low']:.{digits}f}-{found['high']:.{digits}f})"
    return f"{found['value']:.{digits}f}{ends}"
