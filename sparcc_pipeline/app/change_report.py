"""`change.html`: what changed since baseline, where, and can the alignment be believed; one file without scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.change_pictures import VISITS_A_LINE, ChangePictures
from sparcc_pipeline.app.report import QUADRANTS_AS_SHOWN, template
from sparcc_pipeline.app.visits import T1_MOVED_MM
from sparcc_pipeline.imaging.movement import MOVED_MM
from sparcc_pipeline.sparcc.alignment import (
    LARGEST_JOINT_LINE_MM,
    LARGEST_ROTATION_DEGREES,
    SMALLEST_BONE_OVERLAP,
    TILT_LIMIT_DEGREES,
)

LIMITS: Final = {
    "joint_line_mm": LARGEST_JOINT_LINE_MM,
    "bone_overlap": SMALLEST_BONE_OVERLAP,
    "turn_degrees": LARGEST_ROTATION_DEGREES,
    "tilt_degrees": TILT_LIMIT_DEGREES,
    "moved_mm": MOVED_MM,
    "t1_moved_mm": T1_MOVED_MM,
}
"""What the page says beside what was measured."""

COLUMNS: Final = tuple(
    (side, item)
    for side in Side
    for item in (*(quadrant.value for quadrant in QUADRANTS_AS_SHOWN[side]), "intense", "deep")
)
"""Side and item of each column of the grid, as the image shows them."""

SMALLEST_SCALE: Final = 12
"""Total that fills the bars if no visit has a larger one: so a few points stay a short bar."""

NO_NUMBER: Final = "–"

_Item = tuple[int, Side, str]


def change_html(document: Mapping[str, Any], pictures: ChangePictures) -> str:
    """The report of a comparison.

    Parameters
    ----------
    document : content of `change.json`
    pictures : those of the same comparison
    """
    baseline = document["baseline"]
    compared = [each for each in document["follow_ups"] if each["status"] == "compared"]
    visits = [baseline, *compared]
    return template("change.html").render(
        change=document,
        baseline=baseline["score"],
        compared=compared,
        visits=visits,
        warnings=_warnings(visits),
        models=_models(visits),
        grids=[(each, *_grid(baseline["score"], each)) for each in compared],
        groups=[(side.value, [quadrants[place].bone.value.capitalize() for place in (0, -1)])
                for side, quadrants in QUADRANTS_AS_SHOWN.items()],
        columns=[(side.value, [q.value for q in quadrants]) for side, quadrants in QUADRANTS_AS_SHOWN.items()],
        scale=max(SMALLEST_SCALE, *(visit["score"]["total"] for visit in visits)),
        rows_of_pictures=[_base64(row) for row in pictures.rows],
        columns_of_pictures=min(len(visits), VISITS_A_LINE),
        alignment=[
            (each, _base64(checkerboard), _base64(edges))
            for each, (checkerboard, edges) in zip(compared, pictures.alignment, strict=True)
        ],
        limits=LIMITS,
        signed=_signed,
        percent=_percent,
        days=_days,
        sentence=_sentence,
    )  # fmt: skip


def _grid(baseline: Mapping[str, Any], follow_up: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[int | None]]:
    """The rows of the grid of one follow-up, and the sum of each column."""
    before, after, change = _items(baseline), _items(follow_up["score"]), _items(follow_up["change"])
    first = follow_up["score"]["slices"][0]["slice_index"]
    rows = []
    for place, matched in enumerate(follow_up["matched_slices"]):
        there = None if matched["follow_up"] is None else matched["follow_up"] - first
        cells = [
            {
                "before": before[place, side, item],
                "after": None if there is None else after[there, side, item],
                "change": change[place, side, item],
            }
            for side, item in COLUMNS
        ]
        total = _sum(cell["change"] for cell in cells)
        rows.append({"baseline": matched["baseline"], "follow_up": matched["follow_up"], "cells": cells, "sum": total})
    sums = [_sum(row["cells"][column]["change"] for row in rows) for column in range(len(COLUMNS))]
    return rows, sums


def _items(scored: Mapping[str, Any]) -> dict[_Item, int | None]:
    """Every item of a score or of a change by slice (0-5), side and name."""
    return {
        (joint["slice"], Side(joint["side"]), item): value
        for joint in scored["joints"]
        for item, value in {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}.items()
    }


def _sum(changes: Iterable[int | None]) -> int | None:
    """Over what is evaluable at both visits; None where nothing is."""
    known = [change for change in changes if change is not None]
    return sum(known) if known else None


def _warnings(visits: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Each warning once, with the visits that it is about."""
    about: dict[str, list[str]] = {}
    for visit in visits:
        for warning in (*visit["warnings"], *visit["score"]["warnings"]):
            names = about.setdefault(warning.removeprefix(f"{visit['name'].lower()}: "), [])
            if visit["name"] not in names:
                names.append(visit["name"])
    everyone = tuple(visit["name"] for visit in visits)
    groups = {everyone: "All visits", everyone[1:]: "All follow-ups"}
    return [
        (groups[tuple(names)] if len(names) > 2 and tuple(names) in groups else _and(names), warning)
        for warning, names in about.items()
    ]


def _models(visits: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Each model once, with the visits that it segmented."""
    models: dict[str, Mapping[str, Any]] = {}
    used: dict[str, list[str]] = {}
    for visit in visits:
        model = visit["score"]["provenance"]["model"]
        models[model["sha256"]] = model
        used.setdefault(model["sha256"], []).append(visit["name"])
    return [(model, _and(used[sha256]).lower()) for sha256, model in models.items()]


def _and(names: Sequence[str]) -> str:
    """Names of visits as the beginning of a line: the first as it is, the others in small letters."""
    return ", ".join([names[0], *(name.lower() for name in names[1:])])


def _signed(value: float | None, digits: int = 0) -> str:
    """With its sign, zero without one; a dash where there is no number."""
    if value is None:
        return NO_NUMBER
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _percent(probability: float) -> str:
    """Never 100 %."""
    return "over 99 %" if probability > 0.99 else f"{probability:.0%}".replace("%", " %")


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _sentence(text: str, capital: bool = True) -> str:
    """The words of a warning or an error as a sentence."""
    return (text[:1].upper() if capital else text[:1]) + text[1:].removesuffix(".") + "."


def _base64(png: bytes) -> str:
    return base64.b64encode(png).decode("ascii")
