"""Open a source of images: a folder, a zip, a DICOMDIR or a single file; zips inside it are unpacked too."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from sparcc_pipeline.dicom.input.elements import printable_name
from sparcc_pipeline.dicom.input.files.archive import temporary_folder, unpack
from sparcc_pipeline.dicom.input.files.directory import directory_references, is_directory
from sparcc_pipeline.dicom.input.files.recognition import looks_like_dicom
from sparcc_pipeline.errors import InputError, SeriesNotFoundError, SparccError, UnreadablePixelsError

DEEPEST_ARCHIVE: Final = 2
"""Zips within zips that are unpacked: a portal packs each series, then the study."""

ZIP_START: Final = b"PK\x03\x04"

OFFICE_SUFFIXES: Final = frozenset({".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".jar", ".apk", ".epub", ".npz"})
"""Documents and programs that are zips and hold no images."""


@contextmanager
def open_source(source: Path) -> Iterator[list[Path]]:
    """Yield the candidate files of a source, in a stable order; zips are unpacked for as long as the context lasts.

    Parameters
    ----------
    source : folder (any depth and names), zip, DICOMDIR or single file. For a DICOMDIR it and the files that it lists

    Raises
    ------
    SeriesNotFoundError : there is nothing at `source`
    UnsafeArchiveError : a zip would write outside its folder, holds links, or is too large
    UnreadablePixelsError : a zip is damaged or locked with a password, or a folder cannot be listed
    OutputError : there is no room to unpack a zip
    """
    with ExitStack() as stack:
        if source.is_dir():
            yield with_unpacked(_files_below(source), stack)
        elif not source.is_file():
            raise SeriesNotFoundError(
                "expected a folder, a zip, a DICOMDIR or a DICOM file, found nothing at "
                f"{printable_name(source)!r}; check the path"
            )
        elif looks_like_dicom(source):
            yield directory_references(source) if is_directory(source) else [source]
        elif zipfile.is_zipfile(source):
            yield with_unpacked(_unpacked(source, stack), stack, DEEPEST_ARCHIVE - 1)
        elif source.suffix.lower() == ".zip":
            raise UnreadablePixelsError(
                f"expected a zip archive, found a damaged or incomplete one ({printable_name(source)!r}); send it again"
            )
        else:
            yield [source]


def is_archive(path: Path) -> bool:
    """Return True for a file that begins like a zip and is no document or program."""
    if path.suffix.lower() in OFFICE_SUFFIXES or path.name.startswith("."):
        return False
    try:
        with path.open("rb") as opened:
            return opened.read(len(ZIP_START)) == ZIP_START
    except OSError:
        return False


def with_unpacked(files: Iterable[Path], stack: ExitStack, depth: int = DEEPEST_ARCHIVE) -> list[Path]:
    """Return the files, with the content of each zip among them in its place.

    A zip that cannot be unpacked stays a file of its own, which counts as unreadable, unless there is nothing else.

    Parameters
    ----------
    stack : removes the unpacked files when it is closed
    depth : levels of zips within zips that are unpacked
    """
    found: list[Path] = []
    refused: SparccError | None = None
    others = 0
    for path in files:
        if depth == 0 or not is_archive(path):
            others += looks_like_dicom(path)
            found.append(path)
            continue
        try:
            content = with_unpacked(_unpacked(path, stack), stack, depth - 1)
            others += len(content)
            found += content
        except InputError as error:
            refused = error
            found.append(path)
    if refused is not None and others == 0:
        raise refused
    return found


def _unpacked(archive: Path, stack: ExitStack) -> list[Path]:
    folder = Path(stack.enter_context(temporary_folder()))
    unpack(archive, folder)
    return _files_below(folder)


def _files_below(folder: Path) -> list[Path]:
    """Return all regular files below `folder`, sorted; links to folders are not followed, so no loop can arise."""

    def refuse(error: OSError) -> None:
        raise error

    try:
        found = [Path(parent) / name for parent, _, names in os.walk(folder, onerror=refuse) for name in names]
        return sorted(path for path in found if path.is_file())
    except OSError as error:
        # Passing over it would score a study without its slices.
        raise UnreadablePixelsError(
            "expected a study whose folders can all be read, found one that cannot "
            f"({(error.strerror or '').lower()}); change its rights or copy the study again"
        ) from error
