"""`sparcc phantom`: images that the reader accepts, and the truth beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.app.development.phantom import run_phantom
from sparcc_pipeline.app.study.images import Request, read_study
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec, known_score, random_spec

SPEC = random_spec(3, lesions=6, slice_spacing_mm=5.0, pixel_mm=1.2, tilt_degrees=20.0)


def write(out: Path, spec: PhantomSpec = SPEC, *, enhanced: bool = False, reverse: bool = False) -> None:
    run_phantom(spec, out, style="philips", enhanced=enhanced, reverse=reverse)


@pytest.mark.parametrize(("enhanced", "reverse"), [(False, False), (True, False), (False, True)])
def test_the_images_are_those_of_the_specification(tmp_path: Path, enhanced: bool, reverse: bool) -> None:
    write(tmp_path / "study", enhanced=enhanced, reverse=reverse)

    study = read_study(tmp_path / "study", Request())

    geometry = study.stir.geometry
    assert geometry.shape == SPEC.shape
    assert geometry.spacing_mm == pytest.approx((5.0, 1.2, 1.2))
    assert geometry.tilt_degrees == pytest.approx(20.0)
    assert np.abs(study.stir.signal - make_phantom(SPEC).volume.signal).max() <= 0.5


def test_the_truth_holds_the_known_score(tmp_path: Path) -> None:
    write(tmp_path / "study")

    truth = json.loads((tmp_path / "study" / "truth.json").read_text())

    known = known_score(SPEC)
    assert (truth["schema"], truth["total"]) == ("sparcc-phantom/1", known.total)
    assert truth["first_slice_index"] == known.first_slice
    points = sum(sum(j["edema"].values()) + j["intense"] + j["deep"] for j in truth["joints"])
    assert points == known.total > 0
    assert {lesion["side"] for lesion in truth["phantom"]["lesions"]} <= {"right", "left"}


def test_one_seed_is_one_study(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name)

    first, second = (sorted((tmp_path / name / "dicom").iterdir()) for name in ("a", "b"))

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    write(tmp_path / "study")
    before = (tmp_path / "study" / "truth.json").read_bytes()

    with pytest.raises(OutputError, match="choose another --out"):
        write(tmp_path / "study", random_spec(4))

    assert (tmp_path / "study" / "truth.json").read_bytes() == before
