"""The night: take in what came, then move every study as far as it can go.

Several nights may run at once, on one machine or more: each claims a study in the ledger before it works on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from threading import Event
from typing import Final

from sparcc_pipeline.app.batch.task import StudyTask
from sparcc_pipeline.app.ledger.session import LedgerLostError
from sparcc_pipeline.app.ledger.states import NEXT, State
from sparcc_pipeline.app.nightly.work.follow_up import ChangeResult, ChangeTask, FollowUp
from sparcc_pipeline.app.nightly.work.heartbeat import Heartbeat
from sparcc_pipeline.app.nightly.work.leased_tasks import Crew
from sparcc_pipeline.app.nightly.work.outcome import Context, Failed, Step
from sparcc_pipeline.app.nightly.work.owner import is_dead
from sparcc_pipeline.app.nightly.work.recording import Tally, run_step
from sparcc_pipeline.app.nightly.work.scoring import Scoring
from sparcc_pipeline.app.nightly.work.staging import find_staging, sweep
from sparcc_pipeline.app.nightly.work.workers import Workers
from sparcc_pipeline.app.results.rows import BatchRow

FAILURES_IN_A_ROW: Final = 3
"""After so many failed deliveries in a row the PACS is at fault: the other studies wait for the next round."""


@dataclass(frozen=True)
class Steps:
    """The steps of a study; see `steps.real_steps`."""

    take_in: Callable[[Context], Sequence[Exception] | None]
    check_complete: Step
    deidentify: Step
    score: Callable[[StudyTask], BatchRow]
    compare: Callable[[ChangeTask], ChangeResult]
    deliver: Step


class Part(StrEnum):
    """The steps that a process does. Only intake reads identity, and it may run as its own user."""

    ALL = "all"
    INTAKE = "intake"
    RESULTS = "results"


class Night:
    """Runs everything that is due.

    Parameters
    ----------
    owner : who claims (see `owner.this_process`)
    stop : set it, and no further study begins

    `problems` holds the errors of the latest round that concern no single study.
    """

    def __init__(
        self, context: Context, steps: Steps, workers: Workers, owner: str, stop: Event, part: Part = Part.ALL
    ) -> None:
        self._context, self._steps, self._workers = context, steps, workers
        self._owner, self._stop, self._part = owner, stop, part
        self._lease = timedelta(seconds=context.settings.run.lease_seconds)
        self.problems: list[Exception] = []

    def run(self) -> Tally:
        """Run rounds until nothing moves any more, or `stop` is set.

        Raises
        ------
        LedgerLostError : the ledger does not answer
        """
        tally = Tally()
        while not self._stop.is_set():
            moved = self.round()
            tally.add(moved)
            if not moved.moved:
                break
        return tally

    def round(self) -> Tally:
        """Take in what came, then run every step for every study that is due (errors: see `run`).

        A failing kind of step, such as scoring without a model, does not block the others.
        """
        tally, self.problems, steps = Tally(), [], self._steps
        with Heartbeat(self._lease) as heartbeat:
            crew = Crew(self._context, self._workers, heartbeat, self._owner, stopped=self._stop.is_set, tally=tally)
            drain = partial(self._drain, crew)
            self._phase("clear-up", lambda: self._clear_up(tally))
            if self._part != Part.RESULTS:
                self._phase("take-in", lambda: self.problems.extend(steps.take_in(self._context) or ()))
                self._phase("check", lambda: drain(State.RECEIVED, steps.check_complete))
                self._phase("deidentify", lambda: drain(State.COMPLETE, steps.deidentify))
            if self._part != Part.INTAKE:
                self._phase("score", Scoring(crew, steps.score).run)
                self._phase("compare", FollowUp(crew, steps.compare).run)
                self._phase("deliver", lambda: drain(State.SCORED, steps.deliver))
        return tally

    def _phase(self, name: str, work: Callable[[], object]) -> None:
        """Run one kind of step; log and keep its error."""
        try:
            work()
        except LedgerLostError:
            raise
        except Exception as error:
            self.problems.append(error)
            self._context.log("a step could not be done", error=error, step=name)

    def _drain(self, crew: Crew, state: State, step: Step) -> None:
        """Run one step of every study that waits for it, one after the other."""
        ledger, attempts, failures = self._context.ledger, self._context.settings.run.attempts, 0
        while not self._stop.is_set() and failures < FAILURES_IN_A_ROW:
            version = ledger.claim(state, self._owner, self._lease, attempts)
            if version is None:
                return
            with crew.heartbeat.holding(version.id, partial(ledger.renew, version)):
                try:
                    outcome = run_step(self._context, version, step, crew.tally)
                except BaseException:
                    ledger.release_lease(version)
                    raise
            failures = failures + 1 if NEXT[state] == State.DELIVERED and isinstance(outcome, Failed) else 0

    def _clear_up(self, tally: Tally) -> None:
        """Release the claims of dead workers, remove their staging folders, and fail studies that killed workers."""
        ledger, settings = self._context.ledger, self._context.settings
        for owner in ledger.owners():
            if is_dead(owner):
                ledger.release_leases_of(owner)
        found = find_staging(settings.paths.work_folder)
        alive = {
            *(("study", each.id, each.claim) for each in ledger.versions() if each.lease_owner is not None),
            *(("change", each.id, each.claim) for each in ledger.changes() if each.lease_owner is not None),
        }
        if removed := sweep(alive, found):
            self._context.log("staging folders removed", count=removed)
        tally.states[State.FAILED] += len(ledger.give_up(settings.run.attempts))
        tally.changes["failed"] += ledger.give_up_changes(settings.run.attempts)
