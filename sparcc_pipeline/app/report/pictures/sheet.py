"""Sheets of pictures of one size, each under its header, with a legend below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pictures.fonts import FACES, picture_font
from sparcc_pipeline.app.report.pictures.marks import MUTED, PAPER, TEXT, legend_entry, scale_bar, side_letters
from sparcc_pipeline.app.report.pictures.overlay import FOOTER_PIXELS, GAP_PIXELS, HEADER_PIXELS
from sparcc_pipeline.app.report.pictures.view import View
from sparcc_pipeline.message import Message

EMPTY: Final = "#262D34"
LETTERS_A_LINE: Final = 34

Entry = tuple[str | None, Message]
"""An entry of a legend: a colour with its meaning, or only words."""


@dataclass(frozen=True)
class Cell:
    """One panel under its header."""

    picture: Image.Image
    title: Message
    note: Message = Message("")


def sheet(cells: Sequence[Cell], columns: int, legend: Sequence[Entry], words: Language) -> Image.Image:
    """Return cells of one size, line by line, with a legend below."""
    width, height = cells[0].picture.size
    lines = -(-len(cells) // columns)
    step = HEADER_PIXELS + height
    full = columns * width + (columns - 1) * GAP_PIXELS
    below, letters = _legend(legend, full, words), picture_font(19, words)
    whole = Image.new("RGB", (full, lines * step + below.height), PAPER)
    draw = ImageDraw.Draw(whole)
    for place, cell in enumerate(cells):
        x, y = (place % columns) * (width + GAP_PIXELS), (place // columns) * step
        whole.paste(cell.picture, (x, y + HEADER_PIXELS))
        middle = y + HEADER_PIXELS / 2
        draw.text((x + 12, middle), words.say(cell.title), font=letters, fill=TEXT, anchor="lm")
        draw.text((x + width - 12, middle), words.say(cell.note), font=letters, fill=TEXT, anchor="rm")
    whole.paste(below, (0, lines * step))
    return whole


def _legend(entries: Sequence[Entry], width: int, words: Language) -> Image.Image:
    """Return the entries one after the other, wrapped at `width` pixels."""
    strip = Image.new("RGB", (width, FOOTER_PIXELS * len(entries)), PAPER)
    draw, letters = ImageDraw.Draw(strip), picture_font(15, words)
    x, line = 12.0, 0
    for colour, meaning in entries:
        text = words.say(meaning)
        needed = letters.getlength(text) + (0 if colour is None else 24)
        if x > 12 and x + needed > width - 6:
            x, line = 12.0, line + 1
        at = (x, (line + 0.5) * FOOTER_PIXELS)
        if colour is None:
            draw.text(at, text, font=letters, fill=MUTED, anchor="lm")
            x += needed + 30
        else:
            x = legend_entry(draw, at, colour, meaning, words)
    return strip.crop((0, 0, width, (line + 1) * FOOTER_PIXELS))


def with_scale(picture: Image.Image, view: View) -> Image.Image:
    """Draw the sides of the patient and a scale bar on a panel, and return it."""
    draw = ImageDraw.Draw(picture)
    side_letters(draw, (0, 0), picture.width)
    scale_bar(draw, (12, picture.height - 14), view.pixels_per_mm)
    return picture


def empty(size: tuple[int, int], reason: Message, words: Language) -> Image.Image:
    """Return a panel with the reason why it has no image."""
    picture = Image.new("RGB", size, EMPTY)
    # Chinese letters are twice as wide.
    text = "\n".join(textwrap.wrap(words.say(reason), LETTERS_A_LINE // (2 if words.code in FACES else 1)))
    at, letters = (size[0] / 2, size[1] / 2), picture_font(20, words)
    ImageDraw.Draw(picture).multiline_text(at, text, font=letters, fill=TEXT, anchor="mm", align="center", spacing=8)
    return picture
