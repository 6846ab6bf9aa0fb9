"""Staging folders: results are written there before they are published. Each claim has its own.

`work_folder/.staging/STUDY-CLAIM/`. A worker that lost its lease may go on writing there; nothing reads it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from sparcc_pipeline.app.ledger.records import Leased
from sparcc_pipeline.app.nightly.delivery.folder_copy import sync
from sparcc_pipeline.app.study.files import PARTIAL_PREFIX
from sparcc_pipeline.errors import OutputError

RowKind = Literal["study", "change"]

STAGING_FOLDER: Final = ".staging"
RESULT: Final = "result"
_REPLACED: Final = "replaced"
_NAME: Final = re.compile(r"(study|change)-(\d+)-(\d+)")


def staging_path(work: Path, kind: RowKind, held: Leased) -> Path:
    """Return the path of the staging folder of a claim."""
    return work / STAGING_FOLDER / f"{kind}-{held.id}-{held.claim}"


def staging_folder(work: Path, kind: RowKind, held: Leased) -> Path:
    """Create the empty staging folder of a claim and return its path.

    Raises
    ------
    OutputError : the folder cannot be created
    """
    folder = staging_path(work, kind, held)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError(
            f"expected a work folder that can be written, found it not usable ({(error.strerror or '').lower()}); free "
            "space or change its rights"
        ) from error
    return folder


def publish(finished: Path, place: Path) -> None:
    """Move a finished folder to its place in one step; an earlier folder there moves out of the way.

    Raises
    ------
    OutputError : the folder cannot be moved, or there is none
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for path in (finished, *finished.rglob("*")):
            sync(path)
        if place.exists():
            place.rename(finished.with_name(_REPLACED))
        finished.rename(place)
        sync(place.parent)
    except OSError as error:
        raise OutputError(
            f"expected to move a result into the work folder, found the place not usable "
            f"({(error.strerror or '').lower()}); free space or change its rights"
        ) from error


def remove_staging(folder: Path) -> None:
    """Remove the staging folder of a claim that ended."""
    shutil.rmtree(folder, ignore_errors=True)


Claim = tuple[str, int, int]
"""Kind, number and claim of a row."""


def find_staging(work: Path) -> list[tuple[Claim | None, Path]]:
    """Return each staging folder with its claim; ask the ledger afterwards which claims ended.

    None instead of a claim: a worker left it that wrote on after its claim had ended and its folder was removed.
    """
    try:
        entries = sorted((work / STAGING_FOLDER).iterdir())
    except FileNotFoundError:
        return []
    found: list[tuple[Claim | None, Path]] = []
    for entry in entries:
        if (match := _NAME.fullmatch(entry.name)) is not None:
            found.append(((match[1], int(match[2]), int(match[3])), entry))
        elif entry.name.startswith(PARTIAL_PREFIX):
            found.append((None, entry))
    return found


def sweep(alive: Iterable[Claim], found: Iterable[tuple[Claim | None, Path]]) -> int:
    """Remove the found folders of claims that ended; return how many."""
    live, removed = set(alive), 0
    for claim, folder in found:
        if claim not in live:
            remove_staging(folder)
            removed += 1
    return removed
