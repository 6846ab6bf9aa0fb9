"""One study of a batch, as a worker scores it: its folder appears as a whole, and a row says what became of it.

A worker keeps its model from study to study. Nothing that goes wrong with a study goes beyond its row.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

from sparcc_pipeline import __version__
from sparcc_pipeline.app.batch.sources import BatchStudy
from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.results.score_document import json_text, score_document, score_row
from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.faults import place_of
from sparcc_pipeline.app.study.files import SCORE_FILE, write_bytes, write_text
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import (
    Outcome,
    Rejected,
    Request,
    Scored,
    Segmenter,
    Study,
    read_dicom_study,
    read_nifti_study,
    score_images,
)
from sparcc_pipeline.dicom.input.studies import study_files
from sparcc_pipeline.errors import InputError, ModelError, OutputError, SparccError
from sparcc_pipeline.message import Message, to_plain, words_of

ROW_FILE: Final = "row.json"
THUMBNAIL_FILE: Final = "thumbnail.png"
THUMBNAIL_PIXELS: Final = 240

Row = dict[str, Any]
"""One line of `batch.csv`; see `batch_table.BATCH_COLUMNS`. Beside these columns `MESSAGES`."""

MESSAGES: Final = "messages"
"""Reason and warnings of a row as `message.to_plain` stores them, so that the index can say them in its language."""

_CHUNK_BYTES: Final = 2**20
_ONE_AT_A_TIME: Final = threading.Lock()
"""A worker of someone else's cluster may have several threads; a study needs a worker's memory for itself."""


@dataclass(frozen=True)
class StudyTask:
    """Everything that a worker needs to score one study.

    Parameters
    ----------
    folder : where its results shall be
    outputs : further arguments of `write_outputs`: which files to write beside those that are always written
    model_sha256 : hash of the model that must score it
    """

    study: BatchStudy
    folder: Path
    config: PipelineConfig
    request: Request
    outputs: tuple[tuple[str, bool], ...]
    model_sha256: str


def score_task(task: StudyTask) -> Row:
    """Score one study, or take its row from an earlier run of the same software, model and settings on the same files.

    Never raises: what went wrong is in the row.
    """
    begun = time.perf_counter()
    with _ONE_AT_A_TIME:
        try:
            row = _row_of(task, begun)
        except InputError as error:
            # An archive that can no longer be unpacked: there is nothing to keep a result by.
            run = Run(task.config, task.request, created_at=datetime.now(UTC))
            row = rejected_row(task.study.key, error, run) | {"study_uid": task.study.found.study_uid}
        except SparccError as error:
            row = failed_row(task.study.key, error, task.study.found.study_uid)
        except Exception as error:
            # Its words may quote a header: only its kind and its place are told.
            file, line = place_of(error)
            fault = SparccError(
                f"expected no fault of the program, found {type(error).__name__} in {file}, line {line}; report it "
                "with this line"
            )
            row = failed_row(task.study.key, fault, task.study.found.study_uid)
    return row if "seconds" in row else row | _measured(begun)


def failed_row(key: str, error: SparccError, study_uid: str | None) -> Row:
    """A study that has no result, and may have one when it is tried again."""
    return {
        "study": key,
        "status": "failed",
        MESSAGES: _messages({"reason": words_of(error), "warnings": ()}),
        "reason": " ".join(str(error).split()),
        "reason_kind": type(error).__name__.removesuffix("Error"),
        "study_uid": study_uid,
        "earlier": False,
    }


def rejected_row(key: str, error: SparccError, run: Run) -> Row:
    """A source that was refused before anything of it was read."""
    outcome = Rejected(error if isinstance(error, InputError) else InputError(str(error)))
    return {**_row_from(key, score_document(outcome, run), None), "earlier": False}


def finished_row(folder: Path, made_from: dict[str, Any]) -> Row | None:
    """The row of a finished study; None where there is none, or one that was made from something else."""
    try:
        stored = json.loads((folder / ROW_FILE).read_text(encoding="utf-8"))
        return {**stored["row"], "earlier": True} if stored["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _row_of(task: StudyTask, begun: float) -> Row:
    with study_files(task.study.found) as files:
        made_from = _made_from(task, files)
        row = finished_row(task.folder, made_from)
        if row is not None:
            return row
        run = Run(task.config, task.request, created_at=datetime.now(UTC))
        outputs = dict(task.outputs)

        def read() -> Study:
            return (
                read_nifti_study(files[0], task.request)
                if task.study.nifti
                else read_dicom_study(files, task.request, with_header=outputs["dicom"], or_without=True)
            )

        outcome = score_images(read, task.request, lambda: _segmenter(task), lambda _: None)
        return _write(task, outcome, run, made_from, begun)


def _write(task: StudyTask, outcome: Outcome, run: Run, made_from: dict[str, Any], begun: float) -> Row:
    """The study's folder, and its row."""
    document = score_document(outcome, run)
    row = _row_from(task.study.key, document, task.study.found.study_uid) | {"files": made_from["files"]}
    try:
        with ResultFolder(task.folder, force=True) as folder:
            if isinstance(outcome, Scored):
                outputs = dict(task.outputs)
                outputs["dicom"] &= outcome.study.header is not None
                write_outputs(outcome, document, run, folder.path, **outputs)
                write_bytes(folder.path / THUMBNAIL_FILE, _thumbnail(folder.path, document))
            else:
                write_text(folder.path / SCORE_FILE, json_text(document))
            row |= _measured(begun)
            write_text(folder.path / ROW_FILE, json.dumps({"made_from": made_from, "row": row}, indent=2) + "\n")
            folder.publish()
    except OutputError:
        # A scheduler that lost a worker gives its study to another one; the first may have finished it all the same.
        finished = finished_row(task.folder, made_from)
        if finished is None:
            raise
        return finished
    return {**row, "earlier": False}


def _row_from(key: str, document: dict[str, Any], study_uid: str | None) -> Row:
    """The row of a document of any status, on one line: a reason may quote a file's name."""
    row = {"study": key, **{name: document[name] for name in ("reason", "reason_kind")}, **score_row(document)}
    row["study_uid"] = row["study_uid"] or study_uid
    row[MESSAGES] = _messages(document)
    return {name: " ".join(value.split()) if isinstance(value, str) else value for name, value in row.items()}


def _messages(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    reason, warnings = document["reason"], document["warnings"]
    return {
        "reason": [to_plain(reason)] if isinstance(reason, Message) else [],
        "warnings": [to_plain(each) if isinstance(each, Message) else str(each) for each in warnings],
    }


@lru_cache(maxsize=1)
def _warm_segmenter(config: PipelineConfig) -> Segmenter:
    return installation.load_installed_segmenter(config)


def _segmenter(task: StudyTask) -> Segmenter:
    """This process's own model, loaded when it is first needed."""
    segmenter = _warm_segmenter(task.config)
    found = segmenter.provenance["sha256"]
    if found != task.model_sha256:
        raise ModelError(
            f"expected the model with SHA-256 {task.model_sha256[:12]}… on every worker, found {found[:12]}…; install "
            "the same version everywhere"
        )
    return segmenter


def _made_from(task: StudyTask, files: Sequence[Path]) -> dict[str, Any]:
    """What a result depends on; where all of it is the same, so is the result."""
    run = Run(task.config, task.request, created_at=datetime.now(UTC))
    return {
        "files": len(files),
        "content_sha256": _content_sha256(files),
        "settings_sha256": run.settings_sha256,
        "outputs": dict(task.outputs),
        "model_sha256": task.model_sha256,
        "software_version": __version__,
    }


def _content_sha256(files: Sequence[Path]) -> str:
    """Hash over the contents of all files, whatever they are called and wherever they lie."""
    contents = []
    for file in files:
        digest = hashlib.sha256()
        try:
            with file.open("rb") as opened:
                while chunk := opened.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except OSError:
            digest.update(b"unreadable")
        contents.append(digest.hexdigest())
    return hashlib.sha256("\n".join(sorted(contents)).encode()).hexdigest()


def _thumbnail(folder: Path, document: dict[str, Any]) -> bytes:
    """The slice with most points, small: the annotated half of its picture."""
    points = [0] * len(document["slices"])
    for joint in document["joints"]:
        points[joint["slice"]] += sum(p or 0 for p in (*joint["edema"].values(), joint["intense"], joint["deep"]))
    # Without any point the fourth of the six: there the joints are seen at their longest.
    best = points.index(max(points)) if any(points) else len(points) // 2
    with Image.open(folder / "overlay" / f"slice_{document['slices'][best]['slice_index']:02d}.png") as picture:
        half = picture.crop((picture.width // 2, 0, picture.width, picture.height))
    half.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    content = io.BytesIO()
    half.save(content, format="PNG")
    return content.getvalue()


def _measured(begun: float) -> dict[str, float | None]:
    """Seconds since `begun`, and memory of this process now and at most so far, MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        now = round(pages * resource.getpagesize() / 1e6, 1)
    except (OSError, ValueError, IndexError):
        now = None
    return {"seconds": round(time.perf_counter() - begun, 2), "memory_mb": now, "peak_memory_mb": round(peak, 1)}
