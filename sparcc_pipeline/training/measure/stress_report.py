"""Write the figures of a stress test as Markdown and CSV tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.training.measure.retest_report import goal_table
from sparcc_pipeline.training.measure.stress import LARGEST_GOAL, ROW_COLUMNS

FAILED: Final = "no score"


def stress_csv(result: Mapping[str, Any]) -> str:
    """Return one row for each distortion of each scan."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ROW_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(result["rows"])
    return text.getvalue()


def stress_markdown(result: Mapping[str, Any]) -> str:
    """Return goals, the change of the total by distortion and scan, and the reasons of failures."""
    scans, over_all = result["scans"], result["over_all"]
    lines = [
        f"Model {result['model'].get('name')} {result['model'].get('version')}, which has seen these people: how far a "
        "score moves, not whether it is right.",
        "",
        *goal_table(result["goals"]),
        "",
        _sentence(over_all),
        "",
        "Change of the total; in brackets that on the slices at the place of the scan's own six:",
        "",
        f"| distortion | {' | '.join(scans)} | median | largest |",
        "| --- |" + " --- |" * (len(scans) + 2),
        f"| *the scan itself* | {' | '.join(str(points['total']) for points in scans.values())} | | |",
    ]
    for each in result["distortions"]:
        cells = [_cell(_row(result["rows"], scan, each["name"])) for scan in scans]
        median, largest = (_number(each[key]) for key in ("median_change", "largest_change"))
        lines.append(f"| {each['words']} | {' | '.join(cells)} | {median} | {largest} |")
    failures = [row for row in result["rows"] if row["failure"]]
    if failures:
        lines += ["", "No score:", ""]
        lines += [f"- {row['scan']}, {row['words']}: {row['failure_kind']}: {row['failure']}" for row in failures]
    return "\n".join(lines) + "\n"


def _row(rows: Sequence[Mapping[str, Any]], scan: str, distortion: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["scan"] == scan and row["distortion"] == distortion), None)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    if row["change"] is None:
        return FAILED
    return f"{row['change']:+d} ({row['same_slices_change']:+d})"


def _sentence(over_all: Mapping[str, Any]) -> str:
    scored = over_all["rows"] - over_all["failed"]
    if not scored:
        return f"None of {over_all['rows']} was scored."
    return (
        f"{scored} of {over_all['rows']} scored; {over_all['over_goal']} moved by more than {LARGEST_GOAL}. On the "
        f"slices of the scan itself: median {_number(over_all['median_same_slices_change'])}, largest "
        f"{over_all['largest_same_slices_change']}."
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
