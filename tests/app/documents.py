"""Documents from dicts that a test may change; unlike a reader of files, messages stay messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sparcc_pipeline.app.results.score_document import plain

Document = TypeVar("Document")


def as_dict(document: object) -> dict[str, Any]:
    """The document as JSON holds it, messages kept."""
    content = plain(document)
    assert isinstance(content, dict)
    return content


def as_document(kind: type[Document], content: Mapping[str, Any]) -> Document:
    """The document that a dict describes."""
    made = _made(kind, content)
    assert isinstance(made, kind)
    return made


def _made(hint: Any, value: Any) -> Any:
    if get_origin(hint) is Annotated:
        return _made(get_args(hint)[0], value)
    if get_origin(hint) in (Union, UnionType):
        return None if value is None else _made(next(h for h in get_args(hint) if h is not NoneType), value)
    if get_origin(hint) is tuple:
        return tuple(_made(get_args(hint)[0], each) for each in value)
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint, include_extras=True)
        return hint(**{each.name: _made(hints[each.name], value[each.name]) for each in fields(hint)})
    return value
