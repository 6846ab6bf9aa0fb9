"""Checks of folders, files, the database and the clock; see `checks`."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, make_url, select
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from sparcc_pipeline.app.ledger.database import connect, migration_config, shown
from sparcc_pipeline.app.ledger.tables import history
from sparcc_pipeline.app.nightly.doctor.findings import Finding, Level
from sparcc_pipeline.app.nightly.intake.identity_store import KEY_FILE, MAP_FILE
from sparcc_pipeline.app.nightly.intake.manifest import read_manifest
from sparcc_pipeline.app.nightly.morning.ledger import report_zone
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.errors import ConfigError, SparccError

STUDY_BYTES: Final = 40 * 10**6
"""Room for one study of two series, rounded up: raw and de-identified images 12 MB each, results 9 MB."""

STUDY_FILES: Final = 150
"""Files of one study, rounded up: 50 images twice, 26 results, folders."""

WARN_STUDIES: Final = 500
FAIL_STUDIES: Final = 20
"""Room for fewer studies is a warning, or a failure."""

DRIFT: Final = timedelta(seconds=60)
"""A clock further behind the newest row of the ledger is wrong; NTP keeps clocks within a second."""

FILE_DRIFT_S: Final = 5.0
"""The largest allowed difference of a file server's clock."""


def identity_folder(settings: NightlySettings) -> Iterator[Finding]:
    """Check that folder, key and map exist, for their owner only."""
    folder = settings.paths.identity_folder
    if not folder.exists():
        yield Finding(Level.WARNING, f"{folder} does not exist yet; the intake creates it with its key")
        return
    try:
        paths = [(folder, 0o700), *((folder / name, 0o600) for name in (KEY_FILE, MAP_FILE))]
        for path, mode in paths:
            if path.exists() and (found := stat.S_IMODE(path.stat().st_mode)) & 0o077:
                yield Finding(Level.FAILED, f"{path} may be read by others (mode {found:o}); run chmod {mode:o} on it")
        has_map, has_key = (folder / MAP_FILE).exists(), (folder / KEY_FILE).exists()
    except PermissionError:
        yield Finding(Level.OK, f"{folder} may not be entered by this user; run doctor as the user of the intake too")
        return
    owner = folder.stat().st_uid
    if has_map and not has_key:
        yield Finding(Level.FAILED, f"the key is missing in {folder}; put it back from a copy before any study comes")
    elif owner != os.geteuid():
        yield Finding(Level.WARNING, f"{folder} belongs to user {owner}, this is user {os.geteuid()}; run as its owner")
    else:
        later = "" if has_key else "; the intake creates its key"
        yield Finding(Level.OK, f"{folder} is for its owner only{later}")


def work_folder(settings: NightlySettings) -> Iterator[Finding]:
    """Check that this user can write the work folder, and others cannot."""
    folder = settings.paths.work_folder
    if not folder.exists():
        yield Finding(Level.WARNING, f"{folder} does not exist yet; the first run creates it")
        return
    if stat.S_IMODE(folder.stat().st_mode) & 0o002:
        yield Finding(Level.FAILED, f"{folder} may be written by all users; run chmod o-w on it")
    yield _written(folder)


def disk(settings: NightlySettings) -> Iterator[Finding]:
    """Check for room and inodes for hundreds of studies on every disk that the night writes to."""
    wanted = [settings.paths.identity_folder, settings.paths.work_folder, settings.deliver.folder]
    seen: set[int] = set()
    for folder in wanted:
        place = None if folder is None else next(p for p in (folder, *folder.parents) if p.exists())
        if place is None or place.stat().st_dev in seen:
            continue
        seen.add(place.stat().st_dev)
        found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        # File systems without a fixed number of inodes report 0 of 0.
        by_inodes = found.f_favail // STUDY_FILES if found.f_files else free // STUDY_BYTES
        studies = min(free // STUDY_BYTES, by_inodes)
        level = Level.FAILED if studies < FAIL_STUDIES else Level.WARNING if studies < WARN_STUDIES else Level.OK
        text = f"{place} has {free / 1e9:.1f} GB and {found.f_favail} inodes free, room for about {studies} studies"
        yield Finding(level, text if level is Level.OK else f"{text}; free space or move the folder", by_settings=False)


def inboxes(settings: NightlySettings) -> Iterator[Finding]:
    """Check that each inbox is a folder, no link, and can be read and emptied."""
    named = [site for site in settings.site if site.inbox is not None]
    if not named:
        yield Finding(Level.OK, "no site has one")
    for site in named:
        inbox = site.inbox
        if inbox is None or not inbox.is_dir():
            yield Finding(Level.FAILED, f"{site.code}: {inbox} is no folder; create it, or change inbox of that site")
        elif inbox.is_symlink():
            yield Finding(Level.FAILED, f"{site.code}: {inbox} is a link; name the folder itself")
        elif stat.S_IMODE(inbox.stat().st_mode) & 0o002:
            yield Finding(Level.WARNING, f"{site.code}: {inbox} may be written by all users; run chmod o-w on it")
        elif not os.access(inbox, os.R_OK | os.W_OK | os.X_OK):
            yield Finding(Level.FAILED, f"{site.code}: {inbox} cannot be read and emptied; change its rights")
        else:
            yield Finding(Level.OK, f"{site.code}: {inbox}")


def manifests(settings: NightlySettings) -> Iterator[Finding]:
    """Check that each manifest can be read; count its rows without showing them."""
    for site in settings.site:
        try:
            rows = len(read_manifest(site.manifest).rows)
        except SparccError as error:
            yield Finding(Level.FAILED, f"{site.code}: {error}")
            continue
        level = Level.OK if rows else Level.WARNING
        text = f"{site.code}: {rows} rows" if rows else f"{site.code}: no row, so every study will be quarantined"
        yield Finding(level, text)


def database(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the database answers and has the tables of this program; upgrade nothing."""
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        yield Finding(Level.WARNING, f"{file} does not exist yet; the first run creates it")
        return
    engine = connect(settings.database_url)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        text = f"{shown(engine)} does not answer ({type(error).__name__}); check that it runs, its rights and the URL"
        yield Finding(Level.FAILED, text, by_settings=False)
        return
    finally:
        engine.dispose()
    with as_file(files("sparcc_pipeline.app.ledger") / "migrations") as folder:
        script = ScriptDirectory.from_config(migration_config(folder))
        newest, known = script.get_current_head(), {each.revision for each in script.walk_revisions()}
    if found == newest:
        yield Finding(Level.OK, f"{shown(engine)} answers, tables of version {found}")
    elif found is None or found in known:
        text = f"{shown(engine)} has tables of version {found}; the next run upgrades them to {newest}"
        yield Finding(Level.WARNING, text)
    else:
        yield Finding(Level.FAILED, f"{shown(engine)} has tables of a newer program ({found}); install that program")


def clock(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the zone is known, and that the clock is not behind the ledger or the file system."""
    now = utc_now()
    zone = report_zone(settings, now)
    yield Finding(Level.OK, f"{now.astimezone(zone):%Y-%m-%d %H:%M} in the zone of the reports ({zone})")
    newest = _newest_row(settings)
    if newest is not None and newest - now > DRIFT:
        yield Finding(
            Level.FAILED,
            f"the clock is {(newest - now).total_seconds():.0f} s behind the newest row of the ledger; set it by NTP: "
            "waits and leases depend on it",
        )
    folder = settings.paths.work_folder
    if os.access(folder, os.W_OK):
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".sparcc-doctor-") as file:
            ahead = Path(file.name).stat().st_mtime - time.time()
        if abs(ahead) > FILE_DRIFT_S:
            text = f"the file system of {folder} is {ahead:+.0f} s off; set the clocks of both machines by NTP"
            yield Finding(Level.WARNING, text)


def _newest_row(settings: NightlySettings) -> datetime | None:
    """Return when the ledger was last written; None if it does not answer (see `database`)."""
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        return None
    try:
        engine = connect(settings.database_url)
        try:
            with engine.connect() as connection:
                found = connection.execute(select(func.max(history.c.at))).scalar_one_or_none()
        finally:
            engine.dispose()
    except (SQLAlchemyError, SparccError):
        return None
    return found if isinstance(found, datetime) else None


def sqlite_file(settings: NightlySettings) -> Path | None:
    """Return the file of the ledger; None if it is on a server or its URL is invalid (`connect` reports that)."""
    try:
        url = make_url(settings.database_url)
    except ArgumentError:
        return None
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _written(folder: Path) -> Finding:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".sparcc-doctor-") as file:
            file.write(b"sparcc")
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return Finding(Level.FAILED, f"{folder} cannot be written ({why}); change its rights", by_settings=False)
    return Finding(Level.OK, f"{folder} can be written")


def delivery_folder(folder: Path) -> Finding:
    """Check the folder of deliveries: it exists, or can be created in a folder that can be written."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    if not place.is_dir():
        raise ConfigError(f"expected a folder at {folder}, found {place} is none; change folder in [deliver]")
    return _written(place)
