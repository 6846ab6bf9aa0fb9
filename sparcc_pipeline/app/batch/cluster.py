"""The workers of a batch, on this machine or on an existing cluster. Only this module uses dask.distributed.

A local cluster does not listen beyond this machine, writes only to a temporary folder, and prints nothing: a fault of
a worker shows in the row of its study.
"""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sparcc_pipeline.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from distributed import Client, Future, as_completed

Task = TypeVar("Task")
Result = TypeVar("Result")

STUDY_MEMORY_BYTES: Final = 10**9
"""Memory of a worker: one study of 25 slices of 336 x 336 takes at most 800 MB, with the whole process."""

LOST_WORKERS: Final = 2
"""Number of workers that may end with a study before it fails; one of them may have ended for another reason."""

_WAIT_SECONDS: Final = 30
"""Longest time in which an existing cluster must answer, and have a worker."""

_LOCAL_SETTINGS: Final = {
    "distributed.scheduler.allowed-failures": LOST_WORKERS,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.nanny.http.routes": [],
    "distributed.worker.profile.enabled": False,
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.nanny.pre-spawn-environ": {
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        # Arrays of one study are as large as those of the next: a worker that keeps its memory needs 0.1 s of system
        # time for each study, one that returns all of it (the default of dask) 3 s. At rest it holds 390 MB, not 190.
        "MALLOC_MMAP_THRESHOLD_": str(64 * 2**20),
        "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    },
    "distributed.admin.tick.interval": "1s",
    "distributed.diagnostics.nvml": False,
    # A worker over its limit is ended and its study given to another one; nothing is paused or written to disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
}


def local_workers(workers: int | None, limit_memory: str | None) -> tuple[int, int | None]:
    """Return the number of workers, and bytes for each (None: no limit).

    Parameters
    ----------
    workers : requested number; None for one for each core, or fewer if memory is limited
    limit_memory : memory for all workers together, for example "4GB" or "2GiB"

    Raises
    ------
    ConfigError : `limit_memory` is no amount, or too little for these workers
    """
    from dask.system import CPU_COUNT
    from dask.utils import format_bytes, parse_bytes

    if limit_memory is None:
        return workers or CPU_COUNT, None
    try:
        limit = int(parse_bytes(limit_memory))
    except ValueError as error:
        raise ConfigError(
            f"expected --limit-memory as an amount such as 4GB, found {limit_memory!r}; change it"
        ) from error
    possible = limit // STUDY_MEMORY_BYTES
    if possible < (workers or 1):
        raise ConfigError(
            f"expected --limit-memory of at least {format_bytes(STUDY_MEMORY_BYTES)} for each worker, found "
            f"{limit_memory} for {workers or 1}; raise it or use fewer --workers"
        )
    count = workers or min(CPU_COUNT, possible)
    return count, limit // count


@contextmanager
def local_cluster(workers: int, worker_bytes: int | None) -> Iterator[Client]:
    """Start that many processes with one thread each on this machine; they end with the context.

    A scheduler runs whatever it receives, and every user of a machine can connect to its ports. So all connections use
    TLS with a key that only these processes hold and that ends with them.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    with (
        tempfile.TemporaryDirectory(prefix="sparcc-batch-", ignore_cleanup_errors=True) as folder,
        dask.config.set(_LOCAL_SETTINGS),
        _quiet(),
    ):
        with _interrupts_ignored():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=worker_bytes or 0,
                host="127.0.0.1",
                protocol="tls",
                security=Security.temporary(),
                dashboard_address=None,
                # Without these two the scheduler serves HTTP on port 8787 all the same.
                scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
                local_directory=folder,
                silence_logs=logging.CRITICAL,
            )
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def existing_cluster(address: str) -> Iterator[Client]:
    """Connect to the workers of a running scheduler, for example tls://10.0.0.5:8786.

    The settings of dask name the certificates (`distributed.comm.tls`).
    They need this version of this program, and the sources and the results at the same paths.

    Raises
    ------
    ConfigError : no scheduler answers there, or it has no worker
    """
    from distributed import Client

    with _quiet():
        try:
            client = Client(address, timeout=_WAIT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"expected a scheduler at {address}, found none that answers; check the address "
                "(tcp://HOST:PORT or tls://HOST:PORT), its certificates, and that it runs"
            ) from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_WAIT_SECONDS)
            except TimeoutError as error:
                raise ConfigError(
                    f"expected workers at the scheduler {address}, found none; start some with `dask worker {address}`"
                ) from error
            yield client


def run_tasks(
    client: Client,
    run: Callable[[Task], Result],
    tasks: Iterator[Task],
    done: Callable[[Task, Result], None],
    lost: Callable[[Task, OutputError], None],
) -> None:
    """Run every task on a worker.

    At most one task more than there are threads is handed out, so that a worker that ends loses few tasks. A task is
    taken from `tasks` only when there is room for it: an iterator may claim it then.

    Parameters
    ----------
    done : called with each task and its result, as tasks end
    lost : called with each task that no worker could finish, and the reason

    Raises
    ------
    OutputError : the cluster was lost
    """
    from distributed import as_completed

    waiting: dict[Future[Any], Task] = {}
    ended = as_completed(loop=client.loop)
    _hand_out(client, run, tasks, waiting, ended)
    for future in ended:
        task = waiting.pop(future)
        if future.status == "finished":
            done(task, future.result())
        elif future.status == "cancelled":
            raise OutputError(
                "expected the cluster until the end of the batch, found that it ended; run the same command again: "
                "finished studies are skipped"
            )
        else:
            lost(task, _why_lost(future))
        future.release()
        _hand_out(client, run, tasks, waiting, ended)


def _hand_out(
    client: Client,
    run: Callable[[Task], Result],
    tasks: Iterator[Task],
    waiting: dict[Future[Any], Task],
    ended: as_completed,
) -> None:
    """Take tasks while there is room, and submit them."""
    room = sum(client.nthreads().values()) + 1 - len(waiting)
    for _, task in zip(range(room), tasks, strict=False):
        future = client.submit(run, task, pure=False)
        waiting[future] = task
        ended.add(future)


def _why_lost(future: Future[Any]) -> OutputError:
    """Return the reason why a worker did not finish a task; the task itself never raises."""
    from distributed.scheduler import KilledWorker

    error = future.exception()
    if isinstance(error, KilledWorker):
        return OutputError(
            f"expected a worker to finish the study, found that {LOST_WORKERS + 1} ended with it, perhaps for want of "
            "memory; run again with fewer --workers, or look at this study alone with `sparcc score`"
        )
    return OutputError(
        f"expected workers that can run this version, found {type(error).__name__} on one; install the same version on "
        "every machine of the cluster"
    )


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let processes that are started in this context ignore Ctrl-C.

    A terminal sends it to all processes: a worker would end too early and show a traceback.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of dask off the terminal."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
