"""Back up and restore a reading page: one tar file with database, images, the machine's results, key and head.

Contents: `write_backup`, `restore_backup`. SQLite is copied by its online backup while the page is served. The files
are copied after it: they never change, so the backup holds every file that the copied database names. A PostgreSQL
database is not in the file; save it with pg_dump (docs/reader.md).
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from sparcc_pipeline.app.reader.audit.trail import write_head
from sparcc_pipeline.app.reader.cases.picture_store import IMAGES, MACHINE
from sparcc_pipeline.app.reader.database import HEAD_FILE, KEY_FILE, ReaderDatabase
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.errors import InputError, OutputError

HEAD_SUFFIX: Final = ".head"
"""Ending of the file beside a backup that holds the signed head alone, to be kept elsewhere."""

DATABASE: Final = "database.sqlite"
FILES: Final = (KEY_FILE, HEAD_FILE, IMAGES, MACHINE)


def write_backup(database: ReaderDatabase, settings: ReaderSettings, file: Path) -> None:
    """Save everything into a new file that only its owner can read, complete or not at all, and the head beside it.

    Raises
    ------
    OutputError : the file exists or cannot be written
    """
    if file.exists():
        raise OutputError(f"expected a new file for the backup, found {file}, which exists; choose another name")
    partial = file.with_name(f".{file.name}.partial")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".sparcc-", dir=file.resolve().parent) as folder,
            os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw,
            tarfile.open(fileobj=raw, mode="w") as archive,
        ):
            # The head first: it may be older than the database, never newer.
            for name in FILES[:2]:
                if (database.folder / name).exists():
                    archive.add(database.folder / name, name)
            if (source := _sqlite_file(settings)) is not None:
                copy = Path(folder) / DATABASE
                with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(copy)) as saved:
                    live.backup(saved)
                archive.add(copy, DATABASE)
            for name in FILES[2:]:
                if (database.folder / name).exists():
                    archive.add(database.folder / name, name)
            raw.flush()
        partial.rename(file)
        if (kept := database.kept_head()) is not None:
            write_head(file.with_name(f"{file.name}{HEAD_SUFFIX}"), kept, database.key)
    except OSError as error:
        raise OutputError(
            f"expected a folder where a backup can be written, found {file.parent} not usable; choose another"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def restore_backup(settings: ReaderSettings, file: Path) -> None:
    """Restore a backup into a store folder that is new or empty.

    Raises
    ------
    InputError : the file is not a backup
    OutputError : the folder is not empty, the database exists, or one cannot be written
    """
    folder, target = settings.store_folder, _sqlite_file(settings)
    if folder.exists() and any(folder.iterdir()) or target is not None and target.exists():
        raise OutputError(
            f"expected a new or empty store folder, found {folder} in use; set another paths.store_folder"
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tarfile.open(file) as archive:
            names = archive.getnames()
            if KEY_FILE not in names or (target is not None and DATABASE not in names):
                raise InputError(
                    f"expected a backup with key and database, found another file at {file}; check the path"
                )
            archive.extractall(folder, filter="data")
        (folder / KEY_FILE).chmod(0o600)
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / DATABASE).rename(target)
    except tarfile.TarError as error:
        raise InputError(f"expected a backup of the reading page, found {file} damaged; take another one") from error
    except OSError as error:
        raise OutputError(
            f"expected a backup that can be read and a store folder that can be written, found {folder} or {file} not "
            "usable; check their rights"
        ) from error


def _sqlite_file(settings: ReaderSettings) -> Path | None:
    """Return the database's file; None for PostgreSQL."""
    url = make_url(settings.database_url)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
