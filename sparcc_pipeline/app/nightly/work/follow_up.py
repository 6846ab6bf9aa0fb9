"""Follow-up in place: as soon as baseline and follow-up of a participant are scored, whichever came first, the
follow-up is laid on the baseline and the change computed, from the two finished results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.ledger.changes import CHANGES_FOLDER
from sparcc_pipeline.app.ledger.leases import LeaseLostError
from sparcc_pipeline.app.ledger.ledger import Change
from sparcc_pipeline.app.ledger.states import ChangeState
from sparcc_pipeline.app.nightly.delivery.folder_copy import copy_results
from sparcc_pipeline.app.nightly.work.heartbeat import Heartbeat
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.nightly.work.reasons import failure_of, kind_of, refused_because
from sparcc_pipeline.app.nightly.work.settle import Tally, next_try
from sparcc_pipeline.app.nightly.work.staging import RESULT, making_folder, making_path, publish, unmake
from sparcc_pipeline.app.nightly.work.workers import Workers
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.errors import InputError, OutputError, RegistrationError, UnscorableError
from sparcc_pipeline.message import Message, words_of

_ONE_AT_A_TIME: Final = threading.Lock()
"""A worker of someone else's cluster may have several threads."""


@dataclass(frozen=True)
class ChangeTask:
    """Everything that a worker needs to compare two finished scores.

    Parameters
    ----------
    folder : where the change shall be
    """

    key: str
    baseline: Path
    follow_up: Path
    folder: Path
    config: PipelineConfig


@dataclass(frozen=True)
class ChangeResult:
    """What became of a change: made, or for a reason refused (the visits do not fit) or failed (to be tried again)."""

    state: ChangeState
    reason: Message | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def change_task(task: ChangeTask) -> ChangeResult:
    """Compare two finished scores and write the folder. Never raises: what went wrong is in the result."""
    with _ONE_AT_A_TIME:
        try:
            return ChangeResult(ChangeState.MADE, facts=_compare(task))
        except (InputError, UnscorableError, RegistrationError) as error:
            return ChangeResult(ChangeState.REFUSED, refused_because(words_of(error)), {"reason_kind": kind_of(error)})
        except Exception as error:
            return ChangeResult(ChangeState.FAILED, failure_of(error))


def _compare(task: ChangeTask) -> dict[str, Any]:
    # Registration is heavy to import, and only workers need it.
    from sparcc_pipeline.app.report.change_outputs import write_change
    from sparcc_pipeline.app.results.change_document import change_document
    from sparcc_pipeline.app.results.store import CHANGE_RESULT, ResultFolder
    from sparcc_pipeline.app.study import installation
    from sparcc_pipeline.app.study.compare import NotCompared, compare_studies
    from sparcc_pipeline.app.study.provenance import Run
    from sparcc_pipeline.app.study.score import Request

    run = Run(task.config, Request(), created_at=datetime.now(UTC))
    comparison = compare_studies(
        [task.baseline, task.follow_up],
        run.request,
        partial(installation.load_installed_segmenter, task.config),
        lambda _: None,
    )
    follow_up = comparison.follow_ups[0]
    if isinstance(follow_up, NotCompared):
        raise follow_up.error
    document = change_document(comparison, run)
    with ResultFolder(task.folder, force=True, kind=CHANGE_RESULT) as folder:
        write_change(comparison, document, run, folder.path, same_person=False)
        folder.publish()
    change = document.follow_ups[0].change
    return {
        name: getattr(change, name) for name in ("total", "common_total", "common_items", "important", "detectable")
    }


@dataclass
class FollowUp:
    """Claims changes one by one as workers have room, and records each as it ends (see `scoring.Scoring`)."""

    context: Context
    workers: Workers
    heartbeat: Heartbeat
    owner: str
    compare: Callable[[ChangeTask], ChangeResult]
    stopped: Callable[[], bool]
    tally: Tally
    held: dict[str, Change] = field(default_factory=dict)

    def run(self) -> None:
        """Make every change that is due.

        Raises
        ------
        ConfigError : no worker can be started
        OutputError : the ledger or the cluster was lost
        """
        self.context.ledger.plan_changes(self.context.settings.run.baseline_visit)
        tasks = self._tasks()
        try:
            first = next(tasks, None)
            if first is not None:
                self.workers.run(self.compare, chain([first], tasks), self._done, self._lost)
        finally:
            for key in list(self.held):
                self.context.ledger.give_back_change(self._let_go(key))

    def _tasks(self) -> Iterator[ChangeTask]:
        ledger, work = self.context.ledger, self.context.settings.paths.work_folder
        while not self.stopped():
            change = ledger.claim_change(self.owner, self.heartbeat.lease, self.context.settings.run.attempts)
            if change is None:
                return
            key = f"change-{change.id}"
            self.held[key] = change
            self.heartbeat.hold(key, partial(ledger.renew_change, change))
            baseline, follow_up = (work / str(each.result_folder) for each in ledger.pair_of(change))
            try:
                folder = making_folder(work, "change", change) / RESULT
                yield ChangeTask(key, baseline, follow_up, folder, self.workers.config)
            except OutputError as error:
                self._settle(key, ChangeResult(ChangeState.FAILED, failure_of(error)))

    def _done(self, task: ChangeTask, result: ChangeResult) -> None:
        change = self.held[task.key]
        if not self.context.ledger.renew_change(change, self.heartbeat.lease):
            self._let_go(task.key)
            return
        try:
            if result.state == ChangeState.MADE:
                publish(task.folder, self.context.settings.paths.work_folder / str(change.change_folder))
                self._deliver(str(change.change_folder))
        except OutputError as error:
            result = ChangeResult(ChangeState.FAILED, failure_of(error))
        self._settle(task.key, result)

    def _deliver(self, place: str) -> None:
        """A copy for the folder of the protocol, beside the participant's results; for a PACS a change is no object."""
        folder = self.context.settings.deliver.folder
        if folder is not None:
            _, site, participant, name = Path(place).parts
            source = self.context.settings.paths.work_folder / place
            copy_results(source, folder / site / participant / CHANGES_FOLDER / name)

    def _lost(self, task: ChangeTask, error: OutputError) -> None:
        self._settle(task.key, ChangeResult(ChangeState.FAILED, failure_of(error)))

    def _settle(self, key: str, result: ChangeResult) -> None:
        change, ledger = self.held[key], self.context.ledger
        try:
            if result.reason is None:
                ledger.finish_change(change, result.facts)
            elif result.state == ChangeState.REFUSED:
                ledger.refuse_change(change, result.reason, result.facts)
            else:
                again = next_try(self.context.settings.run, change.attempts, self.context.clock())
                ledger.fail_change(change, result.reason, again)
            self.tally.changes[result.state] += 1
            self.context.log("change settled", study=change.follow_up_id, state=result.state)
        except LeaseLostError:
            self.context.log("lease lost", study=change.follow_up_id)
        self._let_go(key)

    def _let_go(self, key: str) -> Change:
        self.heartbeat.drop(key)
        change = self.held.pop(key)
        unmake(making_path(self.context.settings.paths.work_folder, "change", change))
        return change
