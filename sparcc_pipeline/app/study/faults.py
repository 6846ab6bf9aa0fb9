"""What may be told of a fault of the program: its kind and its place. Its own words may quote a header or an answer."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException) -> tuple[str, int]:
    """Name of the file and line where an error was raised; ("", 0) of one that was not."""
    places = traceback.extract_tb(error.__traceback__)
    return (Path(places[-1].filename).name, places[-1].lineno or 0) if places else ("", 0)
