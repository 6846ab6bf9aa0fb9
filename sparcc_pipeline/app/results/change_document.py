"""The change as files hold it: `change.json` (schema `sparcc-change/1`) and `change.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, cast

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.results.change_types import (
    CHANGE_SCHEMA,
    BaselineEntry,
    ChangeDocument,
    ChangeEntry,
    Direction,
    FollowUpEntry,
    JointChangeEntry,
    Limits,
    MatchedEntry,
    Movement,
    QuadrantChanges,
    RegistrationEntry,
    T1Entry,
)
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.compare import Compared, Comparison, NotCompared
from sparcc_pipeline.app.study.faults import kind_of
from sparcc_pipeline.app.study.provenance import Run, provenance
from sparcc_pipeline.app.study.visits import T1Movement, movement_warnings
from sparcc_pipeline.errors import InputError, RegistrationError, SparccError
from sparcc_pipeline.imaging.alignment.movement import SliceMovement
from sparcc_pipeline.sparcc.follow_up.alignment import MatchedSlice, joint_points_mm
from sparcc_pipeline.sparcc.follow_up.change import (
    DETECTABLE_CHANGE,
    MACHINE_DETECTABLE_CHANGE,
    SMALLEST_IMPORTANT_CHANGE,
    JointSliceChange,
    probability_of_change,
)
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

CHANGE_SCHEMA_FILE: Final = Path(__file__).parent / "schema" / "sparcc-change-1.schema.json"

_QUALITY: Final = ("joint_line_mm", "bone_overlap", "mutual_information", "mutual_information_before", "angle_degrees")
_CHANGES: Final = (
    *("total", "edema", "intensity", "depth", "common_total", "common_items"),
    *("important", "detectable", "direction", "probability"),
)

CHANGE_COLUMNS: Final = (
    *("schema", "follow_up", "status", "reason", "days", "baseline_total", "total", "evaluable_maximum"),
    *(f"change_{name}" for name in _CHANGES),
    *_QUALITY,
    *("tilt_degrees", "smallest_overlap_mm", "warnings"),
    *(
        f"s{slice_}_{side.value}_{item}"
        for slice_ in range(SLICES_SCORED)
        for side in Side
        for item in (*(q.value for q in Quadrant), "intense", "deep")
    ),
)
"""Columns of `change.csv`: one row a follow-up; the items are changes, empty where not evaluable at both visits."""


def change_document(comparison: Comparison, run: Run) -> ChangeDocument:
    """Return the content of `change.json`."""
    score = score_document(comparison.scored, run)
    visit = comparison.baseline
    baseline = BaselineEntry(
        name=visit.name,
        score=score,
        movement=_movement(visit.movement),
        t1=_t1(visit.t1),
        no_t1=visit.no_t1 or None,
        warnings=tuple(movement_warnings(visit)),
    )
    return ChangeDocument(
        schema=CHANGE_SCHEMA,
        limits=Limits(important=SMALLEST_IMPORTANT_CHANGE, detectable=_detectable(comparison)),
        baseline=baseline,
        follow_ups=tuple(
            _not_compared(each) if isinstance(each, NotCompared) else _compared(comparison, each, score, run)
            for each in comparison.follow_ups
        ),
        provenance=provenance(run, comparison.scored.model, None),
    )


def change_csv(document: ChangeDocument) -> str:
    """Return one row for each follow-up under a header."""
    rows = []
    for each in document.follow_ups:
        row = {
            "schema": document.schema,
            "follow_up": each.name,
            "status": each.status,
            "reason": each.reason,
            "baseline_total": document.baseline.score.total,
            "warnings": " | ".join(each.warnings),
        }
        rows.append(row | _measured(each))
    return rows_as_csv(CHANGE_COLUMNS, rows)


def _measured(follow_up: FollowUpEntry) -> dict[str, Any]:
    """Return the columns of a follow-up that was compared; none for another one."""
    score, change, found = follow_up.score, follow_up.change, follow_up.registration
    if score is None or change is None or found is None:
        return {}
    row = {f"change_{name}": getattr(change, name) for name in _CHANGES}
    row |= {name: getattr(found, name) for name in _QUALITY}
    row |= {
        "days": follow_up.days,
        "total": score.total,
        "evaluable_maximum": score.evaluable_maximum,
        "tilt_degrees": follow_up.tilt_degrees,
        "smallest_overlap_mm": min(matched.overlap_mm for matched in follow_up.matched_slices),
    }
    for joint in change.joints:
        row |= {f"s{joint.slice}_{joint.side}_{name}": value for name, value in joint.items.items()}
    return row


def _movement(movement: SliceMovement) -> Movement:
    return Movement(
        largest_mm=None if movement.largest_mm is None else _rounded(movement.largest_mm),
        slices=tuple(movement.slices),
        shift_mm=tuple(_rounded(shift) for shift in movement.shift_mm),
    )


def _t1(t1: T1Movement | None) -> T1Entry | None:
    if t1 is None:
        return None
    return T1Entry(
        series_uid=t1.series_uid,
        same_frame_of_reference=t1.same_frame_of_reference,
        moved_mm=_rounded(t1.moved_mm),
        angle_degrees=_rounded(t1.angle_degrees),
    )


def _not_compared(follow_up: NotCompared) -> FollowUpEntry:
    return FollowUpEntry(
        name=follow_up.name,
        status=_status(follow_up.error),
        reason=str(follow_up.error),
        reason_kind=kind_of(follow_up.error),
        days=None,
        score=None,
        registration=None,
        tilt_degrees=None,
        matched_slices=(),
        change=None,
        movement=None,
        t1=None,
        no_t1=None,
        warnings=(),
    )


def _status(error: SparccError) -> Literal["rejected", "failed", "unscorable"]:
    if isinstance(error, InputError):
        return "rejected"
    return "failed" if isinstance(error, RegistrationError) else "unscorable"


def _compared(comparison: Comparison, follow_up: Compared, baseline: ScoreDocument, run: Run) -> FollowUpEntry:
    score, visit = score_document(follow_up.scored, run), follow_up.visit
    return FollowUpEntry(
        name=visit.name,
        status="compared",
        reason=None,
        reason_kind=None,
        days=follow_up.days,
        score=score,
        registration=_registration(comparison, follow_up),
        tilt_degrees=_rounded(follow_up.matched.tilt_degrees),
        matched_slices=tuple(_matched(each) for each in follow_up.matched.matched),
        change=_change(follow_up, baseline, score, _detectable(comparison)),
        movement=_movement(visit.movement),
        t1=_t1(visit.t1),
        no_t1=visit.no_t1 or None,
        warnings=(*follow_up.warnings, *follow_up.matched.slices.warnings),
    )


def _matched(matched: MatchedSlice) -> MatchedEntry:
    return MatchedEntry(
        baseline=matched.baseline,
        follow_up=matched.follow_up,
        overlap_mm=_rounded(matched.overlap_mm),
        offset_mm=_rounded(matched.offset_mm),
        largest_offset_mm=_rounded(matched.largest_offset_mm),
    )


def _registration(comparison: Comparison, follow_up: Compared) -> RegistrationEntry:
    found, quality = follow_up.alignment.registration, follow_up.alignment.quality
    transform = found.transform
    middle = joint_points_mm(comparison.scored.joints).mean(axis=0)
    return RegistrationEntry(
        baseline_to_follow_up_lps=tuple(tuple(round(value, 6) for value in row) for row in transform.matrix.tolist()),
        angle_degrees=_rounded(transform.angle_degrees),
        shift_mm=tuple(_rounded(x) for x in (transform.apply(middle[None])[0] - middle).tolist()),
        mutual_information=_rounded(found.mutual_information),
        mutual_information_before=_rounded(found.mutual_information_before),
        joint_line_mm=_rounded(quality.joint_line_mm),
        bone_overlap=_rounded(quality.bone_overlap),
    )


def _detectable(comparison: Comparison) -> float:
    """The smallest detectable change of the model that scored: its own where the bundle holds one."""
    return float(comparison.scored.model.get(DETECTABLE_CHANGE, MACHINE_DETECTABLE_CHANGE))


def _change(follow_up: Compared, baseline: ScoreDocument, score: ScoreDocument, detectable: float) -> ChangeEntry:
    change = follow_up.change
    before, after = baseline.interval_90, score.interval_90
    return ChangeEntry(
        total=change.total,
        edema=change.edema,
        intensity=change.intensity,
        depth=change.depth,
        common_total=change.common_total,
        common_items=change.common_items,
        important=change.important,
        detectable=abs(change.total) >= detectable,
        direction=cast("Direction", change.direction),
        probability=round(probability_of_change(before, after, change.total), 4) if before and after else None,
        joints=tuple(_joint(joint) for joint in change.joints),
    )


def _joint(joint: JointSliceChange) -> JointChangeEntry:
    return JointChangeEntry(
        slice=joint.slice,
        side=joint.side.value,
        edema=QuadrantChanges.of(joint.edema),
        intense=joint.intense,
        deep=joint.deep,
        points=joint.points,
    )


def _rounded(value: float) -> float:
    return round(float(value), 3)
