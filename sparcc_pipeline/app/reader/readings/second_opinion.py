"""The machine's second opinion: after lock only, if the settings allow it, and its opening is recorded.

Contents: `SecondOpinions`. After the opening the primary reading cannot be corrected; a change is a revised reading.
"""

from __future__ import annotations

from sqlalchemy import Connection, update

from sparcc_pipeline.app.reader.accounts.roles import User
from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.readings.assignments import PRIMARY, Assignment, assignments_of
from sparcc_pipeline.app.reader.readings.content import ITEMS, Content, VisitReading
from sparcc_pipeline.app.reader.readings.stored import all_locked, newest, state_of, visits_of
from sparcc_pipeline.app.reader.readings.views import (
    Difference,
    MachineResult,
    MachineView,
    SecondOpinionState,
    SecondOpinionView,
)
from sparcc_pipeline.app.reader.settings import SecondOpinion
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.message import Message

_NO_MACHINE = MachineResult(
    total=None,
    edema=None,
    intensity=None,
    depth=None,
    evaluable_maximum=None,
    expected=None,
    interval_90=None,
    probability_remission=None,
    first=None,
    reason="not_scored",
    joints=[],
)


class SecondOpinions:
    """Second opinions, as the settings of the reading page allow them."""

    def __init__(self, database: ReaderDatabase, store: PictureStore, when: SecondOpinion) -> None:
        self._database, self._store, self._when = database, store, when

    def state(self, connection: Connection, assignment: Assignment) -> SecondOpinionState:
        """Return the state of the second opinion of a case. Only primary readings have one."""
        if self._when == "off" or assignment.kind != PRIMARY:
            return "off"
        if assignment.second_opinion_at is not None:
            revised = newest(connection, assignment, revised=True)
            return "filed" if revised is not None and revised.state == "locked" else "opened"
        row = newest(connection, assignment)
        if row is None or row.state != "locked":
            return "later"
        return "available" if all_locked(connection, self._before(connection, assignment)) else "later"

    def _before(self, connection: Connection, assignment: Assignment) -> list[Assignment]:
        """Return the assignments to be locked first: all of the reader, or at least those of the same images."""
        mine = assignments_of(connection, assignment.user_id, PRIMARY)
        return [each for each in mine if self._when == "all" or each.case_id == assignment.case_id]

    def open(self, user: User, assignment: Assignment) -> None:
        """Open the second opinion permanently.

        Raises
        ------
        Refusal : second opinions are off, or not available yet
        """
        with self._database.writing() as work:
            state = self.state(work.connection, assignment)
            if state == "off":
                raise refusal.forbidden()
            if state == "later":
                raise Refusal(409, "later", Message("the second opinion opens later"))
            if state == "available":
                mine = ASSIGNMENTS.c.id == assignment.id
                work.connection.execute(update(ASSIGNMENTS).where(mine).values(second_opinion_at=work.now))
                work.record(user.name, "open_second_opinion", assignment.code)

    def view(self, assignment: Assignment) -> SecondOpinionView:
        """Return the machine's result of a case beside the reading.

        Raises
        ------
        Refusal : the second opinion is not open
        """
        with self._database.reading() as connection:
            self._require_opened(connection, assignment)
            primary = newest(connection, assignment)
            revised = newest(connection, assignment, revised=True)
            folders = {label: row.machine for label, row in visits_of(connection, assignment).items()}
        assert primary is not None
        reading = state_of(primary)
        content = Content.model_validate_json(primary.content)
        return SecondOpinionView(
            visits={
                label: _compare(content.visits[label], _NO_MACHINE if name is None else self._store.result(name))
                for label, name in folders.items()
            },
            primary=reading,
            revised=None if revised is None else state_of(revised),
        )

    def overlay(self, assignment: Assignment, label: str, slice_index: int) -> bytes:
        """Return the probability of edema on one slice, gzip.

        Raises
        ------
        Refusal : the second opinion is not open, or there is no such slice
        """
        with self._database.reading() as connection:
            self._require_opened(connection, assignment)
            row = visits_of(connection, assignment).get(label)
        content = None if row is None or row.machine is None else self._store.overlay(row.machine, slice_index)
        if content is None:
            raise refusal.not_found()
        return content

    def _require_opened(self, connection: Connection, assignment: Assignment) -> None:
        if self._when == "off" or assignment.kind != PRIMARY:
            raise refusal.forbidden()
        if assignment.second_opinion_at is None:
            raise Refusal(409, "not_opened", Message("the second opinion is not open yet"))


def _compare(reading: VisitReading, machine: MachineResult) -> MachineView:
    """Return the machine's result with the items that differ from the reading; slices are matched by index."""
    by_place = {(joint.slice_index, joint.joint): joint for joint in machine.joints}
    differences = []
    for joint in reading.joints:
        index = reading.first + joint.slice - 1
        other = by_place.get((index, joint.joint))
        if other is None:
            continue
        for item in ITEMS:
            point: int | None = getattr(other, item)
            if point != joint.value(item):
                differences.append(
                    Difference(
                        slice_index=index,
                        slice=joint.slice,
                        joint=joint.joint,
                        item=item,
                        reading=joint.value(item),
                        machine=point,
                        doubt=other.doubt[item],
                    )
                )
    differences.sort(key=lambda each: 1.0 if each.doubt is None else -each.doubt)
    return MachineView(**dict(machine), differences=differences)
