"""Copy an upload out of an inbox, within limits and without its names; unpack its zips."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.settings_tables import IntakeSettings
from sparcc_pipeline.dicom.input.files.archive import archive_files, unpack
from sparcc_pipeline.dicom.input.files.other_files import possible_image
from sparcc_pipeline.dicom.input.files.recognition import START_BYTES, starts_like_dicom
from sparcc_pipeline.dicom.input.source import DEEPEST_ARCHIVE, OFFICE_SUFFIXES, ZIP_START
from sparcc_pipeline.errors import OutputError, UnreadablePixelsError, UnsafeArchiveError
from sparcc_pipeline.message import Message

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


def copy_entry(path: Path, folder: Path, limits: IntakeSettings) -> None:
    """Copy a zip, folder or file of an inbox into a folder, under numbers, and unpack its zips.

    Raises
    ------
    RefusedUpload : it is larger than the limits, or not only plain files and folders
    ChangedUpload : a part was removed during the copy
    """
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
