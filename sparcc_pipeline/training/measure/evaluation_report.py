"""Write the figures of `evaluate` as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.training.data.labels import PERSON_WITH_UNREAD_EDEMA, UNREAD_EDEMA_SLICES
from sparcc_pipeline.training.measure.points import ITEMS

PERSON_COLUMNS: Final = (
    "person",
    "sacrum",
    "right ilium",
    "left ilium",
    "joint line mm",
    "first slice (read)",
    "edema Dice",
    "readers",
    "plain",
    "total as read",
    "own six",
    "totals of the readings",
)

AGREEMENT_COLUMNS: Final = (
    "points",
    "first, second",
    "both",
    "first only",
    "second only",
    "neither",
    "not compared",
    "kappa",
)
WHO: Final = {"machine": "machine, each reading", "readers": "reader 1, reader 2"}

Figures = Mapping[str, Any]


def evaluation_markdown(result: Figures) -> str:
    """Return goals, people and points with T1 and on STIR alone, certainty, and the figures of other commands.

    `result` is the result of `evaluate`, with the "date", "software" and "command" of the measurement, and "elsewhere":
    the goals of `evaluation_goals.goals_elsewhere`.
    """
    parts = [
        f"{result['date']}, sparcc-pipeline {result['software']}: `{result['command']}`",
        "",
        *_section("With T1", _figures(result)),
        *_section("STIR alone", _figures(result["stir_alone"])),
        *_section("How sure (with T1)", _certainty(result["certainty"])),
        *_section("Of the installed model, which has seen these people", _goal_table(result["elsewhere"])),
    ]
    return "\n".join(parts).rstrip("\n") + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"### {title}", "", *lines, ""]


def _figures(result: Figures) -> list[str]:
    return [
        *_goal_table(result["goals"]),
        "",
        *_beside(result),
        "",
        *_people(result),
        "",
        *_agreement(result["items"]),
        "",
        *_thresholds(result),
        "",
        *_called(result["people"]),
    ]


def _goal_table(goals: Sequence[Figures]) -> list[str]:
    rows = [[g["name"], _number(g["value"]), g["goal"], _reached(g)] for g in goals]
    return _table(("figure", "value", "goal", "reached"), rows)


def _reached(goal: Figures) -> str:
    """Return "yes" or "no" where a number decides, then the note."""
    judged = "" if goal["reached"] is None else "yes" if goal["reached"] else "**no**"
    note = goal["note"] if judged == "" or not goal["note"] else f" ({goal['note']})"
    return f"{judged}{note}"


def _beside(result: Figures) -> list[str]:
    """Return lines about figures without a goal."""
    line, totals = result["joint_line"], result["total_differences"]
    found, back = (_number(line[key]) for key in ("percentile_95_found_mm", "percentile_95_from_found_mm"))
    labels = result["joint_line_of_the_labels"]["percentile_95_mm"]
    return [
        f"- Edema Dice of a plain threshold inside perfect bones and joints: {result['plain_dice_mean']:.2f}.",
        f"- Quadrants called that all readings leave empty: {result['empty_quadrants_called']} of "
        f"{result['empty_quadrants']}.",
        "- Joint line, from every drawn point to the found line (infinitely far if no joint was found): median "
        f"{_number(line['median_found_mm'])} mm, 95 % within {found} mm where it was found. From the found line to the "
        f"drawn one, beside it: 95 % within {back} mm. Bones as labelled would reach {_number(labels)} mm.",
        f"- Drawn joints that were not found: {len(line['missing'])} of {line['joint_slices']}.",
        f"- Totals of two readings by different readers differ by {totals['reader_reading']:.1f} on average, the "
        f"machine's and a reading's by {totals['machine_reading']:.1f}.",
    ]


def _people(result: Figures) -> list[str]:
    rows = []
    for name, each in result["people"].items():
        bones = [f"{each['bone_dice'][key]:.3f}" for key in ("sacrum", "right ilium", "left ilium")]
        edema = [_number(each[key], ".2f") for key in ("edema_dice_mean", "reader_dice", "plain_dice")]
        rows.append(
            [
                name,
                *bones,
                _line(each["joint_line"]),
                f"{each['first_slice']} ({each['first_slice_read']})",
                *edema,
                _total(each["score"]),
                _total(each["score_own_slices"]),
                ", ".join(map(str, each["reader_totals"])),
            ]
        )
    for name, reason in result["failures"].items():
        rows.append([name, f"not scored: {reason}", *[""] * (len(PERSON_COLUMNS) - 2)])
    return _table(PERSON_COLUMNS, rows)


def _line(line: Figures) -> str:
    """Return the 95th percentile where the joint was found, and the number of joint-slices where it was not."""
    missing = f"; {len(line['missing'])} of {line['joint_slices']} not found" if line["missing"] else ""
    return f"{_number(line['percentile_95_found_mm'], '.2f')}{missing}"


def _total(points: Figures) -> str:
    return "{total} ({edema} + {intensity} + {depth})".format(**points)


def _agreement(items: Figures) -> list[str]:
    counts = ("both", "first_only", "second_only", "neither", "not_compared")
    rows = [
        [item, words, *(str(items[item][who][key]) for key in counts), _number(items[item][who]["kappa"], ".2f")]
        for item in ITEMS
        for who, words in WHO.items()
    ]
    return [
        "Points on the six slices as read, each reading once; kappa of the counts:",
        "",
        *_table(AGREEMENT_COLUMNS, rows),
    ]


def _thresholds(result: Figures) -> list[str]:
    """Return the figures at other thresholds, for information: the threshold is not chosen from them."""
    rows = [
        [
            f"{each['threshold']:g}",
            _number(each["edema_dice_mean"], ".3f"),
            _number(each["quadrant_kappa"], ".3f"),
            f"{each['empty_quadrants_called']} of {each['empty_quadrants']}",
        ]
        for each in result["thresholds"]
    ]
    return [
        f"At other thresholds than {result['edema_threshold']:g}, which is not fitted:",
        "",
        *_table(("threshold", "edema Dice", "quadrant kappa", "empty quadrants called"), rows),
    ]


def _called(people: Figures) -> list[str]:
    """Return where edema was called in people without a reading."""
    lines = []
    for name, each in people.items():
        if each["reader_totals"]:
            continue
        called = each["called"]
        first, last = called["six_slices"]
        where = f"on its six slices {first}-{last}, as read"
        lines.append(f"- {name}, drawn by no reader: {called['quadrants_on_the_six']} quadrants called {where}.")
        for side in Side:
            slices = [f"{s['slice']} ({_quadrants(s)})" for s in called["slices"] if s["side"] == side.value]
            known = ""
            if name == PERSON_WITH_UNREAD_EDEMA:
                known = " (edema is in the upper sacrum on {}-{})".format(*UNREAD_EDEMA_SLICES[side])
            lines.append(f"  - {side.value} joint, all slices{known}: {', '.join(slices) or 'none'}")
    return lines


def _quadrants(called: Figures) -> str:
    return ", ".join(quadrant.replace("_", " ") for quadrant in called["quadrants"])


def _certainty(result: Figures) -> list[str]:
    """Return intervals and reliability, each person by the calibration of the others."""
    people = [
        [
            name,
            f"{each['expected']:.1f}",
            "{}-{}".format(*each["interval_90"]),
            f"{each['probability_remission']:.2f}",
            ", ".join(map(str, each["reader_totals"])),
        ]
        for name, each in result["people"].items()
    ]
    bins = [
        [f"{b['from']:g}-{b['to']:g}", str(b["items"]), f"{b['said']:.2f}", f"{b['happened']:.2f}"]
        for b in result["reliability"]
    ]
    return [
        *_table(("person", "expected", "90 % interval", "chance of remission", "totals of the readings"), people),
        "",
        f"The interval holds {result['totals_covered']} of {result['totals']} totals (a person without edema counts "
        f"with a total of 0). Brier score of the quadrants {result['brier']:.3f}, of the mean alone "
        f"{result['brier_of_the_mean']:.3f}.",
        "",
        *_table(
            ("distribution of the total", "mean width of the 90 % interval", "totals inside", "CRPS"),
            [_distribution("by the margins of each item", result, result["totals_covered"] / result["totals"])]
            + [_distribution("the same for all", result["plain"], result["plain"]["covered"])],
        ),
        "",
        *_table(("predicted probability", "quadrants", "mean prediction", "observed"), bins),
    ]


def _distribution(name: str, found: Figures, covered: float) -> list[str]:
    return [name, f"{found['mean_width']:.1f}", f"{covered:.2f}", f"{found['crps']:.2f}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _number(value: float | None, form: str = ".3g") -> str:
    return "" if value is None else format(value, form)
