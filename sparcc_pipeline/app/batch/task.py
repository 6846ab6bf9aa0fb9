"""One study of a batch, scored by a worker: its folder is published as a whole, and a row holds the outcome.

A worker keeps its model from study to study. A fault of one study affects only its row.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

from sparcc_pipeline import __version__
from sparcc_pipeline.app.batch.sources import BatchStudy
from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.report.pictures.overlay import FOOTER_PIXELS, HEADER_PIXELS
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.rows import BatchRow, row_values
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.faults import kind_of, place_of
from sparcc_pipeline.app.study.files import SCORE_FILE, write_bytes, write_text
from sparcc_pipeline.app.study.images import Request, Study, read_dicom_study, read_nifti_study
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Outcome, RejectedStudy, Scored, Segmenter, score_images
from sparcc_pipeline.dicom.input.studies import study_files
from sparcc_pipeline.errors import InputError, ModelError, OutputError, SparccError
from sparcc_pipeline.message import Message, printable, to_plain, words_of
from sparcc_pipeline.sparcc.points import points_given

ROW_FILE: Final = "row.json"
THUMBNAIL_FILE: Final = "thumbnail.png"
THUMBNAIL_PIXELS: Final = 240

_CHUNK_BYTES: Final = 2**20
_ONE_AT_A_TIME: Final = threading.Lock()
"""A worker of an existing cluster may have several threads; a study needs all of its memory."""


@dataclass(frozen=True)
class StudyTask:
    """Everything that a worker needs to score one study.

    Parameters
    ----------
    folder : folder for the results
    extras : files to write beside those that are always written
    model_sha256 : hash of the model that must score it
    label : text for the pages, such as participant and visit
    """

    study: BatchStudy
    folder: Path
    config: PipelineConfig
    request: Request
    extras: Extras
    model_sha256: str
    label: str | None = None


def score_task(task: StudyTask) -> BatchRow:
    """Score one study, or return its row of an earlier run of the same software, model and settings on the same files.

    Never raises: a fault is in the row.
    """
    begun = time.perf_counter()
    with _ONE_AT_A_TIME:
        try:
            row = _row_of(task, begun)
        except InputError as error:
            # An archive that can no longer be unpacked has no content hash, so its result is not kept.
            run = Run(task.config, task.request, created_at=utc_now())
            row = replace(rejected_row(task.study.key, error, run), study_uid=task.study.found.study_uid)
        except SparccError as error:
            row = failed_row(task.study.key, error, task.study.found.study_uid)
        except Exception as error:
            # The text of the error may quote a header: only its kind and its place are reported.
            file, line = place_of(error)
            fault = SparccError(
                f"expected no fault of the program, found {type(error).__name__} in {file}, line {line}; report it "
                "with this line"
            )
            row = failed_row(task.study.key, fault, task.study.found.study_uid)
    return row if row.seconds is not None else replace(row, **_cost(begun))


def failed_row(key: str, error: SparccError, study_uid: str | None) -> BatchRow:
    """Return the row of a study without a result that may have one when it is tried again."""
    return BatchRow(
        study=key,
        status="failed",
        reason=_one_line(str(error)),
        reason_kind=kind_of(error),
        study_uid=study_uid,
        messages=_messages(words_of(error), ()),
    )


def rejected_row(key: str, error: SparccError, run: Run) -> BatchRow:
    """Return the row of a source that was rejected before any of it was read."""
    outcome = RejectedStudy(error if isinstance(error, InputError) else InputError(str(error)))
    return _row_from(key, score_document(outcome, run), None)


def finished_row(folder: Path, made_from: dict[str, Any]) -> BatchRow | None:
    """Return the row of a finished study; None if there is none, or if it was made from something else."""
    try:
        stored = json.loads((folder / ROW_FILE).read_text(encoding="utf-8"))
        return replace(BatchRow.from_json(stored["row"]), earlier=True) if stored["made_from"] == made_from else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _row_of(task: StudyTask, begun: float) -> BatchRow:
    with study_files(task.study.found) as files:
        made_from = _made_from(task, files)
        row = finished_row(task.folder, made_from)
        if row is not None:
            return row
        run = Run(task.config, task.request, created_at=utc_now())

        def read() -> Study:
            if task.study.nifti:
                return read_nifti_study(files[0], task.request)
            return read_dicom_study(files, task.request, with_header=task.extras.dicom, or_without=True)

        outcome = score_images(read, task.request, lambda: _segmenter(task), lambda _: None)
        return _write(task, outcome, run, made_from, begun)


def _write(task: StudyTask, outcome: Outcome, run: Run, made_from: dict[str, Any], begun: float) -> BatchRow:
    """Publish the folder of the study, and return its row."""
    document = score_document(outcome, run)
    row = replace(_row_from(task.study.key, document, task.study.found.study_uid), files=made_from["files"])
    try:
        with ResultFolder(task.folder, force=True) as folder:
            if isinstance(outcome, Scored):
                extras = replace(task.extras, dicom=task.extras.dicom and outcome.study.header is not None)
                write_outputs(outcome, document, run, folder.path, extras, task.label)
                write_bytes(folder.path / THUMBNAIL_FILE, _thumbnail(folder.path, document))
            else:
                write_text(folder.path / SCORE_FILE, json_text(document))
            row = replace(row, **_cost(begun))
            content = {"made_from": made_from, "row": row.to_json()}
            write_text(folder.path / ROW_FILE, json.dumps(content, indent=2) + "\n")
            folder.publish()
    except OutputError:
        # A scheduler that lost a worker gives its study to another one; the first may have finished it anyway.
        finished = finished_row(task.folder, made_from)
        if finished is None:
            raise
        return finished
    return row


def _row_from(key: str, document: ScoreDocument, study_uid: str | None) -> BatchRow:
    """Return the row of a document of any status, each text on one line: a reason may quote a file name."""
    values = row_values(document)
    texts = {name: _one_line(value) for name, value in values.items() if isinstance(value, str)}
    return BatchRow(
        **(values | texts | {"study_uid": document.study_uid or study_uid}),
        study=key,
        reason=None if document.reason is None else _one_line(document.reason),
        reason_kind=document.reason_kind,
        messages=_messages(document.reason, document.warnings),
    )


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _messages(reason: str | None, warnings: Sequence[str]) -> dict[str, list[Any]]:
    return {
        "reason": [to_plain(reason)] if isinstance(reason, Message) else [],
        "warnings": [to_plain(each) if isinstance(each, Message) else str(each) for each in warnings],
    }


@lru_cache(maxsize=1)
def _warm_segmenter(config: PipelineConfig) -> Segmenter:
    return installation.load_installed_segmenter(config)


def _segmenter(task: StudyTask) -> Segmenter:
    """Return the model of this process, loaded at the first call."""
    segmenter = _warm_segmenter(task.config)
    found = segmenter.provenance["sha256"]
    if found != task.model_sha256:
        raise ModelError(
            f"expected the model with SHA-256 {task.model_sha256[:12]}… on every worker, found {found[:12]}…; install "
            "the same version everywhere"
        )
    return segmenter


def _made_from(task: StudyTask, files: Sequence[Path]) -> dict[str, Any]:
    """Return everything that a result depends on: if it is the same, so is the result."""
    run = Run(task.config, task.request, created_at=utc_now())
    return {
        "files": len(files),
        "content_sha256": _content_sha256(files),
        "settings_sha256": run.settings_sha256,
        "outputs": asdict(task.extras),
        "model_sha256": task.model_sha256,
        "software_version": __version__,
    }


def _content_sha256(files: Sequence[Path]) -> str:
    """Return a hash over the contents of all files; it does not depend on their names and places."""
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


def _thumbnail(folder: Path, document: ScoreDocument) -> bytes:
    """Return the annotated half of the picture of the slice with most points, small and without its words, as PNG."""
    items: list[list[int | None]] = [[] for _ in document.slices]
    for joint in document.joints:
        items[joint.slice] += joint.items.values()
    points = [points_given(each) for each in items]
    # Without any point the fourth of the six: there the joints appear longest.
    best = points.index(max(points)) if any(points) else len(points) // 2
    with Image.open(folder / "overlay" / f"slice_{document.slices[best].number:02d}.png") as picture:
        half = picture.crop((picture.width // 2, HEADER_PIXELS, picture.width, picture.height - FOOTER_PIXELS))
    half.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    content = io.BytesIO()
    half.save(content, format="PNG")
    return content.getvalue()


def _cost(begun: float) -> dict[str, Any]:
    """Return the seconds since `begun`, and the memory of this process now and at its peak, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        now = round(pages * resource.getpagesize() / 1e6, 1)
    except (OSError, ValueError, IndexError):
        now = None
    return {"seconds": round(time.perf_counter() - begun, 2), "memory_mb": now, "peak_memory_mb": round(peak, 1)}
