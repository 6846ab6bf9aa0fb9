"""Read participants and visits from clinical tables: join files, check units, count days from the baseline.

Contents: `read_clinical`, `Clinical`. Rows of one participant and visit in different files form one visit;
in one file they are duplicates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.trial_data.read.answers import clinical_visit
from sparcc_pipeline.app.trial_data.read.checks import ask_about_forms, ask_about_missing
from sparcc_pipeline.app.trial_data.read.crp import ask_about_units
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.field_table import CLINICAL
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.spelling import ask_about_alike
from sparcc_pipeline.app.trial_data.read.visit_names import visit_of
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, QueryKind, Screening
from sparcc_pipeline.trial.schedule import Timing, planned_at, timing

_KEYS = ("participant", "visit")
VisitKey = tuple[str, str]


@dataclass(frozen=True)
class Clinical:
    """Content of clinical tables; `dates` holds the date of each visit, by participant and visit."""

    participants: tuple[Participant, ...]
    visits: tuple[ClinicalVisit, ...]
    dates: Mapping[VisitKey, date]


@dataclass
class _Merged:
    """Values of one participant or visit, and the row that each came from."""

    values: dict[str, Any]
    rows: dict[str, CheckedRow]


def read_clinical(files: Sequence[Path], protocol: Protocol, queries: Queries) -> Clinical:
    """Return the participants and visits of these tables; faults become queries, correct rows count.

    Raises
    ------
    InputError : a file cannot be read, or lacks a required column
    BlindingError : a column would reveal the arm
    """
    people: dict[str, _Merged] = {}
    visits: dict[VisitKey, _Merged] = {}
    listed: set[str] = set()
    for file in files:
        listed |= _read_file(file, protocol, queries, people, visits)
    # Without a list of participants, each person with a visit or a value is a participant.
    known = listed or set(people)
    ask_about_alike({name: people[name].rows["participant"] for name in sorted(known)}, queries)
    _leave_out_unknown(visits, known, queries)
    _ask_about_baselines(visits, people, known, protocol, queries)
    dates = {key: merged.values["visit_date"] for key, merged in visits.items() if "visit_date" in merged.values}
    days = _days(visits, dates, protocol, queries)
    merged_visits = {key: (merged.values, merged.rows) for key, merged in visits.items()}
    ask_about_forms(merged_visits, protocol, queries)
    ask_about_missing(merged_visits, protocol, queries)
    sites = {name: merged.values.get("site") for name, merged in people.items()}
    ask_about_units(merged_visits, sites, protocol, queries)
    order = [visit.visit for visit in protocol.visits]
    return Clinical(
        tuple(_participant(name, people.get(name)) for name in sorted(known)),
        tuple(
            clinical_visit(
                *key,
                days.get(key),
                visits[key].values,
                visits[key].rows,
                queries,
                protocol.instruments.crp_below_detection,
            )
            for key in sorted(visits, key=lambda key: (key[0], order.index(key[1])))
        ),
        dates,
    )


def _ask_about_baselines(
    visits: Mapping[VisitKey, _Merged],
    people: Mapping[str, _Merged],
    known: set[str],
    protocol: Protocol,
    queries: Queries,
) -> None:
    """Ask about participants without the baseline visit, if there are visits at all and no query about its row."""
    baseline = protocol.baseline.visit
    asked = {query.participant for query in queries if query.visit == baseline and query.left_out == "row"}
    for name in sorted(known) if visits else ():
        if (name, baseline) not in visits and name not in asked:
            queries.ask(
                QueryKind.MISSING,
                people[name].rows["participant"],
                "visit",
                Message("a visit {visit} of each participant", visit=baseline),
                Message("none of {participant}", participant=name),
                Message("add it: without it there is no change, no day and no entry criterion"),
                left_out="nothing",
                visit=baseline,
            )


def _leave_out_unknown(visits: dict[VisitKey, _Merged], known: set[str], queries: Queries) -> None:
    """Remove visits of people who are not participants, each with a query."""
    for key in [key for key in visits if key[0] not in known]:
        row = next(iter(visits.pop(key).rows.values()))
        queries.ask(
            QueryKind.UNKNOWN_PARTICIPANT,
            row,
            "participant",
            Message("a participant of the list of participants"),
            Message("{participant}, who is not in it", participant=key[0]),
            Message("correct the number, or add the participant (site and age)"),
            left_out="row",
            visit=key[1],
        )


def _read_file(
    file: Path, protocol: Protocol, queries: Queries, people: dict[str, _Merged], visits: dict[VisitKey, _Merged]
) -> set[str]:
    """Read one file; return its participants if it has no visits and so is a list of participants."""
    table = read_table(file)
    rows = checked_rows(table, queries, *CLINICAL, required=("participant",))
    has_visits = any("visit" in row.columns for row in rows)
    of_person = {each.name for each in fields_of(Place.PARTICIPANT)}
    placed: dict[VisitKey, list[CheckedRow]] = defaultdict(list)
    seen: set[str] = set()
    for row in rows:
        if has_visits:
            visit = _visit_of(row, protocol, queries)
            if visit is None:
                continue
            placed[row.participant, visit].append(row)
        elif row.participant in seen:
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                "participant",
                Message("each participant once"),
                Message("{participant} again", participant=row.participant),
                Message("remove or correct one row"),
                left_out="row",
            )
            continue
        seen.add(row.participant)
        person = people.setdefault(row.participant, _Merged({}, {}))
        person.rows.setdefault("participant", row)
        _merge(person, {n: v for n, v in row.values.items() if n in of_person}, row, queries, None)
    for key, same in placed.items():
        if _one_row(key, same, queries):
            values = {n: v for n, v in same[0].values.items() if n not in of_person and n not in _KEYS}
            merged = visits.setdefault(key, _Merged({}, {"visit": same[0]}))
            _merge(merged, values, same[0], queries, key[1])
    return set() if has_visits else seen


def _visit_of(row: CheckedRow, protocol: Protocol, queries: Queries) -> str | None:
    names = tuple(visit.visit for visit in protocol.visits)
    if "visit" not in row.values:
        queries.ask(
            QueryKind.MISSING,
            row,
            "visit",
            Message("one of {names}", names=names),
            Message("an empty cell"),
            Message("fill it in"),
            left_out="row",
        )
        return None
    remedy = Message("write the planned visit, or remove the row: an unscheduled visit has no place in the schedule")
    return visit_of(row, protocol, queries, remedy)


def _one_row(key: VisitKey, same: Sequence[CheckedRow], queries: Queries) -> bool:
    """Keep one of equal duplicates; if they differ none counts, because the correct one is unknown."""
    if len(same) == 1:
        return True
    equal = all(row.values == same[0].values for row in same)
    for row in same[1:] if equal else same:
        others = tuple(each.number for each in same if each is not row)
        queries.ask(
            QueryKind.DUPLICATE,
            row,
            "visit",
            Message("each visit of a participant once"),
            Message("{visit} of {participant} also in row {rows}", visit=key[1], participant=key[0], rows=others),
            Message("remove one: both hold the same") if equal else Message("remove the row that is wrong"),
            left_out="row",
            visit=key[1],
        )
    return equal


def _merge(into: _Merged, values: Mapping[str, Any], row: CheckedRow, queries: Queries, visit: str | None) -> None:
    """Add the values of a row; where two rows differ, neither value counts."""
    for name, value in values.items():
        earlier = into.rows.get(name)
        if earlier is not None and into.values.get(name) != value:
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                name,
                Message("the value of {file}, row {row}", file=earlier.file, row=earlier.number),
                Message("another value"),
                Message("correct one of them"),
                visit=visit,
            )
            into.values.pop(name, None)
            continue
        into.values[name], into.rows[name] = value, row


def _days(
    visits: Mapping[VisitKey, _Merged], dates: Mapping[VisitKey, date], protocol: Protocol, queries: Queries
) -> dict[VisitKey, int]:
    """Return the days since each participant's baseline; ask about dates that are missing or out of the window."""
    baseline, days = protocol.baseline.visit, {}
    for key, merged in visits.items():
        if key not in dates:
            _ask_about_date(key[1], merged.rows["visit"], queries)
            continue
        start, planned = dates.get((key[0], baseline)), protocol.visit(key[1])
        if start is None or planned is None:
            continue
        days[key] = (dates[key] - start).days
        if timing(planned, days[key]) in (Timing.EARLY, Timing.LATE):
            _ask_about_window(planned, days[key], merged.rows["visit_date"], protocol, queries)
    return days


def _ask_about_date(visit: str, row: CheckedRow, queries: Queries) -> None:
    """Ask for a missing date, unless there is a query about its cell already."""
    cell = (row.file, row.number, row.columns.get("visit_date"))
    if any((query.file, query.row, query.column) == cell for query in queries):
        return
    queries.ask(
        QueryKind.MISSING,
        row,
        "visit_date",
        Message("the date of the visit"),
        Message("none"),
        Message("fill it in: without it the window of the visit cannot be checked"),
        left_out="nothing",
        visit=visit,
    )


def _ask_about_window(planned: PlannedVisit, day: int, row: CheckedRow, protocol: Protocol, queries: Queries) -> None:
    first, last = planned.day - planned.before_days, planned.day + planned.after_days
    fits = planned_at(protocol, day)
    found = Message("day {day}", day=day)
    if fits is not None:
        found = Message("day {day} (that day belongs to {visit})", day=day, visit=fits.visit)
    queries.ask(
        QueryKind.OUT_OF_WINDOW,
        row,
        "visit_date",
        Message("day {first} to {last} after baseline for {visit}", first=first, last=last, visit=planned.visit),
        found,
        Message("check date and visit; if they are right, record the deviation"),
        left_out="nothing",
        visit=planned.visit,
    )


def _participant(name: str, merged: _Merged | None) -> Participant:
    values = {} if merged is None else merged.values
    screening = Screening(**{each.name: values.get(each.name) for each in fields(Screening)})
    return Participant(name, values.get("site"), screening, values.get("end_reason"))
