"""From a folder of `sparcc score` to the machine's result as a reader may see it after lock: no UID, no header."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.app.reader.readings.content import ITEMS, Item
from sparcc_pipeline.app.reader.readings.views import MachineJoint, MachineResult
from sparcc_pipeline.app.results.score_entries import JointEntry
from sparcc_pipeline.app.results.score_types import ScoreDocument, score_from_json
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.score import Segmented
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.sparcc.margins import JointSliceMargins, item_margins
from sparcc_pipeline.sparcc.score import score_sparcc
from sparcc_pipeline.sparcc.slices import SixSlices

NOTHING: Final[dict[str, Any]] = dict.fromkeys(
    ("total", "edema", "intensity", "depth", "evaluable_maximum", "expected", "interval_90", "probability_remission",
     "first")
)  # fmt: skip


def read_score(folder: Path) -> ScoreDocument:
    """Return the content of `score.json`.

    Raises
    ------
    InputError : there is none that can be read
    """
    try:
        return score_from_json((folder / SCORE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"expected a folder of `sparcc score` with {SCORE_FILE}, found none that can be read; score the study "
            "again, or leave the cell `score` empty"
        ) from error


def machine_result(document: ScoreDocument, segmented: Segmented | None, slices: SixSlices | None) -> MachineResult:
    """The machine's result; doubt comes from probabilities, else from how near each item is to its point."""
    if segmented is None or slices is None:
        return MachineResult(**NOTHING, reason=document.reason_kind or document.status, joints=[])
    score = score_sparcc(segmented.study.stir, segmented.tissue, segmented.joints, slices)
    margins = item_margins(segmented.study.stir, segmented.tissue, segmented.joints, score)
    return MachineResult(
        **{name: getattr(document, name) for name in NOTHING if name != "first"},
        first=slices.first,
        reason=None,
        joints=[
            _joint(joint, slices.indices[joint.slice], margin)
            for joint, margin in zip(document.joints, margins, strict=True)
        ],
    )


def overlay_of(segmented: Segmented) -> NDArray[np.uint8]:
    """(slices, rows, columns) probability of edema x 255."""
    return np.asarray(np.rint(segmented.tissue.edema_probability * np.float32(255)), dtype=np.uint8)


def _joint(joint: JointEntry, slice_index: int, margin: JointSliceMargins) -> MachineJoint:
    probability: dict[Item, float | None] = {item: getattr(joint.probability, item) for item in ITEMS}
    margins: dict[str, float | None] = {quadrant.value: value for quadrant, value in margin.edema.items()}
    margins |= {"intense": margin.intense, "deep": margin.deep}
    return MachineJoint(
        slice_index=slice_index,
        joint=joint.side,
        **vars(joint.edema),
        intense=joint.intense,
        deep=joint.deep,
        probability=probability,
        doubt={item: _doubt(probability[item], margins[item]) for item in ITEMS},
    )


def _doubt(probability: float | None, margin: float | None) -> float | None:
    """1 at even odds, 0 where sure. A margin is a logit from the model's threshold: even odds are at 0."""
    if probability is None:
        if margin is None:
            return None
        probability = 1 / (1 + float(np.exp(-margin)))
    return round(1 - abs(2 * probability - 1), 4)
