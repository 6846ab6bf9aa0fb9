"""Scoring one study: its outcomes, and the data that reach the next step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.app.study.images import Request, read_study
from sparcc_pipeline.app.study.score import RejectedStudy, Scored, Segmenter, Unscorable, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import ConfigError, JointNotVisibleError, ModelError, SeriesNotFoundError, UnscorableError
from sparcc_pipeline.imaging.nifti import write_nifti

from ..conftest import FIRST_OF_SIX, TRANSITIONAL, KnownSegmenter, make_stir, make_tissue


def _silent(_: str) -> None:
    pass


def _never() -> Segmenter:
    pytest.fail("the model was loaded for an input that cannot be scored")


def test_a_study_gets_the_score_it_was_made_with(scored: Scored) -> None:
    score = scored.score

    assert score.slices.indices == tuple(range(FIRST_OF_SIX, TRANSITIONAL + 1))
    assert (score.edema, score.intensity, score.depth, score.total) == (2, 1, 1, 4)
    assert score.evaluable_maximum == 72
    assert not score.asas_positive


def test_the_slices_of_the_user_are_taken_and_recorded(study: Path, segmenter: KnownSegmenter) -> None:
    outcome = score_study(study, Request(slices=(6, 11)), lambda: segmenter, _silent)

    assert isinstance(outcome, Scored)
    assert outcome.score.slices.indices == (6, 7, 8, 9, 10, 11)
    assert outcome.score.slices.chosen_by == "user"
    assert outcome.score.edema == 1


def test_slices_beyond_the_series_are_refused_before_the_model_is_loaded(study: Path) -> None:
    with pytest.raises(ConfigError, match="between 1 and 14"):
        score_study(study, Request(slices=(9, 14)), _never, _silent)


def test_an_input_without_images_is_rejected_before_the_model_is_loaded(tmp_path: Path) -> None:
    outcome = score_study(tmp_path, Request(), _never, _silent)

    assert isinstance(outcome, RejectedStudy)
    assert isinstance(outcome.error, SeriesNotFoundError)


def test_a_study_without_a_joint_is_unscorable_and_keeps_its_series(study: Path) -> None:
    tissue = make_tissue()
    anatomy = np.where(tissue.anatomy == AnatomyLabel.LEFT_ILIUM, np.uint8(0), tissue.anatomy)
    blind = KnownSegmenter(replace(tissue, anatomy=anatomy))

    outcome = score_study(study, Request(), lambda: blind, _silent)

    assert isinstance(outcome, Unscorable)
    assert isinstance(outcome.error, JointNotVisibleError)
    assert outcome.study is not None
    assert outcome.study.stir.series.series_uid is not None


def test_a_study_of_which_nothing_is_evaluable_is_unscorable_not_0(study: Path) -> None:
    tissue = make_tissue()
    low = tissue.anatomy.copy()
    low[:, 29:] = 0
    outcome = score_study(study, Request(), lambda: KnownSegmenter(replace(tissue, anatomy=low)), _silent)

    assert isinstance(outcome, Unscorable)
    assert type(outcome.error) is UnscorableError
    assert "taller than 10 mm" in str(outcome.error)


def test_a_missing_model_is_no_fault_of_the_study(study: Path) -> None:
    def missing() -> Segmenter:
        raise ModelError("none")

    with pytest.raises(ModelError):
        score_study(study, Request(), missing, _silent)


def test_a_nifti_file_gets_the_same_score(tmp_path: Path, segmenter: KnownSegmenter) -> None:
    stir = make_stir()
    file = tmp_path / "image.nii.gz"
    write_nifti(stir.signal, stir, file)

    outcome = score_study(file, Request(), lambda: segmenter, _silent)

    assert isinstance(outcome, Scored)
    assert outcome.score.total == 4
    with pytest.raises(ConfigError, match="--series"):
        read_study(file, Request(series_uid="1.2.3"))


def test_the_chosen_series_and_the_others_are_reported(study: Path) -> None:
    write_mr_series(
        make_stir(), study / "again", style="siemens", patient_id="P0042", seed="app tests", series_number=4
    )

    chosen = read_study(study, Request())
    (other,) = chosen.passed_over
    asked_for = read_study(study, Request(series_uid=other.split("UID ")[1].split(")")[0]))

    assert "best of 2 series" in chosen.chosen_because[0]
    assert chosen.files == 14
    assert asked_for.stir.series.series_uid != chosen.stir.series.series_uid
    assert asked_for.chosen_because[0] == "asked for by its UID"


def test_the_steps_are_reported_in_order(study: Path, segmenter: KnownSegmenter) -> None:
    steps: list[str] = []

    score_study(study, Request(), lambda: segmenter, steps.append)

    assert [step.split()[0] for step in steps] == ["Reading", "Loading", "Segmenting", "Scoring"]
