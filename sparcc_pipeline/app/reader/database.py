"""The door to the reading page's database: reading, and writing that always leaves its entry in the audit trail."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import OperationalError

from sparcc_pipeline.app.ledger.database import READ_ONLY, open_database
from sparcc_pipeline.app.reader.audit import trail
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.tables import STATE
from sparcc_pipeline.errors import ConfigError, OutputError

Clock = Callable[[], datetime]

KEY_FILE: Final = "secret.key"
HEAD_FILE: Final = "audit.head"
HEAD_LOCK: Final = "audit.lock"
SYSTEM: Final = "system"
"""Who the trail names for what nobody signed in did: commands on the server."""


@dataclass
class Writing:
    """One transaction that writes. What it does is told to the trail by `record`, or is not done."""

    connection: Connection
    now: str
    _key: bytes = field(repr=False)
    head: trail.Head | None = None

    def record(
        self,
        who: str,
        action: str,
        subject: str,
        *,
        old: Mapping[str, Any] | None = None,
        new: Mapping[str, Any] | None = None,
        reason: str = "",
    ) -> None:
        """Append an entry to the audit trail."""
        entry = {
            "at": self.now,
            "who": who,
            "action": action,
            "subject": subject,
            "old": trail.plain(old),
            "new": trail.plain(new),
            "reason": reason,
        }
        self.head = trail.append(self.connection, self._key, entry)


@dataclass(frozen=True)
class ReaderDatabase:
    """Engine, clock and secret key of one reading page.

    Parameters
    ----------
    folder : the store folder, with the key and the head of the trail
    """

    engine: Engine
    folder: Path
    clock: Clock
    key: bytes = field(repr=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads."""
        with self.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """A transaction; writers come one after the other, so that the trail has one order.

        Raises
        ------
        OutputError : the database is busy or cannot be reached
        """
        try:
            with self.engine.begin() as connection:
                # PostgreSQL locks the row before anything is read; SQLite has locked the whole file when it began.
                connection.execute(update(STATE).values(id=1))
                work = Writing(connection, trail.stamp(self.clock()), self.key)
                yield work
        except OperationalError as error:
            raise OutputError("expected a database that answers, found it busy or out of reach; try again") from error
        if work.head is not None:
            self._keep(work.head)

    def kept_head(self) -> trail.Head | None:
        """The head of the trail that is kept beside the database."""
        return trail.read_head(self.folder / HEAD_FILE)

    def verify(self, noted: trail.Head | None = None) -> trail.Verdict:
        """Check the audit trail and the locked readings, against the head beside the database and one noted down."""
        # Read first: the head that is kept is never ahead of the database.
        kept = self.kept_head()
        with self.reading() as connection:
            return trail.verify(connection, self.key, kept, noted)

    def is_locked(self, connection: Connection) -> bool:
        """True from the database lock on: nothing is read any more, and scores may be seen."""
        return connection.execute(select(STATE.c.database_locked_at)).scalar_one() is not None

    def _keep(self, head: trail.Head) -> None:
        with (self.folder / HEAD_LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self.kept_head()
            # Two writers may come here in the other order: the head never goes back.
            if kept is None or kept.seq < head.seq:
                trail.write_head(self.folder / HEAD_FILE, head)


def open_reader_database(settings: ReaderSettings, clock: Clock) -> ReaderDatabase:
    """The database of these settings, made or brought up to date if need be, with the key of the store folder.

    Raises
    ------
    ConfigError : the key is damaged, or the database is used and the key is gone
    OutputError : the folder or the database cannot be written
    """
    folder = settings.store_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key, fresh = _key(folder / KEY_FILE)
    except OSError as error:
        raise OutputError(
            f"expected a store folder that can be written, found {folder} not usable; change paths.store_folder"
        ) from error
    engine = open_database(settings.database_url)
    database = ReaderDatabase(engine, folder, clock, key)
    with database.reading() as connection:
        used = trail.head_of(connection).seq > 0
    if fresh and used:
        engine.dispose()
        (folder / KEY_FILE).unlink()
        raise ConfigError(
            f"expected {KEY_FILE} in {folder}, found a used database without it; restore the folder from a backup"
        )
    return database


def _key(file: Path) -> tuple[bytes, bool]:
    """The secret key, and whether it was made just now."""
    fresh = not file.exists()
    if fresh:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(secrets.token_bytes(32))
    key = file.read_bytes()
    if len(key) != 32:
        raise ConfigError(f"expected a key of 32 bytes in {file}, found {len(key)}; restore it from a backup")
    return key, fresh
