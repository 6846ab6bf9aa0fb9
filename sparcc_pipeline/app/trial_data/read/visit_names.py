"""Find the planned visit for a site's name of a visit: W12, "week 12", "第12周", `week_12_arm_1`, "baseline".

Contents: `planned_visit`, `known_visit`, `visit_of`, `is_known`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sparcc_pipeline.app.results.table_reader import compact
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.records import QueryKind

BASELINE_NAMES: Final = frozenset({"baseline", "bl", "screening", "基线", "基线期", "筛选", "筛选期"})

_ARM_SUFFIX: Final = re.compile(r"_arm_\d+$")
_WEEK: Final = re.compile(r"(?:w|wk|week|第)(\d{1,3})(?:周)?|(\d{1,3})(?:w|wk|weeks?|周)")
"""A week needs the word: a bare number might be the number of the visit."""


def planned_visit(name: str, protocol: Protocol) -> PlannedVisit | None:
    """Return the planned visit that a name means, or None if that is not certain."""
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


def known_visit(row: CheckedRow, participants: Sequence[str], protocol: Protocol, queries: Queries) -> str | None:
    """Return the planned visit of a row of a known participant; None, with a query, for any other row."""
    if not is_known(row, participants, queries):
        return None
    return visit_of(row, protocol, queries, Message("write the planned visit"))


def visit_of(row: CheckedRow, protocol: Protocol, queries: Queries, remedy: Message) -> str | None:
    """Return the planned visit that a row names; None, with a query that ends in `remedy`, if it names another."""
    planned = planned_visit(str(row.values["visit"]), protocol)
    if planned is None:
        names = tuple(visit.visit for visit in protocol.visits)
        queries.ask(
            QueryKind.UNKNOWN_VISIT,
            row,
            "visit",
            Message("one of {names}", names=names),
            Message("another visit"),
            remedy,
            left_out="row",
        )
        return None
    return planned.visit


def is_known(row: CheckedRow, participants: Sequence[str], queries: Queries) -> bool:
    """Return True for the row of a known participant; add a query for any other."""
    if row.participant in participants:
        return True
    queries.ask(
        QueryKind.UNKNOWN_PARTICIPANT,
        row,
        "participant",
        Message("a participant of the clinical tables"),
        Message("{participant}, who is not there", participant=row.participant),
        Message("correct the number or add the participant"),
        left_out="row",
    )
    return False
