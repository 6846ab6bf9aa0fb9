"""The step from `deidentified` to `scored`: the task of a batch, published as a whole and recorded once."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sparcc_pipeline.app.batch.sources import BatchStudy
from sparcc_pipeline.app.batch.task import StudyTask
from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.work.leased_tasks import LeasedTasks
from sparcc_pipeline.app.nightly.work.outcome import Done, Failed, Outcome, Rejected
from sparcc_pipeline.app.nightly.work.reasons import failed_because, failure_of, refused_because
from sparcc_pipeline.app.nightly.work.recording import outcome_of, record_outcome
from sparcc_pipeline.app.nightly.work.staging import publish
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.dicom.input.studies import FoundStudy
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.message import from_plain

_FACTS: Final = ("status", "total", "evaluable_maximum", "reason_kind", "seconds", "model_sha256")
"""Columns of a row that the ledger keeps."""


class Scoring(LeasedTasks[StudyVersion, StudyTask, BatchRow]):
    """Scores de-identified studies; the function is `batch.task.score_task`."""

    kind = "study"

    def _claim(self) -> StudyVersion | None:
        crew = self.crew
        attempts = crew.context.settings.run.attempts
        return self._ledger.claim(State.DEIDENTIFIED, crew.owner, crew.heartbeat.lease, attempts)

    def _renew(self, held: StudyVersion, lease: timedelta) -> bool:
        return self._ledger.renew(held, lease)

    def _release(self, held: StudyVersion) -> None:
        self._ledger.release_lease(held)

    def _task(self, held: StudyVersion) -> StudyTask:
        run, workers = self.crew.context.settings.run, self.crew.workers
        files = tuple(path for path in sorted((self._work / str(held.study_folder)).rglob("*")) if path.is_file())
        if not files:
            raise OutputError(
                f"expected the de-identified study {held.id} in the work folder, found no file; bring the folder "
                "back, or send the study again"
            )
        return StudyTask(
            study=BatchStudy(f"study-{held.id}", FoundStudy(None, files)),
            folder=self._result_folder(held),
            config=workers.config,
            request=Request(accept_fat_suppressed=run.accept_fat_suppressed),
            extras=Extras(pdf=run.pdf, dicom=run.dicom),
            model_sha256=workers.model_sha256,
            label=", ".join(part for part in (held.participant, held.visit) if part) or None,
        )

    def _finish(self, held: StudyVersion, task: StudyTask, result: BatchRow) -> None:
        self._record(held, outcome_of(lambda: self._publish(held, task, result)))

    def _record_failure(self, held: StudyVersion, error: OutputError) -> None:
        self._record(held, Failed(failure_of(error)))

    def _record(self, held: StudyVersion, outcome: Outcome) -> None:
        record_outcome(self.crew.context, held, outcome, self.crew.tally)

    def _publish(self, held: StudyVersion, task: StudyTask, row: BatchRow) -> Outcome:
        """Publish the result folder unless the task failed, and return the outcome."""
        facts = {name: getattr(row, name) for name in _FACTS}
        reason = _reason_of(row)
        if row.status == "failed":
            return Failed(failed_because(reason), {"reason_kind": row.reason_kind})
        publish(task.folder, self._work / str(held.result_folder))
        if row.status == "scored":
            return Done(facts)
        return Rejected(refused_because(reason), facts)


def _reason_of(row: BatchRow) -> str:
    """Return the reason of a missing score: a Message if the row holds one, else its English text."""
    stored = row.messages.get("reason") or ()
    return next((from_plain(each) for each in stored), row.reason or "")
