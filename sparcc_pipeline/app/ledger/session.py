"""Transactions that wait for a database that is locked or gone for a while."""

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
"""How often two who record the same thing at once may collide before that is an error."""


class LedgerLostError(OutputError):
    """The database was locked or gone for longer than it is waited for."""


class Session:
    """Runs transactions on an engine.

    A transaction may be run again after its commit, where the answer was lost: what it does must come out the same.

    Parameters
    ----------
    patience_s : how long a database that is locked or gone is waited for
    """

    def __init__(self, engine: Engine, patience_s: float) -> None:
        self._engine, self._patience_s = engine, patience_s

    def write(self, work: Callable[[Connection], Value]) -> Value:
        """What `work` returns, committed.

        Raises
        ------
        LedgerLostError : the database was locked or gone for too long
        """
        return self._run(self._engine, work)

    def read(self, work: Callable[[Connection], Value]) -> Value:
        """What `work` reads (errors: see `write`)."""
        return self._run(self._engine.execution_options(**{READ_ONLY: True}), work)

    def _run(self, engine: Engine, work: Callable[[Connection], Value]) -> Value:
        begun, wait, races = time.monotonic(), FIRST_WAIT_SECONDS, 0
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                # Another one recorded the same just now: next time it is found.
                races += 1
                if races == RACES:
                    raise
            except DBAPIError as error:
                if not _passes(error):
                    raise
                if time.monotonic() - begun > self._patience_s:
                    raise LedgerLostError(
                        f"expected the ledger at {shown(self._engine)} to answer, found it locked or gone for "
                        f"{self._patience_s:.0f} s; see that the database runs and its disk has room, then run again"
                    ) from error
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)


def _passes(error: DBAPIError) -> bool:
    """True for what may be over when it is tried again."""
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
