"""Inbox folders: zips and folders that sites drop by SFTP or on a share, copied into the identity folder when whole.

Others write to an inbox, even while it is read: no link is followed, and nothing is trusted. A refused upload stays
where it is, is reported once, and does not delay the others.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.intake.copying import ChangedUpload, copy_entry
from sparcc_pipeline.app.nightly.intake.identity_store import PARTIAL
from sparcc_pipeline.app.nightly.settings_tables import IntakeSettings
from sparcc_pipeline.errors import OutputError

UNFINISHED_SUFFIXES: Final = (".part", ".partial", ".filepart", ".tmp", ".crdownload", ".uploading")
"""Suffixes that copying programs give to a file until it is whole."""


@dataclass(frozen=True)
class Entry:
    """One zip, folder or file in an inbox. Its name may hold a patient's, so it is not shown.

    Parameters
    ----------
    changed_at : time of its last change, seconds since 1970; no sender can set it
    marks : each path in it with a text that changes with any change of the file or folder there
    """

    path: Path
    changed_at: float
    marks: Mapping[Path, str]

    @property
    def mark(self) -> str:
        """Text that changes with any change of the entry."""
        return "|".join(self.marks.values())

    def __repr__(self) -> str:
        return "Entry(...)"


def list_entries(inbox: Path, most_files: int) -> list[Entry]:
    """Return the entries of an inbox, the oldest first, without hidden names and unfinished copies.

    Raises
    ------
    OutputError : the inbox cannot be listed
    """
    try:
        names = sorted(entry.name for entry in os.scandir(inbox))
    except OSError as error:
        raise OutputError(
            f"expected an inbox that can be read at {inbox}, found {(error.strerror or '').lower()}; check the share"
        ) from error
    found = []
    for name in names:
        path = inbox / name
        if name.startswith((".", "~")) or name.lower().endswith(UNFINISHED_SUFFIXES):
            continue
        try:
            entry = _entry(path, most_files)
            files = [each for each in entry.marks if each.is_symlink() or not each.is_dir()]
        except OSError:
            continue  # it is changing now
        # What stays of a folder that was taken: hidden files, which `remove` leaves because `take` does not copy them.
        if not files or not all(each.name.startswith(".") for each in files):
            found.append(entry)
    return sorted(found, key=lambda entry: entry.changed_at)


def _entry(path: Path, most_files: int) -> Entry:
    marks = {each: _mark(each) for each in (path, *_walk(path, most_files))}
    return Entry(path, max(changed for changed, _ in marks.values()), {each: mark for each, (_, mark) in marks.items()})


def take(entry: Entry, folder: Path, limits: IntakeSettings) -> None:
    """Copy an entry into `folder`, which must not exist: under neutral names, zips unpacked, all or nothing.

    The copies get the time of the entry's last change as their time of arrival.

    Raises
    ------
    RefusedUpload : the entry holds links or devices, too much, or a zip that is damaged, locked or unsafe
    ChangedUpload : the entry is no longer as it was listed: a file came, went or changed
    OutputError : the disk is full
    """
    partial = folder.with_name(folder.name + PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700)
        copy_entry(entry.path, partial, limits)
        for file in partial.rglob("*.*"):
            os.utime(file, (entry.changed_at, entry.changed_at))
        _require_unchanged(entry, limits.max_files)
        partial.rename(folder)
    except OSError as error:
        raise OutputError(
            f"expected room for an upload in the identity folder, found {(error.strerror or 'none').lower()}; free some"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_unchanged(entry: Entry, most_files: int) -> None:
    try:
        unchanged = _entry(entry.path, most_files).marks == entry.marks
    except OSError:
        unchanged = False
    if not unchanged:
        raise ChangedUpload("expected an upload that does not change, found that it changed; it is tried again")


def remove(entry: Entry) -> None:
    """Remove what was taken of an entry: files that are still as they were listed, and folders without any other.

    A file that came or changed since stays, and is taken later; hidden files stay. If removing fails, the mark of the
    entry keeps it from being taken again.
    """
    for path, mark in reversed(list(entry.marks.items())):
        if path.name.startswith(".") and not path.is_dir():
            continue
        # A file that cannot be removed stays, and so does its folder.
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif _mark(path)[1] == mark:
                path.unlink()


def _walk(path: Path, most_files: int) -> Iterator[Path]:
    """Yield everything below a folder without following links, at most one entry more than allowed."""
    if path.is_symlink() or not path.is_dir():
        return
    count = 0
    for parent, folders, files in os.walk(path):
        folders.sort()
        for name in (*folders, *sorted(files)):
            yield Path(parent) / name
            count += 1
            if count > most_files:
                return


def _mark(path: Path) -> tuple[float, str]:
    found = path.lstat()
    # The change time of the inode: copying programs set the modification time back.
    changed = max(found.st_ctime, found.st_mtime if found.st_mtime <= found.st_ctime else 0.0)
    return changed, f"{path.name}:{found.st_ino}:{found.st_size}:{found.st_ctime_ns}"
