"""Inbox folders: zips and folders that sites drop by SFTP or on a share, copied into the identity folder when whole.

Others write to an inbox, even while it is read: no link is followed, and nothing is trusted. A refused upload stays
where it is, is reported once, and does not delay the others.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.intake.identity_store import PARTIAL
from sparcc_pipeline.app.nightly.settings_tables import IntakeSettings
from sparcc_pipeline.dicom.input.elements import START_BYTES, starts_like_dicom
from sparcc_pipeline.dicom.input.files.archive import archive_files, unpack
from sparcc_pipeline.dicom.input.files.other_files import possible_image
from sparcc_pipeline.dicom.input.source import DEEPEST_ARCHIVE, OFFICE_SUFFIXES, ZIP_START
from sparcc_pipeline.errors import OutputError, UnreadablePixelsError, UnsafeArchiveError
from sparcc_pipeline.message import Message

UNFINISHED_SUFFIXES: Final = (".part", ".partial", ".filepart", ".tmp", ".crdownload", ".uploading")
"""Suffixes that copying programs give to a file until it is whole."""

LARGEST_DEPTH: Final = 24
OTHER_SUFFIX: Final = ".other"
"""Suffix of copies of files that were never images."""

_CHUNK: Final = 2**20


class RefusedUpload(Exception):
    """An upload is refused, for this `reason`."""

    def __init__(self, reason: Message) -> None:
        super().__init__(reason)
        self.reason = reason


class ChangedUpload(OutputError):
    """An upload changed while it was copied; a later round takes it."""


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
        _copy_entry(entry.path, partial, limits)
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


def _copy_entry(path: Path, folder: Path, limits: IntakeSettings) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        left = _Left(limits.max_files, limits.max_bytes)
        descriptor = _open(path, os.O_DIRECTORY)
        try:
            _copy_folder(descriptor, folder, limits, left, 0)
        finally:
            os.close(descriptor)
    else:
        _copy_file(_open(path), folder, limits, _Left(1, limits.max_bytes), path.name)
    for _ in range(DEEPEST_ARCHIVE):
        for zipped in sorted(folder.rglob("*.zip")):
            _unpack(zipped, zipped.with_name(f"zip{zipped.stem}"), limits)
            zipped.unlink()
    if sum(1 for file in folder.rglob("*") if file.is_file()) > limits.max_files:
        raise RefusedUpload(_too_many(limits))


@dataclass
class _Left:
    """How much more an upload may hold."""

    files: int
    bytes: int
    copied: int = 0


def _copy_folder(descriptor: int, folder: Path, limits: IntakeSettings, left: _Left, depth: int) -> None:
    """Copy all files below an open folder. Its entries are opened by descriptor, so that no path can be exchanged."""
    if depth > LARGEST_DEPTH:
        raise RefusedUpload(Message("the upload's folders are nested too deeply: send the study's folder only"))
    for name in sorted(os.listdir(descriptor)):
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            below = _open(name, os.O_DIRECTORY, descriptor)
            try:
                _copy_folder(below, folder, limits, left, depth + 1)
            finally:
                os.close(below)
        elif not name.startswith("."):
            left.files -= 1
            if left.files < 0:
                raise RefusedUpload(_too_many(limits))
            _copy_file(_open(name, folder=descriptor), folder, limits, left, name)


def _open(name: str | Path, flags: int = 0, folder: int | None = None) -> int:
    """Open a file or folder for reading, never a link; pipes and devices do not block."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, dir_fd=folder)
    except FileNotFoundError as error:
        raise ChangedUpload(
            "expected an upload that does not change, found that a part of it was removed during the copy; it is tried "
            "again"
        ) from error
    except OSError as error:
        raise RefusedUpload(
            Message("the upload holds a link, a device or a file that cannot be read: send plain files and folders")
        ) from error


def _copy_file(descriptor: int, folder: Path, limits: IntakeSettings, left: _Left, name: str) -> None:
    """Copy an open file under the next number, and close it."""
    with os.fdopen(descriptor, "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise RefusedUpload(
                Message("the upload holds a link, a device or a file that cannot be read: send plain files and folders")
            )
        start = source.read(_CHUNK)
        suffix = _neutral_suffix(Path(name), start)
        left.copied += 1
        target = folder / f"{left.copied:06d}{suffix}"
        most = min(left.bytes, limits.max_bytes if suffix == ".zip" else limits.max_file_bytes)
        size = 0
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
            while start:
                size += len(start)
                if size > most:
                    raise RefusedUpload(_too_large(limits))
                copy.write(start)
                start = source.read(_CHUNK)
            copy.flush()
            os.fsync(copy.fileno())
        left.bytes -= size


def _neutral_suffix(original: Path, start: bytes) -> str:
    """Return the suffix for a copy of a file: its name goes, and whether it may be an image stays known."""
    if start.startswith(ZIP_START) and original.suffix.lower() not in OFFICE_SUFFIXES:
        return ".zip"
    start = start[:START_BYTES]
    if starts_like_dicom(start) or possible_image(original, start) is not None:
        return ".dcm"
    return OTHER_SUFFIX


def _unpack(zipped: Path, folder: Path, limits: IntakeSettings) -> None:
    folder.mkdir(mode=0o700)
    try:
        with archive_files(zipped, folder) as (_, entries):
            if len(entries) > limits.max_files:
                raise RefusedUpload(_too_many(limits))
            sizes = [entry.file_size for entry in entries]
            if sum(sizes) > limits.max_bytes or max(sizes, default=0) > limits.max_file_bytes:
                raise RefusedUpload(_too_large(limits))
        unpack(zipped, folder)
        # Names within the zip may name patients.
        for number, file in enumerate(sorted(path for path in folder.rglob("*") if path.is_file()), start=1):
            with file.open("rb") as opened:
                suffix = _neutral_suffix(file, opened.read(START_BYTES))
            file.rename(folder / f"{number:06d}{suffix}")
            file.parent.rmdir()
    except UnsafeArchiveError as error:
        raise RefusedUpload(
            Message(
                "the zip holds links, names that lead out of its folder, or far more than its size: pack only the study"
            )
        ) from error
    except UnreadablePixelsError as error:
        raise RefusedUpload(
            Message(
                "the zip is damaged, not whole, locked with a password or packed by another method than Deflate "
                "(Windows uses Deflate64 over 2 GB): pack it again, without a password"
            )
        ) from error


def _too_many(limits: IntakeSettings) -> Message:
    return Message("the upload holds more than {count} files: send each study by itself", count=limits.max_files)


def _too_large(limits: IntakeSettings) -> Message:
    return Message(
        "the upload holds more than {gib:.1f} GiB, or one file of more than {mib:.0f} MiB: send each study by itself",
        gib=limits.max_bytes / 2**30,
        mib=limits.max_file_bytes / 2**20,
    )
