"""The base of every part of the ledger: transactions, clock and history."""

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
"""The name of intake in the history."""

PROBLEMS: Final = "problems"
"""The event with what failed in the latest round of a part of the night."""

_INTAKE_LOCK: Final = 0x5BA2CD
"""PostgreSQL advisory lock of intake: two uploads may hold parts of one study."""


class Repository:
    """The base of the ledger's parts.

    Parameters
    ----------
    clock : returns the time now, UTC
    patience_s : how long to wait for a database that is locked or unavailable
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime], patience_s: float = 120.0) -> None:
        self._session = Session(engine, patience_s)
        self._clock = clock

    def _record_event(
        self,
        connection: Connection,
        event: str,
        by: str,
        *,
        reason: Message | None = None,
        facts: Mapping[str, Any] | None = None,
        **place: Any,
    ) -> None:
        """Add a line to the history; `place` holds its other columns."""
        plain = None if reason is None else to_plain(reason)
        connection.execute(
            insert(history).values(at=self._clock(), event=event, by=by, reason=plain, facts=dict(facts or {}), **place)
        )


def one_at_a_time(connection: Connection) -> None:
    """Lock intake's tables for other writers until this transaction ends; SQLite has only one writer."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _INTAKE_LOCK})


def find_version(connection: Connection, number: int, *, lock: bool = True) -> StudyVersion:
    """Return the study version with this number.

    Parameters
    ----------
    lock : keep other writers from its row until the transaction ends

    Raises
    ------
    ConfigError : there is no such version
    """
    chosen = select(study_version).where(study_version.c.id == number)
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise ConfigError(f"expected the number of a study, found {number}; `sparcc nightly status` lists them")
    return version_of(row)


def newest_problems(connection: Connection) -> dict[str, list[Any]]:
    """Return what failed in the latest round of each part of the night, as the ledger keeps messages."""
    query = select(history.c.facts).where(history.c.event == PROBLEMS).order_by(history.c.id)
    return {facts["part"]: facts["problems"] for facts in connection.execute(query).scalars()}
