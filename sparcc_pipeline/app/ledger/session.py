"""Transactions that wait while the database is locked or unavailable."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError

from sparcc_pipeline.app.ledger.database import READ_ONLY, shown
from sparcc_pipeline.errors import OutputError

Value = TypeVar("Value")

FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 5.0

RACES: Final = 5
"""How often two writers of the same row may collide before that is an error."""


class LedgerLostError(OutputError):
    """The database was locked or unavailable for longer than the program waits."""


class Session:
    """Runs transactions on an engine.

    A transaction may run again after its commit, when the answer was lost: it must be idempotent.

    Parameters
    ----------
    patience_s : how long to wait for a database that is locked or unavailable
    """

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self._engine, self._patience_s = engine, patience_s

    def write(self, work: Callable[[Connection], Value]) -> Value:
        """Run `work` in a transaction, commit it, and return its value.

        Raises
        ------
        LedgerLostError : the database was locked or unavailable for too long
        """
        return self._run(self._engine, work)

    def read(self, work: Callable[[Connection], Value]) -> Value:
        """Run `work`, which only reads, and return its value (errors: see `write`)."""
        return self._run(self._engine.execution_options(**{READ_ONLY: True}), work)

    def _run(self, engine: Engine, work: Callable[[Connection], Value]) -> Value:
        begun, wait, races = time.monotonic(), FIRST_WAIT_SECONDS, 0
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                # Another writer recorded the same row just now; the next try finds it.
                races += 1
                if races == RACES:
                    raise
            except DBAPIError as error:
                if not _passes(error):
                    raise
                if time.monotonic() - begun > self._patience_s:
                    raise LedgerLostError(
                        f"expected the ledger at {shown(self._engine)} to answer, found it locked or unavailable for "
                        f"{self._patience_s:.0f} s; check that the database runs and its disk has room, then run again"
                    ) from error
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _passes(error: DBAPIError) -> bool:
    """Return True for an error that may pass when the transaction runs again."""
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
