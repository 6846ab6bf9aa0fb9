"""`report.html`: one file for a radiologist, without scripts or network; `report.pdf` is printed from it.

Page one shows the result; the details follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.grid import GRID, ITEM_NAMES, points_text
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import embedded, percent, template
from sparcc_pipeline.app.report.pictures.reference_marks import REFERENCE, REFERENCE_MARKS
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.depth import DEPTH_THRESHOLD_MM
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2
from sparcc_pipeline.sparcc.intensity import REFERENCE_NAMES, SMALLEST_INTENSE_MM2
from sparcc_pipeline.sparcc.points import evaluable_items, points_given
from sparcc_pipeline.sparcc.slices import CHOSEN_BY_BASELINE

FACT_NAMES: Final = {
    "kind": (Message("Kind"), ""),
    "manufacturer": (Message("Manufacturer"), ""),
    "model": (Message("Scanner"), ""),
    "field_strength_t": (Message("Field strength"), "T"),
    "repetition_time_ms": (Message("TR"), "ms"),
    "echo_time_ms": (Message("TE"), "ms"),
    "inversion_time_ms": (Message("TI"), "ms"),
    "row_spacing_mm": (Message("Row spacing"), "mm"),
    "column_spacing_mm": (Message("Column spacing"), "mm"),
    "slice_thickness_mm": (Message("Slice thickness"), "mm"),
    "slice_spacing_mm": (Message("Slice spacing"), "mm"),
    "slices": (Message("Slices"), ""),
    "rows": (Message("Rows"), ""),
    "columns": (Message("Columns"), ""),
    "tilt_degrees": (Message("Tilt from coronal"), "°"),
    "series_number": (Message("Series number"), ""),
    "transfer_syntax": (Message("Transfer syntax"), ""),
}
"""Names and units of the facts of the series; a fact that is missing here is shown by its key."""

CHOSEN_BY: Final = {
    "transitional slice": Message(
        "The transitional slice (the first, going posteriorly, that shows the ligamentous part of the joints) is the "
        "last of the six."
    ),
    "user": Message("Chosen by the user (--slices), not by the rule of the transitional slice."),
    CHOSEN_BY_BASELINE: Message("The slices that show what was scored at baseline."),
}

DOUBTFUL: Final = (0.2, 0.8)
"""Probabilities between which an item is called doubtful. Source: decision of this project."""

MOST_DOUBTFUL: Final = 6
"""Largest number of doubtful items on page one."""


@dataclass(frozen=True)
class SeriesText:
    """Facts of the series that the report shows and `score.json` lacks."""

    facts: Mapping[str, str | float]
    chosen_because: Sequence[str]
    passed_over: Sequence[str]


@dataclass(frozen=True)
class ReportPictures:
    """PNG files of the six slices, anterior to posterior: small ones, and large ones beside the plain image."""

    thumbnails: Sequence[bytes]
    overlays: Sequence[bytes]


def report_html(
    document: ScoreDocument, series: SeriesText, pictures: ReportPictures, words: Language, font_url: str | None = None
) -> str:
    """Return the report of a scored study.

    Parameters
    ----------
    document : content of `score.json`
    words : the language of the page
    font_url : font of a page that becomes a PDF
    """
    rows = [_row(document, place) for place in range(len(document.slices))]
    return template("report.html", words, font_url).render(
        score=document,
        rows=rows,
        grid=GRID,
        item_names=ITEM_NAMES,
        sums={side.value: _sums(document, side) for side in Side},
        not_evaluable=sum(row["not_evaluable"] for row in rows),
        interval=document.interval_90,
        expected=document.expected,
        remission=document.probability_remission,
        # Without calibration every probability is None; then the page must not call the items certain.
        has_probabilities=any(
            value is not None for joint in document.joints for value in vars(joint.probability).values()
        ),
        doubtful_limits=DOUBTFUL,
        doubtful=_doubtful(document),
        reasons=_reasons(document),
        smallest_edema_mm2=SMALLEST_EDEMA_MM2,
        smallest_intense_mm2=SMALLEST_INTENSE_MM2,
        depth_threshold_mm=DEPTH_THRESHOLD_MM,
        thumbnails=[embedded(png) for png in pictures.thumbnails],
        overlays=[embedded(png) for png in pictures.overlays],
        reference_name=REFERENCE_NAMES,
        reference_key=(REFERENCE, REFERENCE_MARKS),
        marrow_range=_marrow_range(document),
        chosen_by=CHOSEN_BY[str(document.chosen_by)],
        facts=[_fact(name, value, words) for name, value in series.facts.items()],
        chosen_because=series.chosen_because,
        passed_over=series.passed_over,
        points_text=points_text,
        percent=percent,
    )


def _doubtful(document: ScoreDocument) -> list[dict[str, Any]]:
    """Return the evaluable items with a probability near one half, the most doubtful first."""
    low, high = DOUBTFUL
    items = [
        {
            "slice_index": document.slices[joint.slice].slice_index,
            "side": joint.side,
            "item": item,
            "probability": probability,
            "scored": joint.items[item],
        }
        for joint in document.joints
        for item, probability in vars(joint.probability).items()
        if probability is not None and low <= probability <= high
    ]
    evaluable = [item for item in items if item["scored"] is not None]
    return sorted(evaluable, key=lambda item: abs(item["probability"] - 0.5))[:MOST_DOUBTFUL]


def _reasons(document: ScoreDocument) -> list[dict[str, Any]]:
    """Return every point that was given, slice by slice, with its measurements."""
    reasons: list[dict[str, Any]] = []
    for joint in sorted(document.joints, key=lambda joint: joint.slice):
        where: dict[str, Any] = {
            "slice_index": document.slices[joint.slice].slice_index,
            "side": joint.side,
            "height_mm": joint.height_mm,
        }
        reasons += [
            where
            | {
                "item": quadrant,
                "edema_mm2": getattr(joint.edema_mm2, quadrant),
                "over_marrow": getattr(joint.signal_over_marrow, quadrant),
            }
            for quadrant, point in vars(joint.edema).items()
            if point
        ]
        if joint.intense:
            reasons.append(where | {"item": "intense", "over_reference": joint.signal_over_reference})
        if joint.deep:
            reasons.append(where | {"item": "deep", "depth_mm": joint.depth_mm})
    return reasons


def _row(document: ScoreDocument, place: int) -> dict[str, Any]:
    """Return one row of the grid: the slice, its two joints, its points."""
    joints = {joint.side: joint for joint in document.joints if joint.slice == place}
    items = [point for joint in joints.values() for point in joint.items.values()]
    return {
        "slice": document.slices[place],
        "joints": joints,
        "points": points_given(items),
        "not_evaluable": len(items) - evaluable_items(items),
        "items": len(items),
    }


def _sums(document: ScoreDocument, side: Side) -> dict[str, int]:
    """Return the points of one side over all slices, by column of the grid."""
    items = [joint.items for joint in document.joints if joint.side == side.value]
    return {item: points_given(each[item] for each in items) for item in ITEM_NAMES}


def _marrow_range(document: ScoreDocument) -> tuple[float, float] | None:
    """Return the lowest and highest normal marrow at the heights of the quadrants; None if it was not measured."""
    values = [value for joint in document.joints for value in joint.marrow_signal.known]
    return (min(values), max(values)) if values else None


def _fact(name: str, value: str | float, words: Language) -> tuple[str, str]:
    name_words, unit = FACT_NAMES.get(name, (name.replace("_", " "), ""))
    text = words.say(value) if isinstance(value, str) else f"{value:.4g}"
    return words.say(name_words), f"{text} {unit}".strip() if unit != "°" else f"{text}{unit}"
