"""The step from `deidentified` to `scored`: the same task as in a batch, published as a whole, recorded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

from sparcc_pipeline.app.batch.sources import BatchStudy
from sparcc_pipeline.app.batch.task import StudyTask
from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.work.heartbeat import Heartbeat
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, Outcome, Rejected
from sparcc_pipeline.app.nightly.work.reasons import failed_because, failure_of, refused_because
from sparcc_pipeline.app.nightly.work.settle import Tally, outcome_of, settle
from sparcc_pipeline.app.nightly.work.staging import RESULT, making_folder, making_path, publish, unmake
from sparcc_pipeline.app.nightly.work.workers import Workers
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.study.score import Request
from sparcc_pipeline.dicom.input.studies import FoundStudy
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.message import from_plain

_FACTS: Final = ("status", "total", "evaluable_maximum", "reason_kind", "seconds", "model_sha256")
"""What the ledger remembers of a row."""


@dataclass
class Scoring:
    """Claims studies one by one as workers have room, and records each as it ends.

    Parameters
    ----------
    owner : who claims
    score : `batch_task.score_task`
    stopped : True once no more studies shall be begun
    """

    context: Context
    workers: Workers
    heartbeat: Heartbeat
    owner: str
    score: Callable[[StudyTask], BatchRow]
    stopped: Callable[[], bool]
    tally: Tally
    held: dict[str, StudyVersion] = field(default_factory=dict)

    def run(self) -> None:
        """Score everything that is due.

        Raises
        ------
        ConfigError, ModelError : no worker can score
        OutputError : the ledger or the cluster was lost
        """
        tasks = self._tasks()
        try:
            # The first one is claimed before any worker is started: most calls find nothing to do.
            first = next(tasks, None)
            if first is not None:
                self.workers.run(self.score, chain([first], tasks), self._done, self._lost)
        finally:
            for key in list(self.held):
                self.context.ledger.give_back(self._let_go(key))

    def _tasks(self) -> Iterator[StudyTask]:
        ledger, lease = self.context.ledger, self.heartbeat.lease
        while not self.stopped():
            version = ledger.claim(State.DEIDENTIFIED, self.owner, lease, self.context.settings.run.attempts)
            if version is None:
                return
            key = f"study-{version.id}"
            self.held[key] = version
            self.heartbeat.hold(key, partial(ledger.renew, version))
            try:
                yield self._task(key, version)
            except OutputError as error:
                self._settle(key, Failed(failure_of(error)))

    def _task(self, key: str, version: StudyVersion) -> StudyTask:
        work, run = self.context.settings.paths.work_folder, self.context.settings.run
        files = tuple(path for path in sorted((work / str(version.study_folder)).rglob("*")) if path.is_file())
        if not files:
            raise OutputError(
                f"expected the de-identified study {version.id} in the work folder, found no file; bring the folder "
                "back, or send the study again"
            )
        return StudyTask(
            study=BatchStudy(key, FoundStudy(None, files)),
            folder=making_folder(work, "study", version) / RESULT,
            config=self.workers.config,
            request=Request(accept_fat_suppressed=run.accept_fat_suppressed),
            extras=Extras(pdf=run.pdf, dicom=run.dicom),
            model_sha256=self.workers.model_sha256,
        )

    def _done(self, task: StudyTask, row: BatchRow) -> None:
        version = self.held[task.study.key]
        # Whoever lost the study by now publishes nothing; whoever did not holds it long enough to do so.
        if self.context.ledger.renew(version, self.heartbeat.lease):
            self._settle(task.study.key, outcome_of(lambda: self._published(version, task, row)))
        else:
            self._let_go(task.study.key)

    def _published(self, version: StudyVersion, task: StudyTask, row: BatchRow) -> Outcome:
        """The result at its place, if there is one, and what it says."""
        facts = {name: getattr(row, name) for name in _FACTS}
        reason = _reason_of(row)
        if row.status == "failed":
            return Failed(failed_because(reason), {"reason_kind": row.reason_kind})
        publish(task.folder, self.context.settings.paths.work_folder / str(version.result_folder))
        if row.status == "scored":
            return Done(facts)
        return Rejected(refused_because(reason), facts)

    def _lost(self, task: StudyTask, error: OutputError) -> None:
        self._settle(task.study.key, Failed(failure_of(error)))

    def _settle(self, key: str, outcome: Outcome) -> None:
        settle(self.context, self.held[key], outcome, self.tally)
        self._let_go(key)

    def _let_go(self, key: str) -> StudyVersion:
        self.heartbeat.drop(key)
        version = self.held.pop(key)
        unmake(making_path(self.context.settings.paths.work_folder, "study", version))
        return version


def _reason_of(row: BatchRow) -> str:
    """Why a study has no score, as the message that it is if the row holds one; a batch's tables hold its English."""
    stored = row.messages.get("reason", ())
    return next((from_plain(each) for each in stored), row.reason or "")
