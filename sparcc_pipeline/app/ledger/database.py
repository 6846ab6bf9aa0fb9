"""The database of the ledger: SQLite or PostgreSQL by URL, with the newest tables.

SQLite uses a write-ahead log (WAL) and waits for its lock; every transaction that may write takes the lock at its
begin, so that two never wait for each other. PostgreSQL needs the extra `postgres`.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from sparcc_pipeline.errors import ConfigError, OutputError

READ_ONLY: Final = "sparcc_read_only"
"""Execution option of a connection that only reads."""

SQLITE_BUSY_MS: Final = 5000
"""How long SQLite waits for a lock; after that the ledger tries again (see `Session`)."""

_UPGRADE_LOCK: Final = 0x5BA2CC
"""PostgreSQL advisory lock for creating or upgrading tables: two machines may start at once."""


def open_database(url: str, *, upgrade: bool = True) -> Engine:
    """Return an engine on the database; create or upgrade its tables if needed.

    Raises
    ------
    ConfigError : the URL is invalid, or its driver is not installed
    OutputError : the database does not answer, cannot be written, or is newer than this program
    """
    engine = connect(url)
    if upgrade:
        try:
            with engine.begin() as connection:
                upgrade_tables(connection)
        except OutputError:
            engine.dispose()
            raise
        except SQLAlchemyError as error:
            engine.dispose()
            raise OutputError(
                f"expected a database at {shown(engine)}, found it not usable ({type(error).__name__}); check that it "
                "runs, its rights, and [database] url"
            ) from error
    return engine


def connect(url: str) -> Engine:
    """Return an engine on the database as it is.

    Raises
    ------
    ConfigError : the URL is invalid, or its driver is not installed
    OutputError : the folder of a SQLite file cannot be created
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            _make_folder(parsed.database)
            return _sqlite(create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_MS / 1000}))
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            return create_engine(
                parsed, pool_pre_ping=True, connect_args={"connect_timeout": 10, "client_encoding": "utf8"}
            )
    except (ArgumentError, NoSuchModuleError) as error:
        # The URL may hold a password: it is not shown.
        raise ConfigError(
            "expected a URL such as sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME as [database] url, found "
            f"another ({type(error).__name__}); change it"
        ) from error
    except ImportError as error:
        raise ConfigError(
            "expected the PostgreSQL driver for this [database] url, found none; in the folder of the program "
            'run: pip install ".[postgres]"'
        ) from error
    raise ConfigError(
        f"expected SQLite or PostgreSQL as [database] url, found {parsed.get_backend_name()!r}; change it"
    )


def shown(engine: Engine) -> str:
    """Return the URL of a database without its password."""
    return engine.url.render_as_string(hide_password=True)


def upgrade_tables(connection: Connection) -> None:
    """Upgrade the tables to the newest migration, in the transaction of this connection.

    Raises
    ------
    OutputError : the tables belong to a newer program
    """
    with as_file(files("sparcc_pipeline.app.ledger") / "migrations") as folder:
        config = migration_config(folder)
        script = ScriptDirectory.from_config(config)
        newest = script.get_current_head()
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        found = MigrationContext.configure(connection).get_current_revision()
        if found == newest:
            return
        if found is not None and found not in {each.revision for each in script.walk_revisions()}:
            raise OutputError(
                f"expected a ledger with tables of at most version {newest}, found {found}; install the newer program"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def migration_config(folder: Path) -> Config:
    """Return Alembic's configuration with the folder of the migrations."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


def close_to_others(engine: Engine) -> None:
    """Take the rights of other users from the files of a SQLite ledger, if they belong to this user."""
    file = engine.url.database
    if engine.dialect.name != "sqlite" or not file:
        return
    for part in (Path(file), Path(f"{file}-wal"), Path(f"{file}-shm")):
        # The last reader removes both parts of the write-ahead log.
        with suppress(FileNotFoundError):
            found = part.stat()
            if found.st_mode & 0o007 and found.st_uid == os.getuid():
                part.chmod(stat.S_IMODE(found.st_mode) & 0o770)


def _make_folder(file: str | None) -> None:
    if not file or file == ":memory:":
        raise ConfigError("expected a file in a SQLite URL, found none: sqlite:///FILE; change [database] url")
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected a folder for the ledger {file}, found it not usable ({(error.strerror or '').lower()}); change "
            "its rights or [database] url"
        ) from error


def _sqlite(engine: Engine) -> Engine:
    """Set SQLite up for the ledger: foreign keys, write-ahead log, and transactions that begin at `BEGIN`."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        # The newest commits must survive a power cut, as their files do.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
