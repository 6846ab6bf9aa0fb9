"""Pictures of the six slices for a PACS: the plain image and the same image with marks, about as wide as high."""

from __future__ import annotations

from PIL import Image

from sparcc_pipeline.app.report.grid import points_text
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pictures.marks import RESEARCH_USE
from sparcc_pipeline.app.report.pictures.overlay import (
    FOOTER_PIXELS,
    HEADER_PIXELS,
    ITEMS,
    LEGEND,
    annotated,
    display_window,
    panel,
    view_of,
)
from sparcc_pipeline.app.report.pictures.reference_marks import reference_legend, reference_marrow
from sparcc_pipeline.app.report.pictures.sheet import Cell, Entry, sheet, with_scale
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.points import points_given


def draw_captures(scored: Scored, words: Language = ENGLISH) -> list[Image.Image]:
    """Return one picture for each of the six slices, anterior to posterior."""
    view, window, marrow = view_of(scored), display_window(scored), reference_marrow(scored)
    legend: list[Entry] = [*LEGEND, *reference_legend([scored]), (None, ITEMS), (None, RESEARCH_USE)]
    pictures = []
    for position, index in enumerate(scored.score.slices.indices):
        plain = panel(scored.study.stir.signal[index], view, *window)
        marked = annotated(plain, scored, position, view, marrow[index])
        points = points_given(joint.points for joint in scored.score.joints if joint.slice == position)
        place = Message("{place} of 6, anterior to posterior", place=position + 1)
        cells = [
            Cell(with_scale(plain, view), Message("Slice {slice}", slice=index + 1), place),
            Cell(with_scale(marked, view), Message("{points} on this slice", points=points_text(points))),
        ]
        pictures.append(sheet(cells, columns_for(view.size), legend, words))
    return pictures


def columns_for(size: tuple[int, int]) -> int:
    """Return 1 for panels of this (width, height) that are nearer to a square one above the other, else 2."""
    width, height = size
    return 1 if width >= height + HEADER_PIXELS + FOOTER_PIXELS else 2
