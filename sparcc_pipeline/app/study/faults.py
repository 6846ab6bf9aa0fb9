"""Facts about an error that are safe to report: its kind and its place. Its text may quote a header or an answer."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException) -> tuple[str, int]:
    """Return the name of the file and the line where an error was raised; ("", 0) if it was not raised."""
    places = traceback.extract_tb(error.__traceback__)
    return (Path(places[-1].filename).name, places[-1].lineno or 0) if places else ("", 0)


def kind_of(error: BaseException) -> str:
    """Return the kind of an error, for programs: "NotStir" for `NotStirError`."""
    return type(error).__name__.removesuffix("Error")
