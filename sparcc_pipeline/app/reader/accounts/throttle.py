"""Counters of wrong passwords, in memory: one server process holds them, and a restart clears them.

Contents: `Throttle`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

from sparcc_pipeline.app.reader.database import Clock

MOST_KEYS: Final = 10_000
"""Counters kept at once; the oldest is dropped, so that a flood of names takes no memory."""


class Throttle:
    """Counts events by key; a key that reaches `limit` within `window` is closed until the window has passed."""

    def __init__(self, limit: int, window: timedelta, clock: Clock) -> None:
        self._limit, self._window, self._clock = limit, window, clock
        self._counts: OrderedDict[Hashable, tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def is_closed(self, key: Hashable) -> bool:
        """Return True while a key is closed."""
        with self._lock:
            count, _ = self._current(key)
            return count >= self._limit

    def count(self, key: Hashable) -> bool:
        """Count one event; return True if it closed the key."""
        with self._lock:
            count, since = self._current(key)
            if count < self._limit:
                # The last event closes the key for a whole window.
                since = self._clock() if count + 1 == self._limit else since
                self._counts[key] = (count + 1, since)
                self._counts.move_to_end(key)
                while len(self._counts) > MOST_KEYS:
                    self._counts.popitem(last=False)
            return count + 1 == self._limit

    def clear(self, key: Hashable) -> None:
        """Forget a key."""
        with self._lock:
            self._counts.pop(key, None)

    def clear_name(self, name: str) -> None:
        """Forget every key (address, name) of a name."""
        with self._lock:
            for key in [key for key in self._counts if isinstance(key, tuple) and key[-1] == name]:
                del self._counts[key]

    def _current(self, key: Hashable) -> tuple[int, datetime]:
        now = self._clock()
        count, since = self._counts.get(key, (0, now))
        return (0, now) if now - since >= self._window else (count, since)
