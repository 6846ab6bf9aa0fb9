"""`change.html`: the change since baseline, slice by slice, and the quality of the alignment. No scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sparcc_pipeline.app.report.grid import GRID
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pages import css_string, embedded, percent, template
from sparcc_pipeline.app.report.pictures.change import VISITS_A_LINE, ChangePictures
from sparcc_pipeline.app.report.whose import Whose
from sparcc_pipeline.app.results.change_types import BaselineEntry, ChangeDocument, FollowUpEntry, JointChangeEntry
from sparcc_pipeline.app.results.score_entries import JointEntry
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.provenance import ModelRef
from sparcc_pipeline.app.study.visits import T1_MOVED_MM
from sparcc_pipeline.imaging.alignment.movement import MOVED_MM
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.follow_up.alignment import (
    LARGEST_JOINT_LINE_MM,
    LARGEST_ROTATION_DEGREES,
    SMALLEST_BONE_OVERLAP,
    TILT_LIMIT_DEGREES,
)
from sparcc_pipeline.sparcc.points import sum_of_changes

LIMITS: Final = {
    "joint_line_mm": LARGEST_JOINT_LINE_MM,
    "bone_overlap": SMALLEST_BONE_OVERLAP,
    "turn_degrees": LARGEST_ROTATION_DEGREES,
    "tilt_degrees": TILT_LIMIT_DEGREES,
    "moved_mm": MOVED_MM,
    "t1_moved_mm": T1_MOVED_MM,
}
"""The limits that the page shows beside the measured values."""

COLUMNS: Final = tuple((side.key, item) for side in GRID for item in (*dict(side.quadrants), "intense", "deep"))
"""Side and item of each column of the grid, as the image shows them."""

SMALLEST_SCALE: Final = 12
"""Smallest total at full length of the bars, so that a few points stay a short bar."""

NO_NUMBER: Final = "–"

_Item = tuple[int, str, str]


class _Visit(NamedTuple):
    """A visit with a score: the baseline or a follow-up that was compared."""

    name: str
    score: ScoreDocument
    entry: BaselineEntry | FollowUpEntry


def change_html(
    document: ChangeDocument, pictures: ChangePictures, words: Language, shown_as: Mapping[str, Whose] | None = None
) -> str:
    """Return the report of a comparison.

    Parameters
    ----------
    document : content of `change.json`
    pictures : those of the same comparison
    words : the language of the page
    shown_as : whose images and when, by visit
    """
    shown_as = shown_as or {}
    baseline = document.baseline
    compared = [each for each in document.follow_ups if each.score is not None]
    visits = [_Visit(baseline.name, baseline.score, baseline)]
    visits += [_Visit(each.name, each.score, each) for each in compared if each.score is not None]
    return template("change.html", words).render(
        change=document,
        shown_as=shown_as,
        running=css_string(_running(shown_as, words)),
        baseline=baseline.score,
        compared=compared,
        visits=[visit.entry for visit in visits],
        warnings=_warnings(visits, words),
        models=_models(visits, words),
        grids=[(each, *_grid(baseline.score, each)) for each in compared],
        grid=GRID,
        scale=max(SMALLEST_SCALE, *(visit.score.total or 0 for visit in visits)),
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


def _grid(baseline: ScoreDocument, follow_up: FollowUpEntry) -> tuple[list[dict[str, Any]], list[int | None]]:
    """Return the rows of the grid of one follow-up, and the sum of each column; empty if it was not compared."""
    if follow_up.score is None or follow_up.change is None:
        return [], []
    before, after = _items(baseline.joints), _items(follow_up.score.joints)
    change = _items(follow_up.change.joints)
    first = follow_up.score.slices[0].slice_index
    rows: list[dict[str, Any]] = []
    for place, matched in enumerate(follow_up.matched_slices):
        there = None if matched.follow_up is None else matched.follow_up - first
        cells = [
            {
                "before": before[place, side, item],
                "after": None if there is None else after[there, side, item],
                "change": change[place, side, item],
            }
            for side, item in COLUMNS
        ]
        total = sum_of_changes(cell["change"] for cell in cells)
        rows.append({"baseline": matched.baseline, "follow_up": matched.follow_up, "cells": cells, "sum": total})
    sums = [sum_of_changes(row["cells"][column]["change"] for row in rows) for column in range(len(COLUMNS))]
    return rows, sums


def _items(joints: Iterable[JointEntry | JointChangeEntry]) -> dict[_Item, int | None]:
    """Return every item of a score or of a change by slice (0-5), side and name."""
    return {(joint.slice, joint.side, item): value for joint in joints for item, value in joint.items.items()}


def _warnings(visits: Sequence[_Visit], words: Language) -> list[tuple[str, str]]:
    """Return each warning once, with the visits that it is about."""
    about: dict[str, list[str]] = {}
    for visit in visits:
        for warning in (*visit.entry.warnings, *visit.score.warnings):
            # A warning about one visit contains the warning itself, which may be about several visits.
            itself = warning.fields.get("warning", warning) if isinstance(warning, Message) else warning
            names = about.setdefault(itself, [])
            if visit.name not in names:
                names.append(visit.name)
    everyone = tuple(visit.name for visit in visits)
    groups = {everyone: Message("All visits"), everyone[1:]: Message("All follow-ups")}
    return [
        (words.say(groups[tuple(names)]) if len(names) > 2 and tuple(names) in groups else _and(names, words), warning)
        for warning, names in about.items()
    ]


def _models(visits: Sequence[_Visit], words: Language) -> list[tuple[ModelRef, str]]:
    """Return each model once, with the visits that it segmented."""
    models: dict[str, ModelRef] = {}
    used: dict[str, list[str]] = {}
    for visit in visits:
        if (model := visit.score.provenance.model) is not None:
            models[model.sha256] = model
            used.setdefault(model.sha256, []).append(visit.name)
    return [(model, _and(used[sha256], words).lower()) for sha256, model in models.items()]


def _and(names: Sequence[str], words: Language) -> str:
    """Return names of visits for the beginning of a line: the first as it is, the others in small letters."""
    first, *others = names
    return words.separator.join([words.say(first), *(_visit_name(name, words, small=True) for name in others)])


def _running(shown_as: Mapping[str, Whose], words: Language) -> str:
    """Return the line at the head of each printed page: every visit with what names its images."""
    named = ((name, one.parts) for name, one in shown_as.items() if one.parts)
    return " | ".join(" · ".join([words.say(name), *map(words.say, parts)]) for name, parts in named)


def _visit_name(name: str, words: Language, *, small: bool) -> str:
    text = words.say(name)
    return text.lower() if small else text


def _signed(value: float | None, digits: int = 0) -> str:
    """Return a number with its sign, zero without one, and a dash for None."""
    if value is None:
        return NO_NUMBER
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"
