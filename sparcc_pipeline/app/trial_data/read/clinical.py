"""Clinical tables become participants and visits: joined over files, units settled, days counted from the baseline.

There: `read_clinical`, `Clinical`. Rows of one participant and visit in different files are one visit; in one file they
are duplicates.
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
from sparcc_pipeline.app.trial_data.read.checks import ask_about_forms, ask_about_missing, ask_about_units
from sparcc_pipeline.app.trial_data.read.dictionary import fields_of
from sparcc_pipeline.app.trial_data.read.fields import CLINICAL, Place
from sparcc_pipeline.app.trial_data.read.rows import CheckedRow, Queries, checked_rows
from sparcc_pipeline.app.trial_data.read.visit_names import planned_visit
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, QueryKind, Screening
from sparcc_pipeline.trial.schedule import Timing, planned_at, timing

_KEYS = ("participant", "visit")
VisitKey = tuple[str, str]


@dataclass(frozen=True)
class Clinical:
    """What clinical tables hold. `dates` are those of the visits, by participant and visit."""

    participants: tuple[Participant, ...]
    visits: tuple[ClinicalVisit, ...]
    dates: Mapping[VisitKey, date]


@dataclass
class _Merged:
    """Values of one participant or visit, each with the row that it came from."""

    values: dict[str, Any]
    rows: dict[str, CheckedRow]


def read_clinical(files: Sequence[Path], protocol: Protocol, queries: Queries) -> Clinical:
    """Participants and visits of these tables; what is wrong becomes queries, good rows count.

    Raises
    ------
    InputError : a file cannot be read, or has no column that a row cannot do without
    BlindingError : a column would tell the arm
    """
    people: dict[str, _Merged] = {}
    visits: dict[VisitKey, _Merged] = {}
    listed: set[str] = set()
    for file in files:
        listed |= _read_file(file, protocol, queries, people, visits)
    # Without a list of participants, everybody who has a visit or a value is one.
    known = listed or set(people)
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
    dates = {key: merged.values["visit_date"] for key, merged in visits.items() if "visit_date" in merged.values}
    days = _days(visits, dates, protocol, queries)
    merged_visits = {key: (merged.values, merged.rows) for key, merged in visits.items()}
    ask_about_forms(merged_visits, protocol, queries)
    ask_about_missing(merged_visits, protocol, queries)
    ask_about_units(merged_visits, queries)
    order = [visit.visit for visit in protocol.visits]
    return Clinical(
        tuple(_participant(name, people.get(name)) for name in sorted(known)),
        tuple(
            clinical_visit(*key, days.get(key), visits[key].values, visits[key].rows, queries)
            for key in sorted(visits, key=lambda key: (key[0], order.index(key[1])))
        ),
        dates,
    )


def _read_file(
    file: Path, protocol: Protocol, queries: Queries, people: dict[str, _Merged], visits: dict[VisitKey, _Merged]
) -> set[str]:
    """Read one file; gives the participants of a file without visits, which is a list of participants."""
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
    label = str(row.values["visit"])
    planned = planned_visit(label, protocol)
    if planned is None:
        queries.ask(
            QueryKind.UNKNOWN_VISIT,
            row,
            "visit",
            Message("one of {names}", names=names),
            Message("another visit"),
            Message(
                "write the planned visit that this is, or take the row out: unscheduled visits have no place in the "
                "schedule"
            ),
            left_out="row",
        )
        return None
    return planned.visit


def _one_row(key: VisitKey, same: Sequence[CheckedRow], queries: Queries) -> bool:
    """Duplicates count once if they say the same, else not at all: nobody can tell which one is right."""
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
            Message("remove one: they say the same") if equal else Message("remove the row that is wrong"),
            left_out="row",
            visit=key[1],
        )
    return equal


def _merge(into: _Merged, values: Mapping[str, Any], row: CheckedRow, queries: Queries, visit: str | None) -> None:
    """Add the values of a row; where it contradicts an earlier one neither counts."""
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
    """Days since each participant's baseline, with queries for dates that are missing or out of the window."""
    baseline, days = protocol.baseline.visit, {}
    for key, merged in visits.items():
        row = merged.rows["visit"]
        if key not in dates:
            if not any(
                q.file == row.file and q.row == row.number and q.column == row.columns.get("visit_date")
                for q in queries
            ):
                queries.ask(
                    QueryKind.MISSING,
                    row,
                    "visit_date",
                    Message("the date of the visit"),
                    Message("none"),
                    Message("fill it in: without it nobody can tell whether the visit was in its window"),
                    left_out="nothing",
                    visit=key[1],
                )
            continue
        start = dates.get((key[0], baseline))
        planned = protocol.visit(key[1])
        if start is None or planned is None:
            continue
        day = days[key] = (dates[key] - start).days
        when = timing(planned, day)
        if when in (Timing.EARLY, Timing.LATE):
            first, last = planned.day - planned.before_days, planned.day + planned.after_days
            fits = planned_at(protocol, day)
            queries.ask(
                QueryKind.OUT_OF_WINDOW,
                merged.rows["visit_date"],
                "visit_date",
                Message("day {first} to {last} after baseline for {visit}", first=first, last=last, visit=key[1]),
                Message("day {day}", day=day)
                if fits is None
                else Message("day {day} (that day belongs to {visit})", day=day, visit=fits.visit),
                Message("check date and visit; if they are right, record the deviation"),
                left_out="nothing",
                visit=key[1],
            )
    return days


def _participant(name: str, merged: _Merged | None) -> Participant:
    values = {} if merged is None else merged.values
    screening = Screening(**{each.name: values.get(each.name) for each in fields(Screening)})
    return Participant(name, values.get("site"), screening)
