"""A reader's list of cases for the page.

Contents: `worklist`, `Row`.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from sparcc_pipeline.app.reader.accounts.roles import User
from sparcc_pipeline.app.reader.readings.assignments import Assignment, assignments_of, is_next
from sparcc_pipeline.app.reader.readings.content import Model
from sparcc_pipeline.app.reader.readings.stored import newest
from sparcc_pipeline.app.reader.readings.views import SecondOpinionState
from sparcc_pipeline.app.reader.structural.content import content_of, is_structural
from sparcc_pipeline.app.reader.web.site import Site
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.trial.structural import STRUCTURAL_SLICES


class Row(Model):
    """One case of a reader: its progress, and its address if it can be opened."""

    code: str
    url: str | None
    state: Literal["waiting", "open", "started", "locked"]
    visits: int
    done: int
    items: int
    second_opinion: SecondOpinionState


def worklist(site: Site, connection: Connection, user: User, *kinds: str, closed: bool = False) -> list[Row]:
    """Return the cases of a user, of these kinds, in reading order; `closed` if no case may be started yet."""
    return [_row(site, connection, each, closed) for each in assignments_of(connection, user.id, *kinds)]


def _row(site: Site, connection: Connection, assignment: Assignment, closed: bool) -> Row:
    saved = newest(connection, assignment)
    slices = STRUCTURAL_SLICES if is_structural(assignment.kind) else SLICES_SCORED
    items = len(assignment.visits) * slices * 2
    done = 0
    if saved is not None:
        visits = content_of(assignment.kind, saved.content).visits.values()
        done = sum(joint.read for visit in visits for joint in visit.joints)
        state: Literal["waiting", "open", "started", "locked"] = "locked" if saved.state == "locked" else "started"
    else:
        state = "open" if not closed and is_next(connection, assignment) else "waiting"
    return Row(
        code=assignment.code,
        url=None if state == "waiting" else f"/case/{assignment.code}",
        state=state,
        visits=len(assignment.visits),
        done=done,
        items=items,
        second_opinion=site.opinions.state(connection, assignment),
    )
