"""The night in one screen: what comes in is taken in, and every study goes as far as it can.

Two nights may run at once, on one machine or on several: whatever they work at is claimed in the ledger first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event
from typing import Final

from sparcc_pipeline.app.batch_task import Row, StudyTask
from sparcc_pipeline.app.ledger.states import NEXT, State
from sparcc_pipeline.app.nightly.follow_up import ChangeResult, ChangeTask, FollowUp
from sparcc_pipeline.app.nightly.heartbeat import Heartbeat
from sparcc_pipeline.app.nightly.making import left_over, sweep
from sparcc_pipeline.app.nightly.outcome import Context, Failed, Step
from sparcc_pipeline.app.nightly.owner import is_dead
from sparcc_pipeline.app.nightly.scoring import Scoring
from sparcc_pipeline.app.nightly.settle import Tally, run_step
from sparcc_pipeline.app.nightly.workers import Workers

FAILURES_IN_A_ROW: Final = 3
"""So many deliveries that fail one after the other are the PACS's fault: the others wait for the next round."""


@dataclass(frozen=True)
class Steps:
    """What is done with a study, step by step; see `steps.real_steps`."""

    take_in: Callable[[Context], None]
    check_complete: Step
    deidentify: Step
    score: Callable[[StudyTask], Row]
    compare: Callable[[ChangeTask], ChangeResult]
    deliver: Step


class Night:
    """Everything that is due, again and again until nothing is.

    Parameters
    ----------
    owner : who claims (see `owner.this_process`)
    stop : set once no more shall be begun
    """

    def __init__(self, context: Context, steps: Steps, workers: Workers, owner: str, stop: Event) -> None:
        self._context, self._steps, self._workers = context, steps, workers
        self._owner, self._stop = owner, stop
        self._lease = timedelta(seconds=context.settings.run.lease_seconds)

    def run(self) -> Tally:
        """Rounds until nothing moves any more, or until it is to stop.

        Raises
        ------
        ConfigError, ModelError : no study can be scored
        OutputError : the ledger or the cluster was lost; run again
        """
        tally = Tally()
        while not self._stop.is_set():
            moved = self.round()
            tally.add(moved)
            if not moved.moved:
                break
        return tally

    def round(self) -> Tally:
        """Take in what came, then every step for every study that is due (errors: see `run`)."""
        tally = Tally()
        with Heartbeat(self._lease) as heartbeat:
            self._clear_up(tally)
            self._steps.take_in(self._context)
            self._drain(State.RECEIVED, self._steps.check_complete, heartbeat, tally)
            self._drain(State.COMPLETE, self._steps.deidentify, heartbeat, tally)
            rest = (self._context, self._workers, heartbeat, self._owner)
            tally.add(Scoring(*rest, self._steps.score, self._stop.is_set).run())
            tally.add(FollowUp(*rest, self._steps.compare, self._stop.is_set).run())
            self._drain(State.SCORED, self._steps.deliver, heartbeat, tally)
        return tally

    def _drain(self, state: State, step: Step, heartbeat: Heartbeat, tally: Tally) -> None:
        """One step of every study that waits for it, one after the other."""
        ledger, attempts, failures = self._context.ledger, self._context.settings.run.attempts, 0
        while not self._stop.is_set() and failures < FAILURES_IN_A_ROW:
            version = ledger.claim(state, self._owner, self._lease, attempts)
            if version is None:
                return
            with heartbeat.holding(version.id, lambda lease, held=version: ledger.renew(held, lease)):
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
        if removed := sweep(settings.paths.work_folder, alive, found):
            self._context.log("half-made results removed", count=removed)
        tally.states[State.FAILED] += len(ledger.give_up(settings.run.attempts))
        tally.changes["failed"] += ledger.give_up_changes(settings.run.attempts)
