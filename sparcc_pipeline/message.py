"""What the program tells a reader of a result: English, with what another language needs to say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class Message(str):
    """An English sentence or phrase that remembers its template and fields.

    It is a plain string wherever one is wanted, such as in `score.json`; a page in another language looks its template
    up and fills in the fields. Fields are numbers, strings, other messages, or tuples of these, which are listed with
    commas.

    Parameters
    ----------
    template : English with a format field for each of `fields`; written out where it is used, never put together, so
        that the test of the languages finds it
    """

    template: str
    fields: Mapping[str, Any]

    def __new__(cls, template: str, /, **fields: Any) -> Self:
        self = super().__new__(cls, template.format_map({name: listed(value) for name, value in fields.items()}))
        self.template, self.fields = template, fields
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Copies and other processes get the same message."""
        return (self.template,), dict(self.fields)


def listed(value: Any, separator: str = ", ") -> Any:
    """A field as it is put into its template: a tuple as a list of words."""
    return separator.join(map(str, value)) if isinstance(value, tuple) else value


def words_of(error: Exception) -> str:
    """The words of an error: the message that it was raised with, else its text."""
    return next((each for each in error.args if isinstance(each, Message)), str(error))


def to_plain(message: Message) -> dict[str, Any]:
    """A message as JSON can hold it."""
    return {"template": message.template, "fields": {name: _plain(value) for name, value in message.fields.items()}}


def from_plain(stored: Any) -> Any:
    """A message, or a field of one, as `to_plain` stored it."""
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
