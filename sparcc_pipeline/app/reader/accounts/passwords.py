"""Passwords, hashed with argon2id, which is slow and takes memory by design.

Contents: `Passwords`, `Lane`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.message import Message


class Lane:
    """Limits how many passwords are hashed at once, because each takes memory, and how many callers wait for it."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(at_once)
        self._callers = threading.BoundedSemaphore(at_once + waiting)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait for a place.

        Raises
        ------
        Refusal : too many callers wait already
        """
        if not self._callers.acquire(blocking=False):
            raise Refusal(429, "too_many", Message("too many sign-ins at once: wait a minute and try again"))
        try:
            with self._places:
                yield
        finally:
            self._callers.release()


class Passwords:
    """Hashes and checks passwords with the costs of the settings."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)

    def hash(self, password: str, lane: Lane) -> str:
        """Return the hash, which includes salt and costs."""
        with lane.place():
            return self._hasher.hash(password)

    def is_right(self, hashed: str | None, password: str, lane: Lane) -> bool:
        """Return True for the right password; without a hash return False, after the same time."""
        try:
            with lane.place():
                self._hasher.verify(hashed or self._dummy_hash, password)
        except (VerificationError, InvalidHashError):
            return False
        return hashed is not None

    @cached_property
    def _dummy_hash(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(32))
