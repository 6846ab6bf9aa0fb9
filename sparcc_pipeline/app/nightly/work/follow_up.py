"""Changes: once baseline and follow-up of a participant are scored, the follow-up is aligned with the baseline and the
change is computed from the two finished results. It does not matter which visit came first."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.ledger.changes import CHANGES_FOLDER
from sparcc_pipeline.app.ledger.leases import LeaseLostError
from sparcc_pipeline.app.ledger.ledger import Change
from sparcc_pipeline.app.ledger.states import ChangeState
from sparcc_pipeline.app.nightly.delivery.folder_copy import copy_results
from sparcc_pipeline.app.nightly.work.leased_tasks import LeasedTasks
from sparcc_pipeline.app.nightly.work.reasons import failure_of, kind_of, refused_because
from sparcc_pipeline.app.nightly.work.recording import next_try
from sparcc_pipeline.app.nightly.work.staging import publish
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.errors import InputError, OutputError, RegistrationError, UnscorableError
from sparcc_pipeline.message import Message, words_of

_ONE_AT_A_TIME: Final = threading.Lock()
"""A worker of an existing cluster may have several threads."""


@dataclass(frozen=True)
class ChangeTask:
    """Everything that a worker needs to compare two finished scores.

    Parameters
    ----------
    key : name of the change in the stored run
    folder : where to write the change
    """

    key: str
    baseline: Path
    follow_up: Path
    folder: Path
    config: PipelineConfig


@dataclass(frozen=True)
class ChangeResult:
    """The result of a change: made; refused, since the visits cannot be compared; or failed, and tried again."""

    state: ChangeState
    reason: Message | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def change_task(task: ChangeTask) -> ChangeResult:
    """Compare two finished scores and write the folder. Never raises: the result holds the error."""
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
    from sparcc_pipeline.app.study.images import Request
    from sparcc_pipeline.app.study.provenance import Run

    run = Run(task.config, Request(), created_at=utc_now())
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


class FollowUp(LeasedTasks[Change, ChangeTask, ChangeResult]):
    """Compares scored follow-ups with their baselines; the function is `change_task`."""

    kind = "change"

    def run(self) -> None:
        """Plan every new change and compute every change that is due (errors: see `LeasedTasks.run`)."""
        self._ledger.plan_changes(self.crew.context.settings.run.baseline_visit)
        super().run()

    def _claim(self) -> Change | None:
        crew = self.crew
        return self._ledger.claim_change(crew.owner, crew.heartbeat.lease, crew.context.settings.run.attempts)

    def _renew(self, held: Change, lease: timedelta) -> bool:
        return self._ledger.renew_change(held, lease)

    def _release(self, held: Change) -> None:
        self._ledger.release_change(held)

    def _task(self, held: Change) -> ChangeTask:
        baseline, follow_up = (self._work / str(each.result_folder) for each in self._ledger.pair_of(held))
        folder = self._result_folder(held)
        return ChangeTask(f"change-{held.id}", baseline, follow_up, folder, self.crew.workers.config)

    def _finish(self, held: Change, task: ChangeTask, result: ChangeResult) -> None:
        try:
            if result.state == ChangeState.MADE:
                publish(task.folder, self._work / str(held.change_folder))
                self._deliver(str(held.change_folder))
        except OutputError as error:
            result = ChangeResult(ChangeState.FAILED, failure_of(error))
        self._record(held, result)

    def _deliver(self, place: str) -> None:
        """Copy a change to the folder of deliveries, beside the participant's results; it has no DICOM object."""
        folder = self.crew.context.settings.deliver.folder
        if folder is not None:
            _, site, participant, name = Path(place).parts
            copy_results(self._work / place, folder / site / participant / CHANGES_FOLDER / name)

    def _record_failure(self, held: Change, error: OutputError) -> None:
        self._record(held, ChangeResult(ChangeState.FAILED, failure_of(error)))

    def _record(self, held: Change, result: ChangeResult) -> None:
        ledger, context = self._ledger, self.crew.context
        try:
            if result.reason is None:
                ledger.finish_change(held, result.facts)
            elif result.state == ChangeState.REFUSED:
                ledger.refuse_change(held, result.reason, result.facts)
            else:
                again = next_try(context.settings.run, held.attempts, context.clock())
                ledger.fail_change(held, result.reason, again)
        except LeaseLostError:
            context.log("lease lost", study=held.follow_up_id)
            return
        self.crew.tally.changes[result.state] += 1
        context.log("change moved", study=held.follow_up_id, state=result.state)
