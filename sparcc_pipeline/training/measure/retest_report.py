"""Write the figures of a retest as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.training.measure.retest import CHOICES, LOW_TOTAL

HEAD: Final = (
    "scan",
    "baseline",
    "totals of the repeats",
    "mean difference",
    "SD",
    "same slices",
    "largest distance (slices)",
    "failed",
)


def retest_markdown(result: Mapping[str, Any]) -> str:
    """Return all figures of `retest` as Markdown."""
    lines = [*goal_table(result["goals"]), ""]
    for choice, meaning in CHOICES.items():
        over_all = result["over_all"][choice]
        lines += [f"Scored on {meaning}:", "", *_table(HEAD, _rows(result["scans"], choice)), ""]
        lines += [*_sentences(over_all), ""]
    lines += ["Registration of the repeats against the known motion (mean over the baseline's joints):", ""]
    rows = [[name, *_registration(row["registration"])] for name, row in result["scans"].items()]
    lines += _table(("scan", "mean mm", "largest mm", "mean degrees", "largest degrees"), rows)
    failures = _failures(result["scans"])
    if failures:
        lines += ["", "Not scored:", "", *failures]
    return "\n".join(lines) + "\n"


def goal_table(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table: each figure with its goal."""
    rows = [[g["name"], f"{g['value']:.3g}", g["goal"], "yes" if g["reached"] else "**no**"] for g in goals]
    return _table(("figure", "value", "goal", "reached"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _rows(scans: Mapping[str, Any], choice: str) -> list[list[str]]:
    rows = []
    for name, row in scans.items():
        figures, baseline, count = row[choice], row["baseline"], len(row["repeats"])
        rows.append(
            [
                name,
                "{total} ({edema} + {intensity} + {depth})".format(**baseline),
                ", ".join(map(str, figures["totals"])),
                _number(figures["mean_difference"], "+.1f"),
                _number(figures["sd"], ".1f"),
                f"{figures['same_slices']} of {count}",
                _number(figures["largest_slices_off"], ".2f"),
                str(len(figures["failures"])),
            ]
        )
    return rows


def _sentences(over_all: Mapping[str, Any]) -> list[str]:
    """Return sentences about all scans together."""
    lines = [
        f"{over_all['scored']} of {over_all['repeats']} repeats scored, {over_all['same_slices']} on the same slices "
        "within half a slice."
    ]
    agreement = over_all["agreement"]
    if agreement is not None:
        lines.append(
            f"Mean difference {agreement['mean']:+.2f}, limits of agreement {agreement['lower']:+.1f} to "
            f"{agreement['upper']:+.1f}."
        )
    for suffix, where in (("", "over all scans"), ("_low", f"over scans under {LOW_TOTAL}")):
        sem, sdc = over_all[f"sem{suffix}"], over_all[f"sdc{suffix}"]
        if sem is not None:
            lines.append(f"SEM {sem:.2f}, smallest detectable change {sdc:.1f} {where}.")
    return lines


def _registration(figures: Mapping[str, float] | None) -> list[str]:
    keys = ("mean_mm", "largest_mm", "mean_degrees", "largest_degrees")
    return [_number(None if figures is None else figures[key], ".2f") for key in keys]


def _failures(scans: Mapping[str, Any]) -> list[str]:
    return [
        f"- {name}, repeat {each['seed']} ({choice} slices): {reason}"
        for name, row in scans.items()
        for each in row["repeats"]
        for choice, reason in each["failures"].items()
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
