"""Score folders of the demonstration: draw phantoms from simulated scores and score them like any study.

Contents: `score_phantoms`. A phantom shows the points of the simulated machine; the rules must find them in its images.
The tissue of a phantom is known, so no network is needed; the model is called "phantom".
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sparcc_pipeline import __version__
from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.study.config import LanguageCode, load_config
from sparcc_pipeline.app.study.images import Request, Study
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Segmented, score_slices, six_slices
from sparcc_pipeline.message import Message
from sparcc_pipeline.simulation.items import FIRST_SLICE
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import SIX, Lesion, PhantomSpec
from sparcc_pipeline.trial.items import QUADRANTS, ItemPlace

SHAPE: Final = (12, 188, 168)
SPACING_MM: Final = (4.0, 1.0, 1.0)
"""A small stack, so that the demonstration takes seconds."""

DEPTH_MM: Final = 6.0
DEEP_MM: Final = 12.0
SIGNAL: Final = 0.6
INTENSE_SIGNAL: Final = 1.3
"""Depth and signal of lesions, clearly on one side of the limits of the rules (10 mm; 1, the vessels' signal)."""

MODEL: Final = {"name": "phantom", "version": __version__, "sha256": "0" * 64, "engine": "none"}

Points = Mapping[ItemPlace, int | None]


@dataclass(frozen=True)
class PhantomStudy:
    """One study to draw and score: its folder, its points, and the seed of its noise."""

    folder: Path
    points: Points
    seed: int


def score_phantoms(studies: Sequence[PhantomStudy], made_at: datetime, code: LanguageCode) -> None:
    """Draw and score these studies, one process a core; each folder gets all files of a score.

    Parameters
    ----------
    made_at : time of the scores, UTC
    code : language of the reports

    Raises
    ------
    OutputError : a file cannot be written
    """
    workers = min(len(studies), os.cpu_count() or 1)
    if workers <= 1:
        for study in studies:
            _score(study, made_at, code)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_score, studies, [made_at] * len(studies), [code] * len(studies)))


def phantom_of(points: Points, seed: int) -> PhantomSpec:
    """Return the phantom that shows these points, with a lesion in each quadrant with edema."""
    lesions = []
    for k in range(FIRST_SLICE, FIRST_SLICE + SIX):
        for side in Side:
            deep, intense = (points[ItemPlace(k, side, item)] for item in ("deep", "intense"))
            lesions += [
                Lesion(
                    k,
                    side,
                    Quadrant(name),
                    depth_mm=DEEP_MM if deep else DEPTH_MM,
                    signal=INTENSE_SIGNAL if intense else SIGNAL,
                )
                for name in QUADRANTS
                if points[ItemPlace(k, side, name)]
            ]
    return PhantomSpec(
        shape=SHAPE,
        spacing_mm=SPACING_MM,
        transitional_slice=FIRST_SLICE + SIX - 1,
        lesions=tuple(lesions),
        seed=seed,
    )


def _score(study: PhantomStudy, made_at: datetime, code: LanguageCode) -> None:
    """Draw and score one study, replacing the content of its folder."""
    phantom = make_phantom(phantom_of(study.points, study.seed))
    drawn = Study(phantom.volume, files=1, chosen_because=(Message("a phantom, drawn for the demonstration"),))
    segmented = Segmented(drawn, phantom.tissue, find_joints(phantom.tissue.anatomy, phantom.tissue.geometry), MODEL)
    request = Request()
    scored = score_slices(segmented, six_slices(segmented, request))
    config = load_config(None).model_copy(update={"lang": code})
    run = Run(config, request, created_at=made_at)
    write_outputs(scored, score_document(scored, run), run, study.folder)
