"""Pictures of a follow-up: every visit on each slice of the baseline, and how the visits lie on each other.

The rows show each visit's own pixels, those that were scored. Only the pictures of the alignment show a follow-up
resampled onto the baseline.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.app.compare import Compared, Comparison
from sparcc_pipeline.app.overlay import (
    FOOTER_PIXELS,
    GAP_PIXELS,
    HEADER_PIXELS,
    ITEMS,
    JOINT_LINE,
    LEGEND,
    MUTED,
    PAPER,
    PIXELS_PER_MM,
    TEXT,
    Pen,
    View,
    annotated,
    display_window,
    font,
    legend_entry,
    panel,
    png,
    scale_bar,
    side_letters,
    view_of,
)
from sparcc_pipeline.app.study import Scored
from sparcc_pipeline.imaging.registration import resample
from sparcc_pipeline.rigid import RigidTransform, index_map
from sparcc_pipeline.sparcc.alignment import MatchedSlice
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import FloatArray, Geometry

SACRUM: Final = "#F0E442"
ILIUM: Final = "#CC79A7"
"""Outlines of the follow-up's bones; colours of Okabe and Ito that no annotation uses."""

EMPTY: Final = "#262D34"

LARGEST_ROW_PIXELS: Final = 1530
VISITS_A_LINE: Final = 3
"""With more visits than this a row is wrapped: narrower panels can no longer be read on A4."""

SQUARE_MM: Final = 15.0
ALIGNMENT_SLICES: Final = (1, 4)
"""Places, within the six, of the slices that show the alignment: one in front, one behind."""

LETTERS_A_LINE: Final = 34

_Entry = tuple[str | None, str]
_RESEARCH: Final[_Entry] = (None, "Research use only")


@dataclass(frozen=True)
class ChangePictures:
    """PNG files.

    Parameters
    ----------
    rows : one for each of the six baseline slices: the slice that matches it at every compared visit, side by side
    alignment : (checkerboard, edge overlay) for each compared follow-up
    """

    rows: tuple[bytes, ...]
    alignment: tuple[tuple[bytes, bytes], ...]


def draw_change(comparison: Comparison) -> ChangePictures:
    """All pictures of a comparison; follow-ups that could not be compared are on none."""
    compared = [each for each in comparison.follow_ups if isinstance(each, Compared)]
    rows = _Rows(comparison, compared)
    places = range(len(comparison.scored.score.slices.indices))
    alignment = [_Alignment(comparison.scored, each) for each in compared]
    return ChangePictures(
        rows=tuple(png(rows.draw(place)) for place in places),
        alignment=tuple((png(each.checkerboard()), png(each.edges())) for each in alignment),
    )


class _Rows:
    """The rows of the visits, all at one scale, centred on what the baseline shows."""

    def __init__(self, comparison: Comparison, compared: Sequence[Compared]) -> None:
        visits = 1 + len(compared)
        lines = -(-visits // VISITS_A_LINE)
        self._columns = -(-visits // lines)
        self._baseline, self._compared = comparison.scored, compared
        view = _fitted(view_of(comparison.scored), max(self._columns, 2))
        self._size = view.size
        self._shown = [
            _Shown(comparison.scored, view, (0, 0), display_window(comparison.scored)),
            *(_follow_up_view(comparison.scored, each, view) for each in compared),
        ]

    def draw(self, place: int) -> Image.Image:
        """The row of one of the six baseline slices."""
        index = self._baseline.score.slices.indices[place]
        cells = [self._cell(self._shown[0], f"Baseline, slice {index}", index)]
        for each, shown in zip(self._compared, self._shown[1:], strict=True):
            matched = each.matched.matched[place]
            if matched.follow_up is None:
                cells.append(_Cell(_empty(self._size, _why_missing(matched)), f"{each.visit.name}, no slice"))
            else:
                title = f"{each.visit.name}, slice {matched.follow_up} (overlap {matched.overlap_mm:.1f} mm)"
                cells.append(self._cell(shown, title, matched.follow_up))
        return _sheet(cells, self._columns, [_RESEARCH, *LEGEND, (None, ITEMS)])

    def _cell(self, shown: _Shown, title: str, slice_index: int) -> _Cell:
        picture = Image.new("RGB", self._size, PAPER)
        picture.paste(shown.annotated(slice_index), shown.corner)
        return _Cell(_with_scale(picture, shown.view), title, shown.points(slice_index))


@dataclass(frozen=True)
class _Shown:
    """One visit as the rows show it; `corner` is where in a cell its panel begins, in picture pixels; `window` is
    the signal shown black and white."""

    scored: Scored
    view: View
    corner: tuple[int, int]
    window: tuple[float, float]

    def annotated(self, slice_index: int) -> Image.Image:
        """The panel of one scored slice with lines, outlines and points."""
        plain = panel(self.scored.study.stir.signal[slice_index], self.view, *self.window)
        return annotated(plain, self.scored, slice_index - self.scored.score.slices.first, self.view)

    def points(self, slice_index: int) -> str:
        """The points on one scored slice, in words: where nothing can be evaluated there are not 0."""
        position = slice_index - self.scored.score.slices.first
        joints = [joint for joint in self.scored.score.joints if joint.slice == position]
        if not any(joint.evaluable for joint in joints):
            return "not evaluable"
        points = sum(joint.points for joint in joints)
        return f"{points} point{'' if points == 1 else 's'}"


class _Alignment:
    """A follow-up laid on two slices of the baseline."""

    def __init__(self, baseline: Scored, follow_up: Compared) -> None:
        self._baseline, self._follow_up = baseline, follow_up
        self._slices = [baseline.score.slices.indices[place] for place in ALIGNMENT_SLICES]
        self._view, self._window = _fitted(view_of(baseline), 2), display_window(baseline)
        self._to_follow_up = _index_map(baseline, follow_up)
        self._to_baseline: FloatArray = np.asarray(np.linalg.inv(self._to_follow_up), dtype=np.float64)

    def checkerboard(self) -> Image.Image:
        """Squares of both visits in turn."""
        moving = self._follow_up.scored
        signal = resample(moving.study.stir, _transform(self._follow_up), _geometry(self._baseline))
        window = display_window(moving)
        width, height = self._view.size
        rows, columns = np.indices((height, width)) // (SQUARE_MM * self._view.pixels_per_mm)
        theirs = Image.fromarray(((rows + columns) % 2 == 1).astype(np.uint8) * 255)
        pictures = [
            Image.composite(panel(signal[index], self._view, *window), self._gray(index), theirs)
            for index in self._slices
        ]
        name = self._follow_up.visit.name.lower()
        return self._sheet(pictures, [(None, f"Squares in turn: baseline (upper left), {name}")])

    def edges(self) -> Image.Image:
        """The baseline with the bones and joint lines of the follow-up."""
        moving, to_follow_up = self._follow_up.scored, self._to_follow_up
        shape = _geometry(self._baseline).shape
        anatomy = ndimage.affine_transform(
            moving.tissue.anatomy, to_follow_up[:3, :3], to_follow_up[:3, 3], output_shape=shape, order=0
        )
        pictures = []
        for index in self._slices:
            pen = Pen(self._view)
            pen.outline(anatomy[index] == AnatomyLabel.SACRUM, SACRUM, 1.6)
            for label in ILIUM_LABEL.values():
                pen.outline(anatomy[index] == label, ILIUM, 1.6)
            for joint in moving.joints:
                for piece in self._on_slice(joint, index):
                    pen.line(piece, JOINT_LINE, 2.2)
            gray = self._gray(index).convert("RGBA")
            pictures.append(Image.alpha_composite(gray, pen.layer()).convert("RGB"))
        name = self._follow_up.visit.name
        return self._sheet(pictures, [(SACRUM, f"{name}: sacrum"), (ILIUM, "ilium"), (JOINT_LINE, "joint")])

    def _on_slice(self, joint: JointSlice, slice_index: int) -> list[FloatArray]:
        """The pieces of a follow-up's joint line that lie on a baseline slice, (row_mm, column_mm) of the baseline.

        As with the nearest label: what shows at a place is the follow-up's slice nearest to it.
        """
        spacing = np.array(self._follow_up.scored.joints.geometry.in_plane_mm)
        line = np.column_stack([np.full(len(joint.joint_line), joint.slice_index), joint.joint_line / spacing])
        there = _apply(self._to_baseline, line)
        there[:, 0] = slice_index
        nearest = np.rint(_apply(self._to_follow_up, there)[:, 0]) == joint.slice_index
        points = there[:, 1:] * _geometry(self._baseline).in_plane_mm
        runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(nearest)) + 1)
        return [points[run] for run in runs if nearest[run[0]] and len(run) > 1]

    def _gray(self, slice_index: int) -> Image.Image:
        return panel(self._baseline.study.stir.signal[slice_index], self._view, *self._window)

    def _sheet(self, pictures: Sequence[Image.Image], legend: Sequence[_Entry]) -> Image.Image:
        cells = [
            _Cell(_with_scale(picture, self._view), f"Baseline, slice {index}")
            for picture, index in zip(pictures, self._slices, strict=True)
        ]
        return _sheet(cells, 1, [_RESEARCH, *legend])


@dataclass(frozen=True)
class _Cell:
    """One panel under its header."""

    picture: Image.Image
    title: str
    note: str = ""


def _sheet(cells: Sequence[_Cell], columns: int, legend: Sequence[_Entry]) -> Image.Image:
    """Cells of one size, line by line, with a legend below."""
    width, height = cells[0].picture.size
    lines = -(-len(cells) // columns)
    step = HEADER_PIXELS + height
    full = columns * width + (columns - 1) * GAP_PIXELS
    below = _legend(legend, full)
    sheet = Image.new("RGB", (full, lines * step + below.height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, cell in enumerate(cells):
        x, y = (place % columns) * (width + GAP_PIXELS), (place // columns) * step
        sheet.paste(cell.picture, (x, y + HEADER_PIXELS))
        middle = y + HEADER_PIXELS / 2
        draw.text((x + 12, middle), cell.title, font=font(19), fill=TEXT, anchor="lm")
        draw.text((x + width - 12, middle), cell.note, font=font(19), fill=TEXT, anchor="rm")
    sheet.paste(below, (0, lines * step))
    return sheet


def _legend(entries: Sequence[_Entry], width: int) -> Image.Image:
    """Strokes of a colour, or mere words, one after the other; a new line where one is full."""
    strip = Image.new("RGB", (width, FOOTER_PIXELS * len(entries)), PAPER)
    draw = ImageDraw.Draw(strip)
    x, line = 12.0, 0
    for colour, words in entries:
        needed = font(15).getlength(words) + (0 if colour is None else 24)
        if x > 12 and x + needed > width - 6:
            x, line = 12.0, line + 1
        at = (x, (line + 0.5) * FOOTER_PIXELS)
        if colour is None:
            draw.text(at, words, font=font(15), fill=MUTED, anchor="lm")
            x += needed + 30
        else:
            x = legend_entry(draw, at, colour, words)
    return strip.crop((0, 0, width, (line + 1) * FOOTER_PIXELS))


def _with_scale(picture: Image.Image, view: View) -> Image.Image:
    """The panel with the patient's sides and one centimetre."""
    draw = ImageDraw.Draw(picture)
    side_letters(draw, (0, 0), picture.width)
    scale_bar(draw, (12, picture.height - 14), view.pixels_per_mm)
    return picture


def _empty(size: tuple[int, int], reason: str) -> Image.Image:
    """A panel without an image, and why."""
    picture = Image.new("RGB", size, EMPTY)
    words = "\n".join(textwrap.wrap(reason, LETTERS_A_LINE))
    at = (size[0] / 2, size[1] / 2)
    ImageDraw.Draw(picture).multiline_text(at, words, font=font(20), fill=TEXT, anchor="mm", align="center", spacing=8)
    return picture


def _why_missing(matched: MatchedSlice) -> str:
    return (
        f"Not shown: none of the six slices overlaps baseline slice {matched.baseline}; "
        f"the nearest lies {abs(matched.offset_mm):.1f} mm from it."
    )


def _fitted(view: View, columns: int) -> View:
    """The same part of the slice, as large as `columns` of it fit into the widest row."""
    shown_mm = (view.last[1] - view.first[1] + 1) * view.in_plane_mm[1]
    widest = (LARGEST_ROW_PIXELS - (columns - 1) * GAP_PIXELS) // columns
    return replace(view, pixels_per_mm=min(PIXELS_PER_MM, widest / shown_mm))


def _follow_up_view(baseline: Scored, follow_up: Compared, view: View) -> _Shown:
    """The part of a follow-up's slices that lies where `view` lies at baseline, cut at the edge of its images."""
    extent = (np.array(view.last) - view.first + 1) * view.in_plane_mm
    middle = np.array([*baseline.score.slices.indices]).mean()
    centre = np.array([[middle, *((np.array(view.first) + view.last) / 2)]])
    geometry = _geometry(follow_up.scored)
    spacing = np.array(geometry.in_plane_mm)
    low = _apply(_index_map(baseline, follow_up), centre)[0, 1:] * spacing - extent / 2
    first = np.maximum(np.rint(low / spacing + 0.5).astype(int), 0)
    last = np.minimum(np.rint((low + extent) / spacing - 0.5).astype(int), np.array(geometry.shape[1:]) - 1)
    row, column = np.rint(((first - 0.5) * spacing - low) * view.pixels_per_mm).astype(int)
    theirs = View(
        (int(first[0]), int(first[1])), (int(last[0]), int(last[1])), geometry.in_plane_mm, view.pixels_per_mm
    )
    return _Shown(follow_up.scored, theirs, (int(column), int(row)), display_window(follow_up.scored))


def _index_map(baseline: Scored, follow_up: Compared) -> FloatArray:
    """(4, 4): homogeneous (slice, row, column) of the baseline -> of the follow-up."""
    return index_map(_geometry(baseline), _geometry(follow_up.scored), _transform(follow_up))


def _apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """(n, 3) points through a homogeneous matrix."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _transform(follow_up: Compared) -> RigidTransform:
    return follow_up.alignment.registration.transform


def _geometry(scored: Scored) -> Geometry:
    return scored.study.stir.geometry
