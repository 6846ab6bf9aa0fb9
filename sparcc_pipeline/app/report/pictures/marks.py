"""Marks that pictures of slices share: colours, sides, scale, entries of a legend."""

from __future__ import annotations

from typing import Final

from PIL import ImageDraw

from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pictures.fonts import picture_font
from sparcc_pipeline.message import Message

PAPER: Final = "#101418"
TEXT: Final = "#F2F4F5"
MUTED: Final = "#9AA5AD"

RESEARCH_USE: Final = Message("Research use only")

Point = tuple[float, float]


def side_letters(draw: ImageDraw.ImageDraw, at: Point, width: int) -> None:
    """Draw R and L (the patient's sides) in the upper corners of the panel at `at`."""
    x, y = at
    for place, letter, anchor in ((x + 10, "R", "la"), (x + width - 10, "L", "ra")):
        draw.text(
            (place, y + 8),
            letter,
            font=picture_font(24, ENGLISH),
            fill=TEXT,
            anchor=anchor,
            stroke_width=2,
            stroke_fill=PAPER,
        )


def legend_entry(draw: ImageDraw.ImageDraw, at: Point, colour: str, meaning: Message, words: Language) -> float:
    """Draw a stroke of a colour and its meaning; return the x at which the next entry begins."""
    x, y = at
    draw.line((x, y, x + 18, y), fill=colour, width=3)
    text, small = words.say(meaning), picture_font(15, words)
    draw.text((x + 24, y), text, font=small, fill=MUTED, anchor="lm")
    return x + 24 + small.getlength(text) + 18


def scale_bar(draw: ImageDraw.ImageDraw, at: Point, pixels_per_mm: float) -> None:
    """Draw a bar of one centimetre."""
    x, y = at
    length = 10 * pixels_per_mm
    draw.rectangle((x - 2, y - 3, x + length + 2, y + 3), fill=PAPER)
    draw.rectangle((x, y - 1, x + length, y + 1), fill=TEXT)
    draw.text(
        (x + length + 8, y),
        "1 cm",
        font=picture_font(15, ENGLISH),
        fill=TEXT,
        anchor="lm",
        stroke_width=2,
        stroke_fill=PAPER,
    )
