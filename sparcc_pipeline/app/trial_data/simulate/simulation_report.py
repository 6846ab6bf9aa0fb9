"""The figures of a simulation as Markdown and as plots. There: `simulation_markdown`, `chance_plot`, `wrong_plot`."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.figure import Figure

from sparcc_pipeline.app.report.plots import SOFT, plot_style
from sparcc_pipeline.app.trial_data.trial_report.plots import COLORS, DASHES

WRONG: Final = (
    ("false_met", "called met though missed", "o", COLORS[0]),
    ("false_missed", "called missed though met", "D", COLORS[1]),
)
"""Both ways to be wrong: key, words, marker and color."""

CUT_OFFS: Final = {"below_cut_off": "SPARCC < 2", "up_to_cut_off": "SPARCC <= 2"}


def simulation_markdown(document: Mapping[str, Any]) -> str:
    """All tables of a simulation."""
    lines = [
        f"{document['trials']} simulated trials of {document['participants']} participants, seed {document['seed']}.",
        "",
        "How often noise of the score alone turns the imaging half round (visits after the baseline):",
        "",
        *_table(
            (
                "cut-off",
                "score",
                "called met though missed",
                "called missed though met",
                "called wrongly",
                "two visits in a row called differently though the truth is the same",
            ),
            [
                [
                    CUT_OFFS[f["definition"]],
                    f["method"],
                    *(_percent(f[key]) for key in ("false_met", "false_missed", "turned", "between_visits")),
                ]
                for f in document["flips"]
            ],
        ),
        "",
        *(
            f"One reader who reads the same images again says otherwise in {_percent(share)} ({CUT_OFFS[name]})."
            for name, share in document["turned_by_reading_again"].items()
        ),
        "",
        "Share called as meeting the target, by true total:",
        "",
        *_table(
            ("cut-off", "score", *(str(total) for total in range(len(document["flips"][0]["chance_met"])))),
            [
                [CUT_OFFS[f["definition"]], f["method"], *(_percent(each) for each in f["chance_met"])]
                for f in document["flips"]
            ],
        ),
        "",
        "Taper against control at the last visit (change since baseline, adjusted for the baseline):",
        "",
        *_table(
            ("outcome", "analysed", "difference", "standard error", "arms differ (5 %)", "margin", "not inferior"),
            [
                [
                    p["outcome"],
                    f"{p['analysed']:.0f}",
                    f"{p['difference']:+.2f}",
                    f"{p['standard_error']:.2f}",
                    _percent(p["different"]),
                    f"{p['margin']:g}",
                    _percent(p["not_inferior"]),
                ]
                for p in document["power"]
            ],
        ),
        "",
        "Shares of trials have a Monte Carlo standard error of at most "
        f"{50 / math.sqrt(document['trials']):.1f} points. "
        "Differences and standard errors are means over the trials.",
        "",
        "Agreement in the first trial (95 % intervals from a bootstrap of participants):",
        "",
        *_table(
            ("pair", "ICC(2,1)", "smallest detectable change", "quadrant kappa", "PABAK"),
            [
                [
                    a["pair"],
                    _estimate(a["totals"]["icc_agreement"]),
                    _estimate(a["totals"]["sdc"], 1),
                    _estimate(a["quadrants"]["kappa"]),
                    _estimate(a["quadrants"]["adjusted"]),
                ]
                for a in document["agreement"]
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def chance_plot(document: Mapping[str, Any]) -> str:
    """Share called as meeting the target against the true total, a panel a cut-off, as SVG."""
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
        return _svg(figure)


def wrong_plot(document: Mapping[str, Any]) -> str:
    """Share of visits called wrongly in either direction, by score, a panel a cut-off, as SVG."""
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
        return _svg(figure)


def _ends(row: Mapping[str, Any]) -> tuple[float, float]:
    shares = [100 * row[key] for key, *_ in WRONG]
    return min(shares), max(shares)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _estimate(found: Mapping[str, Any] | None, digits: int = 2) -> str:
    if found is None:
        return "-"
    ends = "" if found["low"] is None else f" ({found['low']:.{digits}f}-{found['high']:.{digits}f})"
    return f"{found['value']:.{digits}f}{ends}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
