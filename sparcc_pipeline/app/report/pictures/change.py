"""Pictures of a comparison: every visit for each slice of the baseline, and the alignment of the visits.

The rows show the pixels of each visit that were scored. Only the pictures of the alignment show a follow-up that is
resampled onto the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from sparcc_pipeline.app.report.grid import points_text
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pictures.alignment import AlignmentPictures, apply, fitted, geometry_of, map_between
from sparcc_pipeline.app.report.pictures.marks import PAPER, RESEARCH_USE
from sparcc_pipeline.app.report.pictures.overlay import ITEMS, LEGEND, annotated, display_window, panel, png, view_of
from sparcc_pipeline.app.report.pictures.reference_marks import reference_legend, reference_marrow
from sparcc_pipeline.app.report.pictures.sheet import Cell, empty, sheet, with_scale
from sparcc_pipeline.app.report.pictures.view import View
from sparcc_pipeline.app.study.compare import Compared, Comparison
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.follow_up.alignment import MatchedSlice
from sparcc_pipeline.sparcc.points import points_given
from sparcc_pipeline.volume import BoolArray, slice_number

VISITS_A_LINE: Final = 3
"""Most visits in one line; narrower panels cannot be read on A4."""


@dataclass(frozen=True)
class ChangePictures:
    """PNG files of a comparison.

    Parameters
    ----------
    rows : one for each of the six baseline slices: the matching slices of all compared visits, side by side
    alignment : (checkerboard, edge overlay) for each compared follow-up
    """

    rows: tuple[bytes, ...]
    alignment: tuple[tuple[bytes, bytes], ...]


def draw_change(comparison: Comparison, words: Language = ENGLISH) -> ChangePictures:
    """Return all pictures of a comparison, without follow-ups that could not be compared."""
    compared = [each for each in comparison.follow_ups if isinstance(each, Compared)]
    rows = _Rows(comparison, compared, words)
    places = range(len(comparison.scored.score.slices.indices))
    alignment = [AlignmentPictures(comparison.scored, each, words) for each in compared]
    return ChangePictures(
        rows=tuple(png(rows.draw(place)) for place in places),
        alignment=tuple((png(each.checkerboard()), png(each.edges())) for each in alignment),
    )


class _Rows:
    """The rows of the visits, all at one scale, centred on the same anatomy as the baseline."""

    def __init__(self, comparison: Comparison, compared: Sequence[Compared], words: Language) -> None:
        visits = 1 + len(compared)
        lines = -(-visits // VISITS_A_LINE)
        self._columns = -(-visits // lines)
        self._baseline, self._compared, self._words = comparison.scored, compared, words
        view = fitted(view_of(comparison.scored), max(self._columns, 2))
        self._size = view.size
        self._shown = [
            _Shown(
                comparison.scored,
                view,
                (0, 0),
                display_window(comparison.scored),
                reference_marrow(comparison.scored),
            ),
            *(_follow_up_view(comparison.scored, each, view) for each in compared),
        ]

    def draw(self, place: int) -> Image.Image:
        """Return the row of one of the six baseline slices."""
        index = self._baseline.score.slices.indices[place]
        cells = [
            self._cell(
                self._shown[0],
                Message("{visit}, slice {slice}", visit=Message("Baseline"), slice=slice_number(index)),
                index,
            )
        ]
        for each, shown in zip(self._compared, self._shown[1:], strict=True):
            matched = each.matched.matched[place]
            if matched.follow_up is None:
                nothing = empty(self._size, _why_missing(matched), self._words)
                cells.append(Cell(nothing, Message("{visit}, no slice", visit=each.visit.name)))
            else:
                title = Message(
                    "{visit}, slice {slice} (overlap {mm:.1f} mm)",
                    visit=each.visit.name,
                    slice=slice_number(matched.follow_up),
                    mm=matched.overlap_mm,
                )
                cells.append(self._cell(shown, title, matched.follow_up))
        references = reference_legend(each.scored for each in self._shown)
        return sheet(cells, self._columns, [(None, RESEARCH_USE), *LEGEND, *references, (None, ITEMS)], self._words)

    def _cell(self, shown: _Shown, title: Message, slice_index: int) -> Cell:
        picture = Image.new("RGB", self._size, PAPER)
        picture.paste(shown.annotated(slice_index), shown.corner)
        return Cell(with_scale(picture, shown.view), title, shown.points(slice_index))


@dataclass(frozen=True)
class _Shown:
    """One visit as the rows show it.

    Parameters
    ----------
    corner : (x, y) of its panel in a cell, in picture pixels
    window : signals that are shown black and white
    marrow : (slices, rows, columns) bool, the reference marrow
    """

    scored: Scored
    view: View
    corner: tuple[int, int]
    window: tuple[float, float]
    marrow: BoolArray

    def annotated(self, slice_index: int) -> Image.Image:
        """Return the panel of one scored slice with lines, outlines and points."""
        plain = panel(self.scored.study.stir.signal[slice_index], self.view, *self.window)
        position = slice_index - self.scored.score.slices.first
        return annotated(plain, self.scored, position, self.view, self.marrow[slice_index])

    def points(self, slice_index: int) -> Message:
        """Return the points on one scored slice in words: "not evaluable" rather than 0 if no item is evaluable."""
        position = slice_index - self.scored.score.slices.first
        joints = [joint for joint in self.scored.score.joints if joint.slice == position]
        if not any(joint.evaluable for joint in joints):
            return Message("not evaluable")
        return points_text(points_given(joint.points for joint in joints))


def _why_missing(matched: MatchedSlice) -> Message:
    return Message(
        "Not shown: none of the six slices overlaps baseline slice {slice}; the nearest is {mm:.1f} mm away.",
        slice=slice_number(matched.baseline),
        mm=abs(matched.offset_mm),
    )


def _follow_up_view(baseline: Scored, follow_up: Compared, view: View) -> _Shown:
    """Return the part of the slices of a follow-up that matches `view` at baseline, cut at the edge of its images."""
    extent = (np.array(view.last) - view.first + 1) * view.in_plane_mm
    middle = np.array([*baseline.score.slices.indices]).mean()
    centre = np.array([[middle, *((np.array(view.first) + view.last) / 2)]])
    geometry = geometry_of(follow_up.scored)
    spacing = np.array(geometry.in_plane_mm)
    low = apply(map_between(baseline, follow_up), centre)[0, 1:] * spacing - extent / 2
    first = np.maximum(np.rint(low / spacing + 0.5).astype(int), 0)
    last = np.minimum(np.rint((low + extent) / spacing - 0.5).astype(int), np.array(geometry.shape[1:]) - 1)
    row, column = np.rint(((first - 0.5) * spacing - low) * view.pixels_per_mm).astype(int)
    theirs = View(
        (int(first[0]), int(first[1])), (int(last[0]), int(last[1])), geometry.in_plane_mm, view.pixels_per_mm
    )
    return _Shown(
        follow_up.scored,
        theirs,
        (int(column), int(row)),
        display_window(follow_up.scored),
        reference_marrow(follow_up.scored),
    )
