"""Calibration: a training set with known scores, feedback after each case, and a pass mark before the real cases.

Contents: `Training`, `TrainingVisit`. A reader who does not pass reads the set again, in another order with other
codes, as in real-time iterative calibration. The latest visits count; the measure is ICC(2,1) of totals with known
totals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.accounts.roles import User
from sparcc_pipeline.app.reader.cases.importing import known_items
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.readings.assignments import TRAINING, Assignment, assign, assignments_of, cases
from sparcc_pipeline.app.reader.readings.content import ITEMS, VisitReading
from sparcc_pipeline.app.reader.readings.stored import newest, state_of, visits_of
from sparcc_pipeline.app.reader.readings.views import FeedbackView, FeedbackVisit, KnownDifference, TrainingAgreement
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.tables import CASES, USERS, VISITS
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.agreement.icc import IccForm, icc_of_one, mean_squares

FEWEST_TOTALS: Final = 2
"""Without two different known totals there is no ICC, and the pass mark cannot be reached."""


@dataclass(frozen=True)
class TrainingVisit:
    """The reading and the known items of one training time point."""

    reading: VisitReading
    known: dict[tuple[int, str, str], int | None]

    @property
    def total(self) -> int | None:
        """Total of the reading; None if nothing could be evaluated."""
        return self.reading.score.total if self.reading.score.evaluable_maximum else None

    @staticmethod
    def known_total_of(text: str) -> int:
        """Return the total of stored known items."""
        return sum(value or 0 for *_, value in known_items(text))

    @property
    def known_total(self) -> int | None:
        """Total of the known items."""
        values = [value for value in self.known.values() if value is not None]
        return sum(values) if values else None

    @property
    def differences(self) -> list[KnownDifference]:
        """Items with another value than known; a known slice outside the six slices read counts as 0."""
        read: dict[tuple[int, str, str], int | None] = {
            (self.reading.first + j.slice - 1, j.joint, item): j.value(item)
            for j in self.reading.joints
            for item in ITEMS
        }
        places = sorted(set(read) | {place for place, value in self.known.items() if value})
        return [
            KnownDifference.model_validate(
                {
                    "slice_index": index,
                    "slice": index - self.reading.first + 1,
                    "joint": joint,
                    "item": item,
                    "reading": read.get((index, joint, item), 0),
                    "known": self.known.get((index, joint, item), 0),
                }
            )
            for index, joint, item in places
            if read.get((index, joint, item), 0) != self.known.get((index, joint, item), 0)
        ]


def require_training_set(connection: Connection, settings: ReaderSettings) -> None:
    """Check that a reader can pass the calibration, if the settings require it.

    Raises
    ------
    ConfigError : there is no training set, or all its known totals are equal
    """
    if not settings.calibration.required:
        return
    query = select(VISITS.c.known).join(CASES, CASES.c.id == VISITS.c.case_id).where(CASES.c.training.is_(True))
    totals = [TrainingVisit.known_total_of(text) for text in connection.execute(query).scalars() if text]
    if len(set(totals)) < FEWEST_TOTALS:
        raise ConfigError(
            f"expected a training set with at least {FEWEST_TOTALS} different known totals, because "
            f"calibration.required is true, found {len(totals)} time points with {len(set(totals))}: no case would "
            "ever open; import one with `sparcc reader import --training`, or set calibration.required = false"
        )


class Training:
    """The training set of one reading page."""

    def __init__(self, database: ReaderDatabase, settings: ReaderSettings) -> None:
        self._database, self._settings = database, settings

    def is_dead_end(self, connection: Connection) -> bool:
        """Return True if the settings require a calibration that no reader can pass."""
        try:
            require_training_set(connection, self._settings)
        except ConfigError:
            return True
        return False

    def give(self, user: User) -> None:
        """Assign the training set to a reader who does not have all of it."""
        with self._database.reading() as connection:
            known = {row.id for row in cases(connection, training=True)}
            has = {each.case_id for each in assignments_of(connection, user.id, TRAINING)}
        if known - has:
            self._assign(user, 1)

    def repeat(self, user: User) -> None:
        """Assign another round of the training set.

        Raises
        ------
        Refusal : the last round is not finished, or was passed
        """
        with self._database.reading() as connection:
            if not self.can_repeat(connection, user):
                raise Refusal(409, "forbidden", Message("finish this round first; a passed round is not repeated"))
            latest = max((each.repeat for each in assignments_of(connection, user.id, TRAINING)), default=0)
        self._assign(user, latest + 1)

    def can_repeat(self, connection: Connection, user: User) -> bool:
        """Return True if every training case is locked and the pass mark was not reached."""
        mine = assignments_of(connection, user.id, TRAINING)
        found = self.agreement(connection, user)
        finished = len(_locked(connection, mine)) == len(mine)
        return bool(mine) and finished and found is not None and not found.passed

    def is_open(self, connection: Connection, user: User) -> bool:
        """Return True if the real cases are open to this reader."""
        if not self._settings.calibration.required:
            return True
        found = self.agreement(connection, user)
        return found is not None and found.passed

    def agreement(self, connection: Connection, user: User) -> TrainingAgreement | None:
        """Return the agreement on the latest training visits; None before the first."""
        rules = self._settings.calibration
        mine = _locked(connection, assignments_of(connection, user.id, TRAINING))
        visits = [visit for each in mine for visit in _visits(connection, each).values()]
        pairs = [(v.known_total, v.total) for v in visits if v.known_total is not None and v.total is not None]
        if not pairs:
            return None
        latest = [(float(known), float(read)) for known, read in pairs[-rules.visits :]]
        icc = _icc(latest)
        return TrainingAgreement(
            cases=len(mine),
            visits=len(latest),
            icc=None if icc is None else round(icc, 3),
            mean_difference=round(sum(read - known for known, read in latest) / len(latest), 2),
            pass_mark=rules.icc,
            needed=rules.visits,
            passed=len(latest) >= rules.visits and icc is not None and icc >= rules.icc,
        )

    def feedback(self, user: User, assignment: Assignment) -> FeedbackView:
        """Return the differences between a locked training case and its known items.

        Raises
        ------
        Refusal : the case is not a training case, or not locked
        """
        with self._database.reading() as connection:
            row = newest(connection, assignment)
            if assignment.kind != TRAINING or row is None or row.state != "locked":
                raise Refusal(409, "not_opened", Message("lock the training case to see the feedback"))
            visits = _visits(connection, assignment)
            agreement = self.agreement(connection, user)
        return FeedbackView(
            visits={
                label: FeedbackVisit(total=v.total, known_total=v.known_total, differences=v.differences)
                for label, v in visits.items()
            },
            agreement=agreement,
        )

    def _assign(self, user: User, number: int) -> None:
        with self._database.writing() as work:
            row = work.connection.execute(select(USERS).where(USERS.c.id == user.id)).one()
            every = [case.id for case in cases(work.connection, training=True)]
            assign(work, row, every, self._settings.reading, kind=TRAINING, repeat=number, by=user.name)


def _locked(connection: Connection, assignments: Sequence[Assignment]) -> list[Assignment]:
    found = []
    for each in assignments:
        row = newest(connection, each)
        if row is not None and row.state == "locked":
            found.append(each)
    return found


def _visits(connection: Connection, assignment: Assignment) -> dict[str, TrainingVisit]:
    row = newest(connection, assignment)
    assert row is not None
    content = state_of(row).content
    return {
        label: TrainingVisit(
            content.visits[label],
            {(index, joint, item): value for index, joint, item, value in known_items(visit.known)},
        )
        for label, visit in visits_of(connection, assignment).items()
    }


def _icc(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return ICC(2,1); None with fewer than two pairs or if all are equal."""
    return icc_of_one(mean_squares(pairs), IccForm.ICC_2_1) if len(pairs) > 1 else None
