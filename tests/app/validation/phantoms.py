"""Score folders of phantoms with known points: the machine is perfect, or blind to edema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request, Study
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Segmented, score_slices, six_slices
from sparcc_pipeline.imaging.nifti import write_nifti
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.data.phantom import Phantom, make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec
from sparcc_pipeline.volume import SeriesRef

from .made_up import item_rows

MODEL = {"name": "phantom", "version": "1", "sha256": "c" * 64, "engine": "none"}
FIRST, SIX = 3, 6
MADE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def phantom_with_lesions(seed: int) -> Phantom:
    """A small phantom with random lesions on its six slices."""
    random = np.random.default_rng(seed)
    lesions = tuple(
        Lesion(k, side, quadrant, float(random.uniform(5, 9)), signal=float(random.uniform(0.5, 0.9)))
        for k in range(FIRST, FIRST + SIX)
        for side in Side
        for quadrant in Quadrant
        if random.random() < 0.15
    )
    spec = PhantomSpec(
        shape=(12, 188, 168),
        spacing_mm=(4.0, 1.0, 1.0),
        transitional_slice=FIRST + SIX - 1,
        lesions=lesions,
        seed=seed,
    )
    return make_phantom(spec)


def write_phantom(folder: Path, seed: int, *, sees: bool = True) -> tuple[Phantom, list[dict[str, Any]]]:
    """Write a score folder with images; return the phantom and the rows of a reader who knows the truth.

    With `sees` False the machine of the folder finds no edema.
    """
    phantom = phantom_with_lesions(seed)
    joints = find_joints(phantom.tissue.anatomy, phantom.tissue.geometry)
    volume = replace(phantom.volume, series=SeriesRef(f"1.2.826.0.7.{seed}", f"1.2.826.0.7.{seed}.1"))
    truth = Segmented(Study(volume, files=1), phantom.tissue, joints, MODEL)
    known = score_slices(truth, six_slices(truth, Request()))
    blind = replace(phantom.tissue, edema_probability=np.zeros_like(phantom.tissue.edema_probability))
    shown = known if sees else score_slices(replace(truth, tissue=blind), known.score.slices)
    folder.mkdir(parents=True)
    run = Run(load_config(), Request(), created_at=MADE)
    (folder / "score.json").write_text(json_text(score_document(shown, run)))
    save_study(shown, folder / STUDY_FILE)
    return phantom, list(_rows(f"P{seed:03d}", known.score.joints))


def write_outline(phantom: Phantom, file: Path) -> None:
    """Write the true edema as NIfTI."""
    write_nifti(phantom.tissue.edema.astype(np.uint8), phantom.volume, file)


def _rows(person: str, joints: Any) -> Iterator[dict[str, Any]]:
    from sparcc_pipeline.trial.items import ItemPlace

    points = {
        ItemPlace(FIRST + joint.slice, joint.side, item): value
        for joint in joints
        for item, value in (
            *((quadrant.value, point) for quadrant, point in joint.edema.items()),
            ("intense", joint.intense),
            ("deep", joint.deep),
        )
    }
    return item_rows(person, "W0", "Wang", points)
