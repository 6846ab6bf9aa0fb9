"""Fonts of the installation, so that pictures and PDFs look the same on every computer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from noto_cjk_sans_otc import FONT_PATH
from PIL import ImageFont

from sparcc_pipeline.app.report.language import Language

REPORT_FONT: Final = Path(str(FONT_PATH))
"""Noto Sans CJK (SIL Open Font License): Latin and Chinese letters in one collection."""

FACES: Final = {"zh-Hans": 2}
"""Face of the collection by language: Chinese and Japanese draw the same character differently."""


@cache
def _picture_font(size: int, code: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if code in FACES:
        return ImageFont.truetype(str(REPORT_FONT), size, index=FACES[code])
    return ImageFont.load_default(size)


def picture_font(size: int, words: Language) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font for text in a picture: that of Pillow, or that of the report if the language needs it."""
    return _picture_font(size, words.code)
