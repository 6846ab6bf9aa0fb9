"""`sparcc batch`: a list of studies in, one folder with a row for each out."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

import typer

from sparcc_pipeline.app import cluster, score_command
from sparcc_pipeline.app.batch import TABLE_FILE, Batch, batch_folder, exit_code, run_batch, write_tables
from sparcc_pipeline.app.batch_sources import find_sources
from sparcc_pipeline.app.batch_table import STATUSES
from sparcc_pipeline.app.batch_task import Row
from sparcc_pipeline.app.config import PipelineConfig
from sparcc_pipeline.app.provenance import Run
from sparcc_pipeline.app.study import Request
from sparcc_pipeline.errors import ConfigError, SeriesNotFoundError

INTERRUPTED_CODE: Final = 130
"""What a shell says of a program ended by Ctrl-C."""


def run_batch_command(
    sources: Sequence[Path],
    out: Path,
    request: Request,
    config: PipelineConfig,
    *,
    workers: int | None,
    limit_memory: str | None,
    scheduler: str | None,
    dicom: bool,
    pdf: bool,
) -> int:
    """Score every study below the sources and return the exit code.

    Parameters
    ----------
    workers, limit_memory : of this machine, see `cluster.local_workers`
    scheduler : address of an existing cluster to use instead
    dicom, pdf : also write the DICOM results and the PDF of each study

    Raises
    ------
    SeriesNotFoundError : nothing below the sources could be a study
    ConfigError, ModelError, OutputError : the batch could not begin, or its tables could not be written
    """
    if scheduler is not None and (workers is not None or limit_memory is not None):
        raise ConfigError(
            "expected either --scheduler or --workers and --limit-memory, found both; the workers of an existing "
            "cluster are set where they are started"
        )
    size = cluster.local_workers(workers, limit_memory) if scheduler is None else None
    # A worker has one thread: two workers of one thread do more than one worker of two.
    config = config.model_copy(update={"threads": 1})
    run = Run(config, request, created_at=datetime.now(UTC))
    with _interruptible() as interrupted, batch_folder(out):
        with score_command.progress_display() as progress:
            progress("Looking for studies")
            found = find_sources(sources, out)
            if not found.studies and not found.refused:
                raise SeriesNotFoundError(
                    f"expected studies below the sources, found none among {found.other_files} other files; give the "
                    "folder that holds them"
                )
            progress("Checking the model")
            model_sha256 = score_command.load_installed_segmenter(config).provenance["sha256"]
        outputs = (("nifti", False), ("pdf", pdf), ("dicom", dicom))
        batch = Batch(out.resolve(), found, run, model_sha256, outputs)
        try:
            with (
                cluster.local_cluster(*size)
                if size is not None
                else cluster.existing_cluster(str(scheduler)) as client,
                _progress_bar(len(found.studies) + len(found.refused), batch) as told,
            ):
                run_batch(client, batch, _until(interrupted, told))
        except KeyboardInterrupt:
            # It may have come before the first study, or while the tables were written.
            write_tables(batch)
            typer.echo(summary(batch, out), err=True)
            typer.echo("Interrupted: run the same command again; finished studies are skipped.", err=True)
            return INTERRUPTED_CODE
    typer.echo(summary(batch, out))
    return exit_code(batch.sorted_rows)


def summary(batch: Batch, out: Path) -> str:
    """A few lines for a person at the terminal."""
    rows = batch.sorted_rows
    earlier = sum(bool(row["earlier"]) for row in rows)
    counted = ", ".join(f"{count} {status}" for status, count in batch.counts.items())
    lines = [f"{len(rows)} studies: {counted}" + (f" ({earlier} of them in an earlier run)" if earlier else "")]
    if batch.found.other_files:
        lines.append(f"{batch.found.other_files} other files were passed over")
    lines += [f"Table: {out / TABLE_FILE}", f"Pictures: {out / 'index.html'}", "Research use only."]
    return "\n".join(lines)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """A polite end (SIGTERM) is treated as Ctrl-C is: rows are written, workers and their folders go.

    The event is set by either, for where the interruption came a library may have caught it.
    """
    interrupted = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until(interrupted: threading.Event, told: Callable[[Row], None]) -> Callable[[Row], None]:
    """Tell each row; the end of a study is the latest moment at which an interruption is noticed."""

    def tell(row: Row) -> None:
        told(row)
        if interrupted.is_set():
            raise KeyboardInterrupt

    return tell


@contextmanager
def _progress_bar(studies: int, batch: Batch) -> Iterator[Callable[[Row], None]]:
    """A bar with counts and time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("Scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(), TextColumn("left"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=studies, counts="")

        def told(row: Row) -> None:
            counts = batch.counts
            bar.update(task, advance=1, counts=", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s]))

        yield told
