"""A training run keeps to one plan, trains missing networks and reads those it holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sparcc_pipeline.app.development import training
from sparcc_pipeline.errors import ConfigError, InputError, OutputError, UnscorableError
from sparcc_pipeline.training.data.edema_samples import PHANTOM, edema_samples
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.fit import run as train
from sparcc_pipeline.training.fit.edema import EdemaPlan, fit_edema
from sparcc_pipeline.training.fit.loop import Schedule
from sparcc_pipeline.training.fit.run import TrainingPlan, TrainingRun

TWO_STEPS = TrainingPlan(
    edema=EdemaPlan(schedule=Schedule(2, 1e-3), batch=2, patch=64), edema_members=2, edema_phantoms=1
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "sij_mri").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def run(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingRun:
    """A run whose only person is a phantom."""
    monkeypatch.setattr(train, "load_person", lambda data, name: None)
    monkeypatch.setattr(
        train,
        "edema_samples",
        lambda people, phantoms: edema_samples([], [make_phantom(random_spec(1, pixel_mm=0.95))]),
    )
    monkeypatch.setattr(train, "PEOPLE_FOR_EDEMA", ())
    return TrainingRun(tmp_path / "run", data, TWO_STEPS)


def test_a_network_is_trained_once_and_read_after_that(run: TrainingRun, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run.edema_members(None)
    monkeypatch.setattr(train, "fit_edema", None)

    again = run.edema_members(None)

    assert len(first) == 2
    image = torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a(image), b(image))
    assert not torch.equal(first[0](image), first[1](image)), "each member has its own seed"


def test_separate_readings_leave_their_spread_beside_the_network(run: TrainingRun, data: Path, tmp_path: Path) -> None:
    plan = replace(TWO_STEPS, edema=replace(TWO_STEPS.edema, separate_readings=True), edema_members=1)
    separate = TrainingRun(tmp_path / "separate", data, plan)

    (network,) = separate.edema_members(None)

    assert network(torch.zeros((1, 3, 64, 64))).shape == (1, 1, 64, 64)
    (spread,) = separate.folder.glob("networks/*.spread.json")
    assert json.loads(spread.read_text())["reading_sd"] == 0.0, "the readings of a phantom agree"


def test_a_folder_holds_networks_of_one_plan(run: TrainingRun, data: Path) -> None:
    TrainingRun(run.folder, data, TWO_STEPS)

    with pytest.raises(ConfigError, match="expected .*plan.json .* found another one"):
        TrainingRun(run.folder, data, replace(TWO_STEPS, seed=1))


def test_a_folder_holds_networks_of_one_data_set(run: TrainingRun, data: Path) -> None:
    (data / "sij_mri" / "stir").mkdir()
    (data / "sij_mri" / "stir" / "1_STIR.nii.gz").write_bytes(b"another person")

    with pytest.raises(ConfigError, match="expected .*data.json .* found another one"):
        TrainingRun(run.folder, data, TWO_STEPS)


def test_absent_data_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder with sij_mri/"):
        TrainingRun(tmp_path / "run", tmp_path, TrainingPlan())


def test_no_model_without_figures(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot_be_measured(*_: object) -> None:
        raise UnscorableError("expected people, found none")

    monkeypatch.setattr(training, "run_evaluate", cannot_be_measured)

    with pytest.raises(UnscorableError):
        training.run_train(data, tmp_path / "run", tmp_path / "bundle", "1.0", 0)

    assert not (tmp_path / "bundle").exists()


def test_a_bundle_is_never_overwritten(tmp_path: Path, data: Path) -> None:
    (tmp_path / "bundle").mkdir()

    with pytest.raises(OutputError, match="expected a new folder"):
        training.run_train(data, tmp_path / "run", tmp_path / "bundle", "1.0", 0)


def test_an_unknown_design_is_reported(tmp_path: Path, data: Path) -> None:
    with pytest.raises(ConfigError, match="expected --only to name designs among all-people.*found nonsense"):
        training.run_designs(data, tmp_path / "run", ["nonsense"])


def test_one_seed_is_one_network() -> None:
    samples = edema_samples([], [make_phantom(random_spec(2, pixel_mm=0.95))])

    def weights(seed: int) -> torch.Tensor:
        return torch.cat([w.flatten() for w in fit_edema(samples, [PHANTOM], TWO_STEPS.edema, seed).parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_lesions_of_a_phantom_are_its_target() -> None:
    phantom = make_phantom(random_spec(3, pixel_mm=0.95))

    samples = edema_samples([], [phantom])

    assert samples.people == (PHANTOM,)
    assert len(samples.images) == len(samples.person)
    target = samples.target
    marked = target.max(axis=(1, 2)) > 0.9
    lesions = {(lesion.slice_index, lesion.side) for lesion in phantom.spec.lesions}
    assert marked.sum() == len(lesions)
    inside = target > 0.9
    assert samples.images[:, 1].astype(float)[inside].mean() > 0.5, "log ratio: brighter than normal marrow"
