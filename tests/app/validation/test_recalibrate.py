"""`sparcc model recalibrate`: it removes a planted bias on people left out, and refuses where it cannot help."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy.special import logit

from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.validation.material.pairing import Material, pair_material
from sparcc_pipeline.app.validation.material.readings import read_reading_tables
from sparcc_pipeline.app.validation.material.scores import read_scored_studies
from sparcc_pipeline.app.validation.material.studies import read_studies
from sparcc_pipeline.app.validation.recalibration.fit import Fitted, recalibrate
from sparcc_pipeline.errors import ModelError, UnscorableError
from sparcc_pipeline.imaging.model.bundle import Bundle

from .made_up import CALIBRATION, Hospital, draw

BASE = Fitted(0.3, {True: None, False: CALIBRATION})
SHIFTED = Hospital("S1", people=24, seed=1, shift=-1.5)


def material_of(folder: Path, hospital: Hospital) -> Material:
    folder.mkdir(exist_ok=True)
    studies, items = draw(folder, hospital).write(folder)
    queries = Queries()
    rows = read_studies([studies], queries)
    scored = read_scored_studies([(row, row.path) for row in rows], queries)
    return pair_material(scored, read_reading_tables([items], queries), queries)


def sparcc(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["sparcc", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def overlay_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[int, Path]:
    bundle = Bundle.open(model_bundle())
    hospital = Hospital("S1", people=16, seed=1, shift=-1.5, sha256=changes.pop("sha256", bundle.sha256))
    draw(tmp_path, hospital).write(tmp_path)
    inputs: list[str | Path] = ["--studies", tmp_path / "studies.csv", "--readings", tmp_path / "items.csv"]
    out = tmp_path / "o"
    return sparcc(monkeypatch, "model", "recalibrate", *inputs, "--out", out, "--name", "urumqi"), out


def test_a_planted_bias_is_removed_on_people_left_out_and_a_second_time_refused(tmp_path: Path) -> None:
    found = recalibrate(material_of(tmp_path / "one", SHIFTED), BASE)

    assert found.new_threshold and found.fitted.threshold < 0.2
    assert found.difference[1] < 0.75 * found.difference[0]
    assert found.gain_difference.low is not None and found.gain_difference.low > 0
    assert found.crps[1] < found.crps[0] and found.new_calibration

    # New people of the same site, scored with the overlay: nothing is left to correct.
    moved = float(logit(found.fitted.threshold) - logit(0.3))
    again = Hospital("S2", people=24, seed=2, shift=-1.5 - moved)
    with pytest.raises(UnscorableError, match="expected a recalibration that helps people left out"):
        recalibrate(material_of(tmp_path / "two", again), found.fitted)


def test_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnscorableError, match="at least 10 people, found 9"):
        recalibrate(material_of(tmp_path / "few", Hospital("S1", people=9, seed=1, shift=-2)), BASE)


def test_the_overlay_is_used_by_a_setting_and_every_result_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = overlay_of(tmp_path, monkeypatch)
    assert code == 0 and "On people left out" in (out / "card.md").read_text()

    (tmp_path / "settings.toml").write_text('model = "o"\n')
    segmenter = installation.load_installed_segmenter(load_config(tmp_path / "settings.toml"))
    installed = installation.load_installed_segmenter(load_config())

    assert segmenter.provenance["name"] == "sparcc_stir+urumqi"
    assert segmenter.provenance["version"].endswith("+1")
    assert segmenter.provenance["sha256"] != installed.provenance["sha256"]
    assert segmenter._edema_threshold < installed._edema_threshold

    capsys.readouterr()
    assert sparcc(monkeypatch, "model", "card", out) == 0
    printed = capsys.readouterr().out
    assert "Overlay urumqi 1 of sparcc_stir" in printed and "intact" in printed and "16 people" in printed

    content = json.loads((out / "overlay.json").read_text())
    (out / "overlay.json").write_text(json.dumps(content | {"edema_threshold": 0.01}))
    with pytest.raises(ModelError, match="it was changed or damaged"):
        installation.load_installed_segmenter(load_config(tmp_path / "settings.toml"))


def test_scores_of_another_model_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = overlay_of(tmp_path, monkeypatch, sha256="b" * 64)

    assert code == 5 and "expected studies scored by sparcc_stir" in capsys.readouterr().err
    assert not out.exists()


def test_the_card_of_the_installed_model_states_origin_licence_and_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sparcc(monkeypatch, "model", "card") == 0

    printed = capsys.readouterr().out
    for words in ("all intact", "Learned from: ", "Licence of the data: ", "Figures on people left out"):
        assert words in printed


def test_the_card_of_a_changed_bundle_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = model_bundle()
    for folder in ("configs", "docs", "models"):
        (tmp_path / folder).mkdir()
        for file in (installed / folder).iterdir():
            if file.suffix in (".json", ".md"):
                (tmp_path / folder / file.name).write_bytes(file.read_bytes())
            else:
                (tmp_path / folder / file.name).symlink_to(file)
    (tmp_path / "configs" / "data.json").write_text("{}")

    assert sparcc(monkeypatch, "model", "card", tmp_path) == 5
    assert "expected configs/data.json with SHA-256" in capsys.readouterr().err
