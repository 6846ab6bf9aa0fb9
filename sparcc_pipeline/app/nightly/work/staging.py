"""Where results are made before they are published: one folder a claim, so that no two workers ever share one.

`work_folder/.making/STUDY-CLAIM/`. A worker that lost its study may go on writing there, and nobody ever looks.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.records import Leased
from sparcc_pipeline.app.nightly.delivery.folder_copy import sync
from sparcc_pipeline.app.results.store import publish_folder
from sparcc_pipeline.app.study.files import PARTIAL_PREFIX
from sparcc_pipeline.errors import OutputError

MAKING_FOLDER: Final = ".making"
RESULT: Final = "result"
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
        for path in (made, *made.rglob("*")):
            sync(path)
        publish_folder(made, place)
        sync(place.parent)
    except OSError as error:
        raise OutputError(
            f"expected to move a result into the work folder, found the place not usable "
            f"({(error.strerror or '').lower()}); free space or change its rights"
        ) from error


def unmake(folder: Path) -> None:
    """Remove the folder of a claim that is over."""
    shutil.rmtree(folder, ignore_errors=True)


Claim = tuple[str, int, int]
"""Kind, number and claim of a row that is worked at."""


def left_over(work: Path) -> list[tuple[Claim | None, Path]]:
    """What lies in the folder of the making, and of which claim it is; ask the ledger afterwards which are over.

    None: of a worker that went on after its claim was over and its folder was gone.
    """
    try:
        entries = sorted((work / MAKING_FOLDER).iterdir())
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
    """Remove what was found of claims that are over; says how many folders that were."""
    living, removed = set(alive), 0
    for claim, folder in found:
        if claim not in living:
            unmake(folder)
            removed += 1
    return removed
