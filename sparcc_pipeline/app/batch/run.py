"""A batch: every study below some sources gets one row, whatever its outcome.

The folder of a batch holds one folder for each study under `studies/`, the rows as `batch.csv` and `batch.parquet`,
`index.html`, `run.toml`, `sources.csv` and `index_local.html` (the only files with paths), and `batch.log` with one
line for each study.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomli_w

from sparcc_pipeline.app.batch.cluster import run_tasks
from sparcc_pipeline.app.batch.index import Origin, index_html
from sparcc_pipeline.app.batch.sources import FoundSources
from sparcc_pipeline.app.batch.table import STATUSES, batch_csv, batch_parquet, printable_place, sources_csv
from sparcc_pipeline.app.batch.task import StudyTask, failed_row, rejected_row, score_task
from sparcc_pipeline.app.report.whose import Whose, whose_result
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.files import PARTIAL_PREFIX, PARTIAL_SUFFIX, replace_bytes
from sparcc_pipeline.app.study.provenance import Run, installed_versions
from sparcc_pipeline.errors import OutputError

if TYPE_CHECKING:
    from distributed import Client

STUDIES_FOLDER: Final = "studies"
LOG_FILE: Final = "batch.log"
TABLE_FILE: Final = "batch.csv"
_LOCK_FILE: Final = ".lock"

SECONDS_BETWEEN_TABLES: Final = 60.0
"""Interval at which the tables are written while a batch runs, so that a long batch can be followed."""


@dataclass
class Batch:
    """The studies of one batch and their rows so far.

    Parameters
    ----------
    out : folder of the batch
    found : the studies below the sources
    run : settings, request and time of this call
    model_sha256 : hash of the model that scores
    extras : files to write for each study beside those that are always written
    whose : day and series of the finished studies that were looked at
    """

    out: Path
    found: FoundSources
    run: Run
    model_sha256: str
    extras: Extras
    rows: dict[str, BatchRow] = field(default_factory=dict)
    whose: dict[str, Whose] = field(default_factory=dict)

    @property
    def tasks(self) -> list[StudyTask]:
        """One task for each study."""
        return [
            StudyTask(
                study=study,
                folder=self.out / STUDIES_FOLDER / study.key,
                config=self.run.config,
                request=self.run.request,
                # A NIfTI file names no patient, study or image that DICOM results could refer to.
                extras=replace(self.extras, dicom=self.extras.dicom and not study.nifti),
                model_sha256=self.model_sha256,
            )
            for study in self.found.studies
        ]

    @property
    def counts(self) -> dict[str, int]:
        """The number of rows of each status."""
        return {status: sum(row.status == status for row in self.rows.values()) for status in STATUSES}

    @property
    def waiting(self) -> int:
        """The number of studies and rejected sources without a row."""
        keys = {study.key for study in self.found.studies} | {refused.key for refused in self.found.refused}
        return len(keys - self.rows.keys())

    @property
    def sorted_rows(self) -> list[BatchRow]:
        """The rows by study key; the order does not depend on which study ended first."""
        return [self.rows[key] for key in sorted(self.rows)]


def run_batch(client: Client, batch: Batch, on_row: Callable[[BatchRow], None]) -> None:
    """Score every study on the workers of `client` and write the tables, even when interrupted.

    Parameters
    ----------
    on_row : called with each row as its study ends

    Raises
    ------
    OutputError : the tables cannot be written, or the cluster was lost
    """
    written = time.monotonic()

    def take(row: BatchRow) -> None:
        nonlocal written
        batch.rows[row.study] = row
        _log(batch.out, row)
        on_row(row)
        if time.monotonic() - written > SECONDS_BETWEEN_TABLES:
            write_tables(batch)
            written = time.monotonic()

    def lost(task: StudyTask, error: OutputError) -> None:
        take(failed_row(task.study.key, error, task.study.found.study_uid))

    try:
        for refused in batch.found.refused:
            take(rejected_row(refused.key, refused.error, batch.run))
        run_tasks(client, score_task, iter(batch.tasks), lambda _, row: take(row), lost)
    finally:
        write_tables(batch)


@contextmanager
def batch_folder(out: Path) -> Iterator[None]:
    """Create and lock the folder of a batch; remove the partial folders of a killed batch.

    Raises
    ------
    OutputError : the folder holds something else, cannot be written, or another batch is running in it
    """
    try:
        _require_ours(out)
        (out / STUDIES_FOLDER).mkdir(parents=True, exist_ok=True)
        with (out / _LOCK_FILE).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(
                    f"expected no other batch in {out}, found one at work; wait for it or choose another --out"
                ) from error
            for left in (out / STUDIES_FOLDER).glob(f"{PARTIAL_PREFIX}*{PARTIAL_SUFFIX}"):
                shutil.rmtree(left, ignore_errors=True)
            yield
    except OSError as error:
        raise OutputError(
            f"expected a folder that can be written, found {out} not usable ({(error.strerror or '').lower()}); "
            "choose another --out or change its rights"
        ) from error


def write_tables(batch: Batch) -> None:
    """Write tables and index of the rows so far; each file is replaced as a whole.

    Raises
    ------
    OutputError : one of them cannot be written; its earlier content is kept
    """
    rows = batch.sorted_rows
    replace_bytes(batch.out / TABLE_FILE, batch_csv(rows))
    replace_bytes(batch.out / "batch.parquet", batch_parquet(rows))
    replace_bytes(batch.out / "sources.csv", sources_csv(batch.found))
    replace_bytes(batch.out / "run.toml", _run_toml(batch).encode())
    replace_bytes(batch.out / "index.html", index_html(rows, batch.counts, batch.waiting, batch.run).encode())
    local = index_html(rows, batch.counts, batch.waiting, batch.run, _origins(batch))
    replace_bytes(batch.out / "index_local.html", local.encode())


def _origins(batch: Batch) -> dict[str, Origin]:
    """Return place, day and series of each study; a finished study is read once."""
    places = {study.key: study.places for study in batch.found.studies}
    places |= {refused.key: [refused.place] for refused in batch.found.refused}
    for key, row in batch.rows.items():
        if row.status == "scored" and key not in batch.whose:
            batch.whose[key] = whose_result(batch.out / STUDIES_FOLDER / key, batch.run.config)
    return {
        key: Origin(tuple(printable_place(place) for place in found), batch.whose.get(key, Whose()))
        for key, found in places.items()
    }


def _require_ours(out: Path) -> None:
    """Reject a folder with anything but an earlier batch: its files would be taken for results."""
    if out.is_dir() and not (out / STUDIES_FOLDER).is_dir() and any(out.iterdir()):
        raise OutputError(
            f"expected a new folder or that of an earlier batch, found other files in {out}; choose another --out"
        )


def _run_toml(batch: Batch) -> str:
    """Return settings, hashes and versions of the latest call, without any path."""
    run = batch.run
    arguments: dict[str, Any] = {"accept_fat_suppressed": run.request.accept_fat_suppressed, **asdict(batch.extras)}
    content = {
        "run": {"created_at": utc_text(run.created_at), "research_use_only": True},
        "settings": run.config.model_dump(),
        "arguments": arguments,
        "hashes": {"settings_sha256": run.settings_sha256, "model_sha256": batch.model_sha256},
        "rows": batch.counts,
        "versions": installed_versions(),
    }
    return tomli_w.dumps(content)


def _log(out: Path, row: BatchRow) -> None:
    """Append one line for a study. If the disk is full, the line is lost and the batch continues."""
    line = {
        "ended_at": utc_text(utc_now()),
        **{name: getattr(row, name) for name in ("study", "status", "total", "seconds", "memory_mb", "earlier")},
    }
    try:
        with (out / LOG_FILE).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    except OSError:
        return


def exit_code(rows: Sequence[BatchRow]) -> int:
    """Return 0 if every study has a result (scored, unscorable or rejected), 6 if some failed."""
    return OutputError.exit_code if any(row.status == "failed" for row in rows) else 0
