"""Calibration: a training set with known scores, feedback while it is read, and pass marks before the real cases.

Contents: `Training`, `require_training_set`. A slice that is marked as read is judged at once, item by item, and cannot
change after that. A reader who does not pass reads the set again, in another order with other codes, as in real-time
iterative calibration. The latest visits count; the measures are ICC(2,1) of totals, and of changes between the time
points of a case, with the known ones. Source: [Retic2024].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from sparcc_pipeline.app.reader.accounts.roles import User
from sparcc_pipeline.app.reader.cases.importing import known_items
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.readings.assignments import TRAINING, Assignment, assign, assignments_of, cases
from sparcc_pipeline.app.reader.readings.content import Content
from sparcc_pipeline.app.reader.readings.stored import newest, visits_of
from sparcc_pipeline.app.reader.readings.views import FeedbackView, FeedbackVisit, TrainingAgreement
from sparcc_pipeline.app.reader.reliability.training_visit import TrainingVisit
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.tables import CASES, USERS, VISITS
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.agreement.icc import IccForm, icc_of_one, mean_squares

FEWEST_TOTALS: Final = 2
"""Without two different known totals there is no ICC, and the pass mark cannot be reached."""


def require_training_set(connection: Connection, settings: ReaderSettings) -> None:
    """Check that a reader can pass the calibration, if the settings require it.

    Raises
    ------
    ConfigError : there is no training set, or all its known totals are equal
    """
    if not settings.calibration.required:
        return
    query = select(VISITS.c.known).join(CASES, CASES.c.id == VISITS.c.case_id).where(CASES.c.training.is_(True))
    totals = [_known_total(text) for text in connection.execute(query).scalars() if text]
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
        """Return the agreement on the latest training visits, the open case included; None before the first."""
        rules = self._settings.calibration
        mine = assignments_of(connection, user.id, TRAINING)
        cases_read = [list(_visits(connection, each).values()) for each in mine]
        pairs = [visit.pair for visits in cases_read for visit in visits if visit.pair is not None]
        if not pairs:
            return None
        latest = pairs[-rules.visits :]
        changes = [change for visits in cases_read for change in _changes(visits)][-rules.visits :]
        icc, icc_change = _icc(latest), _icc(changes)
        needs_change = _has_changes(connection)
        enough = len(latest) >= rules.visits and icc is not None and icc >= rules.icc
        steady = not needs_change or (icc_change is not None and icc_change >= rules.icc_change)
        return TrainingAgreement(
            cases=len(_locked(connection, mine)),
            visits=len(latest),
            icc=None if icc is None else round(icc, 3),
            icc_change=None if icc_change is None else round(icc_change, 3),
            changes=len(changes),
            mean_difference=round(sum(read - known for known, read in latest) / len(latest), 2),
            pass_mark=rules.icc,
            pass_mark_change=rules.icc_change if needs_change else None,
            needed=rules.visits,
            passed=enough and steady,
        )

    def feedback(self, user: User, assignment: Assignment) -> FeedbackView:
        """Return the differences between the read slices of a training case and its known items.

        Raises
        ------
        Refusal : the case is not a training case
        """
        if assignment.kind != TRAINING:
            raise Refusal(409, "not_opened", Message("only a training case has feedback"))
        with self._database.reading() as connection:
            visits = _visits(connection, assignment)
            agreement = self.agreement(connection, user)
        return FeedbackView(
            visits={
                label: FeedbackVisit(
                    total=v.total,
                    known_total=v.known_total if v.is_read else None,
                    judged=v.judged,
                    differences=v.differences,
                )
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
    """Return the time points of a training case by label; empty before its first save."""
    row = newest(connection, assignment)
    if row is None:
        return {}
    content = Content.model_validate_json(row.content)
    return {
        label: TrainingVisit(
            content.visits[label],
            {(index, joint, item): value for index, joint, item, value in known_items(visit.known)},
        )
        for label, visit in visits_of(connection, assignment).items()
    }


def _changes(visits: Sequence[TrainingVisit]) -> list[tuple[float, float]]:
    """Return known and read changes from the first time point of a case to each other one; empty until all are read."""
    pairs = [visit.pair for visit in visits]
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return []
    return [(pair[0] - known[0][0], pair[1] - known[0][1]) for pair in known[1:]]


def _has_changes(connection: Connection) -> bool:
    """Return True if the training set has at least two different known changes, so that they have an ICC."""
    query = select(VISITS.c.case_id, VISITS.c.known).join(CASES, CASES.c.id == VISITS.c.case_id)
    totals: dict[int, list[int]] = {}
    for case, known in connection.execute(query.where(CASES.c.training.is_(True)).order_by(VISITS.c.id)):
        totals.setdefault(case, []).append(_known_total(known))
    changes = [later - each[0] for each in totals.values() for later in each[1:]]
    return len(set(changes)) >= FEWEST_TOTALS


def _known_total(text: str) -> int:
    """Return the total of stored known items."""
    return sum(value or 0 for *_, value in known_items(text))


def _icc(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return ICC(2,1); None with fewer than two pairs or if all are equal."""
    return icc_of_one(mean_squares(pairs), IccForm.ICC_2_1) if len(pairs) > 1 else None
