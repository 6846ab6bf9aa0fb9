"""Draw the timeline of one participant as SVG: dose step, ASDAS, SPARCC with its interval, CRP, target.

Contents: `timeline_svg`. The SVG is written by hand because a report has one timeline for each participant. By hand one
takes 0.1 ms and 5 kB, with matplotlib 250 ms and 45 kB: for 150 participants 40 s and 6 MB more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, SOFT
from sparcc_pipeline.app.trial_data.trial_report.plots import STATUS_COLORS
from sparcc_pipeline.app.trial_data.trial_report.words import STATUS_LETTERS
from sparcc_pipeline.trial.assessment import VisitAssessment
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import LARGEST_TOTAL, ScoreSource
from sparcc_pipeline.trial.remission import TargetStatus

WIDTH: Final = 860
LEFT: Final = 120
RIGHT: Final = 30
ROW: Final = 132
GAP: Final = 26
LOW_ROW: Final = 30
"""Height of the rows of the dose and the target."""

_NORMAL_90: Final = 1.6449


@dataclass(frozen=True)
class Series:
    """One row of the timeline: a value and its interval at each visit, and cut-offs."""

    name: str
    values: Sequence[float | None]
    intervals: Sequence[tuple[float, float] | None]
    limits: Sequence[float]
    least_top: float


def score_interval(each: VisitAssessment, protocol: Protocol) -> tuple[float, float] | None:
    """Return the 90 % interval of the score that counts: from the protocol's error of readings, or from the machine."""
    value = each.score.value
    if value is None:
        return None
    if each.score.source is ScoreSource.MACHINE:
        return None if each.machine is None else each.machine.interval_90
    half = _NORMAL_90 * protocol.imaging.reading_sd
    return max(0.0, value - half), min(float(LARGEST_TOTAL), value + half)


def timeline_svg(
    course: Sequence[VisitAssessment], protocol: Protocol, doses: Mapping[str, str] | None, words: Language
) -> str:
    """Draw all rows over the weeks of the visits. Equal shapes share one path, because each path slows the PDF down.

    Parameters
    ----------
    course : every planned visit of one participant, in order
    doses : dose from each visit on; None in a blinded report, which has no such row
    """
    weeks = [each.planned.week for each in course]
    span = max(weeks) or 1
    at = [LEFT + (WIDTH - LEFT - RIGHT) * week / span for week in weeks]
    parts, top = [], 10.0
    if doses is not None:
        parts += _dose_row(top, at, [doses.get(each.planned.visit) for each in course], words)
        top += LOW_ROW + GAP
    for series in _series(course, protocol, words):
        parts += _series_row(top, at, series)
        top += ROW + GAP
    parts += _target_row(top, at, course, words)
    top += LOW_ROW + 22
    labels = [_text(x, top, f"{each.planned.week}") for x, each in zip(at, course, strict=True)]
    parts.append(f'<g text-anchor="middle">{"".join(labels)}</g>')
    parts.append(f'<g text-anchor="end">{_text(LEFT - 14, top, words.say("Week"))}</g>')
    height = top + 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-size="13" fill="{INK}" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _series(course: Sequence[VisitAssessment], protocol: Protocol, words: Language) -> list[Series]:
    nothing = [None] * len(course)
    target = protocol.target
    asdas_limits = [target.asdas_inactive_below, target.asdas_low_below]
    intervals = [score_interval(each, protocol) for each in course]
    crp = [None if each.visit is None else each.visit.crp_mg_l for each in course]
    return [
        Series("ASDAS", [each.asdas.value for each in course], nothing, asdas_limits, 4.0),
        Series("SPARCC", [each.score.value for each in course], intervals, [target.sparcc_cut_off], 8.0),
        Series(words.say("CRP, mg/L"), crp, nothing, [], 10.0),
    ]


def _series_row(top: float, at: Sequence[float], series: Series) -> list[str]:
    known = [v for v in series.values if v is not None] + [i[1] for i in series.intervals if i is not None]
    step = _step(max([series.least_top, *known]))
    highest = step * -(-max([series.least_top, *known]) // step)

    def y(value: float) -> float:
        return top + ROW - ROW * value / highest

    def across(value: float) -> str:
        return f"M{LEFT - 8} {y(value):.1f}H{WIDTH - RIGHT + 8}"

    parts = [f'<text x="0" y="{top + 14:.0f}" font-weight="600">{escape(series.name)}</text>']
    grid = [step * number for number in range(round(highest / step) + 1)]
    parts.append(f'<path d="{"".join(across(value) for value in grid)}" stroke="#e6eaee"/>')
    # Only the ends are labelled: the points show their values, and each label slows the PDF down.
    ends = "".join(_text(LEFT - 14, y(value) + 4, f"{value:g}") for value in (0.0, highest))
    parts.append(f'<g text-anchor="end" fill="{SOFT}">{ends}</g>')
    if series.limits:
        limits = "".join(across(limit) for limit in series.limits)
        parts.append(f'<path d="{limits}" stroke="{INK}" stroke-dasharray="2 4"/>')
    bars = "".join(
        f"M{x:.1f} {y(interval[0]):.1f}V{y(interval[1]):.1f}"
        for x, interval in zip(at, series.intervals, strict=True)
        if interval is not None
    )
    if bars:
        parts.append(f'<path d="{bars}" stroke="{BLUE}" stroke-width="5" stroke-opacity="0.3"/>')
    points = [(x, y(v), v) for x, v in zip(at, series.values, strict=True) if v is not None]
    if points:
        line = "L".join(f"{x:.1f} {height:.1f}" for x, height, _ in points)
        dots = "".join(f"M{x:.1f} {height:.1f}h0" for x, height, _ in points)
        parts.append(f'<path d="M{line}" stroke="{BLUE}" stroke-width="2" fill="none"/>')
        parts.append(f'<path d="{dots}" stroke="{BLUE}" stroke-width="8" stroke-linecap="round"/>')
    parts += [_text(x + 7, height - 6, f"{v:.1f}".removesuffix(".0")) for x, height, v in points]
    return parts


def _dose_row(top: float, at: Sequence[float], doses: Sequence[str | None], words: Language) -> list[str]:
    """Draw bars from one visit to the next, with the dose as text where it changes."""
    parts = [f'<text x="0" y="{top + 14:.0f}" font-weight="600">{escape(words.say("Dose"))}</text>']
    ends = [*at[1:], at[-1]]
    shown = None
    shades = ("#0b5a8f", "#6aa5cc", "#c4dcec")
    order = list(dict.fromkeys(dose for dose in doses if dose is not None))
    for x, end, dose in zip(at, ends, doses, strict=True):
        if dose is None:
            continue
        shade = shades[min(order.index(dose), len(shades) - 1)]
        parts.append(f'<rect x="{x:.1f}" y="{top}" width="{max(3.0, end - x):.1f}" height="10" fill="{shade}"/>')
        if dose != shown:
            parts.append(_text(x, top + 26, words.say(dose)))
            shown = dose
    return parts


def _target_row(top: float, at: Sequence[float], course: Sequence[VisitAssessment], words: Language) -> list[str]:
    """Draw a box a visit with a letter from the legend, because color alone must not carry meaning."""
    parts = [f'<text x="0" y="{top + 20:.0f}" font-weight="600">{escape(words.say("Target"))}</text>']
    for x, each in zip(at, course, strict=True):
        status = each.target.status
        letter = words.say(STATUS_LETTERS[status])
        ink = ' fill="#ffffff"' if status in (TargetStatus.BOTH, TargetStatus.NEITHER) else ""
        parts.append(
            f'<rect x="{x - 15:.1f}" y="{top}" width="30" height="{LOW_ROW}" rx="4" fill="{STATUS_COLORS[status]}"/>'
            f'<g text-anchor="middle"{ink}>{_text(x, top + 20, letter)}</g>'
        )
    return parts


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _step(highest: float) -> float:
    """Return a round distance of grid lines that gives at most five of them."""
    return next(step for step in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0) if highest / step <= 5)
