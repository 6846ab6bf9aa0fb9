"""The result as files hold it: `score.json` (schema `sparcc-score/1`) and `score.csv`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.provenance import Run, input_ref, provenance
from sparcc_pipeline.app.study.score import Outcome, Rejected, Scored, Study, Unscorable
from sparcc_pipeline.imaging.quality import QualityFlag
from sparcc_pipeline.message import Message, words_of
from sparcc_pipeline.sparcc.explanation import Explanation, explain
from sparcc_pipeline.sparcc.score import JointSliceScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.sparcc.uncertainty import JointSliceLikelihood, ScoreLikelihood
from sparcc_pipeline.volume import T1

SCHEMA: Final = "sparcc-score/1"
SCHEMA_FILE: Final = Path(__file__).parent / "schema" / "sparcc-score-1.schema.json"

SLICE_SPACING_RANGE_MM: Final = (3.0, 5.0)
"""Spacing of slices outside of which a warning is given. Source: clinical reference, section 7 (3-4 mm slices, spacing
3.3-5 mm); that it is recorded and warned about: section 2, "Coverage"."""

NO_SCORE: Final[dict[str, Any]] = {
    "slices": [],
    "joints": [],
    "edema": None,
    "intensity": None,
    "depth": None,
    "total": None,
    "expected": None,
    "interval_90": None,
    "probability_remission": None,
    "evaluable_maximum": None,
    "normal_marrow": None,
    "bones_from": None,
    "reference_signal": None,
    "asas_positive": None,
    "coverage_mm": None,
    "spacing_mm": None,
    "chosen_by": None,
    "quality": [],
}
"""What `score.json` holds where there is no score: never 0."""

CSV_COLUMNS: Final = (
    "schema", "status", "study_uid", "series_uid", "total", "edema", "intensity", "depth", "evaluable_maximum",
    "expected", "interval_90_low", "interval_90_high", "probability_remission",
    "asas_positive", "first_slice_index", "chosen_by", "coverage_mm", "reference_signal_kind", "reference_signal_value",
    "model_name", "model_version", "model_sha256", "software_version", "created_at", "warnings",
    *(
        f"s{slice_}_{side.value}_{item}"
        for slice_ in range(SLICES_SCORED)
        for side in Side
        for item in (*(q.value for q in Quadrant), "intense", "deep", "height_mm", "depth_mm")
    ),
)  # fmt: skip
"""Columns of `score.csv`, in order. Slices s0-s5 run from anterior to posterior; empty is not evaluable, true is 1."""


def score_document(outcome: Outcome, run: Run) -> dict[str, Any]:
    """The content of `score.json`."""
    match outcome:
        case Scored():
            return _scored(outcome, run)
        case Unscorable(error, study):
            return _without_score("unscorable", error, study, run)
        case Rejected(error):
            return _without_score("rejected", error, None, run)


def json_text(document: dict[str, Any]) -> str:
    """The document as JSON; a number that is none is refused."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def csv_text(document: dict[str, Any]) -> str:
    """A scored document as one row under its header."""
    return rows_as_csv(CSV_COLUMNS, [score_row(document)])


def score_row(document: dict[str, Any]) -> dict[str, object]:
    """The values of `CSV_COLUMNS` that a document of any status has."""
    reference, made = document["reference_signal"] or {}, document["provenance"]
    model, positive = made["model"] or {}, document["asas_positive"]
    row: dict[str, object] = {name: document[name] for name in CSV_COLUMNS if name in document}
    row |= {
        "asas_positive": None if positive is None else int(positive),
        "interval_90_low": document["interval_90"] and document["interval_90"][0],
        "interval_90_high": document["interval_90"] and document["interval_90"][1],
        "first_slice_index": document["slices"][0]["slice_index"] if document["slices"] else None,
        "reference_signal_kind": reference.get("kind"),
        "reference_signal_value": reference.get("value"),
        "model_name": model.get("name"),
        "model_version": model.get("version"),
        "model_sha256": model.get("sha256"),
        "software_version": made["software"]["version"],
        "created_at": made["created_at"],
        "warnings": " | ".join(document["warnings"]),
    }
    for joint in document["joints"]:
        items = {**joint["edema"], **{k: joint[k] for k in ("intense", "deep", "height_mm", "depth_mm")}}
        row |= {f"s{joint['slice']}_{joint['side']}_{name}": value for name, value in items.items()}
    return row


def _without_score(status: str, error: Exception, study: Study | None, run: Run) -> dict[str, Any]:
    series = study.stir.series if study else None
    source = input_ref(study.stir, study.files) if study else None
    return {
        "schema": SCHEMA,
        "status": status,
        "reason": words_of(error),
        "reason_kind": type(error).__name__.removesuffix("Error"),
        "study_uid": series.study_uid if series else None,
        "series_uid": series.series_uid if series else None,
        **NO_SCORE,
        "warnings": list(series.warnings) if series else [],
        "provenance": provenance(run, None, source),
    }


def _scored(outcome: Scored, run: Run) -> dict[str, Any]:
    study, score = outcome.study, outcome.score
    series, geometry = study.stir.series, study.stir.geometry
    likelihood = outcome.likelihood
    explained = explain(study.stir, outcome.tissue, outcome.joints, score)
    return {
        "schema": SCHEMA,
        "status": "scored",
        "reason": None,
        "reason_kind": None,
        "study_uid": series.study_uid,
        "series_uid": series.series_uid,
        "slices": [_slice(study, index) for index in score.slices.indices],
        "joints": [
            _joint(joint, why, None if likelihood is None else likelihood.joints[position])
            for position, (joint, why) in enumerate(zip(score.joints, explained, strict=True))
        ],
        "edema": score.edema,
        "intensity": score.intensity,
        "depth": score.depth,
        "total": score.total,
        **_uncertainty(likelihood),
        "evaluable_maximum": score.evaluable_maximum,
        "normal_marrow": _rounded(outcome.tissue.normal_marrow, 4),
        "bones_from": list(outcome.tissue.bones_from),
        "reference_signal": None
        if score.reference_signal is None
        else {
            "kind": score.reference_signal.kind,
            "value": score.reference_signal.value,
            "slices": _reference_slices(outcome),
        },
        "asas_positive": score.asas_positive,
        "coverage_mm": round(len(score.slices.indices) * geometry.spacing_mm[0], 3),
        "spacing_mm": [round(s, 4) for s in geometry.spacing_mm],
        "chosen_by": score.slices.chosen_by,
        "quality": [_flag(flag) for flag in outcome.quality],
        "warnings": [
            *series.warnings,
            *((study.no_header,) if study.no_header else ()),
            *(flag.words for flag in outcome.quality),
            *_spacing_warnings(geometry.spacing_mm[0]),
            *_t1_warnings(outcome),
            *score.warnings,
        ],
        "provenance": provenance(run, outcome.model, input_ref(study.stir, study.files)),
    }


def _reference_slices(outcome: Scored) -> list[int]:
    """Slices on which the reference signal was measured."""
    return [int(k) for k in np.flatnonzero(outcome.reference_region.any(axis=(1, 2)))]


def _flag(flag: QualityFlag) -> dict[str, Any]:
    """What the images lack; an infinite figure, of a signal over none, is null."""
    value = round(flag.value, 3) if math.isfinite(flag.value) else None
    return {"code": flag.code, "words": flag.words, "value": value, "limit": round(flag.limit, 3)}


def _spacing_warnings(spacing_mm: float) -> list[Message]:
    lowest, highest = SLICE_SPACING_RANGE_MM
    if lowest <= round(spacing_mm, 2) <= highest:
        return []
    return [
        Message(
            "the slices are {spacing:.1f} mm apart (expected {lowest:g}-{highest:g} mm): totals from other spacings "
            "are not like for like",
            spacing=spacing_mm,
            lowest=lowest,
            highest=highest,
        )
    ]


def _slice(study: Study, index: int) -> dict[str, Any]:
    series = study.stir.series
    return {
        "slice_index": index,
        "sop_instance_uid": series.sop_instance_uids[index] if series.sop_instance_uids else None,
        "frame_number": series.frame_numbers[index] if series.frame_numbers else None,
        "position_mm": round(study.stir.geometry.slice_position_mm(index), 3),
    }


def _joint(joint: JointSliceScore, why: Explanation, likelihood: JointSliceLikelihood | None) -> dict[str, Any]:
    return {
        "slice": joint.slice,
        "side": joint.side.value,
        "edema": {quadrant.value: joint.edema[quadrant] for quadrant in Quadrant},
        "intense": joint.intense,
        "deep": joint.deep,
        "height_mm": _rounded(joint.height_mm, 2),
        "depth_mm": _rounded(joint.depth_mm, 2),
        "edema_mm2": {q.value: _rounded(why.edema_mm2[q], 1) for q in Quadrant},
        "marrow_signal": {q.value: _rounded(why.marrow[q], 4) for q in Quadrant},
        "signal_over_marrow": {q.value: _rounded(why.over_marrow[q], 2) for q in Quadrant},
        "signal_over_reference": _rounded(why.over_reference, 2),
        "probability": _probability(likelihood),
    }


def _probability(likelihood: JointSliceLikelihood | None) -> dict[str, float | None]:
    """Of each of the six points; null where the item is not evaluable or the model cannot say."""
    if likelihood is None:
        return dict.fromkeys((*(quadrant.value for quadrant in Quadrant), "intense", "deep"))
    edema = {quadrant.value: _rounded(likelihood.edema[quadrant], 4) for quadrant in Quadrant}
    return {**edema, "intense": _rounded(likelihood.intense, 4), "deep": _rounded(likelihood.deep, 4)}


def _uncertainty(likelihood: ScoreLikelihood | None) -> dict[str, Any]:
    """How sure the total is; null where the model cannot say."""
    if likelihood is None:
        return {"expected": None, "interval_90": None, "probability_remission": None}
    return {
        "expected": round(likelihood.expected, 2),
        "interval_90": list(likelihood.interval_90),
        "probability_remission": round(likelihood.probability_remission, 4),
    }


def _t1_warnings(outcome: Scored) -> list[Message]:
    if outcome.study.t1 is None or T1 in outcome.tissue.bones_from:
        return []
    return [
        Message(
            "the T1-weighted series does not lie on the STIR series (the person moved, or the scanner says so): the "
            "bones were found on STIR alone"
        )
    ]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
