"""`report.html`: one file for a radiologist, without scripts, that needs no network; `report.pdf` is printed from it.

Page one is what is needed in ten seconds; what it rests on follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.report.grid import GRID, ITEM_NAMES, points_text
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import embedded, percent, template
from sparcc_pipeline.app.report.pictures.reference_marks import REFERENCE, REFERENCE_MARKS
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.depth import DEPTH_THRESHOLD_MM
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2
from sparcc_pipeline.sparcc.intensity import REFERENCE_NAMES, SMALLEST_INTENSE_MM2
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
"""Facts of the series as a reader knows them, with their units; a fact without a name here is shown by its key."""

CHOSEN_BY: Final = {
    "transitional slice": Message(
        "The transitional slice (the first, going posteriorly, that shows the ligamentous part of the joints) is the "
        "last of the six."
    ),
    "user": Message("Chosen by the user (--slices), not by the rule of the transitional slice."),
    CHOSEN_BY_BASELINE: Message("The slices that show what was scored at baseline."),
}

DOUBTFUL: Final = (0.2, 0.8)
"""Probabilities between which an item is called doubtful (project decision)."""

MOST_DOUBTFUL: Final = 6
"""Doubtful items that page one lists: more is no help in ten seconds."""


@dataclass(frozen=True)
class SeriesText:
    """What the report says of the series beyond `score.json`."""

    facts: Mapping[str, str | float]
    chosen_because: Sequence[str]
    passed_over: Sequence[str]


@dataclass(frozen=True)
class ReportPictures:
    """PNG files of the six slices, anterior to posterior: small with the points, and large beside the plain image."""

    thumbnails: Sequence[bytes]
    overlays: Sequence[bytes]


def report_html(document: Mapping[str, Any], series: SeriesText, pictures: ReportPictures, words: Language,
                font_url: str | None = None) -> str:  # fmt: skip
    """The report of a scored study.

    Parameters
    ----------
    document : content of `score.json`
    words : the language of the page
    font_url : the page is for a PDF, and this font draws it
    """
    rows = [_row(document, place) for place in range(len(document["slices"]))]
    return template("report.html", words, font_url).render(
        score=document,
        rows=rows,
        grid=GRID,
        item_names=ITEM_NAMES,
        sums={side.value: _sums(document, side) for side in Side},
        not_evaluable=sum(row["not_evaluable"] for row in rows),
        interval=document.get("interval_90"),
        expected=document.get("expected"),
        remission=document.get("probability_remission"),
        # A model that was not calibrated leaves every probability null: nothing is known to be certain then.
        has_probabilities=any(
            value is not None for joint in document["joints"] for value in (joint.get("probability") or {}).values()
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
        chosen_by=CHOSEN_BY[document["chosen_by"]],
        facts=[_fact(name, value, words) for name, value in series.facts.items()],
        chosen_because=series.chosen_because,
        passed_over=series.passed_over,
        points_text=points_text,
        percent=percent,
    )


def _doubtful(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The evaluable items whose probability is nearest to a half, most doubtful first."""
    low, high = DOUBTFUL
    items = [
        {
            "slice_index": document["slices"][joint["slice"]]["slice_index"],
            "side": joint["side"],
            "item": item,
            "probability": probability,
            "scored": {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}[item],
        }
        for joint in document["joints"]
        for item, probability in (joint.get("probability") or {}).items()
        if probability is not None and low <= probability <= high
    ]
    evaluable = [item for item in items if item["scored"] is not None]
    return sorted(evaluable, key=lambda item: abs(item["probability"] - 0.5))[:MOST_DOUBTFUL]


def _reasons(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every point that was given, slice by slice, with what was measured for it; None where it does not apply."""
    reasons = []
    for joint in sorted(document["joints"], key=lambda joint: int(joint["slice"])):
        where = {
            "slice_index": document["slices"][joint["slice"]]["slice_index"],
            "side": joint["side"],
            "height_mm": joint["height_mm"],
        }
        reasons += [
            where
            | {
                "item": quadrant,
                "edema_mm2": joint["edema_mm2"][quadrant],
                "over_marrow": joint["signal_over_marrow"][quadrant],
            }
            for quadrant, point in joint["edema"].items()
            if point
        ]
        if joint["intense"]:
            reasons.append(where | {"item": "intense", "over_reference": joint["signal_over_reference"]})
        if joint["deep"]:
            reasons.append(where | {"item": "deep", "depth_mm": joint["depth_mm"]})
    return reasons


def _row(document: Mapping[str, Any], place: int) -> dict[str, Any]:
    """One row of the grid: the slice, its two joints, its points."""
    joints = {joint["side"]: joint for joint in document["joints"] if joint["slice"] == place}
    items = [p for joint in joints.values() for p in (*joint["edema"].values(), joint["intense"], joint["deep"])]
    return {
        "slice": document["slices"][place],
        "joints": joints,
        "points": sum(point or 0 for point in items),
        "not_evaluable": sum(point is None for point in items),
        "items": len(items),
    }


def _sums(document: Mapping[str, Any], side: Side) -> dict[str, int]:
    """Points of one side over all slices, by column of the grid."""
    joints = [joint for joint in document["joints"] if joint["side"] == side.value]
    sums = {quadrant.value: sum(joint["edema"][quadrant.value] or 0 for joint in joints) for quadrant in Quadrant}
    return sums | {item: sum(joint[item] or 0 for joint in joints) for item in ("intense", "deep")}


def _marrow_range(document: Mapping[str, Any]) -> tuple[float, float] | None:
    """Lowest and highest normal marrow at the heights of the quadrants; None where it was not measured."""
    values = [
        value
        for joint in document["joints"]
        for value in (joint.get("marrow_signal") or {}).values()
        if value is not None
    ]
    return (min(values), max(values)) if values else None


def _fact(name: str, value: str | float, words: Language) -> tuple[str, str]:
    name_words, unit = FACT_NAMES.get(name, (name.replace("_", " "), ""))
    text = words.say(value) if isinstance(value, str) else f"{value:.4g}"
    return words.say(name_words), f"{text} {unit}".strip() if unit != "°" else f"{text}{unit}"
