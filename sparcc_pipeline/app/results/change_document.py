"""The change as files hold it: `change.json` (schema `sparcc-change/1`) and `change.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.compare import Compared, Comparison, NotCompared
from sparcc_pipeline.app.study.provenance import Run, provenance
from sparcc_pipeline.app.study.visits import Visit, movement_warnings
from sparcc_pipeline.errors import InputError, RegistrationError, SparccError
from sparcc_pipeline.sparcc.alignment import joint_points_mm
from sparcc_pipeline.sparcc.change import (
    SMALLEST_DETECTABLE_CHANGE,
    SMALLEST_IMPORTANT_CHANGE,
    JointSliceChange,
    probability_of_change,
)
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

CHANGE_SCHEMA: Final = "sparcc-change/1"
CHANGE_SCHEMA_FILE: Final = Path(__file__).parent / "schema" / "sparcc-change-1.schema.json"

_QUALITY: Final = ("joint_line_mm", "bone_overlap", "mutual_information", "mutual_information_before", "angle_degrees")
_CHANGES: Final = ("total", "edema", "intensity", "depth", "common_total", "common_items", "important", "detectable",
                   "direction", "probability")  # fmt: skip

CHANGE_COLUMNS: Final = (
    "schema", "follow_up", "status", "reason", "days", "baseline_total", "total", "evaluable_maximum",
    *(f"change_{name}" for name in _CHANGES), *_QUALITY, "tilt_degrees", "smallest_overlap_mm", "warnings",
    *(
        f"s{slice_}_{side.value}_{item}"
        for slice_ in range(SLICES_SCORED)
        for side in Side
        for item in (*(q.value for q in Quadrant), "intense", "deep")
    ),
)  # fmt: skip
"""Columns of `change.csv`: one row a follow-up; the items are changes, empty where not evaluable at both visits."""


def change_document(comparison: Comparison, run: Run) -> dict[str, Any]:
    """The content of `change.json`."""
    baseline = score_document(comparison.scored, run)
    return {
        "schema": CHANGE_SCHEMA,
        "limits": {"important": SMALLEST_IMPORTANT_CHANGE, "detectable": SMALLEST_DETECTABLE_CHANGE},
        "baseline": {
            "name": comparison.baseline.name,
            "score": baseline,
            **_stillness(comparison.baseline),
            "warnings": movement_warnings(comparison.baseline),
        },
        "follow_ups": [
            _not_compared(each) if isinstance(each, NotCompared) else _compared(comparison, each, baseline, run)
            for each in comparison.follow_ups
        ],
        "provenance": provenance(run, comparison.scored.model, None),
    }


def change_csv(document: dict[str, Any]) -> str:
    """One row a follow-up under a header."""
    rows = []
    for each in document["follow_ups"]:
        row = {
            "schema": document["schema"],
            "follow_up": each["name"],
            "status": each["status"],
            "reason": each["reason"],
            "baseline_total": document["baseline"]["score"]["total"],
            "warnings": " | ".join(each["warnings"]),
        }
        rows.append(row | (_measured(each) if each["status"] == "compared" else {}))
    return rows_as_csv(CHANGE_COLUMNS, rows)


def _measured(follow_up: dict[str, Any]) -> dict[str, Any]:
    """The columns of a follow-up that was compared."""
    change, found = follow_up["change"], follow_up["registration"]
    row = {f"change_{name}": change[name] for name in _CHANGES} | {name: found[name] for name in _QUALITY}
    row |= {
        "days": follow_up["days"],
        "total": follow_up["score"]["total"],
        "evaluable_maximum": follow_up["score"]["evaluable_maximum"],
        "change_important": int(change["important"]),
        "change_detectable": int(change["detectable"]),
        "tilt_degrees": follow_up["tilt_degrees"],
        "smallest_overlap_mm": min(m["overlap_mm"] for m in follow_up["matched_slices"]),
    }
    for joint in change["joints"]:
        items = {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}
        row |= {f"s{joint['slice']}_{joint['side']}_{name}": value for name, value in items.items()}
    return row


def _stillness(visit: Visit) -> dict[str, Any]:
    """Movement between the slices of the stack, and between STIR and T1."""
    movement, t1 = visit.movement, visit.t1
    return {
        "movement": {
            "largest_mm": _rounded(movement.largest_mm),
            "slices": list(movement.slices),
            "shift_mm": [_rounded(shift) for shift in movement.shift_mm],
        },
        "t1": None
        if t1 is None
        else {
            "series_uid": t1.series_uid,
            "same_frame_of_reference": t1.same_frame_of_reference,
            "moved_mm": _rounded(t1.moved_mm),
            "angle_degrees": _rounded(t1.angle_degrees),
        },
        "no_t1": visit.no_t1 or None,
    }


def _not_compared(follow_up: NotCompared) -> dict[str, Any]:
    return {
        "name": follow_up.name,
        "status": _status(follow_up.error),
        "reason": str(follow_up.error),
        "reason_kind": type(follow_up.error).__name__.removesuffix("Error"),
        "days": None,
        "score": None,
        "registration": None,
        "tilt_degrees": None,
        "matched_slices": [],
        "change": None,
        "movement": None,
        "t1": None,
        "no_t1": None,
        "warnings": [],
    }


def _status(error: SparccError) -> str:
    if isinstance(error, InputError):
        return "rejected"
    return "failed" if isinstance(error, RegistrationError) else "unscorable"


def _compared(comparison: Comparison, follow_up: Compared, baseline: dict[str, Any], run: Run) -> dict[str, Any]:
    score = score_document(follow_up.scored, run)
    return {
        "name": follow_up.visit.name,
        "status": "compared",
        "reason": None,
        "reason_kind": None,
        "days": follow_up.days,
        "score": score,
        "registration": _registration(comparison, follow_up),
        "tilt_degrees": _rounded(follow_up.matched.tilt_degrees),
        "matched_slices": [
            {
                "baseline": m.baseline,
                "follow_up": m.follow_up,
                "overlap_mm": _rounded(m.overlap_mm),
                "offset_mm": _rounded(m.offset_mm),
                "largest_offset_mm": _rounded(m.largest_offset_mm),
            }
            for m in follow_up.matched.matched
        ],
        "change": _change(follow_up, baseline, score),
        **_stillness(follow_up.visit),
        "warnings": [*follow_up.warnings, *follow_up.matched.slices.warnings],
    }


def _registration(comparison: Comparison, follow_up: Compared) -> dict[str, Any]:
    found, quality = follow_up.alignment.registration, follow_up.alignment.quality
    transform = found.transform
    middle = joint_points_mm(comparison.scored.joints).mean(axis=0)
    return {
        "baseline_to_follow_up_lps": [[round(value, 6) for value in row] for row in transform.matrix.tolist()],
        "angle_degrees": _rounded(transform.angle_degrees),
        "shift_mm": [_rounded(x) for x in (transform.apply(middle[None])[0] - middle).tolist()],
        "mutual_information": _rounded(found.mutual_information),
        "mutual_information_before": _rounded(found.mutual_information_before),
        "joint_line_mm": _rounded(quality.joint_line_mm),
        "bone_overlap": _rounded(quality.bone_overlap),
    }


def _change(follow_up: Compared, baseline: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
    change = follow_up.change
    before, after = baseline.get("interval_90"), score.get("interval_90")
    return {
        "total": change.total,
        "edema": change.edema,
        "intensity": change.intensity,
        "depth": change.depth,
        "common_total": change.common_total,
        "common_items": change.common_items,
        "important": change.important,
        "detectable": change.detectable,
        "direction": change.direction,
        "probability": round(probability_of_change(before, after, change.total), 4) if before and after else None,
        "joints": [_joint(joint) for joint in change.joints],
    }


def _joint(joint: JointSliceChange) -> dict[str, Any]:
    return {
        "slice": joint.slice,
        "side": joint.side.value,
        "edema": {quadrant.value: joint.edema[quadrant] for quadrant in Quadrant},
        "intense": joint.intense,
        "deep": joint.deep,
        "points": joint.points,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
