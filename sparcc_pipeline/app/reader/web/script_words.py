"""What the scripts of the pages say: the templates are found where they are said, and a page gets them translated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from sparcc_pipeline.app.report.language import Language

_SAID: Final = re.compile(r'\bsay\(\s*("(?:[^"\\\n]|\\.)*")')


@cache
def script_templates() -> frozenset[str]:
    """The English templates of every `say("...")` in `static/*.js`."""
    return frozenset(_templates())


def script_words(words: Language) -> dict[str, str]:
    """English template -> template in this language, for the page's own script; empty in English."""
    return {english: said for english in script_templates() if (said := words.say(english)) != english}


def _templates() -> Iterator[str]:
    for file in (files("sparcc_pipeline.app.reader.web") / "static").iterdir():
        if file.name.endswith(".js"):
            yield from (json.loads(text) for text in _SAID.findall(file.read_text(encoding="utf-8")))
