"""Where results are made before they are published: one folder a claim, so that no two workers ever share one.

`work_folder/.making/STUDY-CLAIM/`. A worker that lost its study may go on writing there, and nobody ever looks.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.records import Leased
from sparcc_pipeline.errors import OutputError

MAKING_FOLDER: Final = ".making"
RESULT: Final = "result"
_REPLACED: Final = "replaced"
_NAME: Final = re.compile(r"(study|change)-(\d+)-(\d+)")


def making_path(work: Path, kind: str, held: Leased) -> Path:
    """Where the folder of one claim is; `kind` is "study" or "change"."""
    return work / MAKING_FOLDER / f"{kind}-{held.id}-{held.claim}"


def making_folder(work: Path, kind: str, held: Leased) -> Path:
    """The folder of one claim, made empty.

    Raises
    ------
    OutputError : it cannot be made
    """
    folder = making_path(work, kind, held)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"expected a work folder that can be written, found it not usable ({(error.strerror or '').lower()}); free "
            "space or change its rights"
        ) from error
    return folder


def publish(made: Path, place: Path) -> None:
    """Move what was made to its place as a whole; what an earlier attempt left there is moved out of the way.

    Raises
    ------
    OutputError : it cannot be moved, or there is nothing to move
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for path in (made, *made.rglob("*")):
            _sync(path)
        if place.exists():
            place.rename(made.with_name(_REPLACED))
        made.rename(place)
        _sync(place.parent)
    except OSError as error:
        raise OutputError(
            f"expected to move a result into the work folder, found the place not usable "
            f"({(error.strerror or '').lower()}); free space or change its rights"
        ) from error


def unmake(folder: Path) -> None:
    """Remove the folder of a claim that is over."""
    shutil.rmtree(folder, ignore_errors=True)


def left_over(work: Path) -> list[tuple[str, int, int, Path]]:
    """The folders of claims that are there: kind, number, claim, place. Ask the ledger afterwards which are over."""
    try:
        entries = sorted((work / MAKING_FOLDER).iterdir())
    except FileNotFoundError:
        return []
    found = ((_NAME.fullmatch(entry.name), entry) for entry in entries)
    return [(match[1], int(match[2]), int(match[3]), entry) for match, entry in found if match is not None]


def sweep(work: Path, alive: Iterable[tuple[str, int, int]], found: list[tuple[str, int, int, Path]]) -> int:
    """Remove the folders in `found` whose claims are over; says how many."""
    living, removed = set(alive), 0
    for kind, number, claim, folder in found:
        if (kind, number, claim) not in living:
            unmake(folder)
            removed += 1
    return removed


def _sync(path: Path) -> None:
    """A file, or the names in a folder, are on the disk before the ledger says so."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
