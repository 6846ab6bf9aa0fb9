"""Pictures of the six slices: the plain image beside the same image with outlines and points.

The orientation is radiological: the patient's right is on the left of the picture. Colours are those of Okabe and Ito,
which people with colour blindness can distinguish.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.grid import points_text
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pictures.fonts import picture_font
from sparcc_pipeline.app.report.pictures.marks import (
    MUTED,
    PAPER,
    RESEARCH_USE,
    TEXT,
    Point,
    legend_entry,
    scale_bar,
    side_letters,
)
from sparcc_pipeline.app.report.pictures.places import item_places, split_line
from sparcc_pipeline.app.report.pictures.reference_marks import (
    MARROW,
    REFERENCE,
    marrow_values,
    reference_legend,
    reference_marrow,
)
from sparcc_pipeline.app.report.pictures.view import Pen, View
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.sparcc.points import points_given
from sparcc_pipeline.sparcc.score import JointSliceScore
from sparcc_pipeline.volume import (
    BoolArray,
    Float32Array,
    FloatArray,
    Geometry,
    LabelArray,
    sacroiliac_bones,
    slice_number,
)

JOINT_LINE: Final = "#56B4E9"
LEFT_JOINT_LINE: Final = "#009E73"
"""Colors of the right and the left ilium in the DICOM segmentation; pictures of one color have the first."""
EDEMA: Final = "#E69F00"
QUADRANT: Final = "#FFFFFF"

LEGEND: Final = (
    (JOINT_LINE, Message("right joint")),
    (LEFT_JOINT_LINE, Message("left joint")),
    (QUADRANT, Message("quadrants")),
    (EDEMA, Message("edema")),
)
"""Meaning of the colours of an annotated panel; those of the references are in `reference_legend`."""

WHITE_TIMES_MARROW: Final = 4.0
"""Signal shown white, as a multiple of normal marrow over the background: edema is bright gray, vessels are white."""

NOT_EVALUABLE: Final = "-"
"""A hyphen, because the font of Pillow has no dash."""

ITEMS: Final = Message("I intensity    D depth    {dash} not evaluable", dash=NOT_EVALUABLE)
"""Meaning of the letters of an annotated panel."""

MARGIN_MM: Final = (14.0, 28.0)
"""(rows, columns) shown beyond the joint lines."""

PIXELS_PER_MM: Final = 4.8
LARGEST_PANEL_PIXELS: Final = 760
THUMBNAIL_PIXELS: Final = 540
HEADER_PIXELS: Final = 40
FOOTER_PIXELS: Final = 34
GAP_PIXELS: Final = 6
PNG_LEVEL: Final = 3


def draw_overlays(scored: Scored, words: Language = ENGLISH) -> list[Image.Image]:
    """Return one picture for each of the six slices, anterior to posterior."""
    view, window, marrow = view_of(scored), display_window(scored), reference_marrow(scored)
    return [
        _picture(scored, position, view, window, marrow[index], words)
        for position, index in enumerate(scored.score.slices.indices)
    ]


def draw_thumbnails(scored: Scored) -> list[Image.Image]:
    """Return the six slices with their points, small and without words."""
    view, window = view_of(scored), display_window(scored)
    view = replace(view, pixels_per_mm=view.pixels_per_mm * THUMBNAIL_PIXELS / view.size[0])
    pictures = []
    for position, index in enumerate(scored.score.slices.indices):
        plain = panel(scored.study.stir.signal[index], view, *window)
        picture = annotated(plain, scored, position, view)
        side_letters(ImageDraw.Draw(picture), (0, 0), picture.width)
        pictures.append(picture)
    return pictures


def png(picture: Image.Image) -> bytes:
    """Return the picture as a PNG file, at a level that takes half of the usual time for a tenth more bytes."""
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=PNG_LEVEL)
    return content.getvalue()


def display_window(scored: Scored) -> tuple[float, float]:
    """Signal shown black and white, the same on all six slices.

    Measured on marrow without edema, so that neither a bright lesion nor the scanner's units change the impression.
    """
    indices = list(scored.score.slices.indices)
    signal, anatomy = scored.study.stir.signal[indices], scored.tissue.anatomy[indices]
    return window_about(signal, anatomy, scored.tissue.edema[indices])


def window_about(signal: Float32Array, anatomy: LabelArray, edema: BoolArray) -> tuple[float, float]:
    """Return black and white of `display_window`, from (slices, rows, columns) arrays of the shown slices."""
    marrow = sacroiliac_bones(anatomy) & ~edema
    black = float(np.percentile(signal, 1))
    middle = float(np.median(signal[marrow])) if marrow.any() else float(np.median(signal))
    white = black + WHITE_TIMES_MARROW * (middle - black)
    return (black, white) if white > black else (black, max(float(signal.max()), black + 1.0))


def view_of(scored: Scored) -> View:
    """Return the part that pictures show: the box of all joint lines on the six slices with a margin."""
    lines = [j.joint_line for j in scored.joints if j.slice_index in scored.score.slices.indices]
    return view_about(lines, scored.study.stir.geometry)


def view_about(lines_mm: Sequence[FloatArray], geometry: Geometry) -> View:
    """Return the box of `view_of` about joint lines, each (n, 2) (row_mm, column_mm), cut at the image edge."""
    points = np.vstack(lines_mm)
    spacing, shape = geometry.in_plane_mm, geometry.shape[1:]
    low = np.floor((points.min(axis=0) - MARGIN_MM) / spacing).astype(int)
    high = np.ceil((points.max(axis=0) + MARGIN_MM) / spacing).astype(int)
    first = (max(int(low[0]), 0), max(int(low[1]), 0))
    last = (min(int(high[0]), shape[0] - 1), min(int(high[1]), shape[1] - 1))
    width_mm = (last[1] - first[1] + 1) * spacing[1]
    return View(first, last, spacing, min(PIXELS_PER_MM, LARGEST_PANEL_PIXELS / width_mm))


def _picture(
    scored: Scored, position: int, view: View, window: tuple[float, float], marrow: BoolArray, words: Language
) -> Image.Image:
    """Return the picture of one slice: header, plain and annotated panel, footer."""
    index = scored.score.slices.indices[position]
    plain = panel(scored.study.stir.signal[index], view, *window)
    width, height = view.size
    picture = Image.new("RGB", (2 * width + GAP_PIXELS, HEADER_PIXELS + height + FOOTER_PIXELS), PAPER)
    picture.paste(plain, (0, HEADER_PIXELS))
    picture.paste(annotated(plain, scored, position, view, marrow), (width + GAP_PIXELS, HEADER_PIXELS))
    _captions(ImageDraw.Draw(picture), scored, position, view, words)
    return picture


def panel(signal: Float32Array, view: View, black: float, white: float) -> Image.Image:
    """Return the shown part of one (rows, columns) slice, windowed, at its true proportions."""
    rows, columns = (slice(start, end + 1) for start, end in zip(view.first, view.last, strict=True))
    gray = np.clip((signal[rows, columns] - black) / (white - black), 0, 1) * 255
    small = Image.fromarray(np.rint(gray).astype(np.uint8))
    return small.resize(view.size, Image.Resampling.BICUBIC).convert("RGB")


def annotated(
    plain: Image.Image, scored: Scored, position: int, view: View, marrow: BoolArray | None = None
) -> Image.Image:
    """Return the panel with lines and outlines (drawn large and reduced, so that they are smooth) and points.

    `marrow` (rows, columns) bool is the reference marrow of this slice; if given, it is shown with its signal.
    """
    pen = Pen(view)
    index = scored.score.slices.indices[position]
    edema = scored.tissue.edema[index]
    given = np.zeros_like(edema)
    scores = {joint.side: joint for joint in scored.score.joints if joint.slice == position}
    found = {side: scored.joints.at(index, side) for side in Side}
    if marrow is not None:
        pen.outline(marrow, MARROW, 1.4, opacity=235)
    pen.outline(scored.reference_region[index], REFERENCE, 1.2)
    for side, joint in found.items():
        if joint is not None:
            for quadrant, mask in joint.quadrants.items():
                pen.outline(mask, QUADRANT, 0.8, opacity=140)
                given |= mask & bool(scores[side].edema[quadrant])
    pen.outline(edema & ~given, EDEMA, 0.9, opacity=150)
    pen.outline(edema & given, EDEMA, 2.2)
    for side, joint in found.items():
        if joint is not None:
            pen.line(joint.joint_line, JOINT_LINE if side is Side.RIGHT else LEFT_JOINT_LINE, 2.2)
            if joint.divided:
                pen.line(split_line(joint), QUADRANT, 1.2, opacity=200)
    marked = Image.alpha_composite(plain.convert("RGBA"), pen.layer()).convert("RGB")
    draw = ImageDraw.Draw(marked)
    for side, joint in found.items():
        if joint is not None:
            _points(draw, joint, scores[side], view)
    if marrow is not None:
        for place, text in marrow_values(scored, [joint for joint in found.values() if joint is not None]):
            _value(draw, view.place(place)[0], text)
    return marked


def _points(draw: ImageDraw.ImageDraw, joint: JointSlice, score: JointSliceScore, view: View) -> None:
    """Draw the point of each quadrant beside it, and intensity and depth below the joint."""
    letters = {"intense": "I ", "deep": "D "}
    points = {**{quadrant.value: point for quadrant, point in score.edema.items()}, "intense": score.intense}
    for item, at in item_places(joint, view).items():
        point = points.get(item, score.deep)
        text = NOT_EVALUABLE if point is None else str(point)
        _badge(draw, at, letters.get(item, "") + text, given=point == 1)


def _badge(draw: ImageDraw.ImageDraw, at: Point, text: str, *, given: bool) -> None:
    """Draw a point in a rounded box, filled if it was given."""
    x, y = at
    half = 11 if len(text) == 1 else 19
    fill, ink, edge = (EDEMA, "#000000", EDEMA) if given else (PAPER, TEXT, MUTED)
    draw.rounded_rectangle((x - half, y - 11, x + half, y + 11), radius=9, fill=fill, outline=edge)
    draw.text((x, y), text, font=picture_font(16, ENGLISH), fill=ink, anchor="mm")


def _value(draw: ImageDraw.ImageDraw, at: Point, text: str) -> None:
    """Draw the signal of the reference marrow at its height."""
    font = picture_font(15, ENGLISH)
    draw.text(at, text, font=font, fill=MARROW, anchor="mm", stroke_width=2, stroke_fill=PAPER)


def _captions(draw: ImageDraw.ImageDraw, scored: Scored, position: int, view: View, words: Language) -> None:
    """Draw slice, sides, scale and legend."""
    width, height = view.size
    middle, bottom = HEADER_PIXELS / 2, HEADER_PIXELS + height
    index = scored.score.slices.indices[position]
    name = words.say("Slice {slice}", slice=slice_number(index))
    large = picture_font(22, words)
    draw.text((12, middle), name, font=large, fill=TEXT, anchor="lm")
    where = Message(
        "{place} of {count}, anterior to posterior    position {mm:+.1f} mm",
        place=position + 1,
        count=len(scored.score.slices.indices),
        mm=scored.study.stir.geometry.slice_position_mm(index),
    )
    at = (12 + large.getlength(name) + 20, middle + 1)
    draw.text(at, words.say(where), font=picture_font(16, words), fill=MUTED, anchor="lm")
    points = points_text(points_given(joint.points for joint in scored.score.joints if joint.slice == position))
    text = words.say(Message("{points} on this slice", points=points))
    at = (2 * width + GAP_PIXELS - 12, middle)
    draw.text(at, text, font=picture_font(18, words), fill=TEXT, anchor="rm")
    for left in (0, width + GAP_PIXELS):
        side_letters(draw, (left, HEADER_PIXELS), width)
    scale_bar(draw, (12, bottom - 14), view.pixels_per_mm)
    research, small, y = words.say(RESEARCH_USE), picture_font(15, words), bottom + FOOTER_PIXELS / 2
    draw.text((12, y), research, font=small, fill=MUTED, anchor="lm")
    x = 12 + small.getlength(research) + 30
    for colour, meaning in (*LEGEND, *reference_legend([scored])):
        x = legend_entry(draw, (x, y), colour, meaning, words)
    draw.text((x, y), words.say(ITEMS), font=small, fill=MUTED, anchor="lm")
