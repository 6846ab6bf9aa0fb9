"""Zip archives: checked as a whole before anything is unpacked.

An archive comes from outside: one bad entry refuses all of it.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sparcc_pipeline.dicom.input.elements import printable_name
from sparcc_pipeline.errors import OutputError, UnreadablePixelsError, UnsafeArchiveError
from sparcc_pipeline.message import Message

MAX_ARCHIVE_ENTRIES: Final = 200_000
"""Far above any examination (a large one has some thousand slices)."""

MAX_UNPACKED_BYTES: Final = 8 * 2**30
"""Far above a pelvic MRI (under 1 GiB)."""

BOMB_RATIO: Final = 200
"""Images shrink 2- to 5-fold, empty phantoms more; over `BOMB_FLOOR_BYTES` no real study shrinks 200-fold."""

BOMB_FLOOR_BYTES: Final = 256 * 2**20

_CHUNK_BYTES: Final = 2**20


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder that is removed when its context ends.

    Raises
    ------
    OutputError : there is no room for it
    """
    try:
        return tempfile.TemporaryDirectory(prefix="sparcc-")
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> OutputError:
    return OutputError(
        "expected to unpack the archive into a temporary folder, found that impossible "
        f"({(error.strerror or '').lower()}); free space or set TMPDIR to another folder"
    )


def unpack(archive: Path, folder: Path, only: Collection[int] | None = None) -> None:
    """Unpack the files of a checked zip, each into its own numbered folder so that names cannot collide.

    Parameters
    ----------
    only : numbers of the entries to unpack, as `archive_files` counts them; None: all

    Raises
    ------
    UnsafeArchiveError, UnreadablePixelsError, OutputError : see `source.open_source`
    """
    try:
        with archive_files(archive, folder) as (opened, entries):
            left = MAX_UNPACKED_BYTES
            for number, entry in enumerate(entries):
                if only is not None and number not in only:
                    continue
                target = folder / f"{number:06d}" / _file_name(entry)
                target.parent.mkdir()
                with opened.open(entry) as packed, target.open("xb") as unpacked:
                    left -= _copy(packed, unpacked, left, archive)
    except OSError as error:
        raise _no_room(error) from error


KNOWN_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
METHOD_NAMES: Final = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES encryption"}


@contextmanager
def archive_files(archive: Path, folder: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Yield an open zip whose entries were checked, and those of its entries that are files.

    Parameters
    ----------
    folder : its destination: more than there is room for is refused

    Raises
    ------
    UnsafeArchiveError : the zip would write outside its folder, holds links, or is too large
    UnreadablePixelsError : the zip is damaged or locked with a password, also if that shows while it is read
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            _require_known_method(opened.infolist(), archive)
            _check_entries(opened.infolist(), archive, free_bytes=shutil.disk_usage(folder).free)
            yield opened, [entry for entry in opened.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadablePixelsError(
            Message(
                "expected a zip archive that can be unpacked, found a damaged one ({file!r}); send it again",
                file=printable_name(archive),
            )
        ) from error


def _require_known_method(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    """Refuse an archive that is locked, or compressed by a method that Python cannot unpack."""
    if any(entry.flag_bits & 1 for entry in entries):
        raise UnreadablePixelsError(
            Message(
                "expected a zip archive that can be unpacked, found one with a password ({file!r}); send it again, "
                "without a password",
                file=printable_name(archive),
            )
        )
    unknown = {entry.compress_type for entry in entries} - KNOWN_METHODS
    if unknown:
        method = min(unknown)
        raise UnreadablePixelsError(
            Message(
                "expected a zip archive compressed by Deflate, found {method} in {file!r} (Windows writes Deflate64 "
                "over 2 GB); unpack it there and give the folder, or pack it with another program",
                method=METHOD_NAMES.get(method, f"method {method}"),
                file=printable_name(archive),
            )
        )


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path, free_bytes: int) -> None:
    """Refuse the whole archive if any entry is unsafe or all together are too large."""
    if len(entries) > MAX_ARCHIVE_ENTRIES:
        raise UnsafeArchiveError(
            f"expected at most {MAX_ARCHIVE_ENTRIES} files in {printable_name(archive)!r}, found {len(entries)}; "
            "pack only the study"
        )
    for number, entry in enumerate(entries, start=1):
        fault = _fault(entry)
        if fault:
            raise UnsafeArchiveError(
                Message(
                    "expected only plain files below the archive's own folder, found {fault} (entry {number} of "
                    "{file!r}); nothing was unpacked: pack the study again",
                    fault=fault,
                    number=number,
                    file=printable_name(archive),
                )
            )
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    limit = min(MAX_UNPACKED_BYTES, free_bytes)
    if size > limit or (size > BOMB_FLOOR_BYTES and size > BOMB_RATIO * max(packed, 1)):
        raise UnsafeArchiveError(
            Message(
                "expected at most {limit:.1f} GiB, packed at most {ratio}-fold, found {found:.1f} GiB out of "
                "{packed:.1f} MiB in {file!r}; pack only the study",
                limit=limit / 2**30,
                ratio=BOMB_RATIO,
                found=size / 2**30,
                packed=packed / 2**20,
                file=printable_name(archive),
            )
        )


def _fault(entry: zipfile.ZipInfo) -> Message | None:
    """Return what is unsafe about one entry; None if nothing is."""
    # The name as packed: zipfile cuts `filename` at a null character and changes separators.
    name = entry.orig_filename.replace("\\", "/")
    mode = stat.S_IFMT(entry.external_attr >> 16)
    if "\0" in name:
        return Message("a name with a null character")
    if name.startswith("/") or name[1:2] == ":":
        return Message("an absolute name")
    if ".." in name.split("/"):
        return Message("a name with '..'")
    if mode == stat.S_IFLNK:
        return Message("a symbolic link")
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return Message("a special file")
    return None


def _file_name(entry: zipfile.ZipInfo) -> str:
    """The last part of an entry's name, short enough for any file system."""
    name = entry.orig_filename.replace("\\", "/").rstrip("/").split("/")[-1]
    return name.encode("utf-8", "replace")[-100:].decode("utf-8", "ignore") or "unnamed"


def _copy(packed: IO[bytes], unpacked: IO[bytes], limit: int, archive: Path) -> int:
    """Copy one entry and return its size, which may differ from the declared one."""
    copied = 0
    while chunk := packed.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > limit:
            raise UnsafeArchiveError(
                f"expected at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB in {printable_name(archive)!r}, found "
                "more than it declares; pack only the study"
            )
        unpacked.write(chunk)
    return copied
