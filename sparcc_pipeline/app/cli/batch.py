"""`sparcc batch`: score many studies into one folder, with one table row for each."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sparcc_pipeline.app.cli.options import (
    ConfigOption,
    DicomOption,
    EngineOption,
    FatSuppressedOption,
    LanguageOption,
    PdfOption,
    request_from,
    settings_from,
)
from sparcc_pipeline.app.cli.terminal import progress_display
from sparcc_pipeline.errors import ConfigError, SeriesNotFoundError

if TYPE_CHECKING:
    from distributed import Client

    from sparcc_pipeline.app.batch.run import Batch
    from sparcc_pipeline.app.results.extras import Extras
    from sparcc_pipeline.app.results.rows import BatchRow
    from sparcc_pipeline.app.study.provenance import Run

INTERRUPTED_CODE: Final = 130
"""Exit code of a program that Ctrl-C ended, as shells report it."""


def batch(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Folders, zip files, DICOMDIR or NIfTI files with studies.", readable=False
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder for the results. An earlier batch in it is resumed.", readable=False),
    ],
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Number of processes; by default one for each processor core.")
    ] = None,
    limit_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory for all processes together, for example 4GB.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tls://HOST:PORT", help="Use the workers of this dask scheduler.")
    ] = None,
    dicom: DicomOption = True,
    pdf: PdfOption = False,
    accept_fat_suppressed: FatSuppressedOption = False,
    config: ConfigOption = None,
    engine: EngineOption = None,
    lang: LanguageOption = None,
) -> None:
    """Score every study in folders or archives.

    DIR gets batch.csv and batch.parquet (one row for each study), index.html, and one folder for each study.
    To continue an interrupted batch, run the same command again: finished studies are skipped.

    Exit codes: 0 every study has a result (scored, unscorable or rejected), 6 some failed, 130 interrupted.
    """
    request, settings = request_from(None, None, accept_fat_suppressed), settings_from(config, engine, lang)
    from sparcc_pipeline.app.batch import cluster
    from sparcc_pipeline.app.batch.run import batch_folder, exit_code, write_tables
    from sparcc_pipeline.app.results.extras import Extras
    from sparcc_pipeline.app.study.clock import utc_now
    from sparcc_pipeline.app.study.provenance import Run

    if scheduler is not None and (workers is not None or limit_memory is not None):
        raise ConfigError(
            "expected either --scheduler or --workers and --limit-memory, found both; the workers of an existing "
            "cluster are set where they are started"
        )
    size = cluster.local_workers(workers, limit_memory) if scheduler is None else None
    # Two workers of one thread are faster than one worker of two.
    run = Run(settings.model_copy(update={"threads": 1}), request, created_at=utc_now())
    with _interruptible() as interrupted, batch_folder(out):
        whole = _prepared(sources, out, run, Extras(pdf=pdf, dicom=dicom))
        workers_of = cluster.existing_cluster(str(scheduler)) if size is None else cluster.local_cluster(*size)
        try:
            _score(whole, workers_of, interrupted)
        except KeyboardInterrupt:
            # The signal may come before the first study, or while the tables are written.
            write_tables(whole)
            typer.echo(summary(whole, out), err=True)
            typer.echo("Interrupted: run the same command again; finished studies are skipped.", err=True)
            raise typer.Exit(INTERRUPTED_CODE) from None
    typer.echo(summary(whole, out))
    raise typer.Exit(exit_code(whole.sorted_rows))


def _prepared(sources: list[Path], out: Path, run: Run, extras: Extras) -> Batch:
    """Find the studies and check the model.

    Raises
    ------
    SeriesNotFoundError : there is no study
    ModelError : no usable model
    """
    from sparcc_pipeline.app.batch.run import Batch
    from sparcc_pipeline.app.batch.sources import find_sources
    from sparcc_pipeline.app.study import installation

    with progress_display() as progress:
        progress("Looking for studies")
        found = find_sources(sources, out)
        if not found.studies and not found.refused:
            raise SeriesNotFoundError(
                f"expected studies below the sources, found none among {found.other_files} other files; give the "
                "folder that holds them"
            )
        progress("Checking the model")
        model_sha256 = installation.load_installed_segmenter(run.config).provenance["sha256"]
    return Batch(out.resolve(), found, run, model_sha256, extras)


def _score(batch: Batch, workers: AbstractContextManager[Client], interrupted: threading.Event) -> None:
    """Score the studies of a batch on these workers."""
    from sparcc_pipeline.app.batch.run import run_batch

    studies = len(batch.found.studies) + len(batch.found.refused)
    with workers as client, _progress_bar(studies, batch) as show:
        run_batch(client, batch, _until(interrupted, show))


def summary(batch: Batch, out: Path) -> str:
    """Return a few lines for the terminal."""
    from sparcc_pipeline.app.batch.run import TABLE_FILE

    rows = batch.sorted_rows
    earlier = sum(row.earlier for row in rows)
    counted = ", ".join(f"{count} {status}" for status, count in batch.counts.items())
    studies = "1 study" if len(rows) == 1 else f"{len(rows)} studies"
    lines = [f"{studies}: {counted}" + (f" ({earlier} of them in an earlier run)" if earlier else "")]
    if batch.found.other_files:
        others = batch.found.other_files
        lines.append("1 other file was passed over" if others == 1 else f"{others} other files were passed over")
    lines += [
        f"Table: {out / TABLE_FILE}",
        f"Pictures: {out / 'index.html'}; with folders and dates: {out / 'index_local.html'}",
        "Research use only.",
    ]
    return "\n".join(lines)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Treat SIGTERM like Ctrl-C: rows are written, workers end and their folders are removed.

    The event is set as well, because a library may catch the exception.
    """
    interrupted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until(interrupted: threading.Event, show: Callable[[BatchRow], None]) -> Callable[[BatchRow], None]:
    """Show each row, and raise `KeyboardInterrupt` after the first one that follows an interruption."""

    def on_row(row: BatchRow) -> None:
        show(row)
        if interrupted.is_set():
            raise KeyboardInterrupt

    return on_row


@contextmanager
def _progress_bar(studies: int, batch: Batch) -> Iterator[Callable[[BatchRow], None]]:
    """Show a bar with counts and remaining time if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from sparcc_pipeline.app.batch.table import STATUSES

    columns = (
        TextColumn("Scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=studies, counts="")

        def show(row: BatchRow) -> None:
            counts = batch.counts
            bar.update(task, advance=1, counts=", ".join(f"{counts[s]} {s}" for s in STATUSES if counts[s]))

        yield show
