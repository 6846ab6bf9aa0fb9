"""Write the figures of a retest as Markdown tables and as a Bland-Altman picture (SVG)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from sparcc_pipeline.training.measure.retest import CHOICES, LOW_TOTAL

COLORS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
"""One for each scan: the colors of Okabe and Ito, which people with color blindness can distinguish."""

WIDTH: Final = 760
HEIGHT: Final = 460
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 48, 56
DOT_PIXELS: Final = 4.0
SMALLEST_HALF_RANGE: Final = 2.0

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


def retest_svg(result: Mapping[str, Any], choice: str = "matched") -> str:
    """Return a Bland-Altman picture: difference from the baseline against the mean of both, limits of agreement."""
    points = _points(result["scans"], choice)
    agreement = result["over_all"][choice]["agreement"]
    lines: list[float] = [] if agreement is None else [agreement[key] for key in ("lower", "mean", "upper")]
    largest_mean = max([5.0, *(mean for _, mean, _ in points)])
    half_range = 1.15 * max([SMALLEST_HALF_RANGE, *(abs(d) for _, _, d in points), *map(abs, lines)])

    def x(mean: float) -> float:
        return LEFT + mean / (1.05 * largest_mean) * (WIDTH - LEFT - RIGHT)

    def y(difference: float) -> float:
        return TOP + (1 - difference / half_range) / 2 * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" fill="#222222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#FFFFFF"/>',
        f'<text x="{LEFT}" y="24" font-size="15">Totals of second scans against the first</text>',
        *_axes(x, y, largest_mean, half_range),
    ]
    for value, name in zip(lines, ("lower limit", "mean", "upper limit"), strict=False):
        dash = "" if name == "mean" else ' stroke-dasharray="6 4"'
        parts.append(
            f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#222222" fill="none"{dash}/>'
            f'<text x="{WIDTH - RIGHT + 8}" y="{y(value) + 4:.1f}">{name} {value:+.1f}</text>'
        )
    scans = list(result["scans"])
    for (name, mean, difference), count in sorted(Counter(points).items()):
        # The area of a dot grows with the number of its repeats.
        parts.append(
            f'<circle cx="{x(mean):.1f}" cy="{y(difference):.1f}" r="{DOT_PIXELS * count**0.5:.1f}" '
            f'fill="{COLORS[scans.index(name) % len(COLORS)]}" fill-opacity="0.75">'
            f"<title>{escape(name)}: {difference:+g}, {count} repeats</title></circle>"
        )
    parts += _legend(scans)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _points(scans: Mapping[str, Any], choice: str) -> list[tuple[str, float, float]]:
    """Return (scan, mean of both totals, difference) of every scored repeat."""
    return [
        (name, (total + row["baseline"]["total"]) / 2, float(total - row["baseline"]["total"]))
        for name, row in scans.items()
        for total in row[choice]["totals"]
    ]


def _axes(
    x: Callable[[float], float], y: Callable[[float], float], largest_mean: float, half_range: float
) -> list[str]:
    floor = HEIGHT - BOTTOM
    parts = [f'<path d="M{LEFT} {TOP}V{floor}H{WIDTH - RIGHT}" stroke="#222222" fill="none"/>']
    step = _step(largest_mean)
    for tick in range(0, int(largest_mean) + 1, step):
        parts.append(f'<text x="{x(tick):.1f}" y="{floor + 20}" text-anchor="middle">{tick}</text>')
    step = _step(2 * half_range)
    reach = int(half_range) // step * step
    for tick in range(-reach, reach + 1, step):
        label = f"{tick:+d}" if tick else "0"
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">mean of first and second total</text>')
    side = (TOP + floor) / 2
    turned = f'transform="rotate(-90 18 {side})"'
    parts.append(f'<text x="18" y="{side}" text-anchor="middle" {turned}>second minus first total</text>')
    return parts


def _step(length: float) -> int:
    """Return a round distance of ticks such that at most ten fit."""
    return next(step for step in (1, 2, 5, 10, 20, 50) if length / step <= 10)


def _legend(scans: Sequence[str]) -> list[str]:
    parts = []
    for index, name in enumerate(scans):
        y = TOP + 18 * index
        parts.append(f'<circle cx="{WIDTH - 52}" cy="{y}" r="5" fill="{COLORS[index % len(COLORS)]}"/>')
        parts.append(f'<text x="{WIDTH - 42}" y="{y + 4}">{escape(name)}</text>')
    return parts


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
