"""Messages for people who read a result: English text that another language can translate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class Message(str):
    """An English sentence or phrase that keeps its template and fields.

    A message is a string and can be used as one, for instance in `score.json`. A page in another language looks up the
    template and fills in the fields. Fields are numbers, strings, messages, or tuples of these; a tuple is joined with
    commas.

    Parameters
    ----------
    template : English with a format field for each of `fields`; a string literal at the call, so that the test of the
        languages finds it
    """

    template: str
    fields: Mapping[str, Any]

    def __new__(cls, template: str, /, **fields: Any) -> Self:
        self = super().__new__(cls, template.format_map({name: listed(value) for name, value in fields.items()}))
        self.template, self.fields = template, fields
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Return the arguments that copy and pickle pass to `__new__`."""
        return (self.template,), dict(self.fields)


def listed(value: Any, separator: str = ", ") -> Any:
    """Return a field as its template shows it: the items of a tuple joined by `separator`."""
    return separator.join(map(str, value)) if isinstance(value, tuple) else value


def words_of(error: Exception) -> str:
    """Return the message that an error was raised with, else its text."""
    return next((each for each in error.args if isinstance(each, Message)), str(error))


def to_plain(message: Message) -> dict[str, Any]:
    """Return a message as a dictionary for JSON."""
    return {"template": message.template, "fields": {name: _plain(value) for name, value in message.fields.items()}}


def from_plain(stored: Any) -> Any:
    """Return the message, or the field of one, that `to_plain` stored."""
    match stored:
        case {"template": template, "fields": fields}:
            return Message(template, **{name: from_plain(value) for name, value in fields.items()})
        case list():
            return tuple(from_plain(each) for each in stored)
        case _:
            return stored


def _plain(value: Any) -> Any:
    match value:
        case Message():
            return to_plain(value)
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def printable(text: str) -> str:
    """Return text that can be printed and stored, of a file name whose bytes are no UTF-8 (Python's surrogate escapes).

    Archives from Chinese systems unpack to names in GB 18030 bytes.
    """
    if not any("\ud800" <= letter <= "\udfff" for letter in text):
        return "".join(letter if letter.isprintable() or letter == " " else repr(letter)[1:-1] for letter in text)
    content = text.encode("utf-8", "surrogateescape")
    try:
        found = content.decode("gb18030")
    except UnicodeDecodeError:
        found = ""
    return found if found.isprintable() and found else content.decode("ascii", "backslashreplace")
