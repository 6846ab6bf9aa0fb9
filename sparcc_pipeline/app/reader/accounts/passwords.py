"""Passwords, hashed with argon2id, which costs time and memory on purpose."""

from __future__ import annotations

import secrets
import threading
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE: Final = threading.BoundedSemaphore(2)
"""So many are hashed at once; whoever asks for more waits, and the memory of the server does not run out."""


class Passwords:
    """Hashes and checks passwords by the settings' costs."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)

    def hash(self, password: str) -> str:
        """The hash, with its salt and costs in it."""
        with _AT_ONCE:
            return self._hasher.hash(password)

    def is_right(self, hashed: str | None, password: str) -> bool:
        """True if this is the password; without a hash it never is, and finding that out takes as long."""
        try:
            with _AT_ONCE:
                self._hasher.verify(hashed or self._of_nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    @cached_property
    def _of_nobody(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))
