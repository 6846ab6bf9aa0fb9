"""Copies a folder of results and reads it back: the copy appears whole, or not at all.

A killed copy leaves `.sparcc-NAME.partial` beside its place, which the next attempt removes. While it is replaced, an
earlier result may be in `.sparcc-NAME.replaced`, which the next attempt puts back or removes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.results.store import CHANGE_FILE
from sparcc_pipeline.app.study.files import PARTIAL_PREFIX, PARTIAL_SUFFIX, SCORE_FILE
from sparcc_pipeline.errors import OutputError

_REPLACED_SUFFIX: Final = ".replaced"
_CHUNK_BYTES: Final = 2**20


def copy_results(source: Path, target: Path) -> int:
    """Copy a folder of results to `target`, replacing an earlier result, and return the number of files.

    The copy is synced to the disk, read back and compared by hash before it takes its place. If `target` is already
    the same, nothing is written. Only one process at a time may copy to one target.

    Raises
    ------
    OutputError : the disk is full, rights are missing, the target is no result, or a file read back differs
    """
    partial = target.with_name(f"{PARTIAL_PREFIX}{target.name}{PARTIAL_SUFFIX}")
    replaced = target.with_name(f"{PARTIAL_PREFIX}{target.name}{_REPLACED_SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clean_up(target, partial, replaced)
        files = sorted(file.relative_to(source) for file in source.rglob("*") if file.is_file())
        if _hashes(target) == (hashes := _hashes(source)):
            return len(files)
        _require_result(target)
        try:
            for file in files:
                _copy_file(source / file, partial / file)
            if _hashes(partial) != hashes:
                raise OutputError(
                    f"expected the copy below {target.parent} to hold the written content, found other content when it "
                    "was read back; check that disk, it is tried again"
                )
            _put_in_place(partial, target, replaced)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return len(files)
    except OSError as error:
        raise OutputError(
            f"expected to copy results below {target.parent}, found the place not usable "
            f"({(error.strerror or type(error).__name__).lower()}); free space or change its rights, it is tried again"
        ) from error


def _clean_up(target: Path, partial: Path, replaced: Path) -> None:
    """Remove the remains of a killed copy."""
    if partial.exists():
        shutil.rmtree(partial)
    if replaced.exists():
        if target.exists():
            shutil.rmtree(replaced)
        else:
            replaced.rename(target)


def _require_result(target: Path) -> None:
    if target.exists() and not any((target / name).is_file() for name in (SCORE_FILE, CHANGE_FILE)):
        raise OutputError(
            f"expected an earlier result or nothing at the place of a delivery, found something else in its folder"
            f" ({target.parent}); nothing was changed: move it away"
        )


def _put_in_place(partial: Path, target: Path, replaced: Path) -> None:
    if target.exists():
        target.rename(replaced)
    partial.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)
    sync(target.parent)


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as old, target.open("xb") as new:
        shutil.copyfileobj(old, new, _CHUNK_BYTES)
        new.flush()
        os.fsync(new.fileno())
        # Reading back must read the disk, not the memory that still holds the content.
        os.posix_fadvise(new.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each file by its place; empty if there is no folder."""
    found = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if file.is_file():
            with file.open("rb") as opened:
                found[file.relative_to(folder).as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def sync(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
