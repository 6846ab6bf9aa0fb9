"""What the reading page answers when it refuses: a code for the script, a sentence for the person, a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparcc_pipeline.message import Message


class Refusal(Exception):
    """A request that is not carried out. Its words never hold a score, an identity, or what the person sent."""

    def __init__(self, status: int, code: str, message: Message, extra: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.extra = status, code, message, dict(extra or {})


def not_found() -> Refusal:
    """Nothing here, or nothing of yours: the answer does not tell which."""
    return Refusal(404, "not_found", Message("there is nothing at this address"))


def forbidden() -> Refusal:
    return Refusal(403, "forbidden", Message("this is not for your role"))


def sign_in() -> Refusal:
    return Refusal(401, "sign_in", Message("sign in first"))


def locked() -> Refusal:
    return Refusal(409, "locked", Message("this reading is locked and cannot be changed"))


def invalid() -> Refusal:
    return Refusal(422, "invalid", Message("the request is not of the form that was expected"))


def differs() -> Refusal:
    return Refusal(422, "invalid", Message("the new password was not written the same way twice"))
