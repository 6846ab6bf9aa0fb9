"""Deviations of a study from the imaging protocol: spacing, coverage, T1, field strength.

The limits are in `[report]` of the settings; every other check compares with the participant's own baseline. A
deviation is listed in the report, and stops nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from sparcc_pipeline.app.nightly.settings_tables import ReportSettings
from sparcc_pipeline.dicom.input.series.cut import END_WORDS
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.follow_up.alignment import SAME_SPACING
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

FIELD_STEP_T: Final = 0.5
"""Headers give the field of a 3 T scanner as 3 or as 2.89: fields are compared in steps of half a tesla. STIR at 1.5 T
needs other echo and inversion times than at 3 T, so the field should not change (decision of this project)."""


@dataclass(frozen=True)
class ImageFacts:
    """The acquisition, as the ledger keeps it; None where the headers lack it.

    Parameters
    ----------
    spacing_mm : distance from slice to slice
    stack_mm : depth of the whole stack
    has_t1 : the study has a semicoronal T1-weighted series
    lost_files : files of the uploads that cannot be read and may have held slices of the STIR series
    cut_ends : ends of the STIR series at which slices may be missing
    """

    spacing_mm: float | None
    stack_mm: float | None
    has_t1: bool | None
    field_strength_t: float | None
    lost_files: int = 0
    cut_ends: tuple[str, ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Return the acquisition in the facts of a study version."""

        def number(name: str) -> float | None:
            value = facts.get(name)
            return float(value) if isinstance(value, int | float) and value > 0 else None

        has_t1 = facts.get("has_t1")
        return cls(
            number("spacing_mm"),
            number("coverage_mm"),
            has_t1 if isinstance(has_t1, bool) else None,
            number("field_strength_tesla"),
            int(facts.get("lost_files") or 0),
            tuple(map(str, facts.get("cut_ends") or ())),
        )


def deviations(facts: ImageFacts, baseline: ImageFacts | None, limits: ReportSettings) -> tuple[Message, ...]:
    """Return the deviations of one study, the most serious first.

    Parameters
    ----------
    baseline : baseline of the same participant; None for the baseline itself, or if there is none yet
    """
    before = ImageFacts(None, None, None, None) if baseline is None else baseline
    return (
        *_of_lost(facts),
        *_of_field(facts.field_strength_t, before.field_strength_t, limits.field_strength_tesla),
        *_of_spacing(facts.spacing_mm, before.spacing_mm, (limits.least_spacing_mm, limits.most_spacing_mm)),
        *_of_coverage(facts.stack_mm, limits.coverage_mm),
        *_of_t1(facts.has_t1, expected=limits.t1_expected),
    )


def _of_lost(facts: ImageFacts) -> list[Message]:
    found = []
    if facts.lost_files:
        found.append(
            Message("{count} files cannot be read and may hold slices: send the study again", count=facts.lost_files)
        )
    if facts.cut_ends:
        ends = tuple(END_WORDS[end] for end in facts.cut_ends if end in END_WORDS)
        found.append(Message("slices may be missing at the {ends} end: check the series and send it again", ends=ends))
    return found


def _of_field(here: float | None, baseline: float | None, allowed: list[float]) -> list[Message]:
    if here is None:
        return []
    found = []
    if baseline is not None and _nominal(here) != _nominal(baseline):
        found.append(
            Message(
                "field strength {here:g} T, at baseline {baseline:g} T: scan follow-ups on the scanner of the baseline",
                here=here,
                baseline=baseline,
            )
        )
    if allowed and _nominal(here) not in {_nominal(each) for each in allowed}:
        found.append(
            Message(
                "field strength {here:g} T, the trial takes {allowed} T",
                here=here,
                allowed=tuple(f"{each:g}" for each in allowed),
            )
        )
    return found


def _of_spacing(here: float | None, baseline: float | None, limits: tuple[float, float]) -> list[Message]:
    if here is None:
        return []
    found, (lowest, highest) = [], limits
    if not lowest <= round(here, 2) <= highest:
        found.append(
            Message(
                "slices {spacing:.1f} mm apart, expected {lowest:g}-{highest:g} mm: correct the sequence",
                spacing=here,
                lowest=lowest,
                highest=highest,
            )
        )
    if baseline is not None and abs(here / baseline - 1) > SAME_SPACING:
        # Six slices at another spacing cover another part of the joint: totals are not comparable (decision of this
        # project).
        found.append(
            Message(
                "six slices cover {here:.0f} mm, at baseline {baseline:.0f} mm: use the spacing of the baseline",
                here=SLICES_SCORED * here,
                baseline=SLICES_SCORED * baseline,
            )
        )
    return found


def _of_coverage(here: float | None, least: float | None) -> list[Message]:
    if here is None or least is None or here >= least:
        return []
    return [
        Message("the stack is {here:.0f} mm deep, the trial asks for {least:g} mm: add slices", here=here, least=least)
    ]


def _of_t1(has_t1: bool | None, *, expected: bool) -> list[Message]:
    if has_t1 is None or has_t1 or not expected:
        return []
    return [Message("no semicoronal T1-weighted series: send it with the study")]


def _nominal(field_strength_t: float) -> int:
    """Return the field in steps of `FIELD_STEP_T`."""
    return round(field_strength_t / FIELD_STEP_T)
