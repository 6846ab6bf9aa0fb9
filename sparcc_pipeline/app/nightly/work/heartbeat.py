"""A thread that renews the leases of this process while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from sparcc_pipeline.errors import OutputError

_RENEWALS: Final = 3
"""How often a lease is renewed before it ends: two renewals may fail."""


class Heartbeat:
    """Renews leases while its context is open.

    Parameters
    ----------
    lease : duration of a renewed lease
    """

    def __init__(self, lease: timedelta) -> None:
        self.lease = lease
        self._held: dict[object, Callable[[timedelta], bool]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="sparcc-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def hold(self, key: object, renew: Callable[[timedelta], bool]) -> None:
        """Start to renew a lease."""
        with self._lock:
            self._held[key] = renew

    def drop(self, key: object) -> None:
        """Stop renewing a lease."""
        with self._lock:
            self._held.pop(key, None)

    @contextmanager
    def holding(self, key: object, renew: Callable[[timedelta], bool]) -> Iterator[None]:
        """Renew a lease while the context is open."""
        self.hold(key, renew)
        try:
            yield
        finally:
            self.drop(key)

    def _beat(self) -> None:
        while not self._over.wait(self.lease.total_seconds() / _RENEWALS):
            with self._lock:
                held = list(self._held.items())
            for key, renew in held:
                try:
                    if not renew(self.lease):
                        self.drop(key)  # when the step ends, the ledger reports that the lease was lost
                except OutputError:
                    continue  # the ledger does not answer: another renewal follows before the lease ends
