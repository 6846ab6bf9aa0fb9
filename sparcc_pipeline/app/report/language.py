"""The languages of the reports. English is in the code; `languages/` has one folder for each other language.

A catalogue is keyed by the English templates: those of messages (`message.Message`) and the labels of pages. A text
that a catalogue lacks is shown in English; a test checks that it lacks none.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.message import Message, listed


@dataclass(frozen=True)
class Language:
    """The texts of the program in one language.

    Parameters
    ----------
    code : BCP 47 code, as pages declare it
    catalogue : English template -> template in this language, with the same fields; also words that are fields
    separator, full_stop : text between the words of a list, and at the end of a sentence
    """

    code: str
    catalogue: Mapping[str, str] = field(hash=False)
    separator: str
    full_stop: str

    def say(self, text: str, **fields: Any) -> str:
        """Return a template with its fields, a message, or a word, in this language."""
        if isinstance(text, Message):
            return self.say(text.template, **text.fields)
        template = self.catalogue.get(text, text)
        return template.format_map({name: self._field(value) for name, value in fields.items()}) if fields else template

    def sentence(self, text: str) -> str:
        """Return the words of a warning as a sentence."""
        words = self.say(text)
        return words[:1].upper() + words[1:].removesuffix(".").removesuffix(self.full_stop) + self.full_stop

    def _field(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return listed(tuple(self._field(each) for each in value), self.separator)
        return self.say(value) if isinstance(value, str) else value


ENGLISH: Final = Language("en", {}, ", ", ".")


@cache
def language(code: LanguageCode) -> Language:
    """Return the language of this code."""
    if code == "en":
        return ENGLISH
    about, catalogue = _catalogue(code)
    return Language(about["code"], catalogue, about["separator"], about["full_stop"])


def _catalogue(code: str) -> tuple[dict[str, Any], dict[str, str]]:
    about: dict[str, Any] = {}
    catalogue: dict[str, str] = {}
    for file in sorted(
        (files("sparcc_pipeline.app.report") / "languages" / code).iterdir(), key=lambda file: file.name
    ):
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        catalogue |= content.pop("text", {})
        about |= content
    return about, catalogue
