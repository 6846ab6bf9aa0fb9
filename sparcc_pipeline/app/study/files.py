"""Files and folders written, or an `OutputError` that says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import OutputError

SCORE_FILE: Final = "score.json"
"""The file that makes a folder that of a finished score."""

PARTIAL_PREFIX: Final = ".sparcc-"
PARTIAL_SUFFIX: Final = ".partial"


def make_folder(folder: Path, what: str) -> None:
    """Make a folder for `what`, with those above it; one that is there is kept.

    Raises
    ------
    OutputError : it cannot be made
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected a folder for the {what} at {folder}, found none can be made ({error.strerror}); choose another"
        ) from error


def write_text(file: Path, text: str) -> None:
    """Write a text file in UTF-8.

    Raises
    ------
    OutputError : it cannot be written
    """
    write_bytes(file, text.encode("utf-8"))


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file, and its folder if that is missing.

    Raises
    ------
    OutputError : it cannot be written
    """
    try:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise OutputError(
            f"expected to write {file.name}, found the place {fault_of(error)}; free space or choose another --out"
        ) from error


def replace_bytes(file: Path, content: bytes) -> None:
    """Write a file in one step: whoever reads it sees the earlier content or the new one, whole.

    Raises
    ------
    OutputError : it cannot be written; the earlier content is then still there
    """
    partial = file.with_name(f"{PARTIAL_PREFIX}{file.name}{PARTIAL_SUFFIX}")
    try:
        write_bytes(partial, content)
        partial.replace(file)
    except OSError as error:
        raise OutputError(
            f"expected to replace {file.name}, found the place {fault_of(error)}; free space or choose another --out"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def fault_of(error: OSError) -> str:
    return f"not usable ({(error.strerror or type(error).__name__).lower()})"
