"""The content of `score.json` (schema `sparcc-score/1`) and `score.csv`, made from an outcome."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.app.results.input_entry import input_entry
from sparcc_pipeline.app.results.rows import SCORE_COLUMNS, score_row
from sparcc_pipeline.app.results.score_entries import (
    FlagCode,
    FlagEntry,
    ItemProbabilities,
    JointEntry,
    QuadrantPoints,
    QuadrantValues,
    ReferenceEntry,
    ReferenceKind,
    SliceEntry,
    rounded,
)
from sparcc_pipeline.app.results.score_types import SCHEMA, Contrast, ScoreDocument, SliceRule
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.faults import kind_of
from sparcc_pipeline.app.study.images import Study
from sparcc_pipeline.app.study.provenance import Run, input_ref, provenance
from sparcc_pipeline.app.study.score import Outcome, RejectedStudy, Scored, Unscorable
from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.imaging.quality import QualityFlag
from sparcc_pipeline.message import Message, words_of
from sparcc_pipeline.sparcc.explanation import Explanation, explain
from sparcc_pipeline.sparcc.score import JointSliceScore
from sparcc_pipeline.sparcc.uncertainty import JointSliceLikelihood
from sparcc_pipeline.volume import T1

SCHEMA_FILE: Final = Path(__file__).parent / "schema" / "sparcc-score-1.schema.json"

SLICE_SPACING_RANGE_MM: Final = (3.0, 5.0)
"""Spacing of slices outside of which a warning is given. Source: decision of this project (usual protocols have slices
of 3-4 mm every 3.3-5 mm)."""

CSV_COLUMNS: Final = tuple(SCORE_COLUMNS)
"""Columns of `score.csv`, in order. Slices s0-s5 run from anterior to posterior; empty is not evaluable, true is 1."""


def score_document(outcome: Outcome, run: Run) -> ScoreDocument:
    """Return the content of `score.json`."""
    match outcome:
        case Scored():
            return _scored(outcome, run)
        case Unscorable(error, study):
            return _without_score("unscorable", error, study, run)
        case RejectedStudy(error, study):
            return _without_score("rejected", error, study, run)


def plain(value: Any) -> Any:
    """Return a document as JSON holds it: objects as dicts, tuples as lists; a message stays a message."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def json_text(document: object) -> str:
    """Return a document as JSON text.

    Raises
    ------
    ValueError : a number is not finite
    """
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def csv_text(document: ScoreDocument) -> str:
    """Return a document as one row under its header."""
    return rows_as_csv(CSV_COLUMNS, [score_row(document).cells])


def _without_score(
    status: Literal["unscorable", "rejected"], error: SparccError, study: Study | None, run: Run
) -> ScoreDocument:
    series = study.stir.series if study else None
    return ScoreDocument(
        schema=SCHEMA,
        status=status,
        reason=words_of(error),
        reason_kind=kind_of(error),
        study_uid=series.study_uid if series else None,
        series_uid=series.series_uid if series else None,
        slices=(),
        joints=(),
        edema=None,
        intensity=None,
        depth=None,
        total=None,
        expected=None,
        interval_90=None,
        probability_remission=None,
        evaluable_maximum=None,
        normal_marrow=None,
        bones_from=None,
        reference_signal=None,
        asas_positive=None,
        coverage_mm=None,
        spacing_mm=None,
        chosen_by=None,
        warnings=series.warnings if series else (),
        input=input_entry(study.account, study.cut.ends) if study else None,
        provenance=provenance(run, None, input_ref(study.stir, study.files) if study else None),
    )


def _scored(outcome: Scored, run: Run) -> ScoreDocument:
    study, score, likelihood = outcome.study, outcome.score, outcome.likelihood
    series, geometry = study.stir.series, study.stir.geometry
    return ScoreDocument(
        schema=SCHEMA,
        status="scored",
        reason=None,
        reason_kind=None,
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        slices=tuple(_slice(study, index) for index in score.slices.indices),
        joints=_joints(outcome),
        edema=score.edema,
        intensity=score.intensity,
        depth=score.depth,
        total=score.total,
        expected=None if likelihood is None else round(likelihood.expected, 2),
        interval_90=None if likelihood is None else likelihood.interval_90,
        probability_remission=None if likelihood is None else round(likelihood.probability_remission, 4),
        evaluable_maximum=score.evaluable_maximum,
        normal_marrow=rounded(outcome.tissue.normal_marrow, 4),
        bones_from=cast("tuple[Contrast, ...]", outcome.tissue.bones_from),
        reference_signal=_reference(outcome),
        asas_positive=score.asas_positive,
        coverage_mm=round(len(score.slices.indices) * geometry.spacing_mm[0], 3),
        spacing_mm=tuple(round(s, 4) for s in geometry.spacing_mm),
        chosen_by=cast("SliceRule", score.slices.chosen_by),
        quality=tuple(_flag(flag) for flag in outcome.quality),
        warnings=tuple(_warnings(outcome)),
        asas_probability=None if likelihood is None else round(likelihood.asas_positive, 4),
        definite_lesion=score.definite_lesion,
        definite_lesion_probability=None if likelihood is None else round(likelihood.definite_lesion, 4),
        notes=outcome.score.notes,
        input=input_entry(study.account, study.cut.ends),
        provenance=provenance(run, outcome.model, input_ref(study.stir, study.files)),
    )


def _warnings(outcome: Scored) -> Iterator[Message]:
    """Yield every warning of a scored study, in the order of its steps."""
    study = outcome.study
    yield from study.stir.series.warnings
    if study.no_header:
        yield study.no_header
    yield from (flag.words for flag in outcome.quality)
    yield from _spacing_warnings(study.stir.geometry.spacing_mm[0])
    yield from _t1_warnings(outcome)
    yield from outcome.score.warnings


def _reference(outcome: Scored) -> ReferenceEntry | None:
    signal = outcome.score.reference_signal
    if signal is None:
        return None
    slices = np.flatnonzero(outcome.reference_region.any(axis=(1, 2)))
    kind = cast("ReferenceKind", signal.kind)
    return ReferenceEntry(
        kind=kind,
        value=signal.value,
        slices=tuple(int(k) for k in slices),
        doubts=signal.doubts,
        range=(signal.low, signal.high) if signal.doubts else None,
    )


def _flag(flag: QualityFlag) -> FlagEntry:
    value = round(flag.value, 3) if math.isfinite(flag.value) else None
    return FlagEntry(code=cast("FlagCode", flag.code), words=flag.words, value=value, limit=round(flag.limit, 3))


def _spacing_warnings(spacing_mm: float) -> list[Message]:
    lowest, highest = SLICE_SPACING_RANGE_MM
    if lowest <= round(spacing_mm, 2) <= highest:
        return []
    return [
        Message(
            "the slices are {spacing:.1f} mm apart (expected {lowest:g}-{highest:g} mm): compare this total only "
            "with totals of the same spacing",
            spacing=spacing_mm,
            lowest=lowest,
            highest=highest,
        )
    ]


def _slice(study: Study, index: int) -> SliceEntry:
    series = study.stir.series
    return SliceEntry(
        slice_index=index,
        sop_instance_uid=series.sop_instance_uids[index] if series.sop_instance_uids else None,
        frame_number=series.frame_numbers[index] if series.frame_numbers else None,
        position_mm=round(study.stir.geometry.slice_position_mm(index), 3),
        instance_number=series.instance_numbers[index] if series.instance_numbers else None,
    )


def _joints(outcome: Scored) -> tuple[JointEntry, ...]:
    score, likelihood = outcome.score, outcome.likelihood
    explained = explain(outcome.study.stir, outcome.tissue, outcome.joints, score)
    likelihoods = [None] * len(score.joints) if likelihood is None else likelihood.joints
    return tuple(_joint(*each) for each in zip(score.joints, explained, likelihoods, strict=True))


def _joint(joint: JointSliceScore, why: Explanation, likelihood: JointSliceLikelihood | None) -> JointEntry:
    return JointEntry(
        slice=joint.slice,
        side=joint.side.value,
        edema=QuadrantPoints.of(joint.edema),
        intense=joint.intense,
        deep=joint.deep,
        height_mm=rounded(joint.height_mm, 2),
        depth_mm=rounded(joint.depth_mm, 2),
        edema_mm2=QuadrantValues.of(why.edema_mm2, 1),
        marrow_signal=QuadrantValues.of(why.marrow, 4),
        signal_over_marrow=QuadrantValues.of(why.over_marrow, 2),
        signal_over_reference=rounded(why.over_reference, 2),
        probability=_probability(likelihood),
    )


def _probability(likelihood: JointSliceLikelihood | None) -> ItemProbabilities:
    """Return the probability of each point; None where the item is not evaluable or the model is not calibrated."""
    if likelihood is None:
        return ItemProbabilities(**dict.fromkeys((*(quadrant.value for quadrant in Quadrant), "intense", "deep")))
    edema = {quadrant.value: rounded(likelihood.edema[quadrant], 4) for quadrant in Quadrant}
    return ItemProbabilities(**edema, intense=rounded(likelihood.intense, 4), deep=rounded(likelihood.deep, 4))


def _t1_warnings(outcome: Scored) -> list[Message]:
    if outcome.study.t1 is None or T1 in outcome.tissue.bones_from:
        return []
    return [
        Message(
            "the T1-weighted series does not fit the STIR series (the person moved, or the headers differ): the "
            "bones were found on STIR alone; look at the joint lines"
        )
    ]
