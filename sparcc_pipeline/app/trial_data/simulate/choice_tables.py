"""Tables of a simulation as Markdown: checks, dropout, both primary outcomes, choices of a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def percent(share: float | None) -> str:
    """Return a share as text; "-" without one."""
    return "-" if share is None else f"{100 * share:.1f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of Markdown."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def checks(document: Document) -> list[str]:
    """Return each stated fact beside what the trials show."""
    rows = [
        [each["key"], each["what"], f"{each['expected']:g}", _number(each["found"]), str(each["n"])]
        for each in document["checks"]
    ]
    intro = "Facts that the assumptions state, and what the trials show:"
    return [intro, "", *table(("assumption", "fact", "expected", "found", "n"), rows)]


def missing_data(document: Document) -> list[str]:
    """Return the effect of missing data on both primary outcomes, by analysis."""
    rows = [
        [
            each["outcome"],
            each["analysis"],
            f"{each['analysed']:.0f}",
            f"{each['difference']:+.3f}",
            f"{each['bias']:+.3f}",
            f"{each['standard_error']:.3f}",
            percent(each["not_inferior"]),
        ]
        for each in document["missing_data"]
    ]
    head = ("outcome", "analysis", "analysed", "difference", "bias", "standard error", "not inferior")
    intro = "Missing data: the same trials by three analyses; bias is the difference from that with nothing missing:"
    return [intro, "", *table(head, rows)]


def joint_power(document: Document) -> list[str]:
    """Return the power of both primary outcomes in every hierarchy; that of the assumptions is marked."""
    rows = [
        [
            each["hierarchy"] + (" (assumed)" if each["hierarchy"] == document["hierarchy"] else ""),
            *(percent(each[key]) for key in ("sparcc", "asdas", "both", "one")),
        ]
        for each in document["joint_power"]
    ]
    intro = "Both primary outcomes, not inferior, with the error of both together at 5 %:"
    return [intro, "", *table(("hierarchy", "SPARCC shown", "ASDAS shown", "both", "at least one"), rows)]


def taper_rules(document: Document) -> list[str]:
    """Return what each rule for the taper does to steps and power."""
    head = (
        "rule for the first step",
        "first step, of the taper arm",
        "median week",
        "false steps, of these",
        "missed steps, of the taper arm",
        "difference in ASDAS",
        "in SPARCC",
        "not inferior: ASDAS",
        "SPARCC",
        "both",
    )
    rows = [
        [
            each["rule"],
            percent(each["stepped"]),
            "-" if each["median_week"] is None else f"{each['median_week']:g}",
            percent(each["false_of_steps"]),
            percent(each["missed"]),
            f"{each['asdas_difference']:+.2f}",
            f"{each['sparcc_difference']:+.2f}",
            *(percent(each[f"{what}_not_inferior"]) for what in ("asdas", "sparcc", "both")),
        ]
        for each in document["taper_rules"]
    ]
    return ["Rules for the taper; a step is false if the values without error miss its rule:", "", *table(head, rows)]


def targets(document: Document) -> list[str]:
    """Return how often each condition and definition of the target is called, falsely called and missed."""
    return [
        "The target from the end of the full dose on, by its condition, and sustained, by its definition:",
        "",
        *table(
            ("definition", "answers", "called", "false, of those called", "missed, of those true"),
            [[each["definition"], *_calls(each)] for each in document["targets"]],
        ),
    ]


def flares(document: Document) -> list[str]:
    """Return how often each definition of a flare is called in each arm, falsely called and missed."""
    arms = list(document["flares"][0]["by_arm"])
    rows = [
        [
            each["definition"],
            str(each["asked"]),
            *(percent(each["by_arm"][arm]) for arm in arms),
            percent(each["false_of_called"]),
            percent(each["missed_of_true"]),
            percent(each["arms_differ"]),
        ]
        for each in document["flares"]
    ]
    head = (
        "definition",
        "participants",
        *arms,
        "false, of those called",
        "missed, of those true",
        "trials in which the arms differ",
    )
    intro = "Participants with a flare after the start of the taper, of those with low ASDAS at that visit:"
    return [intro, "", *table(head, rows)]


def _calls(each: Mapping[str, Any]) -> list[str]:
    return [str(each["asked"]), *(percent(each[key]) for key in ("called", "false_of_called", "missed_of_true"))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
