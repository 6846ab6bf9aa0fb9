"""`change.html`: what changed since baseline, where, and can the alignment be believed; one file without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.app.report.grid import GRID
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pages import embedded, percent, template
from sparcc_pipeline.app.report.pictures.change import VISITS_A_LINE, ChangePictures
from sparcc_pipeline.app.study.visits import T1_MOVED_MM
from sparcc_pipeline.imaging.alignment.movement import MOVED_MM
from sparcc_pipeline.message import Message
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

COLUMNS: Final = tuple((side.key, item) for side in GRID for item in (*dict(side.quadrants), "intense", "deep"))
"""Side and item of each column of the grid, as the image shows them."""

SMALLEST_SCALE: Final = 12
"""Total that fills the bars if no visit has a larger one: so a few points stay a short bar."""

NO_NUMBER: Final = "–"

_Item = tuple[int, str, str]


def change_html(document: Mapping[str, Any], pictures: ChangePictures, words: Language) -> str:
    """The report of a comparison.

    Parameters
    ----------
    document : content of `change.json`
    pictures : those of the same comparison
    words : the language of the page
    """
    baseline = document["baseline"]
    compared = [each for each in document["follow_ups"] if each["status"] == "compared"]
    visits = [baseline, *compared]
    return template("change.html", words).render(
        change=document,
        baseline=baseline["score"],
        compared=compared,
        visits=visits,
        warnings=_warnings(visits, words),
        models=_models(visits, words),
        grids=[(each, *_grid(baseline["score"], each)) for each in compared],
        grid=GRID,
        scale=max(SMALLEST_SCALE, *(visit["score"]["total"] for visit in visits)),
        rows_of_pictures=[embedded(row) for row in pictures.rows],
        columns_of_pictures=min(len(visits), VISITS_A_LINE),
        alignment=[
            (each, embedded(checkerboard), embedded(edges))
            for each, (checkerboard, edges) in zip(compared, pictures.alignment, strict=True)
        ],
        limits=LIMITS,
        signed=_signed,
        percent=percent,
        visit_name=lambda name, small=False: _visit_name(name, words, small=small),
        english_sentence=ENGLISH.sentence,
    )


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
        (joint["slice"], joint["side"], item): value
        for joint in scored["joints"]
        for item, value in {**joint["edema"], "intense": joint["intense"], "deep": joint["deep"]}.items()
    }


def _sum(changes: Iterable[int | None]) -> int | None:
    """Over what is evaluable at both visits; None where nothing is."""
    known = [change for change in changes if change is not None]
    return sum(known) if known else None


def _warnings(visits: Sequence[Mapping[str, Any]], words: Language) -> list[tuple[str, str]]:
    """Each warning once, with the visits that it is about."""
    about: dict[str, list[str]] = {}
    for visit in visits:
        for warning in (*visit["warnings"], *visit["score"]["warnings"]):
            # A warning about one visit holds the warning itself: whom it is about is said once for all of them.
            itself = warning.fields.get("warning", warning) if isinstance(warning, Message) else warning
            names = about.setdefault(itself, [])
            if visit["name"] not in names:
                names.append(visit["name"])
    everyone = tuple(visit["name"] for visit in visits)
    groups = {everyone: Message("All visits"), everyone[1:]: Message("All follow-ups")}
    return [
        (words.say(groups[tuple(names)]) if len(names) > 2 and tuple(names) in groups else _and(names, words), warning)
        for warning, names in about.items()
    ]


def _models(visits: Sequence[Mapping[str, Any]], words: Language) -> list[tuple[Mapping[str, Any], str]]:
    """Each model once, with the visits that it segmented."""
    models: dict[str, Mapping[str, Any]] = {}
    used: dict[str, list[str]] = {}
    for visit in visits:
        model = visit["score"]["provenance"]["model"]
        models[model["sha256"]] = model
        used.setdefault(model["sha256"], []).append(visit["name"])
    return [(model, _and(used[sha256], words).lower()) for sha256, model in models.items()]


def _and(names: Sequence[str], words: Language) -> str:
    """Names of visits as the beginning of a line: the first as it is, the others in small letters."""
    first, *others = names
    return words.separator.join([words.say(first), *(_visit_name(name, words, small=True) for name in others)])


def _visit_name(name: str, words: Language, *, small: bool) -> str:
    said = words.say(name)
    return said.lower() if small else said


def _signed(value: float | None, digits: int = 0) -> str:
    """With its sign, zero without one; a dash where there is no number."""
    if value is None:
        return NO_NUMBER
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"
