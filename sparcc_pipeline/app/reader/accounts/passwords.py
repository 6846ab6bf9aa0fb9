"""Passwords, hashed with argon2id, which is slow and takes memory by design.

Contents: `Passwords`.
"""

from __future__ import annotations

import secrets
import threading
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""Limits how many passwords are hashed at once, because each takes memory; other callers wait."""


class Passwords:
    """Hashes and checks passwords with the costs of the settings."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)

    def hash(self, password: str) -> str:
        """Return the hash, which includes salt and costs."""
        with _AT_ONCE:
            return self._hasher.hash(password)

    def is_right(self, hashed: str | None, password: str) -> bool:
        """Return True for the right password; without a hash return False, after the same time."""
        try:
            with _AT_ONCE:
                self._hasher.verify(hashed or self._dummy_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))
