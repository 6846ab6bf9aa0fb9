"""The cover of a score for a PACS: total, certainty, points, warnings and model on one square picture."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw, ImageFont

from sparcc_pipeline.app.report.certainty import certainty, contradiction
from sparcc_pipeline.app.report.grid import GRID
from sparcc_pipeline.app.report.language import ENGLISH, Language
from sparcc_pipeline.app.report.pictures.fonts import FACES, picture_font
from sparcc_pipeline.app.report.pictures.marks import MUTED, PAPER, TEXT
from sparcc_pipeline.app.report.pictures.overlay import EDEMA, ITEMS, NOT_EVALUABLE
from sparcc_pipeline.app.results.score_entries import JointEntry
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.message import Message
from sparcc_pipeline.trial.reading import LARGEST_TOTAL

SIDE_PIXELS: Final = 1024
MARGIN: Final = 40
RULE: Final = "#3A444D"
PARTS: Final = (
    (Message("Edema"), "edema", 48),
    (Message("Intensity"), "intensity", 12),
    (Message("Depth"), "depth", 12),
)
ITEM_LETTERS: Final = (("intense", "I"), ("deep", "D"))

BAR_TOP: Final = 244
GRID_TOP: Final = 346
ROW_PIXELS: Final = 42
CELL_PIXELS: Final = 62
JOINT_COLUMNS: Final = (158, 158 + 6 * CELL_PIXELS + 24)
"""Left edge of the columns of the right and of the left joint."""

WARNINGS_TOP: Final = 734
WARNING_LINES: Final = 7
LINE_PIXELS: Final = 27

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class _Page:
    """A square picture with text in one language."""

    def __init__(self, words: Language) -> None:
        self.words = words
        self.picture = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), PAPER)
        self.draw = ImageDraw.Draw(self.picture)

    def font(self, size: int) -> Font:
        return picture_font(size, self.words)

    def text(self, at: tuple[float, float], text: str, size: int, fill: str = TEXT, anchor: str = "ls") -> float:
        """Write a text or message; return the x of its end, if it begins at `at`."""
        shown = self.words.say(text)
        self.draw.text(at, shown, font=self.font(size), fill=fill, anchor=anchor)
        return at[0] + self.font(size).getlength(shown)


def draw_cover(document: ScoreDocument, words: Language = ENGLISH) -> Image.Image:
    """Return the cover; it holds nothing about the person.

    Parameters
    ----------
    document : content of `score.json` of a scored study
    """
    page = _Page(words)
    page.text((MARGIN, 56), Message("SPARCC score of the sacroiliac joints, STIR"), 30)
    page.text((MARGIN, 86), Message("Research use only. Not for diagnosis or treatment."), 21, EDEMA)
    _headline(page, document)
    _bar(page, document)
    _grid(page, document)
    _warnings(page, document)
    _origin(page, document)
    return page.picture


def _headline(page: _Page, document: ScoreDocument) -> None:
    """Write the total and its parts."""
    page.text((MARGIN, 130), Message("Total"), 21, MUTED)
    x = page.text((MARGIN, 212), str(document.total), 96)
    x = page.text((x + 14, 212), Message("of {maximum}", maximum=LARGEST_TOTAL), 26, MUTED)
    x = max(x + 56, 330)
    for name, field, maximum in PARTS:
        page.text((x, 146), name, 21, MUTED)
        end = page.text((x, 204), str(getattr(document, field)), 40)
        page.text((end + 8, 204), Message("of {maximum}", maximum=maximum), 19, MUTED)
        x += 158
    page.text((x, 146), Message("MRI by ASAS"), 21, MUTED)
    page.text((x, 204), Message("positive") if document.asas_positive else Message("negative"), 32)


def _bar(page: _Page, document: ScoreDocument) -> None:
    """Draw the total and its interval on the range of the score, with the interval in words."""
    left, right = MARGIN, SIDE_PIXELS - MARGIN
    middle, scale = BAR_TOP + 8, (right - left) / LARGEST_TOTAL
    page.draw.rectangle((left, middle - 3, right, middle + 3), fill=RULE)
    if document.interval_90 is not None:
        low, high = document.interval_90
        page.draw.rectangle((left + low * scale, middle - 7, left + high * scale, middle + 7), fill=MUTED)
    x = left + (document.total or 0) * scale
    page.draw.rectangle((x - 3, middle - 12, x + 3, middle + 12), fill=EDEMA)
    page.text((left, middle + 40), certainty(document), 22)
    if document.evaluable_maximum != LARGEST_TOTAL:
        reachable = Message("largest total that could be reached: {maximum}", maximum=document.evaluable_maximum)
        page.text((right, middle + 40), reachable, 20, MUTED, "rs")


def _grid(page: _Page, document: ScoreDocument) -> None:
    """Draw the points of each slice; columns are ordered as in the image."""
    for side, start in zip(GRID, JOINT_COLUMNS, strict=True):
        page.text((start, GRID_TOP), side.name, 20)
        for half, bone in enumerate(side.bones):
            page.text((start + (2 * half + 1) * CELL_PIXELS, GRID_TOP + 26), bone, 16, MUTED, "ms")
        headings = [*(level for _, level in side.quadrants), *(letter for _, letter in ITEM_LETTERS)]
        for column, heading in enumerate(headings):
            page.text((start + (column + 0.5) * CELL_PIXELS, GRID_TOP + 48), heading, 16, MUTED, "ms")
    for place, entry in enumerate(document.slices):
        middle = GRID_TOP + 78 + place * ROW_PIXELS
        name = Message("Slice {slice}", slice=entry.number)
        if entry.instance_number is None:
            page.text((MARGIN, middle), name, 20, anchor="lm")
        else:
            page.text((MARGIN, middle), name, 20)
            page.text((MARGIN, middle + 16), Message("image {number}", number=entry.instance_number), 14, MUTED)
        joints: dict[str, JointEntry] = {joint.side: joint for joint in document.joints if joint.slice == place}
        for side, start in zip(GRID, JOINT_COLUMNS, strict=True):
            keys = [*(key for key, _ in side.quadrants), *(key for key, _ in ITEM_LETTERS)]
            for column, key in enumerate(keys):
                _point(page, start + (column + 0.5) * CELL_PIXELS, middle, joints[side.key].items[key])
        points = sum(joint.points for joint in joints.values())
        page.text((SIDE_PIXELS - MARGIN, middle), str(points), 22, anchor="rm")
    page.text((MARGIN, GRID_TOP + 78 + 6 * ROW_PIXELS), ITEMS, 16, MUTED)


def _point(page: _Page, x: float, y: float, point: int | None) -> None:
    """Draw one item: filled if it has a point."""
    half = 15
    fill, ink, edge = (EDEMA, "#000000", EDEMA) if point else (PAPER, MUTED, RULE)
    page.draw.rounded_rectangle((x - half, y - half, x + half, y + half), radius=7, fill=fill, outline=edge)
    page.draw.text((x, y), NOT_EVALUABLE if point is None else str(point), font=page.font(19), fill=ink, anchor="mm")


def _warnings(page: _Page, document: ScoreDocument) -> None:
    """Write as many warnings as there is room for, and how many are left."""
    contrary = contradiction(document)
    warnings = [*(() if contrary is None else (contrary,)), *document.warnings]
    if not warnings:
        page.text((MARGIN, WARNINGS_TOP), Message("No warnings."), 20, MUTED)
        return
    blocks = [_lines(page, page.words.sentence(warning)) for warning in warnings]
    y, room, shown = WARNINGS_TOP, WARNING_LINES, 0
    for place, block in enumerate(blocks):
        left = len(blocks) - place - 1
        if len(block) > room - (1 if left else 0):
            break
        for line in block:
            page.draw.text((MARGIN, y), line, font=page.font(19), fill=TEXT, anchor="ls")
            y, room = y + LINE_PIXELS, room - 1
        shown += 1
    if shown < len(blocks):
        page.text((MARGIN, y), Message("Further warnings in the report: {count}", count=len(blocks) - shown), 19, MUTED)


def _lines(page: _Page, text: str) -> list[str]:
    """Return a text in lines that fit between the margins; Chinese breaks after any letter."""
    font, room = page.font(19), SIDE_PIXELS - 2 * MARGIN - 24
    pieces = list(text) if page.words.code in FACES else [f"{word} " for word in text.split()]
    lines = [""]
    for piece in pieces:
        if font.getlength(lines[-1] + piece.rstrip()) > room:
            lines.append("")
        lines[-1] += piece
    return [("- " if place == 0 else "  ") + line.rstrip() for place, line in enumerate(lines)]


def _origin(page: _Page, document: ScoreDocument) -> None:
    """Write what made the score, and when."""
    made = document.provenance
    page.draw.line((MARGIN, SIDE_PIXELS - 82, SIDE_PIXELS - MARGIN, SIDE_PIXELS - 82), fill=RULE, width=1)
    if made.model is not None:
        model = Message(
            "Model {name} {version} ({hash}), {software} {release}",
            name=made.model.name,
            version=made.model.version,
            hash=made.model.sha256[:12],
            software=made.software.name,
            release=made.software.version,
        )
        page.text((MARGIN, SIDE_PIXELS - 54), model, 18, MUTED)
    page.text((MARGIN, SIDE_PIXELS - 28), made.created_at, 18, MUTED)
