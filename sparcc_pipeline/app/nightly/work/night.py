"""The night in one screen: what comes in is taken in, and every study goes as far as it can.

Two nights may run at once, on one machine or on several: whatever they work at is claimed in the ledger first.
"""

from __future__ import annotations

from collections.abc import Callable
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
from sparcc_pipeline.app.nightly.work.outcome import Context, Failed, Step
from sparcc_pipeline.app.nightly.work.owner import is_dead
from sparcc_pipeline.app.nightly.work.scoring import Scoring
from sparcc_pipeline.app.nightly.work.settle import Tally, run_step
from sparcc_pipeline.app.nightly.work.staging import left_over, sweep
from sparcc_pipeline.app.nightly.work.workers import Workers
from sparcc_pipeline.app.results.rows import BatchRow

FAILURES_IN_A_ROW: Final = 3
"""So many deliveries that fail one after the other are the PACS's fault: the others wait for the next round."""


@dataclass(frozen=True)
class Steps:
    """What is done with a study, step by step; see `steps.real_steps`."""

    take_in: Callable[[Context], None]
    check_complete: Step
    deidentify: Step
    score: Callable[[StudyTask], BatchRow]
    compare: Callable[[ChangeTask], ChangeResult]
    deliver: Step


class Part(StrEnum):
    """Which steps a process does: intake alone may read what names a person, and may run as a user of its own."""

    ALL = "all"
    INTAKE = "intake"
    RESULTS = "results"


class Night:
    """Everything that is due, again and again until nothing is.

    Parameters
    ----------
    owner : who claims (see `owner.this_process`)
    stop : set once no more shall be begun

    `problems` are the errors of the latest round that were no single study's.
    """

    def __init__(
        self, context: Context, steps: Steps, workers: Workers, owner: str, stop: Event, part: Part = Part.ALL
    ) -> None:
        self._context, self._steps, self._workers = context, steps, workers
        self._owner, self._stop, self._part = owner, stop, part
        self._lease = timedelta(seconds=context.settings.run.lease_seconds)
        self.problems: list[Exception] = []

    def run(self) -> Tally:
        """Rounds until nothing moves any more, or until it is to stop.

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
        """Take in what came, then every step for every study that is due (errors: see `run`).

        What keeps one kind of step from being done, such as a missing model, keeps no other.
        """
        tally, self.problems = Tally(), []
        with Heartbeat(self._lease) as heartbeat:
            rest = (self._context, self._workers, heartbeat, self._owner)
            drain = partial(self._drain, heartbeat, tally)
            steps, stopped = self._steps, self._stop.is_set
            self._phase("clear up", lambda: self._clear_up(tally))
            if self._part != Part.RESULTS:
                self._phase("take in", lambda: steps.take_in(self._context))
                self._phase("check", lambda: drain(State.RECEIVED, steps.check_complete))
                self._phase("deidentify", lambda: drain(State.COMPLETE, steps.deidentify))
            if self._part != Part.INTAKE:
                self._phase("score", lambda: Scoring(*rest, steps.score, stopped, tally).run())
                self._phase("compare", lambda: FollowUp(*rest, steps.compare, stopped, tally).run())
                self._phase("deliver", lambda: drain(State.SCORED, steps.deliver))
        return tally

    def _phase(self, name: str, work: Callable[[], object]) -> None:
        """One kind of step; its own errors are told and kept."""
        try:
            work()
        except LedgerLostError:
            raise
        except Exception as error:
            self.problems.append(error)
            self._context.log("a step could not be done", error=error, step=name)

    def _drain(self, heartbeat: Heartbeat, tally: Tally, state: State, step: Step) -> None:
        """One step of every study that waits for it, one after the other."""
        ledger, attempts, failures = self._context.ledger, self._context.settings.run.attempts, 0
        while not self._stop.is_set() and failures < FAILURES_IN_A_ROW:
            version = ledger.claim(state, self._owner, self._lease, attempts)
            if version is None:
                return
            with heartbeat.holding(version.id, partial(ledger.renew, version)):
                try:
                    outcome = run_step(self._context, version, step, tally)
                except BaseException:
                    ledger.give_back(version)
                    raise
            failures = failures + 1 if NEXT[state] == State.DELIVERED and isinstance(outcome, Failed) else 0

    def _clear_up(self, tally: Tally) -> None:
        """What workers that died left behind: their claims, their half-made results, and studies that ended them."""
        ledger, settings = self._context.ledger, self._context.settings
        for owner in ledger.owners():
            if is_dead(owner):
                ledger.bury(owner)
        found = left_over(settings.paths.work_folder)
        alive = {
            *(("study", each.id, each.claim) for each in ledger.versions() if each.lease_owner is not None),
            *(("change", each.id, each.claim) for each in ledger.changes() if each.lease_owner is not None),
        }
        if removed := sweep(alive, found):
            self._context.log("half-made results removed", count=removed)
        tally.states[State.FAILED] += len(ledger.give_up(settings.run.attempts))
        tally.changes["failed"] += ledger.give_up_changes(settings.run.attempts)
