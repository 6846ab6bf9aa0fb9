"""Refused requests of the reading page: a status, a code for the script, a sentence for the user.

Contents: `Refusal` and one function for each common refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparcc_pipeline.message import Message


class Refusal(Exception):
    """A refused request. Its message never holds a score, an identity, or the content of the request."""

    def __init__(self, status: int, code: str, message: Message, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.extra = status, code, message, dict(extra or {})


def not_found() -> Refusal:
    """Return the same refusal for an unknown address and for a case of another user."""
    return Refusal(404, "not_found", Message("this address does not exist"))


def forbidden() -> Refusal:
    return Refusal(403, "forbidden", Message("your role has no access to this page"))


def sign_in() -> Refusal:
    return Refusal(401, "sign_in", Message("sign in first"))


def locked() -> Refusal:
    return Refusal(409, "locked", Message("this reading is locked and cannot be changed"))


def invalid() -> Refusal:
    return Refusal(422, "invalid", Message("the request does not have the expected form"))


def passwords_differ() -> Refusal:
    return Refusal(422, "invalid", Message("the two new passwords differ"))
