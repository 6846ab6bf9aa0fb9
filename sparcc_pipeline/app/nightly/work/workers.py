"""The processes that score, as in a batch; they start when there is work and end when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol, TypeVar

from sparcc_pipeline.app.batch import cluster
from sparcc_pipeline.app.nightly.settings_tables import RunSettings
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import PipelineConfig, load_config
from sparcc_pipeline.errors import OutputError

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers(Protocol):
    """Runs tasks in worker processes, with one set of settings and one model."""

    @property
    def config(self) -> PipelineConfig:
        """The settings for every study."""

    @property
    def model_sha256(self) -> str:
        """Hash of the model."""

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Iterator[Task],
        done: Callable[[Task, Result], None],
        lost: Callable[[Task, OutputError], None],
    ) -> None:
        """Run every task on some worker; take the next task when a worker has room (see `cluster.run_tasks`)."""

    def close(self) -> None:
        """End the workers; a later `run` starts new ones."""


class DaskWorkers:
    """Workers of this machine, or of an existing cluster; each keeps its model from study to study."""

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        # One thread a worker: two workers of one thread do more than one worker of two.
        self.config = load_config().model_copy(update={"threads": 1, "lang": settings.lang, "model": settings.model})
        self._client: Client | None = None
        self._open = ExitStack()
        self._model: str | None = None

    @property
    def model_sha256(self) -> str:
        """Hash of the installed model.

        Raises
        ------
        ModelError : no usable model is installed
        """
        if self._model is None:
            self._model = installation.load_installed_segmenter(self.config).provenance["sha256"]
        return self._model

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Iterator[Task],
        done: Callable[[Task, Result], None],
        lost: Callable[[Task, OutputError], None],
    ) -> None:
        """Run every task on some worker (see `cluster.run_tasks`); start the workers if there are none.

        Raises
        ------
        ConfigError : the workers cannot be started, or the cluster has none
        OutputError : the cluster was lost; the next call starts again
        """
        if self._client is None:
            settings = self._settings
            self._client = self._open.enter_context(
                cluster.local_cluster(*cluster.local_workers(settings.workers, settings.limit_memory))
                if settings.scheduler is None
                else cluster.existing_cluster(settings.scheduler)
            )
        try:
            cluster.run_tasks(self._client, function, tasks, done, lost)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the workers of this machine, or leave the cluster."""
        self._client = None
        self._open.close()
