"""Tasks for worker processes on claimed rows of the ledger: claim, run, record, release. Studies and changes alike.

Several claims are held at once, one for each task that a worker has or waits for. The name of its staging folder
identifies a claim, since a study whose lease was lost may be claimed again while the first task still runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from sparcc_pipeline.app.ledger.records import Leased
from sparcc_pipeline.app.nightly.work.heartbeat import Heartbeat
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.nightly.work.recording import Tally
from sparcc_pipeline.app.nightly.work.staging import RESULT, RowKind, remove_staging, staging_folder, staging_path
from sparcc_pipeline.app.nightly.work.workers import Workers
from sparcc_pipeline.errors import OutputError


class Task(Protocol):
    """A task of a worker process, which writes its result into `folder`."""

    @property
    def folder(self) -> Path:
        """The result in the staging folder of the claim."""


AnyHeld = TypeVar("AnyHeld", bound=Leased)
AnyTask = TypeVar("AnyTask", bound=Task)
AnyResult = TypeVar("AnyResult")


@dataclass(frozen=True)
class Crew:
    """What the tasks of one round share.

    Parameters
    ----------
    owner : who claims (see `owner.this_process`)
    stopped : returns True once no more tasks may begin
    """

    context: Context
    workers: Workers
    heartbeat: Heartbeat
    owner: str
    stopped: Callable[[], bool]
    tally: Tally


class LeasedTasks(ABC, Generic[AnyHeld, AnyTask, AnyResult]):
    """Claims rows one by one as workers have room, and records each result as its task ends.

    Parameters
    ----------
    function : runs a task in a worker process; never raises
    """

    kind: ClassVar[RowKind]

    def __init__(self, crew: Crew, function: Callable[[AnyTask], AnyResult]) -> None:
        self.crew, self._function = crew, function
        self._ledger = crew.context.ledger
        self._work = crew.context.settings.paths.work_folder
        self._held: dict[str, AnyHeld] = {}

    def run(self) -> None:
        """Run everything that is due.

        Raises
        ------
        ConfigError, ModelError : no worker can be started, or it has no model
        OutputError : the ledger or the cluster was lost
        """
        try:
            # Claim the first row before any worker starts: most calls find nothing to do.
            first = self.claim_next()
            if first is not None:
                tasks = chain([first], iter(self.claim_next, None))
                self.crew.workers.run(self._function, tasks, self._done, self._lost)
        finally:
            for name in list(self._held):
                self._release(self._let_go(name))

    def claim_next(self) -> AnyTask | None:
        """Claim the next row that is due and return its task; return None if none is due or the night stops."""
        while not self.crew.stopped():
            held = self._claim()
            if held is None:
                return None
            name = staging_path(self._work, self.kind, held).name
            self._held[name] = held
            self.crew.heartbeat.hold(name, partial(self._renew, held))
            try:
                return self._task(held)
            except OutputError as error:
                self._record_failure(held, error)
                self._let_go(name)
        return None

    def _done(self, task: AnyTask, result: AnyResult) -> None:
        name = task.folder.parent.name
        held = self._held[name]
        # A worker that lost its lease publishes nothing; a renewed lease leaves time to publish.
        if self._renew(held, self.crew.heartbeat.lease):
            self._finish(held, task, result)
        self._let_go(name)

    def _lost(self, task: AnyTask, error: OutputError) -> None:
        name = task.folder.parent.name
        self._record_failure(self._held[name], error)
        self._let_go(name)

    def _let_go(self, name: str) -> AnyHeld:
        """Stop renewing a claim, and remove its staging folder."""
        self.crew.heartbeat.drop(name)
        held = self._held.pop(name)
        remove_staging(staging_path(self._work, self.kind, held))
        return held

    def _result_folder(self, held: AnyHeld) -> Path:
        """Make the staging folder of a claim, and return the place of the result in it."""
        return staging_folder(self._work, self.kind, held) / RESULT

    @abstractmethod
    def _claim(self) -> AnyHeld | None:
        """Claim a row; return None if none is due."""

    @abstractmethod
    def _renew(self, held: AnyHeld, lease: timedelta) -> bool:
        """Renew the lease of a row; return False if the row went to another worker."""

    @abstractmethod
    def _release(self, held: AnyHeld) -> None:
        """Release a row without a result."""

    @abstractmethod
    def _task(self, held: AnyHeld) -> AnyTask:
        """Return the task of a row; raise OutputError if it cannot be prepared."""

    @abstractmethod
    def _finish(self, held: AnyHeld, task: AnyTask, result: AnyResult) -> None:
        """Publish the result of a task and record it."""

    @abstractmethod
    def _record_failure(self, held: AnyHeld, error: OutputError) -> None:
        """Record that a task failed without a result."""
