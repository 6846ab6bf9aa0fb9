"""Pages from `templates/`, in any of the languages: no script, no network, every text escaped."""

from __future__ import annotations

import base64
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sparcc_pipeline.app.report.language import Language


def template(name: str, words: Language, font_url: str | None = None) -> Template:
    """A page; a name that it does not know is an error.

    Parameters
    ----------
    words : `_` in the page says a label or a message in it, `sentence` as a sentence
    font_url : draw all text with this font, for a PDF; else with those of the reader's computer
    """
    return _environment(words, font_url).get_template(name)


@cache
def _environment(words: Language, font_url: str | None) -> Environment:
    """Kept with the templates that it has compiled, which takes longer than to fill one."""
    environment = Environment(
        loader=PackageLoader("sparcc_pipeline.app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"_": words.say, "sentence": words.sentence, "lang": words.code, "font_url": font_url}
    return environment


def embedded(png: bytes) -> str:
    """A picture as pages embed it."""
    return base64.b64encode(png).decode("ascii")


def percent(probability: float) -> str:
    """In whole per cent, never 0 or 100 %."""
    return "< 1 %" if probability < 0.01 else "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"
