"""The allocation in an unblinded report: flow from screening to analysis as a picture, strata, analysis sets.

Contents: `allocation_content`, `consort_plot`. This module never opens an allocation; the unblinded commands give it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.plots import BLUE, INK, ORANGE, SOFT, picture, plot_style
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Row, Table
from sparcc_pipeline.app.trial_data.trial_report.words import END_REASON, EXCLUSION
from sparcc_pipeline.trial.allocation.blocks import Allocated, strata
from sparcc_pipeline.trial.allocation.consort import ArmFlow, Consort, consort
from sparcc_pipeline.trial.allocation.sets import SetMember, analysis_sets
from sparcc_pipeline.trial.doses import DoseFault
from sparcc_pipeline.trial.eligibility import Eligibility
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import Courses

WIDTH: Final = 9.4
LINE: Final = 0.19
PAD: Final = 0.12
GAP: Final = 0.32
"""Width of the picture, height of a line, space within a box and between boxes, inches."""

MARGIN: Final = 0.1

REASONS_SHOWN: Final = 6
"""Criteria that the picture lists; the page lists all of them."""


SETS: Final = (
    Column("participant", "trial number of the participant", cdisc="ADSL.SUBJID"),
    Column("arm", "arm of the allocation", cdisc="ADSL.TRT01P"),
    Column("intention_to_treat", "in the intention-to-treat set", ColumnKind.YES_NO, "", "ADSL.ITTFL"),
    Column("per_protocol", "in the per-protocol set", ColumnKind.YES_NO, "", "ADSL.PPROTFL"),
    Column("reasons", "reasons against the per-protocol set"),
)
"""Columns of `analysis_sets.csv`."""


@dataclass(frozen=True)
class Box:
    """One box of the flow: lines of text, the first of them larger."""

    lines: tuple[str, ...]
    out: bool = False

    @property
    def height(self) -> float:
        """Height in inches."""
        return LINE * len(self.lines) + 2 * PAD


def allocation_content(
    of: Courses,
    entry: Mapping[str, Eligibility],
    listed: Sequence[Allocated],
    faults: Mapping[str, Sequence[DoseFault]],
    protocol: Protocol,
    words: Language,
) -> dict[str, Any]:
    """Return flow, strata and analysis sets of an allocation."""
    planned = {arm.name: arm.participants for arm in protocol.arms}
    members = analysis_sets({each.participant: each.arm for each in listed}, of, entry, faults)
    found = consort(of, entry, members, planned)
    return {
        "consort": found,
        "picture": picture(consort_plot(found, words)),
        "arms": list(planned),
        "strata": strata(listed, planned),
        "members": members,
        "exclusions": [
            (words.say(EXCLUSION[reason]), [arm.exclusions.get(reason, 0) for arm in found.arms])
            for reason in EXCLUSION
        ],
    }


def set_table(members: Sequence[SetMember]) -> Table:
    """Return the analysis sets, one row a participant of the allocation."""
    rows: list[Row] = [
        {
            "participant": each.participant,
            "arm": each.arm,
            "intention_to_treat": True,
            "per_protocol": each.per_protocol,
            "reasons": "; ".join(reason.value for reason in each.exclusions) or None,
        }
        for each in members
    ]
    return Table(SETS, rows)


def consort_plot(found: Consort, words: Language) -> str:
    """Draw the flow of participants from screening to analysis; return SVG."""
    columns = [_arm_boxes(arm, words) for arm in found.arms]
    rows = [max(column[k].height for column in columns) for k in range(len(columns[0]))]
    first, aside, randomised = _entry_boxes(found, words)
    top = max(first.height, aside.height)
    height = top + randomised.height + sum(rows) + GAP * (len(rows) + 1) + 2 * MARGIN
    with plot_style():
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, WIDTH), ylim=(height, 0))
        axes.axis("off")
        half, middle, y = WIDTH / 2, WIDTH / 4, MARGIN
        _draw(axes, first, MARGIN, y, half - 3 * MARGIN)
        _draw(axes, aside, half + MARGIN, y, half - 2 * MARGIN)
        _arrow(axes, (half - 2 * MARGIN, y + first.height / 2), (half + MARGIN, y + first.height / 2))
        down = y + top + GAP
        _arrow(axes, (middle, y + first.height), (middle, down))
        _draw(axes, randomised, MARGIN, down, half - 3 * MARGIN)
        _draw_arms(axes, columns, rows, down + randomised.height, middle)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()


def _draw_arms(axes: Axes, columns: Sequence[Sequence[Box]], rows: Sequence[float], top: float, start: float) -> None:
    """Draw a column of boxes for each arm, joined to the box of the randomised participants."""
    width = WIDTH / len(columns)
    centers = [width * (k + 0.5) for k in range(len(columns))]
    branch = top + GAP / 2
    axes.plot([start, start], [top, branch], color=INK, linewidth=1)
    axes.plot([min(*centers, start), max(*centers, start)], [branch, branch], color=INK, linewidth=1)
    for k, (column, center) in enumerate(zip(columns, centers, strict=True)):
        y = top + GAP
        begin = branch
        for box, row in zip(column, rows, strict=True):
            _arrow(axes, (center, begin), (center, y))
            _draw(axes, box, width * k + MARGIN, y, width - 2 * MARGIN)
            begin = y + box.height
            y += row + GAP


def _entry_boxes(found: Consort, words: Language) -> tuple[Box, Box, Box]:
    """Screened, not randomised with reasons, randomised."""
    reasons = sorted(found.reasons.items(), key=lambda each: (-each[1], each[0]))
    listed = [f"   {words.say(name)}: {count}" for name, count in reasons[:REASONS_SHOWN]]
    if len(reasons) > REASONS_SHOWN:
        listed.append("   " + words.say("and {n} more criteria", n=len(reasons) - REASONS_SHOWN))
    out = found.not_eligible + found.not_known + found.eligible
    aside = [
        words.say("Not randomised (n = {n})", n=out),
        words.say("Entry criteria not met: {n}", n=found.not_eligible),
        *listed,
        words.say("Entry criteria not known: {n}", n=found.not_known),
        words.say("Eligible by the data, not in the allocation: {n}", n=found.eligible),
    ]
    if found.followed:
        aside.append(words.say("With a record after the baseline: {n}", n=found.followed))
    return (
        Box((words.say("Screened (n = {n})", n=found.screened),)),
        Box(tuple(aside), out=True),
        Box((words.say("Randomised (n = {n})", n=found.randomised),)),
    )


def _arm_boxes(arm: ArmFlow, words: Language) -> list[Box]:
    """Allocated, left, analysed."""
    allocated = [
        words.say("{arm}: allocated (n = {n}, planned {planned})", arm=arm.name, n=arm.allocated, planned=arm.planned)
    ]
    if arm.without_data:
        allocated.append(words.say("In no table of data: {n}", n=arm.without_data))
    left = [words.say("No record at the last visit (n = {n})", n=sum(arm.ended.values()))]
    reasons = sorted(arm.ended.items(), key=lambda each: (not each[0], -each[1], each[0]))
    left += [f"{words.say(END_REASON[reason])}: {count}" for reason, count in reasons]
    last = ", ".join(f"{visit} {count}" for visit, count in sorted(arm.last_records.items(), key=_visit_order))
    if last:
        left.append(words.say("Last record: {visits}", visits=last))
    analysed = [
        words.say("Intention to treat (n = {n})", n=arm.analysed),
        words.say("Per protocol: {n}", n=arm.per_protocol),
    ]
    analysed += [f"   {words.say(EXCLUSION[reason])}: {count}" for reason, count in arm.exclusions.items()]
    return [Box(tuple(allocated)), Box(tuple(left), out=True), Box(tuple(analysed))]


def _visit_order(each: tuple[str, int]) -> tuple[int, str]:
    digits = "".join(letter for letter in each[0] if letter.isdigit())
    return int(digits or 0), each[0]


def _draw(axes: Axes, box: Box, x: float, y: float, width: float) -> None:
    edge = ORANGE if box.out else BLUE
    shape = FancyBboxPatch((x, y), width, box.height, boxstyle="round,pad=0,rounding_size=0.04", fill=False)
    shape.set(edgecolor=edge, linewidth=1.2)
    axes.add_patch(shape)
    for number, line in enumerate(box.lines):
        at = y + PAD + LINE * (number + 0.5)
        axes.text(x + PAD, at, line, va="center", fontsize=9 if number else 10, color=INK)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "linewidth": 1})
