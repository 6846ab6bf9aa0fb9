"""Which planned visit a site's name of a visit means: W12, "week 12", "第12周", `week_12_arm_1`, "baseline".

There: `planned_visit`.
"""

from __future__ import annotations

import re
from typing import Final

from sparcc_pipeline.app.trial.dictionary import compact
from sparcc_pipeline.trial.protocol import PlannedVisit, Protocol

BASELINE_NAMES: Final = frozenset({"baseline", "bl", "screening", "基线", "基线期", "筛选", "筛选期"})

_ARM_SUFFIX: Final = re.compile(r"_arm_\d+$")
_WEEK: Final = re.compile(r"(?:w|wk|week|第)(\d{1,3})(?:周)?|(\d{1,3})(?:w|wk|weeks?|周)")
"""A week says so: a bare number might be that of the visit."""


def planned_visit(name: str, protocol: Protocol) -> PlannedVisit | None:
    """The planned visit that a name means; None where that is not certain."""
    plain = compact(_ARM_SUFFIX.sub("", name.strip()))
    for visit in protocol.visits:
        if plain in (compact(visit.visit), compact(visit.label)):
            return visit
    if plain in BASELINE_NAMES:
        return protocol.baseline
    week = _WEEK.fullmatch(plain)
    if week is None:
        return None
    return next((visit for visit in protocol.visits if visit.week == int(week[1] or week[2])), None)
