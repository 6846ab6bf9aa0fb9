"""The pictures of `sparcc model evaluate --overlays`, and the files of the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.development import training
from sparcc_pipeline.app.development.evaluation_pictures import DRAWN_JOINT, READERS, write_picture
from sparcc_pipeline.app.development.training import run_evaluate
from sparcc_pipeline.app.report.pictures.overlay import EDEMA, FOOTER_PIXELS, HEADER_PIXELS, JOINT_LINE
from sparcc_pipeline.errors import OutputError, UnscorableError
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.data.labels import Person
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import Lesion, PhantomSpec
from sparcc_pipeline.training.measure import evaluate, evaluation_report
from sparcc_pipeline.training.measure.agreement import Prediction

SPEC = PhantomSpec(
    shape=(12, 204, 204),
    spacing_mm=(4.0, 0.9, 0.9),
    noise=0.0,
    bias=0.0,
    lesions=(Lesion(5, Side.RIGHT, Quadrant.UPPER_ILIAC),),
)

FIGURES: dict[str, Any] = {
    "bone_dice": {"sacrum": 0.9, "right ilium": 0.9, "left ilium": 0.9},
    "joint_line": {"percentile_95_found_mm": None},
    "first_slice": 3,
    "first_slice_read": 4,
    "edema_dice_mean": 0.5,
    "reader_dice": 0.6,
    "reader_totals": [1, 2, 3, 4],
    "score": {"edema": 1, "intensity": 0, "depth": 0, "total": 1},
    "score_own_slices": {"edema": 1, "intensity": 0, "depth": 0, "total": 1},
}


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    """A phantom whose edema three of four readings drew as it is, and whose joints were drawn 3 mm lateral."""
    phantom = make_phantom(SPEC)
    tissue, joints = phantom.tissue, find_joints(phantom.tissue.anatomy, phantom.tissue.geometry)
    readings = np.repeat(tissue.edema[None], 4, axis=0)
    readings[3] = False
    drawn = {
        (joint.slice_index, joint.side): (joint.joint_line + [0.0, 3.0 if joint.side is Side.LEFT else -3.0]) / 0.9
        for joint in joints
        if 3 <= joint.slice_index <= 9
    }
    person = Person("person", phantom.volume, phantom.volume.signal, tissue.anatomy, readings, drawn, (3, 9), (4, 9))
    return Prediction(person, tissue, joints)


def where(picture: np.ndarray[Any, Any], colour: str) -> np.ndarray[Any, Any]:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.asarray(np.abs(picture.astype(int) - wanted).max(axis=2) < 40)


def test_a_sheet_shows_found_and_drawn_edema_and_joints(prediction: Prediction, tmp_path: Path) -> None:
    write_picture(tmp_path / "new" / "folder", "with_t1", prediction, FIGURES)

    with Image.open(tmp_path / "new" / "folder" / "person_with_t1.png") as image:
        picture = np.asarray(image.convert("RGB"))
    # Seven slices, three beside each other, under a caption of two lines.
    body = picture[2 * HEADER_PIXELS : -FOOTER_PIXELS]
    panel_height, panel_width = body.shape[0] // 3, body.shape[1] // 3
    for place in range(7):
        row, column = divmod(place, 3)
        panel = body[row * panel_height : (row + 1) * panel_height, column * panel_width : (column + 1) * panel_width]
        found, drawn = where(panel, JOINT_LINE), where(panel, DRAWN_JOINT)
        assert found.any() and drawn.any()
        left = slice(0, panel_width // 2)
        distance = np.nonzero(found[:, left])[1].mean() - np.nonzero(drawn[:, left])[1].mean()
        assert distance == pytest.approx(3.0 * 4.0, abs=3), "3 mm lateral, 4 picture pixels a mm"
        # Slice 5 is the third one that is shown. The found outline is over that of the readers, which is the same.
        assert where(panel, EDEMA).any() == (place == 2)


def test_the_readers_outline_is_that_of_half_of_the_readings(prediction: Prediction, tmp_path: Path) -> None:
    nothing = replace(prediction.tissue, edema_probability=0 * prediction.tissue.edema_probability)

    write_picture(tmp_path, "stir_alone", replace(prediction, tissue=nothing), FIGURES)

    with Image.open(tmp_path / "person_stir_alone.png") as image:
        body = np.asarray(image.convert("RGB"))[2 * HEADER_PIXELS : -FOOTER_PIXELS]
    assert where(body, READERS).any() and not where(body, EDEMA).any()


def test_a_folder_that_cannot_be_created_is_reported(prediction: Prediction, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="expected a folder for the pictures"):
        write_picture(tmp_path / "file" / "folder", "with_t1", prediction, FIGURES)


def test_evaluate_writes_figures_with_date_and_command_and_pictures_only_when_asked(
    prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def no_run(data: Path, folder: Path, seed: int) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace()

    def measured(run: object, report: object, seen: Any = None) -> dict[str, Any]:
        if seen is not None:
            seen("with_t1", prediction, FIGURES)
        return {"edema_threshold": 0.3}

    monkeypatch.setattr(training, "_training_run", no_run)
    monkeypatch.setattr(evaluate, "evaluate", measured)
    monkeypatch.setattr(evaluation_report, "evaluation_markdown", lambda result: f"{len(result['elsewhere'])} rows\n")

    run_evaluate(tmp_path, tmp_path, 7)
    assert not list(tmp_path.rglob("*.png"))
    run_evaluate(tmp_path, tmp_path, 7, tmp_path / "pictures")

    assert [path.name for path in (tmp_path / "pictures").glob("*.png")] == ["person_with_t1.png"]
    assert (tmp_path / "pictures" / ".gitignore").read_text(encoding="utf-8") == "*\n"
    result = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    assert result["command"] == "sparcc model evaluate --data DATA --run RUN --seed 7"
    assert len(result["date"]) == 10 and result["edema_threshold"] == 0.3
    assert (tmp_path / "evaluation.md").read_text(encoding="utf-8") == "7 rows\n"


def test_an_evaluation_of_an_earlier_version_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evaluation.json").write_text('{"edema_threshold": 0.3}')

    def measured(*_: object) -> None:
        raise UnscorableError("measured")

    monkeypatch.setattr(training, "run_evaluate", measured)

    with pytest.raises(UnscorableError, match="measured"):
        training.run_train(tmp_path, tmp_path, tmp_path / "bundle", "1.0", 0)
