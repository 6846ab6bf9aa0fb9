"""Pages from `templates/` in any language: no network, every text escaped."""

from __future__ import annotations

import base64
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.volume import slice_number, slice_ranges


def template(name: str, words: Language, font_url: str | None = None) -> Template:
    """Return the template of a page; an unknown name in it is an error.

    Parameters
    ----------
    words : language of the page: `_` translates a label or a message, `sentence` makes it a sentence
    font_url : font of all text, for a PDF; by default the fonts of the reader's computer
    """
    return _environment(words, font_url).get_template(name)


@cache
def _environment(words: Language, font_url: str | None) -> Environment:
    """Return the environment of a language; cached, because compiling a template is slower than filling it."""
    environment = Environment(
        loader=PackageLoader("sparcc_pipeline.app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"_": words.say, "sentence": words.sentence, "lang": words.code, "font_url": font_url}
    environment.globals |= {"slice_number": slice_number, "slice_ranges": slice_ranges}
    return environment


def embedded(png: bytes) -> str:
    """Return a picture as pages embed it."""
    return base64.b64encode(png).decode("ascii")


def percent(probability: float) -> str:
    """Return a probability in whole per cent, never 0 or 100 %."""
    return "< 1 %" if probability < 0.01 else "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"


def css_string(text: str) -> str:
    """Return text as a string of CSS, for the margins of printed pages; every letter but simple ones is escaped.

    Examples
    --------
    >>> css_string('A"1')
    '"A\\\\22 1"'
    """
    return (
        '"'
        + "".join(letter if letter.isalnum() and letter.isascii() else f"\\{ord(letter):x} " for letter in text)
        + '"'
    )
