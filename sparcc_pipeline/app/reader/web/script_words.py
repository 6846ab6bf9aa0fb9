"""Texts of the page scripts: find the English templates in the scripts and translate them for a page.

Contents: `script_templates`, `script_words`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from sparcc_pipeline.app.report.language import Language

_TEXT: Final = re.compile(r'\bsay\(\s*("(?:[^"\\\n]|\\.)*")')


@cache
def script_templates() -> frozenset[str]:
    """Return the English template of every `say("...")` in `static/*.js`."""
    return frozenset(_templates())


def script_words(words: Language) -> dict[str, str]:
    """Return the translation of each English template for the script of a page; empty for English."""
    return {english: text for english in script_templates() if (text := words.say(english)) != english}


def _templates() -> Iterator[str]:
    for file in (files("sparcc_pipeline.app.reader.web") / "static").iterdir():
        if file.name.endswith(".js"):
            yield from (json.loads(text) for text in _TEXT.findall(file.read_text(encoding="utf-8")))
