"""`score.json` follows its published schema in all three states; `score.csv` has the same content."""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from sparcc_pipeline.app.results.rows import score_row
from sparcc_pipeline.app.results.score_document import (
    CSV_COLUMNS,
    SCHEMA_FILE,
    csv_text,
    json_text,
    score_document,
)
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.images import Request, read_study
from sparcc_pipeline.app.study.provenance import Run, input_ref
from sparcc_pipeline.app.study.score import RejectedStudy, Scored, Unscorable, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import JointNotVisibleError, NotStirError
from sparcc_pipeline.sparcc.uncertainty import Calibration, Logistic
from sparcc_pipeline.volume import StorageOrder

from ..conftest import EDEMA, FIRST_OF_SIX, MARROW, VESSEL, KnownSegmenter, make_stir, make_tissue
from ..documents import as_dict

RunAt = Callable[[Request], Run]
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text()))


LINE = Logistic(0.0, 1.0)
CALIBRATION = Calibration(LINE, LINE, LINE, reading_sd=0.5)


@pytest.fixture
def score(scored: Scored, run_at: RunAt) -> ScoreDocument:
    return score_document(scored, run_at(Request()))


@pytest.fixture
def document(score: ScoreDocument) -> dict[str, Any]:
    return as_dict(score)


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)


def test_a_calibrated_model_reports_its_certainty(study: Path, run_at: RunAt) -> None:
    segmenter = KnownSegmenter(make_tissue(), CALIBRATION)
    outcome = score_study(study, Request(), lambda: segmenter, lambda _: None)
    assert isinstance(outcome, Scored)
    score = score_document(outcome, run_at(Request()))
    document = as_dict(score)
    VALIDATOR.validate(document)

    right = document["joints"][2]["probability"]
    assert right["upper_iliac"] > 0.85 > 0.01 > right["lower_iliac"]
    assert right["deep"] > 0.85
    low, high = document["interval_90"]
    assert low <= document["total"] <= high
    assert low <= document["expected"] <= high
    assert document["probability_remission"] < 0.1
    row = next(csv.DictReader(io.StringIO(csv_text(score))))
    assert (row["interval_90_low"], row["interval_90_high"]) == (str(low), str(high))


def test_a_model_that_was_not_calibrated_reports_no_certainty(document: dict[str, Any]) -> None:
    assert document["expected"] is document["interval_90"] is document["probability_remission"] is None
    assert all(value is None for joint in document["joints"] for value in joint["probability"].values())


def test_each_point_comes_with_its_measurements(study: Path, run_at: RunAt) -> None:
    segmenter = KnownSegmenter(replace(make_tissue(), normal_marrow=MARROW))
    outcome = score_study(study, Request(), lambda: segmenter, lambda _: None)
    document = as_dict(score_document(outcome, run_at(Request())))

    assert document["normal_marrow"] == MARROW
    assert document["bones_from"] == ["STIR"]
    right, left = document["joints"][2], document["joints"][7]
    others = dict.fromkeys(("lower_iliac", "upper_sacral", "lower_sacral"))
    assert right["signal_over_marrow"] == {"upper_iliac": EDEMA / MARROW, **others}
    assert right["signal_over_reference"] == pytest.approx(EDEMA / VESSEL, abs=0.01)
    assert left["signal_over_reference"] == pytest.approx((VESSEL + 300) / VESSEL, abs=0.01)


def test_signal_is_compared_with_marrow_at_the_same_height(study: Path, run_at: RunAt) -> None:
    tissue = make_tissue()
    by_height = np.full(tissue.geometry.shape[:2], MARROW, dtype=np.float32)
    by_height[5, 32:42] = 1.25 * MARROW
    known = KnownSegmenter(replace(tissue, normal_marrow=MARROW, marrow_at_height=by_height))
    outcome = score_study(study, Request(), lambda: known, lambda _: None)
    document = as_dict(score_document(outcome, run_at(Request())))

    VALIDATOR.validate(document)
    right = document["joints"][2]
    assert right["signal_over_marrow"]["upper_iliac"] == EDEMA / (1.25 * MARROW)
    assert right["marrow_signal"]["upper_iliac"] == 1.25 * MARROW
    assert right["marrow_signal"]["lower_sacral"] == MARROW
    assert document["normal_marrow"] == MARROW


@pytest.mark.parametrize("kind", ["csf", "disc"])
def test_another_reference_is_reported(study: Path, run_at: RunAt, kind: str) -> None:
    """The vessels serve as the other tissue: the same points, another name, and a warning."""
    tissue = make_tissue()
    nothing, csf = np.zeros_like(tissue.vessel), kind == "csf"
    other = replace(tissue, vessel=nothing, csf=tissue.vessel if csf else nothing, disc=None if csf else tissue.vessel)
    known = KnownSegmenter(other)
    outcome = score_study(study, Request(), lambda: known, lambda _: None)
    score = score_document(outcome, run_at(Request()))
    document = as_dict(score)

    VALIDATOR.validate(document)
    assert document["reference_signal"] == {
        "kind": kind,
        "value": 900.0,
        "slices": [3, 4, 5, 6, 7, 8],
        "doubts": [],
        "range": None,
    }
    assert document["intensity"] == 1
    assert any("no presacral vessel" in warning for warning in document["warnings"])
    assert score_row(score).reference_signal_kind == kind


def test_doubtful_vessels_are_reported_and_widen_the_uncertainty(study: Path, run_at: RunAt) -> None:
    # Vessels on one slice: the point stays, a warning gives the reason, and the true signal may be higher or lower.
    tissue = make_tissue()
    on_one = tissue.vessel.copy()
    on_one[[k for k in range(len(on_one)) if k != 5]] = False
    known = KnownSegmenter(replace(tissue, vessel=on_one))
    document = as_dict(score_document(score_study(study, Request(), lambda: known, lambda _: None), run_at(Request())))

    VALIDATOR.validate(document)
    reference = document["reference_signal"]
    assert (document["intensity"], reference["slices"]) == (1, [5])
    assert reference["doubts"] == ["they were found on one slice only"]
    assert reference["range"] == pytest.approx([900 / 1.25, 900 * 1.25])
    assert any("intensity is unsure" in warning for warning in document["warnings"])


def test_t1_that_does_not_fit_is_reported(scored: Scored, run_at: RunAt) -> None:
    with_t1 = replace(scored, study=replace(scored.study, t1=scored.study.stir))
    used = replace(with_t1, tissue=replace(with_t1.tissue, bones_from=("STIR", "T1")))

    assert "T1" in score_document(with_t1, run_at(Request())).warnings[-1]
    assert score_document(used, run_at(Request())).warnings == score_document(scored, run_at(Request())).warnings


def test_a_scored_study_keeps_the_schema(document: dict[str, Any], scored: Scored) -> None:
    VALIDATOR.validate(document)

    assert (document["schema"], document["status"], document["reason"]) == ("sparcc-score/1", "scored", None)
    assert (document["total"], document["edema"], document["intensity"], document["depth"]) == (4, 2, 1, 1)
    assert document["asas_positive"] is False
    assert document["reference_signal"] == {
        "kind": "presacral_vessels",
        "value": 900.0,
        "slices": [3, 4, 5, 6, 7, 8],
        "doubts": [],
        "range": None,
    }
    assert (document["definite_lesion"], document["definite_lesion_probability"], document["asas_probability"]) == (
        False,
        None,
        None,
    )
    assert document["coverage_mm"] == 24.0
    assert [s["slice_index"] for s in document["slices"]] == list(range(FIRST_OF_SIX, FIRST_OF_SIX + 6))
    uids = scored.study.stir.series.sop_instance_uids
    assert [s["sop_instance_uid"] for s in document["slices"]] == list(uids[FIRST_OF_SIX : FIRST_OF_SIX + 6])
    assert [(j["slice"], j["side"]) for j in document["joints"]] == [
        (s, d) for s in range(6) for d in ("right", "left")
    ]
    right = document["joints"][2]
    assert right["edema"] == {"upper_iliac": 1, "lower_iliac": 0, "upper_sacral": 0, "lower_sacral": 0}
    assert (right["intense"], right["deep"]) == (0, 1)
    assert right["edema_mm2"]["upper_iliac"] == 144.0
    assert right["depth_mm"] == pytest.approx(13, abs=1)
    assert json.loads(json_text(document)) == document


def test_not_evaluable_is_null_never_0(study: Path, run_at: RunAt) -> None:
    tissue = make_tissue()
    half_gone = tissue.anatomy.copy()
    half_gone[4] = 0
    half_gone[5, 45:] = 0  # 28.8 mm are left
    known = KnownSegmenter(replace(tissue, anatomy=half_gone, vessel=np.zeros_like(tissue.vessel)))
    outcome = score_study(study, Request(), lambda: known, lambda _: None)
    score = score_document(outcome, run_at(Request()))
    found = as_dict(score)

    VALIDATOR.validate(found)
    unseen, short = found["joints"][0], found["joints"][2]
    assert set(unseen["edema"].values()) == {None}
    assert (unseen["intense"], unseen["deep"], unseen["height_mm"], unseen["depth_mm"]) == (None, None, None, None)
    assert set(unseen["edema_mm2"].values()) == {None}
    assert short["edema"]["upper_iliac"] == 1
    assert short["edema"]["lower_iliac"] is None
    assert short["intense"] is None
    assert found["reference_signal"] is None
    assert found["evaluable_maximum"] < 72
    row = next(csv.DictReader(io.StringIO(csv_text(score))))
    assert (row["s0_right_upper_iliac"], row["s0_right_height_mm"], row["reference_signal_value"]) == ("", "", "")


def test_an_unscorable_study_keeps_the_schema_and_its_series(study: Path, run_at: RunAt) -> None:
    error = JointNotVisibleError("expected a joint, found none; look")
    found = as_dict(score_document(Unscorable(error, read_study(study, Request())), run_at(Request())))

    VALIDATOR.validate(found)
    assert (found["status"], found["reason"], found["reason_kind"]) == ("unscorable", str(error), "JointNotVisible")
    assert found["total"] is None
    assert found["series_uid"].startswith("2.25.")
    assert found["provenance"]["input"]["files"] == 14


@pytest.mark.parametrize(
    "outcome", [RejectedStudy(NotStirError("no STIR")), Unscorable(JointNotVisibleError("no joint"), None)]
)
def test_an_input_that_was_not_read_keeps_the_schema(outcome: RejectedStudy | Unscorable, run_at: RunAt) -> None:
    found = as_dict(score_document(outcome, run_at(Request())))

    VALIDATOR.validate(found)
    assert found["study_uid"] is None
    assert found["provenance"]["input"] is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("total",), None),
        (("total",), 73),
        (("joints", 0, "edema", "upper_iliac"), 2),
        (("joints", 0, "side"), "Right"),
        (("joints",), []),
        (("extra",), 1),
        (("provenance", "research_use_only"), False),
        (("provenance", "model"), None),
        (("reason",), "why"),
    ],
)
def test_the_schema_refuses_what_is_wrong(document: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    spoilt: Any = copy.deepcopy(document)
    inner = spoilt
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(spoilt)


def test_the_table_has_one_row_with_the_same_content(score: ScoreDocument) -> None:
    header, row, *more = csv.reader(io.StringIO(csv_text(score)))

    assert more == []
    assert tuple(header) == CSV_COLUMNS
    assert len(header) == len(set(header)) == 25 + 12 * 8
    named = dict(zip(header, row, strict=True))
    assert (named["status"], named["total"], named["asas_positive"], named["first_slice_index"]) == (
        "scored",
        "4",
        "0",
        "4",
    )
    assert (named["s1_right_upper_iliac"], named["s1_right_deep"], named["s3_left_lower_sacral"]) == ("1", "1", "1")
    assert sum(int(v) for k, v in named.items() if k.endswith(("_iliac", "_sacral", "_intense", "_deep"))) == 4


@pytest.mark.parametrize(("spacing", "warned"), [(2.9, True), (3.0, False), (3.3, False), (5.0, False), (5.1, True)])
def test_unusual_spacing_is_warned_about(scored: Scored, run_at: RunAt, spacing: float, warned: bool) -> None:
    stir = scored.study.stir
    geometry = replace(stir.geometry, spacing_mm=(spacing, 1.2, 1.2))
    other = replace(scored, study=replace(scored.study, stir=replace(stir, geometry=geometry)))

    found = score_document(other, run_at(Request()))

    assert any("only with totals of the same spacing" in warning for warning in found.warnings) is warned


def test_the_input_hash_depends_on_the_images_not_on_how_they_are_stored(study: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned"
    write_mr_series(
        make_stir(),
        turned,
        style="siemens",
        patient_id="P0042",
        seed="app tests",
        stored=StorageOrder((0, 1, 2), (False, True, True)),
        reverse_instance_numbers=True,
    )
    (tmp_path / "other").mkdir()
    write_mr_series(make_stir(), tmp_path / "other", style="siemens", patient_id="P0043", seed="app tests")

    def sha256(folder: Path) -> str:
        read = read_study(folder, Request())
        return input_ref(read.stir, read.files).sha256

    assert sha256(study) == sha256(turned)
    assert sha256(study) != sha256(tmp_path / "other")


def test_the_settings_hash_depends_on_what_can_change_a_score(run_at: RunAt) -> None:
    plain = run_at(Request())
    threads = replace(plain, config=plain.config.model_copy(update={"threads": 9}))
    engine = replace(plain, config=plain.config.model_copy(update={"engine": "torch"}))
    others = [engine, run_at(Request(slices=(4, 9))), run_at(Request(accept_fat_suppressed=True))]

    assert plain.settings_sha256 == threads.settings_sha256
    assert len({plain.settings_sha256, *(run.settings_sha256 for run in others)}) == 4
