"""Levels of the time points of a case: matched by the bones, also where the machine scored only one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from sparcc_pipeline.app.reader.audit.verification import verify_all
from sparcc_pipeline.app.reader.tables import VISITS
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec

from ...conftest import KnownSegmenter
from ..conftest import NOW, World, build

MOVED = 2
"""Slices by which the second stack begins further to the back."""


@pytest.fixture(scope="module")
def two_visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person twice: the second stack begins further back, has other noise, and no score."""
    folder = tmp_path_factory.mktemp("levels")
    spec = random_spec(11, lesions=6, pixel_mm=1.1, slice_spacing_mm=4.0)
    first = make_phantom(spec)
    write_mr_series(first.volume, folder / "W00", style="siemens", patient_id="X", seed="level W00")
    outcome = score_study(folder / "W00", Request(), lambda: KnownSegmenter(first.tissue), lambda _: None)
    assert isinstance(outcome, Scored), outcome
    (folder / "score").mkdir()
    save_study(outcome, folder / "score" / STUDY_FILE)
    document = score_document(outcome, Run(load_config(), Request(), NOW))
    (folder / "score" / SCORE_FILE).write_text(json_text(document))

    second = make_phantom(replace(spec, seed=spec.seed + 1)).volume
    corner = second.geometry.to_mm(np.array([[MOVED, 0, 0]]))[0]
    shape = (second.geometry.shape[0] - MOVED, *second.geometry.shape[1:])
    geometry = replace(second.geometry, shape=shape, origin_mm=tuple(corner.tolist()))
    moved = replace(second, signal=np.array(second.signal[MOVED:]), geometry=geometry)
    write_mr_series(moved, folder / "W12", style="siemens", patient_id="X", seed="level W12")
    manifest = folder / "levels.csv"
    manifest.write_text("participant,visit,study,score\nP9,W00,W00,score\nP9,W12,W12,\n")
    return manifest


@pytest.fixture(scope="module")
def world(two_visits: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A page with this one case."""
    world = build(tmp_path_factory.mktemp("page"), two_visits)
    yield world
    world.database.engine.dispose()


def the_case(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scored and the unscored time point."""
    ann = world.browser("ann")
    visits = ann.case(ann.first_case())["visits"]
    scored, unscored = sorted(visits, key=lambda visit: not visit["proposed"])
    return scored, unscored


def test_an_unscored_time_point_has_no_proposal_and_opens_at_the_level_of_the_others(world: World) -> None:
    scored, unscored = the_case(world)
    assert scored["proposed"] and not unscored["proposed"]
    assert unscored["proposed_first"] == scored["proposed_first"] - MOVED
    ann = world.browser("ann")
    reading = ann.case(ann.first_case())["reading"]["content"]["visits"]
    assert reading[unscored["label"]]["first"] == unscored["proposed_first"]


def test_levels_follow_the_anatomy(world: World) -> None:
    scored, unscored = the_case(world)
    carry = np.array(unscored["level"]) @ np.linalg.inv(np.array(scored["level"]))
    for slice_index in range(scored["proposed_first"], scored["proposed_first"] + 6):
        matched = carry @ [slice_index, *scored["centre"][1:], 1]
        assert round(matched[0]) == slice_index - MOVED


def test_levels_do_not_show_which_time_point_came_first(world: World) -> None:
    """The first label has the unit matrix, in whatever order the time points came."""
    for name in ("ann", "ben"):
        browser = world.browser(name)
        first = browser.case(browser.first_case())["visits"][0]
        np.testing.assert_allclose(first["level"], np.eye(4), atol=1e-5)


def test_a_level_changed_outside_the_page_is_found(world: World) -> None:
    assert verify_all(world.database).sound
    with world.database.engine.begin() as connection:
        before = connection.execute(select(VISITS.c.level).where(VISITS.c.id == 2)).scalar_one()
        connection.execute(update(VISITS).where(VISITS.c.id == 2).values(level="[]"))
    assert any("level of time point 2 differs" in finding for finding in verify_all(world.database).findings)
    with world.database.engine.begin() as connection:
        connection.execute(update(VISITS).where(VISITS.c.id == 2).values(level=before))
