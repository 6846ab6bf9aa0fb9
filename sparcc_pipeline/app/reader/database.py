"""Access to the database of the reading page. Every change is recorded in the audit trail.

Contents: `ReaderDatabase`, `Writing`, `open_reader_database`, `lock_database`.
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.exc import OperationalError

from sparcc_pipeline.app.ledger.database import READ_ONLY, close_to_others, open_database
from sparcc_pipeline.app.reader.audit import trail
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.tables import STATE
from sparcc_pipeline.app.study.secret_key import open_secret_key
from sparcc_pipeline.errors import ConfigError, OutputError

Clock = Callable[[], datetime]

KEY_FILE: Final = "secret.key"
HEAD_FILE: Final = "audit.head"
HEAD_LOCK: Final = "audit.lock"
LONGEST_WAIT_S: Final = 30.0
_BUSY: Final = "expected a database that answers, found it busy or out of reach; try again"
SYSTEM: Final = "system"
"""User in the trail for commands on the server, where no user is signed in."""


@dataclass
class Writing:
    """One transaction that writes; `record` adds its entry to the trail in the same transaction."""

    connection: Connection
    now: str
    _key: bytes = field(repr=False)
    _kept: Callable[[], trail.Head | None] = field(repr=False)
    head: trail.Head | None = None
    end_lost: bool = False

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
        """Append an entry to the trail; before it, if the kept head is not in the trail, one that the end is lost."""
        if self.head is None and not trail.continues(self.connection, self._kept()):
            self.end_lost = True
            self._append(SYSTEM, trail.END_LOST, HEAD_FILE, None, None, "")
        self._append(who, action, subject, old, new, reason)

    def _append(
        self,
        who: str,
        action: str,
        subject: str,
        old: Mapping[str, Any] | None,
        new: Mapping[str, Any] | None,
        reason: str,
    ) -> None:
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
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection that only reads."""
        with self.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Open a transaction that writes. Writers wait for each other, so that the trail has one order.

        Raises
        ------
        OutputError : the database is busy or cannot be reached
        """
        # Threads of one process wait here in turn: SQLite's own waiting is by chance, and gives up after some seconds.
        if not self._turn.acquire(timeout=LONGEST_WAIT_S):
            raise OutputError(_BUSY)
        try:
            with self.engine.begin() as connection:
                # PostgreSQL locks this row before the first read; SQLite locked the whole file at the start.
                connection.execute(update(STATE).values(id=1))
                work = Writing(connection, trail.stamp(self.clock()), self.key, self.kept_head)
                yield work
        except OperationalError as error:
            raise OutputError(_BUSY) from error
        finally:
            self._turn.release()
        if work.head is not None:
            self._keep(work.head, replace=work.end_lost)

    def kept_head(self) -> trail.Head | None:
        """Return the head of the trail in the file beside the database; None without a valid signature."""
        return trail.read_head(self.folder / HEAD_FILE, self.key)

    def verify(self, noted: trail.Head | None = None) -> trail.Verdict:
        """Check the audit trail and the locked readings against the head beside the database and a noted head."""
        # Read first: the kept head is never newer than the database.
        kept = self.kept_head()
        with self.reading() as connection:
            return trail.verify(connection, self.key, kept, noted)

    def is_locked(self, connection: Connection) -> bool:
        """Return True after the database lock: no reading can change, and scores may be shown."""
        return connection.execute(select(STATE.c.database_locked_at)).scalar_one() is not None

    def _keep(self, head: trail.Head, *, replace: bool) -> None:
        with (self.folder / HEAD_LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self.kept_head()
            # Two writers may arrive here in the wrong order: never replace a newer head.
            if replace or kept is None or kept.seq < head.seq:
                trail.write_head(self.folder / HEAD_FILE, head, self.key)


def lock_database(work: Writing, who: str, reason: str) -> bool:
    """Lock the database permanently and record it; return False, without a change, if it is locked already."""
    if work.connection.execute(select(STATE.c.database_locked_at)).scalar_one() is not None:
        return False
    work.connection.execute(update(STATE).values(database_locked_at=work.now))
    work.record(who, "lock_database", "database", reason=reason)
    return True


def open_reader_database(settings: ReaderSettings, clock: Clock) -> ReaderDatabase:
    """Open the database of these settings, created or upgraded if necessary, and the key of the store folder.

    Rights of other users on the store are taken away: a restored backup or another umask may have left some.

    Raises
    ------
    ConfigError : the key is damaged, or is missing for a used database
    OutputError : the folder or the database cannot be written
    """
    folder = settings.store_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _keep_private(folder)
        key, fresh = open_secret_key(folder / KEY_FILE)
    except OSError as error:
        raise OutputError(
            f"expected a store folder that can be written, found {folder} not usable; change paths.store_folder"
        ) from error
    engine = open_database(settings.database_url)
    close_to_others(engine)
    database = ReaderDatabase(engine, folder, clock, key)
    with database.reading() as connection:
        head = trail.head_of(connection)
    if fresh and head.seq > 0:
        engine.dispose()
        (folder / KEY_FILE).unlink()
        raise ConfigError(
            f"expected {KEY_FILE} in {folder}, found a used database without it; restore the folder from a backup"
        )
    if fresh:
        # From now on a missing file means that it was removed.
        trail.write_head(folder / HEAD_FILE, head, key)
    return database


def _keep_private(folder: Path) -> None:
    """Take the rights of other users from the store folder, the key and the head, if they belong to this user."""
    for path in (folder, folder / KEY_FILE, folder / HEAD_FILE, folder / HEAD_LOCK):
        if path.exists() and (found := path.stat()).st_uid == os.getuid() and found.st_mode & 0o077:
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)
