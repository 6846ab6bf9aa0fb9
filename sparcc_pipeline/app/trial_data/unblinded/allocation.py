"""Read the arm of each participant and the dose step of each visit. No other module opens those files.

Contents: `read_allocation`, `read_dosing`, `ask_about_unallocated`. Only unblinded commands import this module; a test
checks that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.spelling import ask_about_alike
from sparcc_pipeline.app.trial_data.read.visit_names import is_known, known_visit
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.allocation.blocks import Allocated
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import QueryKind, TrialData


@dataclass(frozen=True)
class Allocation:
    """The arm of each participant, by its name in the protocol.

    Parameters
    ----------
    without_data : number of people in the allocation who are in no clinical table, by arm
    listed : everyone in the allocation, with stratum, block, day and number
    rows : the row of each, for queries
    """

    arms: Mapping[str, str]
    without_data: Mapping[str, int] = field(default_factory=dict)
    listed: tuple[Allocated, ...] = ()
    rows: Mapping[str, CheckedRow] = field(default_factory=dict)


@dataclass(frozen=True)
class Dosing:
    """The dose step by participant and visit: the step from this visit on, 0 for the full dose.

    Parameters
    ----------
    rows : the row of each step, for queries
    """

    steps: Mapping[tuple[str, str], int]
    rows: Mapping[tuple[str, str], CheckedRow] = field(default_factory=dict)


def read_allocation(file: Path, participants: Sequence[str], protocol: Protocol, queries: Queries) -> Allocation:
    """Return the arm of each participant; a participant who is listed twice counts once, with a query.

    Raises
    ------
    InputError : the file cannot be read, lacks a column, or gives a participant two arms
    """
    listed: dict[str, Allocated] = {}
    rows: dict[str, CheckedRow] = {}
    names = tuple(arm.name for arm in protocol.arms)
    for row in checked_rows(read_table(file), queries, Place.ALLOCATION, required=("participant", "arm")):
        arm = str(row.values["arm"])
        known = is_known(row, participants, queries)
        if arm not in names:
            queries.ask(
                QueryKind.NOT_ALLOWED,
                row,
                "arm",
                Message("one of {names}", names=names),
                Message("another arm"),
                Message("use the names of the protocol file"),
                left_out="row",
            )
            continue
        if row.participant not in listed:
            listed[row.participant], rows[row.participant] = _allocated(row, arm), row
        elif listed[row.participant].arm != arm and known:
            raise InputError(
                f"expected one arm a participant in {file.name}, found two for {row.participant} (row {row.number}); "
                "correct the allocation before anything is unblinded"
            )
        else:
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                "participant",
                Message("each participant once"),
                Message("{participant} again", participant=row.participant),
                Message("remove or correct one row"),
                left_out="row",
            )
    ask_about_alike(rows, queries)
    here = set(participants)
    arms = {name: each.arm for name, each in listed.items() if name in here}
    without = Counter(each.arm for name, each in listed.items() if name not in here)
    return Allocation(arms, without, tuple(listed.values()), rows)


def _allocated(row: CheckedRow, arm: str) -> Allocated:
    day = row.values.get("randomised_on")
    number = row.values.get("allocation_number")
    return Allocated(
        row.participant,
        arm,
        row.values.get("stratum"),
        row.values.get("block"),
        None if day is None else day.isoformat(),
        None if number is None else int(number),
    )


def ask_about_unallocated(
    file: Path, data: TrialData, allocation: Allocation, protocol: Protocol, queries: Queries
) -> None:
    """Ask about participants with a record after the baseline whom the allocation lacks."""
    baseline = protocol.baseline.visit
    places = [
        *((visit.participant, visit.visit) for visit in data.visits),
        *((reading.participant, reading.visit) for reading in data.readings),
        *((score.participant, score.visit) for score in data.scores),
    ]
    followed = {participant for participant, visit in places if visit != baseline}
    lacking = tuple(sorted(followed - set(allocation.arms)))
    if lacking:
        queries.ask(
            QueryKind.MISSING,
            None,
            "participant",
            Message("an arm for each participant with a visit after the baseline"),
            Message("{count} participants without an arm: {names}", count=len(lacking), names=lacking),
            Message("complete the allocation"),
            left_out="nothing",
            file=file.name,
        )


def read_dosing(file: Path, participants: Sequence[str], protocol: Protocol, queries: Queries) -> Dosing:
    """Return the dose step recorded at each visit.

    Raises
    ------
    InputError : the file cannot be read, or lacks a column
    """
    steps: dict[tuple[str, str], int] = {}
    rows: dict[tuple[str, str], CheckedRow] = {}
    required = ("participant", "visit", "dose_step")
    for row in checked_rows(read_table(file), queries, Place.DOSING, required=required):
        visit = known_visit(row, participants, protocol, queries)
        if visit is None:
            continue
        step = int(row.values["dose_step"])
        rows.setdefault((row.participant, visit), row)
        if steps.setdefault((row.participant, visit), step) != step:
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                "dose_step",
                Message("one step a visit"),
                Message("another one for {visit}", visit=visit),
                Message("correct one row; the first counts"),
                left_out="row",
                visit=visit,
            )
    return Dosing(steps, rows)
