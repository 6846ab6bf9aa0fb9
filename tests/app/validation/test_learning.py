"""`sparcc model train --readings`: quadrant points alone teach phantoms; refusals; resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.learning import train as learning
from sparcc_pipeline.app.validation.learning.site_studies import load_site_studies
from sparcc_pipeline.app.validation.learning.train import SiteTraining, run_site_training, split_people
from sparcc_pipeline.app.validation.run import ValidationRequest, load_material
from sparcc_pipeline.errors import ConfigError, UnscorableError
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.imaging.model.networks import EDEMA_NETWORK, build_network
from sparcc_pipeline.imaging.segmentation import load_segmenter
from sparcc_pipeline.training.data.site_samples import site_samples
from sparcc_pipeline.training.fit.site import SitePlan, fit_site

from ..trial_data.conftest import write_csv
from .phantoms import write_outline, write_phantom

SMALL = {**EDEMA_NETWORK, "channels": [8, 16, 32], "strides": [2, 2], "num_res_units": 1}
PLAN = SitePlan(rounds=7, steps=20, batch=8, patch=96, learning_rate=3e-3)
PEOPLE = 15


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen phantoms whose machine is blind, read by a reader who knows the truth; one has an outline."""
    folder = tmp_path_factory.mktemp("phantoms")
    studies, items = [], []
    for seed in range(1, PEOPLE + 1):
        path = f"study{seed}"
        phantom, rows = write_phantom(folder / path, seed, sees=False)
        studies.append({"participant": f"P{seed:03d}", "visit": "W0", "path": path, "outline": ""})
        items += rows
        if seed == 1:
            write_outline(phantom, folder / "outline.nii.gz")
    write_csv(folder / "studies.csv", studies)
    write_csv(folder / "outlined.csv", [{**studies[0], "outline": "outline.nii.gz"}, *studies[1:]])
    write_csv(folder / "items.csv", items)
    return folder


def request_of(folder: Path, studies: str = "studies.csv") -> ValidationRequest:
    return ValidationRequest([folder / studies], [folder / "items.csv"])


def no_workers() -> Any:
    raise AssertionError("every study has a score")


@pytest.fixture
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed bundle with a small edema network, which trains in seconds."""
    installed = Bundle.open(model_bundle())
    networks = {**installed.networks, "edema": {**installed.networks["edema"], "network_def": SMALL, "inputs": []}}
    monkeypatch.setattr(Bundle, "open", lambda folder: replace(installed, networks=networks))


def test_quadrant_points_alone_beat_the_untrained_start_on_people_left_out(
    phantoms: Path,
    tmp_path: Path,
    small_network: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(learning, "FEWEST_PEOPLE", PEOPLE)
    training = SiteTraining(tmp_path / "run", tmp_path / "bundle", "1", from_nothing=True)

    run_site_training(request_of(phantoms), training, load_config(), no_workers, PLAN)

    evaluation = json.loads((tmp_path / "bundle" / "docs" / "evaluation.json").read_text())
    kappa, difference = evaluation["goals"]
    assert evaluation["people"] == {"trained_on": 9, "stopped_by": 3, "left_out": 3}
    assert kappa["reached"] is not False and kappa["value"] > 0.7
    assert difference["reached"] is True
    assert "Validation report" in (tmp_path / "run" / "report.html").read_text()
    assert "round 1 of 7" in capsys.readouterr().err
    # Another plan may not go on in the same folder.
    other = replace(training, bundle=tmp_path / "third", seed=1)
    with pytest.raises(ConfigError, match="choose a new folder for --run"):
        run_site_training(request_of(phantoms), other, load_config(), no_workers, PLAN)
    monkeypatch.undo()
    # The bundle is a model like the installed one.
    segmenter = load_segmenter(tmp_path / "bundle")
    assert segmenter.provenance["name"].endswith("_site") and segmenter.provenance["version"] == "1"


def test_few_people_are_refused() -> None:
    with pytest.raises(UnscorableError, match="at least 20 people for training, found 19"):
        split_people([f"P{n}" for n in range(19)], 0)
    train, stop, measure = split_people([f"P{n % 25}" for n in range(50)], 0)
    assert (len(train), len(stop), len(measure)) == (15, 5, 5)
    assert not set(train) & set(stop) and not {*train, *stop} & set(measure)


def test_an_outline_replaces_the_weak_label_and_a_wrong_grid_is_reported(phantoms: Path, tmp_path: Path) -> None:
    material = load_material(request_of(phantoms, "outlined.csv"), load_config(), no_workers, lambda _: None)
    queries = Queries()
    studies = load_site_studies(material, queries)
    first = next(study for study in studies if study.outline is not None)
    samples = site_samples([first])

    assert queries == [] and len(studies) == PEOPLE
    assert np.isfinite(samples.outline).all() and samples.outline.sum() > 0
    assert 0 < np.nanmean(samples.share) < 1

    key = next(iter(material.studies))
    wrong = replace(material.studies[key].row, outline=phantoms / "study2" / "score.json")
    broken = replace(material, studies={key: replace(material.studies[key], row=wrong)})
    assert load_site_studies(broken, queries) == []
    assert "the study is not used for training" in queries[0].message


def test_an_interrupted_training_ends_as_an_uninterrupted_one(phantoms: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    material = load_material(request_of(phantoms), load_config(), no_workers, lambda _: None)
    studies = load_site_studies(material, Queries())[:3]
    samples = site_samples(studies)
    people = list(samples.people)
    torch.manual_seed(3)
    start: nn.Module = build_network(SMALL)
    plan = replace(PLAN, rounds=2, steps=3)

    whole = fit_site(samples, people[:2], people[2:], start, plan, seed=3)
    fit_site(samples, people[:2], people[2:], start, replace(plan, rounds=1), 3, tmp_path / "c")
    resumed = fit_site(samples, people[:2], people[2:], start, plan, 3, tmp_path / "c")

    assert resumed.rounds == 2
    assert np.ravel(resumed.losses) == pytest.approx(np.ravel(whole.losses), rel=1e-4)
