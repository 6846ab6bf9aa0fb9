"""Monitoring of readers that stays blind: rates, differences, times and drift, and no score, arm, visit or order.

Contents: `monitor`, `ReaderMonitor`. A reader appears from SHARE_BEGUN of the cases on. Differences are means over
whole cases, so that no single reading can be worked out. Two readers who part show the same drift with opposite signs;
the machine, which never drifts, shows who of them moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import mean, median
from typing import Final

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.readings import adjudication
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY
from sparcc_pipeline.app.reader.readings.content import Model
from sparcc_pipeline.app.reader.readings.locked_visits import LockedVisit, locked_visits
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, AUDIT, USERS
from sparcc_pipeline.trial.agreement.drift import drift_chart
from sparcc_pipeline.trial.protocol.definition import Protocol

SHARE_BEGUN: Final = 0.1
"""Share of a reader's cases from which figures are shown: before that they say little and could reveal a reading."""

FEWEST: Final = 3
"""Fewest cases of a mean, so that no single difference is shown."""

LONGEST_PAUSE_S: Final = 300.0
"""Longest time between two saves that counts as reading."""


class Chart(Model):
    """A drift chart as points of a picture: averages, limits, and whether the reader drifted."""

    averages: list[float]
    limits: list[float]
    drifts: bool


class ReaderMonitor(Model):
    """Figures of one reader; a figure is None with too few cases."""

    reader: str
    done: int
    total: int
    shown: bool
    adjudicated_percent: float | None = None
    difference: float | None = None
    distance: float | None = None
    minutes: float | None = None
    repeats: int = 0
    repeat_distance: float | None = None
    chart: Chart | None = None


def monitor(connection: Connection, store: PictureStore, protocol: Protocol) -> list[ReaderMonitor]:
    """Return the figures of every reader with cases, by name."""
    query = (
        select(ASSIGNMENTS.c.code, ASSIGNMENTS.c.case_id, USERS.c.name, USERS.c.code.label("reader"))
        .join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
        .where(ASSIGNMENTS.c.kind == PRIMARY)
        .order_by(USERS.c.name)
    )
    mine: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for row in connection.execute(query):
        mine[row.name, row.reader].append((row.code, row.case_id))
    visits = [each for each in locked_visits(connection) if each.kind == PRIMARY]
    machine = {name: store.result(name).total for name in {each.machine for each in visits if each.machine}}
    times = _minutes(connection)
    third = _with_third(connection)
    found = []
    for (name, reader), given in mine.items():
        read = [each for each in visits if each.reader == reader]
        done = len({(each.participant, each.repeat, each.locked_at) for each in read})
        if done < SHARE_BEGUN * len(given):
            found.append(ReaderMonitor(reader=name, done=done, total=len(given), shown=False))
            continue
        compared = _compared_cases(connection, {case for _, case in given}, protocol)
        found.append(
            _figures(
                ReaderMonitor(reader=name, done=done, total=len(given), shown=True),
                _differences(read, [each for each in visits if each.reader != reader]),
                _from_machine(read, machine),
                [times[code] for code, _ in given if code in times],
                _repeats(read),
                [case in third or needed for case, needed in compared.items()],
            )
        )
    return found


def _figures(
    begun: ReaderMonitor,
    differences: Sequence[float],
    from_machine: Sequence[float],
    minutes: Sequence[float],
    repeats: Sequence[float],
    adjudicated: Sequence[bool],
) -> ReaderMonitor:
    def enough(values: Sequence[float], figure: float) -> float | None:
        return round(figure, 2) if len(values) >= FEWEST else None

    return begun.model_copy(
        update={
            "adjudicated_percent": enough(adjudicated, 100 * mean(adjudicated or [0])),
            "difference": enough(differences, mean(differences or [0])),
            "distance": enough(differences, mean(map(abs, differences)) if differences else 0),
            "minutes": enough(minutes, median(minutes or [0])),
            "repeats": len(repeats),
            "repeat_distance": enough(repeats, mean(map(abs, repeats)) if repeats else 0),
            "chart": _chart(differences, from_machine),
        }
    )


def _chart(differences: Sequence[float], from_machine: Sequence[float]) -> Chart | None:
    """Return the chart against the other readers; without a partner, against the machine."""
    others, ruler = drift_chart(differences), drift_chart(from_machine)
    shown = others or ruler
    if shown is None:
        return None
    drifts = shown.found_at is not None and (ruler is None or ruler.found_at is not None)
    return Chart(averages=list(shown.averages), limits=list(shown.limits), drifts=drifts)


def _by_case(visits: Iterable[LockedVisit]) -> dict[tuple[str, str, int], list[LockedVisit]]:
    """Return time points by participant, time of the lock and repeat: one locked case each, in the order of reading."""
    cases: dict[tuple[str, str, int], list[LockedVisit]] = defaultdict(list)
    for each in sorted(visits, key=lambda visit: visit.locked_at):
        cases[each.participant, each.locked_at, each.repeat].append(each)
    return cases


def _differences(mine: Sequence[LockedVisit], others: Sequence[LockedVisit]) -> list[float]:
    """Return the mean difference of each first reading from the other readers, in the order of reading."""
    totals: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in others:
        if each.repeat == 1 and each.total is not None:
            totals[each.participant, each.visit].append(each.total)
    found = []
    for case in _by_case(each for each in mine if each.repeat == 1).values():
        pairs = [
            each.total - mean(totals[each.participant, each.visit])
            for each in case
            if each.total is not None and totals[each.participant, each.visit]
        ]
        if pairs:
            found.append(mean(pairs))
    return found


def _from_machine(mine: Sequence[LockedVisit], machine: Mapping[str, int | None]) -> list[float]:
    """Return the mean difference of each reading from the machine, in the order of reading."""
    found = []
    for case in _by_case(mine).values():
        pairs = [
            each.total - scored
            for each in case
            if each.total is not None and each.machine and (scored := machine[each.machine]) is not None
        ]
        if pairs:
            found.append(mean(pairs))
    return found


def _repeats(mine: Sequence[LockedVisit]) -> list[float]:
    """Return the differences of blind repeats from the first readings."""
    first = {(each.participant, each.visit): each.total for each in mine if each.repeat == 1}
    pairs = [(each.total, first.get((each.participant, each.visit))) for each in mine if each.repeat > 1]
    return [float(again - before) for again, before in pairs if again is not None and before is not None]


def _minutes(connection: Connection) -> dict[str, float]:
    """Return the minutes of reading of each case by its code: times between saves, long pauses left out."""
    query = select(AUDIT.c.subject, AUDIT.c.at).where(AUDIT.c.action.in_(("save", "lock"))).order_by(AUDIT.c.seq)
    seconds: dict[str, float] = defaultdict(float)
    last: dict[str, datetime] = {}
    for code, at in connection.execute(query):
        now = datetime.fromisoformat(at)
        if code in last and (gap := (now - last[code]).total_seconds()) <= LONGEST_PAUSE_S:
            seconds[code] += gap
        last[code] = now
    return {code: total / 60 for code, total in seconds.items()}


def _with_third(connection: Connection) -> set[int]:
    """Return the cases with an adjudicator."""
    return set(connection.execute(select(ASSIGNMENTS.c.case_id).where(ASSIGNMENTS.c.kind == ADJUDICATION)).scalars())


def _compared_cases(connection: Connection, cases: Iterable[int], protocol: Protocol) -> dict[int, bool]:
    """Return, for each case that two readers locked, whether it needs a third."""
    found = {}
    for case in cases:
        totals = adjudication.primary_totals(connection, case)
        if len(totals) > 1:
            found[case] = adjudication.differ(totals[0][1], totals[1][1], protocol)
    return found
