"""`report.html`: one file for a radiologist, without network; `report.pdf` is printed from it.

Page one shows the result; the details follow. A script opens slices large; the page is complete without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.certainty import certainty, contradiction
from sparcc_pipeline.app.report.grid import GRID, ITEM_NAMES, points_text
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import css_string, embedded, percent, template
from sparcc_pipeline.app.report.pictures.layers import SliceLayers
from sparcc_pipeline.app.report.pictures.overlay import ITEMS
from sparcc_pipeline.app.report.pictures.reference_marks import REFERENCE, REFERENCE_MARKS
from sparcc_pipeline.app.report.whose import Whose
from sparcc_pipeline.app.results.score_entries import JointEntry
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
    whose: Whose = Whose()


@dataclass(frozen=True)
class ReportPictures:
    """PNG files of the six slices, anterior to posterior: small ones with points, and the layers of large ones.

    `ratio` is width over height of a layer.
    """

    thumbnails: Sequence[bytes]
    layers: Sequence[SliceLayers]
    ratio: float


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
        whose=series.whose,
        running=css_string(" · ".join(words.say(part) for part in series.whose.parts)),
        certainty=certainty(document),
        contradiction=contradiction(document),
        interval=document.interval_90,
        expected=document.expected,
        remission=document.probability_remission,
        has_probabilities=_has_probabilities(document),
        doubtful_limits=DOUBTFUL,
        doubtful=_doubtful(document),
        reasons=_reasons(document),
        smallest_edema_mm2=SMALLEST_EDEMA_MM2,
        smallest_intense_mm2=SMALLEST_INTENSE_MM2,
        depth_threshold_mm=DEPTH_THRESHOLD_MM,
        thumbnails=[embedded(png) for png in pictures.thumbnails],
        layers=[_layer(layers) for layers in pictures.layers],
        has_t1=any(layers.t1 is not None for layers in pictures.layers),
        picture_ratio=pictures.ratio,
        viewer=_viewer(document, rows, pictures.layers, words),
        items_key=ITEMS,
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


def _layer(layers: SliceLayers) -> dict[str, str | None]:
    """Return the pictures of one slice as pages embed them."""
    t1 = None if layers.t1 is None else embedded(layers.t1)
    return {"image": embedded(layers.image), "marks": embedded(layers.marks), "t1": t1}


def _viewer(
    document: ScoreDocument, rows: Sequence[Mapping[str, Any]], layers: Sequence[SliceLayers], words: Language
) -> list[dict[str, Any]]:
    """Return what the script shows beside the large picture of each slice."""
    shown = []
    for row, layer in zip(rows, layers, strict=True):
        entry = row["slice"]
        image = Message("image {number}", number=entry.instance_number) if entry.instance_number is not None else None
        name = Message("Slice {slice}", slice=entry.number)
        title = [words.say(part) for part in (name, image, points_text(row["points"])) if part]
        items = [
            {"side": joint.side, "item": item, "point": point, "text": _item_text(joint, item, point, words)}
            for joint in (row["joints"][side.key] for side in GRID)
            for item, point in joint.items.items()
        ]
        shown.append(
            {"id": f"slice-{entry.number}", "title": " · ".join(title), "places": layer.places, "items": items}
        )
    return shown


def _item_text(joint: JointEntry, item: str, point: int | None, words: Language) -> str:
    """Return one item in words, with the share of readers who give the point if the model is calibrated."""
    name = words.say("{side}, {item}", side=joint.side, item=ITEM_NAMES[item])
    if point is None:
        return f"{name}: {words.say('not evaluable')}"
    probability = getattr(joint.probability, item)
    return f"{name}: {point}" + ("" if probability is None else f" ({percent(probability)})")


def _has_probabilities(document: ScoreDocument) -> bool:
    """Return False for a model without calibration: then the page must not call the items certain."""
    return any(value is not None for joint in document.joints for value in vars(joint.probability).values())


def _doubtful(document: ScoreDocument) -> list[dict[str, Any]]:
    """Return the evaluable items with a probability near one half, the most doubtful first."""
    low, high = DOUBTFUL
    items = [
        {
            "place": joint.slice,
            "number": document.slices[joint.slice].number,
            "side": joint.side,
            "item": item,
            "probability": probability,
            "scored": joint.items[item],
            "against": joint.items[item] != (probability >= 0.5),
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
            "number": document.slices[joint.slice].number,
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
