"""Roles of the reading page, and a signed-in user.

Contents: `Role`, `READING_ROLES`, `User`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sparcc_pipeline.app.study.config import LanguageCode


class Role(StrEnum):
    """The rights of a user; each user has one role, so that no user both reads and coordinates."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    COORDINATOR = "coordinator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    SITE = "site"


READING_ROLES: Final = (Role.READER, Role.ADJUDICATOR)


@dataclass(frozen=True)
class User:
    """A signed-in user; `csrf` belongs to the session."""

    id: int
    name: str
    code: str
    role: Role
    must_change: bool
    language: LanguageCode
    csrf: str
