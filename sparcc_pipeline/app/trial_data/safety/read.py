"""Read the tables of safety: adverse events, laboratory values, deviations. All are blinded tables.

Contents: `read_safety`, `SafetyFiles`, `Safety`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sparcc_pipeline.app.results.table_reader import read_table
from sparcc_pipeline.app.trial_data.read.clinical import VisitKey
from sparcc_pipeline.app.trial_data.read.fields import Place
from sparcc_pipeline.app.trial_data.read.headers import is_unit
from sparcc_pipeline.app.trial_data.read.queries import CheckedRow, Queries
from sparcc_pipeline.app.trial_data.read.rows import checked_rows
from sparcc_pipeline.app.trial_data.read.visit_names import is_known, known_visit
from sparcc_pipeline.app.trial_data.safety.fields import TEST_UNITS
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.monitoring.safety_records import AdverseEvent, Deviation, LaboratoryValue
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.records import QueryKind


@dataclass(frozen=True)
class SafetyFiles:
    """The tables of safety; None where a site has none."""

    adverse_events: Path | None = None
    laboratory: Path | None = None
    deviations: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All tables."""
        return [each for each in (self.adverse_events, self.laboratory, self.deviations) if each is not None]


@dataclass(frozen=True)
class Safety:
    """Content of the tables; an empty tuple where there is no table."""

    adverse_events: tuple[AdverseEvent, ...] = ()
    laboratory: tuple[LaboratoryValue, ...] = ()
    deviations: tuple[Deviation, ...] = ()


def read_safety(
    files: SafetyFiles,
    participants: Sequence[str],
    dates: Mapping[VisitKey, date],
    protocol: Protocol,
    queries: Queries,
) -> Safety:
    """Return the content of the tables; faults become queries, correct rows count.

    Parameters
    ----------
    dates : date of each visit, for days since the baseline

    Raises
    ------
    InputError : a file cannot be read, or lacks a column
    BlindingError : a column or a text would reveal the arm
    """
    starts = {name: day for (name, visit), day in dates.items() if visit == protocol.baseline.visit}
    events = (
        [] if files.adverse_events is None else _adverse_events(files.adverse_events, participants, starts, queries)
    )
    values = [] if files.laboratory is None else _laboratory(files.laboratory, participants, protocol, queries)
    recorded = [] if files.deviations is None else _deviations(files.deviations, participants, protocol, queries)
    return Safety(tuple(events), tuple(values), tuple(recorded))


def _adverse_events(
    file: Path, participants: Sequence[str], starts: Mapping[str, date], queries: Queries
) -> list[AdverseEvent]:
    found = []
    for row in checked_rows(read_table(file), queries, Place.ADVERSE_EVENT, required=("participant", "term")):
        if not is_known(row, participants, queries):
            continue
        values, baseline = row.values, starts.get(row.participant)
        start, end = values.get("start_date"), values.get("end_date")
        if start is not None and end is not None and end < start:
            queries.ask(
                QueryKind.IMPLAUSIBLE,
                row,
                "end_date",
                Message("a last day on the first day or after it"),
                Message("an earlier one"),
                Message("correct one of both; the event counts"),
                left_out="nothing",
            )
        _ask_about_gaps(row, queries)
        found.append(
            AdverseEvent(
                participant=row.participant,
                term=values["term"],
                category=values.get("category"),
                first_day=_days(start, baseline),
                last_day=_days(end, baseline),
                start_date=start and start.isoformat(),
                end_date=end and end.isoformat(),
                grade=values.get("ctcae_grade"),
                **{name: values.get(name) for name in ("serious", "related", "special_interest", "outcome")},
            )
        )
    return found


def _ask_about_gaps(row: CheckedRow, queries: Queries) -> None:
    """Ask for a missing grade or first day, and about a fatal outcome with another grade than 5."""
    for name in ("ctcae_grade", "start_date", "serious", "related"):
        if name not in row.values and name not in row.faults:
            queries.ask(
                QueryKind.MISSING,
                row,
                name,
                Message("a value for each adverse event"),
                Message("none"),
                Message("fill it in: nothing is guessed, and the tables count it as not given"),
                left_out="nothing",
            )
    if (row.values.get("outcome") == "fatal") != (row.values.get("ctcae_grade") == 5) and "ctcae_grade" in row.values:
        queries.ask(
            QueryKind.IMPLAUSIBLE,
            row,
            "ctcae_grade",
            Message("grade 5 together with a fatal outcome"),
            Message("one without the other"),
            Message("correct one of both; the event counts as it is"),
            left_out="nothing",
        )


def _laboratory(file: Path, participants: Sequence[str], protocol: Protocol, queries: Queries) -> list[LaboratoryValue]:
    found: dict[tuple[str, str, str], LaboratoryValue] = {}
    required = ("participant", "visit", "test", "value", "unit")
    for row in checked_rows(read_table(file), queries, Place.LABORATORY, required=required):
        visit, test = known_visit(row, participants, protocol, queries), str(row.values["test"])
        if visit is None:
            continue
        if not is_unit(str(row.values["unit"]), TEST_UNITS[test]):
            queries.ask(
                QueryKind.NOT_ALLOWED,
                row,
                "unit",
                Message("{name} in {unit}", name=test, unit=TEST_UNITS[test]),
                Message("another unit"),
                Message("convert value and limits; a unit is never guessed"),
                left_out="row",
                visit=visit,
            )
            continue
        key = (row.participant, visit, test)
        if key in found:
            queries.ask(
                QueryKind.DUPLICATE,
                row,
                "test",
                Message("each test of a visit once"),
                Message("another one for {visit}", visit=visit),
                Message("correct one row; the first counts"),
                left_out="row",
                visit=visit,
            )
            continue
        limits = (row.values.get("lower_limit"), row.values.get("upper_limit"))
        value, grade = float(row.values["value"]), row.values.get("ctcae_grade")
        found[key] = LaboratoryValue(*key, value, TEST_UNITS[test], *limits, grade)
    return list(found.values())


def _deviations(file: Path, participants: Sequence[str], protocol: Protocol, queries: Queries) -> list[Deviation]:
    found = []
    for row in checked_rows(read_table(file), queries, Place.DEVIATION, required=("participant", "category")):
        values = row.values
        visit = None
        if "visit" in values:
            visit = known_visit(row, participants, protocol, queries)
        elif not is_known(row, participants, queries):
            continue
        if "visit" in values and visit is None:
            continue
        day = values.get("date")
        text = values.get("description", "")
        found.append(
            Deviation(
                row.participant, visit, values["category"], text, "site", day and day.isoformat(), values.get("major")
            )
        )
    return found


def _days(day: date | None, baseline: date | None) -> int | None:
    return None if day is None or baseline is None else (day - baseline).days
