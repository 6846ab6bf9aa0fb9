"""What every part of the ledger stands on: its transactions, its clock, its history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert, select, text

from sparcc_pipeline.app.ledger.records import StudyVersion, version_of
from sparcc_pipeline.app.ledger.session import Session
from sparcc_pipeline.app.ledger.tables import history, study_version
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message, to_plain

INTAKE: Final = "intake"
"""Who records what comes in."""

_INTAKE_LOCK: Final = 0x5BA2CD
"""PostgreSQL advisory lock of those who record what comes in: two uploads may hold parts of one study."""


class Book:
    """The base of the ledger's parts.

    Parameters
    ----------
    clock : the time now, UTC
    patience_s : how long a database that is locked or gone is waited for
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime], patience_s: float = 120.0) -> None:
        self._session = Session(engine, patience_s)
        self._clock = clock

    def _tell(
        self, connection: Connection, event: str, by: str, *, reason: Message | None = None,
        facts: Mapping[str, Any] | None = None, **place: Any,
    ) -> None:  # fmt: skip
        """Add a line to the history; `place` are its other columns."""
        plain = None if reason is None else to_plain(reason)
        connection.execute(
            insert(history).values(at=self._clock(), event=event, by=by, reason=plain, facts=dict(facts or {}), **place)
        )


def one_at_a_time(connection: Connection) -> None:
    """Keep others from recording what comes in until this transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _INTAKE_LOCK})


def find_version(connection: Connection, number: int) -> StudyVersion:
    """The study version with this number, locked until the transaction ends.

    Raises
    ------
    ConfigError : there is none
    """
    row = connection.execute(select(study_version).where(study_version.c.id == number).with_for_update()).one_or_none()
    if row is None:
        raise ConfigError(f"expected the number of a study, found {number}; `sparcc nightly status` lists them")
    return version_of(row)
