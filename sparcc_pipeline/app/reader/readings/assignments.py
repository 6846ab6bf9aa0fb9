"""Assign cases to readers, with a random order, code and labels for each reader; the seed is stored.

Contents: `assign`, `Assignment`, `assignments_of`, `find_assignment`, `is_next`, `readers`, `cases`. A share of the
cases is repeated under another code, with the time points in another order. Readers must keep the order, so that they
can neither choose a case nor look ahead.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Row, func, select

from sparcc_pipeline.app.reader.database import Writing
from sparcc_pipeline.app.reader.settings import Reading
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, CASES, READINGS, USERS, VISITS

PRIMARY: Final = "primary"
ADJUDICATION: Final = "adjudication"
TRAINING: Final = "training"

_CODE_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters and digits that cannot be confused."""

SMALLEST_DISTANCE: Final = 0.3
"""Smallest distance between a first reading and its repeat, as a share of the reader's cases."""


@dataclass(frozen=True)
class Assignment:
    """One case of one reader; `visits` holds ids in the order of the labels."""

    id: int
    code: str
    case_id: int
    user_id: int
    kind: str
    repeat: int
    position: float
    visits: tuple[int, ...]
    second_opinion_at: str | None


def assign(
    work: Writing,
    reader: Row[Any],
    cases: Sequence[int],
    settings: Reading,
    *,
    kind: str = PRIMARY,
    repeat: int = 1,
    by: str,
) -> int:
    """Assign cases to a reader, after the reader's present cases; return the number of new ones.

    Parameters
    ----------
    repeat : round of a training set; otherwise 1, and the settings decide the share of blind repeats
    """
    connection = work.connection
    mine = ASSIGNMENTS.c.user_id == reader.id, ASSIGNMENTS.c.kind == kind
    has = set(connection.execute(select(ASSIGNMENTS.c.case_id).where(*mine, ASSIGNMENTS.c.repeat == repeat)).scalars())
    new = sorted(set(cases) - has)
    last = connection.execute(select(func.max(ASSIGNMENTS.c.position)).where(*mine)).scalar_one()
    start = 0.0 if last is None else floor(last) + 1.0
    places = [(case, repeat, _share(settings.seed, kind, reader.id, case, repeat, "place")) for case in new]
    if kind in (PRIMARY, "structural"):
        places += [
            (case, 2, _after(place, _share(settings.seed, kind, reader.id, case, 2, "place")))
            for case, _, place in places
            if _share(settings.seed, kind, reader.id, case, 2, "chosen") < settings.repeat_share
        ]
    # Positions with repeats are in (0, 2): halved, one call fills one unit, and the next call follows it.
    for case, number, place in sorted(places, key=lambda each: each[2]):
        _insert(work, reader, case, settings.seed, kind, number, start + place / 2, by)
    return len(new)


def _insert(
    work: Writing, reader: Row[Any], case: int, seed: int, kind: str, repeat: int, position: float, by: str
) -> None:
    visits = list(work.connection.execute(select(VISITS.c.id).where(VISITS.c.case_id == case)).scalars())
    generator = np.random.default_rng(_number(seed, kind, reader.id, case, repeat, "labels"))
    order = [int(each) for each in generator.permutation(sorted(visits))]
    code = new_code()
    work.connection.execute(
        ASSIGNMENTS.insert().values(
            code=code,
            case_id=case,
            user_id=reader.id,
            kind=kind,
            repeat=repeat,
            position=position,
            seed=seed,
            visit_order=json.dumps(order),
        )
    )
    new = {"case": case, "reader": reader.name, "kind": kind, "repeat": repeat, "seed": seed, "visit_order": order}
    new["position"] = repr(position)
    work.record(by, "assign", code, new=new)


def new_code() -> str:
    """Return a random code that cannot be guessed."""
    letters = [secrets.choice(_CODE_LETTERS) for _ in range(10)]
    return f"{''.join(letters[:5])}-{''.join(letters[5:])}"


def assignments_of(connection: Connection, user_id: int, *kinds: str) -> list[Assignment]:
    """Return the cases of a user, in reading order."""
    rows = connection.execute(
        select(ASSIGNMENTS)
        .where(ASSIGNMENTS.c.user_id == user_id, ASSIGNMENTS.c.kind.in_(kinds))
        .order_by(ASSIGNMENTS.c.position, ASSIGNMENTS.c.id)
    )
    return [_assignment(row) for row in rows]


def find_assignment(connection: Connection, user_id: int, code: str) -> Assignment | None:
    """Return a user's own case by its code; None for another user's case or an unknown code."""
    mine = ASSIGNMENTS.c.user_id == user_id, ASSIGNMENTS.c.code == code
    row = connection.execute(select(ASSIGNMENTS).where(*mine)).first()
    return None if row is None else _assignment(row)


def is_next(connection: Connection, assignment: Assignment) -> bool:
    """Return True if all cases before this one are locked, so that it may be opened."""
    done = select(READINGS.c.assignment_id).where(READINGS.c.state == "locked")
    before = connection.execute(
        select(ASSIGNMENTS.c.id).where(
            ASSIGNMENTS.c.user_id == assignment.user_id,
            ASSIGNMENTS.c.kind == assignment.kind,
            ASSIGNMENTS.c.position < assignment.position,
            ASSIGNMENTS.c.id.not_in(done),
        )
    )
    return before.first() is None


def readers(connection: Connection, role: str) -> list[Row[Any]]:
    """Return the active users of a role, by name."""
    chosen = USERS.c.role == role, USERS.c.active.is_(True)
    return list(connection.execute(select(USERS).where(*chosen).order_by(USERS.c.name)))


def cases(connection: Connection, *, training: bool) -> list[Row[Any]]:
    """Return all cases of the trial, or of the training set."""
    chosen = CASES.c.training.is_(training)
    return list(connection.execute(select(CASES).where(chosen).order_by(CASES.c.participant, CASES.c.round)))


def _assignment(row: Row[Any]) -> Assignment:
    return Assignment(
        row.id,
        row.code,
        row.case_id,
        row.user_id,
        row.kind,
        row.repeat,
        row.position,
        tuple(json.loads(row.visit_order)),
        row.second_opinion_at,
    )


def _after(place: float, share: float) -> float:
    """Return the position of a repeat: between SMALLEST_DISTANCE after its first reading and the end."""
    low = place + SMALLEST_DISTANCE
    return low + share * max(1.0 + SMALLEST_DISTANCE - low, 0.0)


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8], "big")


def _share(*parts: object) -> float:
    """Return a number in [0, 1) that depends on `parts` only."""
    return _number(*parts) / 2**64
