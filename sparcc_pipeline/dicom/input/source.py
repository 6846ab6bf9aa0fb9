"""Open a source of images: a folder, a zip, a DICOMDIR or a single file.

A zip is somebody else's: before anything is unpacked every entry is checked, and one bad entry refuses the archive.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from sparcc_pipeline.dicom.input.directory import directory_references, is_directory
from sparcc_pipeline.dicom.input.elements import looks_like_dicom
from sparcc_pipeline.errors import OutputError, SeriesNotFoundError, UnreadablePixelsError, UnsafeArchiveError
from sparcc_pipeline.message import Message

MAX_ARCHIVE_ENTRIES: Final = 200_000
"""Far above any examination (a large one has some thousand slices)."""

MAX_UNPACKED_BYTES: Final = 8 * 2**30
"""Far above a pelvic MRI (under 1 GiB)."""

BOMB_RATIO: Final = 200
"""Images shrink 2- to 5-fold, empty phantoms more; over `BOMB_FLOOR_BYTES` nothing real shrinks 200-fold."""

BOMB_FLOOR_BYTES: Final = 256 * 2**20

_CHUNK_BYTES: Final = 2**20


@contextmanager
def open_source(source: Path) -> Iterator[list[Path]]:
    """The candidate files of a source, in a stable order; a zip is unpacked for as long as the context lasts.

    Parameters
    ----------
    source : folder (any depth and names), zip, DICOMDIR or single file. Of a DICOMDIR the files that it lists,
        also those that are missing (so that `discover` can tell).

    Raises
    ------
    SeriesNotFoundError : there is nothing at `source`
    UnsafeArchiveError : the zip would write outside its folder, holds links, or is too large
    UnreadablePixelsError : the zip is damaged or locked with a password, or a folder cannot be listed
    OutputError : there is no room to unpack the zip
    """
    if source.is_dir():
        yield _files_below(source)
    elif not source.is_file():
        raise SeriesNotFoundError(
            f"expected a folder, a zip, a DICOMDIR or a DICOM file, found nothing at {source.name!r}; check the path"
        )
    elif looks_like_dicom(source):
        yield directory_references(source) if is_directory(source) else [source]
    elif zipfile.is_zipfile(source):
        with temporary_folder() as folder:
            unpack(source, Path(folder))
            yield _files_below(Path(folder))
    elif source.suffix.lower() == ".zip":
        raise UnreadablePixelsError(
            f"expected a zip archive, found a damaged or incomplete one ({source.name!r}); send it again"
        )
    else:
        yield [source]


def _files_below(folder: Path) -> list[Path]:
    """All regular files below `folder`, sorted; links to folders are not followed, so no loop can arise."""

    def refuse(error: OSError) -> None:
        raise error

    try:
        found = [Path(parent) / name for parent, _, names in os.walk(folder, onerror=refuse) for name in names]
        return sorted(path for path in found if path.is_file())
    except OSError as error:
        # Passing over it would score a study without the slices that lie there.
        raise UnreadablePixelsError(
            "expected a study whose folders can all be read, found one that cannot "
            f"({(error.strerror or '').lower()}); change its rights or copy the study again"
        ) from error


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone when its context ends.

    Raises
    ------
    OutputError : there is no place for it
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
    UnsafeArchiveError, UnreadablePixelsError, OutputError : see `open_source`
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


@contextmanager
def archive_files(archive: Path, folder: Path) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """An open zip whose every entry was checked, and its entries that are files.

    Parameters
    ----------
    folder : where it would be unpacked: more than there is room for is refused

    Raises
    ------
    UnsafeArchiveError : the zip would write outside its folder, holds links, or is too large
    UnreadablePixelsError : the zip is damaged or locked with a password, also where that shows while it is read
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            _check_entries(opened.infolist(), archive, free_bytes=shutil.disk_usage(folder).free)
            yield opened, [entry for entry in opened.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadablePixelsError(
            Message(
                "expected a zip archive that can be unpacked, found a damaged or password-protected one ({file!r}); "
                "send it again, without a password",
                file=archive.name,
            )
        ) from error


def _check_entries(entries: list[zipfile.ZipInfo], archive: Path, free_bytes: int) -> None:
    """Refuse the whole archive if any entry is unsafe or all together are too large."""
    if len(entries) > MAX_ARCHIVE_ENTRIES:
        raise UnsafeArchiveError(
            f"expected at most {MAX_ARCHIVE_ENTRIES} files in {archive.name!r}, found {len(entries)}; "
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
                    file=archive.name,
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
                file=archive.name,
            )
        )


def _fault(entry: zipfile.ZipInfo) -> Message | None:
    """What is unsafe about one entry; None if nothing is."""
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
    """Copy one entry and return its size; the sizes that an archive declares are not believed."""
    copied = 0
    while chunk := packed.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > limit:
            raise UnsafeArchiveError(
                f"expected at most {MAX_UNPACKED_BYTES / 2**30:.0f} GiB in {archive.name!r}, found more than it "
                "declares; pack only the study"
            )
        unpacked.write(chunk)
    return copied
