"""Write the figures of a stress test as Markdown and CSV tables and as a picture (SVG)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from sparcc_pipeline.training.measure.retest_report import COLORS, goal_table
from sparcc_pipeline.training.measure.stress import LARGEST_GOAL, ROW_COLUMNS

LEFT, RIGHT, TOP, BOTTOM = 260, 190, 56, 44
ROW_PIXELS: Final = 22
WIDTH: Final = 860
SPREAD_PIXELS: Final = 2.2
"""Distance between the dots of one distortion, so that those of two scans do not hide each other."""

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


def stress_svg(result: Mapping[str, Any]) -> str:
    """Return a picture with a dot for each scan and distortion: the change of the total. The light band is the goal."""
    distortions, scans = result["distortions"], list(result["scans"])
    changes = [row["change"] for row in result["rows"] if row["change"] is not None]
    reach: int = max([LARGEST_GOAL + 2, *map(abs, changes)])
    height = TOP + BOTTOM + ROW_PIXELS * len(distortions)

    def x(change: float) -> float:
        return LEFT + (change + reach) / (2 * reach) * (WIDTH - LEFT - RIGHT)

    floor = height - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="13" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#FFFFFF"/>',
        '<text x="16" y="26" font-size="15">How far the total moves when the acquisition changes</text>',
        f'<rect x="{x(-LARGEST_GOAL):.1f}" y="{TOP}" width="{x(LARGEST_GOAL) - x(-LARGEST_GOAL):.1f}" '
        f'height="{floor - TOP}" fill="#EEF3F6"/>',
        f'<path d="M{x(0):.1f} {TOP}V{floor}" stroke="#222222" fill="none"/>',
    ]
    step = next(each for each in (1, 2, 5, 10, 20) if 2 * reach / each <= 14)
    for tick in range(-(reach // step) * step, reach + 1, step):
        label = f"{tick:+d}" if tick else "0"
        parts.append(f'<text x="{x(tick):.1f}" y="{floor + 18}" text-anchor="middle">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 8}" text-anchor="middle">change of the total</text>')
    for place, each in enumerate(distortions):
        y = TOP + ROW_PIXELS * (place + 0.5)
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{escape(each["words"])}</text>')
        parts += _dots(result, scans, each, y, x)
    for index, name in enumerate(scans):
        y = TOP + 18 * index + 8
        parts.append(f'<circle cx="{WIDTH - 70}" cy="{y}" r="5" fill="{COLORS[index % len(COLORS)]}"/>')
        parts.append(f'<text x="{WIDTH - 58}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dots(
    result: Mapping[str, Any],
    scans: Sequence[str],
    distortion: Mapping[str, Any],
    y: float,
    x: Callable[[float], float],
) -> list[str]:
    dots = []
    for index, scan in enumerate(scans):
        row = _row(result["rows"], scan, distortion["name"])
        if row is None:
            continue
        at = y + SPREAD_PIXELS * (index - (len(scans) - 1) / 2)
        color = COLORS[index % len(COLORS)]
        if row["change"] is None:
            title = f"{escape(scan)}: {FAILED}, {escape(str(row['failure_kind']))}"
            mark = f"M{WIDTH - RIGHT + 14 + 9 * index} {y - 4:.1f}l8 8m0 -8l-8 8"
            dots.append(f'<path d="{mark}" stroke="{color}" stroke-width="2"><title>{title}</title></path>')
        else:
            dots.append(
                f'<circle cx="{x(row["change"]):.1f}" cy="{at:.1f}" r="4" fill="{color}" fill-opacity="0.8">'
                f"<title>{escape(scan)}: {row['change']:+d}</title></circle>"
            )
    return dots


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
