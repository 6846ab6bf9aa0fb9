"""Score the studies of a list that have no score yet, as a batch: it resumes, and runs on dask workers.

Contents: `Workers`, `score_folders`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from sparcc_pipeline.app.batch.run import STUDIES_FOLDER, Batch, batch_folder, run_batch
from sparcc_pipeline.app.batch.sources import BatchStudy, FoundSources, find_sources
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import is_score_folder
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.material.studies import StudyKey, StudyRow
from sparcc_pipeline.errors import ConfigError, SparccError
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.records import QueryKind

if TYPE_CHECKING:
    from distributed import Client

Workers = Callable[[], "AbstractContextManager[Client]"]
"""Starts the workers; called only if a study has no score."""


def score_folders(
    rows: Sequence[StudyRow],
    scores: Path | None,
    config: PipelineConfig,
    workers: Workers,
    report: Callable[[str], None],
    queries: Queries,
) -> list[tuple[StudyRow, Path]]:
    """Return the score folder of each study; studies without one are scored into `scores`.

    Studies that a batch in `scores` scored before with the same model and settings are not scored again.

    Raises
    ------
    ConfigError : a study has no score and `scores` is None
    OutputError : `scores` cannot be written
    ModelError : no usable model
    """
    ready = {row.key: row.path for row in rows if is_score_folder(row.path)}
    waiting = [row for row in rows if row.key not in ready]
    if waiting and scores is None:
        raise ConfigError(
            f"expected a score folder for each study, or --scores to score the others, found {len(waiting)} studies "
            f"without a score, the first in row {waiting[0].row.number} of {waiting[0].row.file}; add --scores DIR"
        )
    if waiting and scores is not None:
        ready |= _scored_now(waiting, scores, config, workers, report, queries)
    return [(row, ready[row.key]) for row in rows if row.key in ready]


def _scored_now(
    rows: Sequence[StudyRow],
    scores: Path,
    config: PipelineConfig,
    workers: Workers,
    report: Callable[[str], None],
    queries: Queries,
) -> dict[StudyKey, Path]:
    studies = {row.key: study for row in rows if (study := _study_of(row, scores, queries)) is not None}
    unique = {study.key: study for study in studies.values()}
    # Two workers of one thread are faster than one worker of two.
    run = Run(config.model_copy(update={"threads": 1}), Request(), created_at=utc_now())
    model = installation.load_installed_segmenter(run.config).provenance["sha256"]
    with batch_folder(scores):
        batch = Batch(scores.resolve(), FoundSources(list(unique.values())), run, model, Extras(pdf=False, dicom=False))
        report(f"scoring {len(unique)} studies into {scores}")
        with workers() as client:
            run_batch(client, batch, lambda row: report(f"{len(batch.rows)} of {len(unique)}: {row.status}"))
    return {key: scores / STUDIES_FOLDER / study.key for key, study in studies.items()}


def _study_of(row: StudyRow, scores: Path, queries: Queries) -> BatchStudy | None:
    """Return the one study at the path of a row; None, with a query, for none or several."""
    found: Message
    try:
        studies = find_sources([row.path], scores).studies
        if len(studies) == 1:
            return studies[0]
        found = Message("{count} studies", count=len(studies))
    except SparccError:
        found = Message("nothing that can be read")
    queries.ask(
        QueryKind.MISSING,
        row.row,
        "path",
        Message("one study, or the folder of its score"),
        found,
        Message("correct the path; it is relative to the folder of the list"),
        left_out="row",
        visit=row.visit,
    )
    return None
