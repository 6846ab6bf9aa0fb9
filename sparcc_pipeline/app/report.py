"""`report.html`: one file for a radiologist, without scripts, that needs no network and prints well."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sparcc_pipeline.anatomy import Bone, Quadrant, Side
from sparcc_pipeline.sparcc.slices import CHOSEN_BY_BASELINE

QUADRANTS_AS_SHOWN: Final = {
    Side.RIGHT: (Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC, Quadrant.UPPER_SACRAL, Quadrant.LOWER_SACRAL),
    Side.LEFT: (Quadrant.UPPER_SACRAL, Quadrant.LOWER_SACRAL, Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC),
}
"""Columns of the grid in the order in which the image shows them: the ilia outside, the sacrum between."""

FACT_NAMES: Final = {
    "kind": ("Kind", ""),
    "manufacturer": ("Manufacturer", ""),
    "model": ("Scanner", ""),
    "field_strength_t": ("Field strength", "T"),
    "repetition_time_ms": ("TR", "ms"),
    "echo_time_ms": ("TE", "ms"),
    "inversion_time_ms": ("TI", "ms"),
    "row_spacing_mm": ("Row spacing", "mm"),
    "column_spacing_mm": ("Column spacing", "mm"),
    "slice_thickness_mm": ("Slice thickness", "mm"),
    "slice_spacing_mm": ("Slice spacing", "mm"),
    "slices": ("Slices", ""),
    "rows": ("Rows", ""),
    "columns": ("Columns", ""),
    "tilt_degrees": ("Tilt from coronal", "°"),
    "series_number": ("Series number", ""),
    "transfer_syntax": ("Transfer syntax", ""),
}
"""Facts of the series as a reader knows them, with their units; a fact without a name here is shown by its key."""

REFERENCE_NAMES: Final = {"presacral_vessels": "presacral vessels"}
CHOSEN_BY: Final = {
    "transitional slice": "The transitional slice (the first, going posteriorly, that shows the ligamentous part of "
    "the joints) is the last of the six.",
    "user": "Chosen by the user (--slices), not by the rule of the transitional slice.",
    CHOSEN_BY_BASELINE: "The slices that show what was scored at baseline.",
}


@dataclass(frozen=True)
class SeriesText:
    """What the report says of the series beyond `score.json`."""

    facts: Mapping[str, str | float]
    chosen_because: Sequence[str]
    passed_over: Sequence[str]


def report_html(document: Mapping[str, Any], series: SeriesText, overlays: Sequence[bytes]) -> str:
    """The report of a scored study.

    Parameters
    ----------
    document : content of `score.json`
    overlays : PNG files of the six slices, anterior to posterior
    """
    rows = [_row(document, place) for place in range(len(document["slices"]))]
    return template("report.html").render(
        score=document,
        rows=rows,
        sums={side.value: _sums(document, side) for side in Side},
        groups=[(side.value, _groups(side)) for side in Side],
        columns=[(side.value, [q.value for q in QUADRANTS_AS_SHOWN[side]]) for side in Side],
        not_evaluable=sum(row["not_evaluable"] for row in rows),
        overlays=[base64.b64encode(png).decode("ascii") for png in overlays],
        reference_name=REFERENCE_NAMES,
        chosen_by=CHOSEN_BY[document["chosen_by"]],
        facts=[_fact(name, value) for name, value in series.facts.items()],
        chosen_because=series.chosen_because,
        passed_over=series.passed_over,
    )


@cache
def template(name: str) -> Template:
    """A page of `templates/`; a name that it does not know is an error, and every text is escaped."""
    environment = Environment(
        loader=PackageLoader("sparcc_pipeline.app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _row(document: Mapping[str, Any], place: int) -> dict[str, Any]:
    """One row of the grid: the slice, its two joints, its points."""
    joints = {joint["side"]: joint for joint in document["joints"] if joint["slice"] == place}
    items = [p for joint in joints.values() for p in (*joint["edema"].values(), joint["intense"], joint["deep"])]
    return {
        "slice": document["slices"][place],
        "joints": joints,
        "points": sum(point or 0 for point in items),
        "not_evaluable": sum(point is None for point in items),
    }


def _sums(document: Mapping[str, Any], side: Side) -> dict[str, int]:
    """Points of one side over all slices, by column of the grid."""
    joints = [joint for joint in document["joints"] if joint["side"] == side.value]
    sums = {quadrant.value: sum(joint["edema"][quadrant.value] or 0 for joint in joints) for quadrant in Quadrant}
    return sums | {item: sum(joint[item] or 0 for joint in joints) for item in ("intense", "deep")}


def _groups(side: Side) -> list[str]:
    """Bones of one side in the order shown."""
    bones = [quadrant.bone for quadrant in QUADRANTS_AS_SHOWN[side]]
    return ["Iliac" if bone is Bone.ILIUM else "Sacral" for bone in (bones[0], bones[-1])]


def _fact(name: str, value: str | float) -> tuple[str, str]:
    words, unit = FACT_NAMES.get(name, (name.replace("_", " "), ""))
    text = value if isinstance(value, str) else f"{value:.4g}"
    return words, f"{text} {unit}".strip() if unit != "°" else f"{text}{unit}"
