"""Write files and folders; an `OutputError` gives the reason if that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import OutputError

SCORE_FILE: Final = "score.json"
"""The file that marks a folder as a finished score."""

PARTIAL_PREFIX: Final = ".sparcc-"
PARTIAL_SUFFIX: Final = ".partial"


def make_folder(folder: Path, what: str) -> None:
    """Create a folder for `what` and its parents; an existing one is kept.

    Raises
    ------
    OutputError : it cannot be created
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected a folder for the {what} at {folder}, found that it cannot be created ({error.strerror}); "
            "choose another"
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
    """Replace a file in one step: a reader sees either the earlier content or the new one.

    Raises
    ------
    OutputError : it cannot be written; the earlier content is kept
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
    """Return the fault for an error message: "not usable (no space left on device)"."""
    return f"not usable ({(error.strerror or type(error).__name__).lower()})"
