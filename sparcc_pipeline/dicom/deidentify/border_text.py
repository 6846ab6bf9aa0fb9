"""Text at the border of an image, found by Tesseract: scanners and archives burn names in there ([Tesseract]).

Tesseract is a program of its own (Debian package `tesseract-ocr`, Apache license), called only if the settings ask for
it. What it reads is compared with a limit and forgotten, because it may be a name.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sparcc_pipeline.errors import ConfigError

PROGRAM: Final = "tesseract"

BORDER_SHARE: Final = 0.25
"""Part of rows and columns, at each side, in which text is looked for; the joints lie in the middle."""

LEAST_CONFIDENCE: Final[tuple[tuple[int, float], ...]] = ((5, 50.0), (3, 75.0))
"""A word of so many letters and digits counts from this confidence (per cent) on. Noise reads as words of three or four
letters and up to 70 %, burnt-in names mostly as words of 84 % and more; "R", "HF" and "15" are no names."""

SECONDS: Final = 30.0
_SCALE: Final = 4
"""Tesseract needs letters of 20 pixels and more; burnt-in ones have 7 to 12."""

_GAP: Final = 20
_OPTIONS: Final = ("stdin", "stdout", "--psm", "11", "tsv")
"""Sparse text in any order; one line of the answer for each word."""


def has_border_text(pixels: NDArray[np.generic]) -> bool:
    """Return True if the border of an image, (rows, columns) or (frames, rows, columns), seems to hold a word.

    An image that takes too long counts as holding one: a person looks at it.

    Raises
    ------
    ConfigError : the program is not installed, or does not work
    """
    program = require_program()
    try:
        answer = subprocess.run(
            [program, *_OPTIONS],
            input=_png(_montage(pixels)),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            # Its threads wait for each other longer than they work.
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except subprocess.TimeoutExpired:
        return True
    if answer.returncode:
        raise ConfigError(
            f"expected the program tesseract to read a picture, found exit code {answer.returncode}; install the "
            "Debian packages tesseract-ocr and tesseract-ocr-eng again, or set read_border = false in [intake]"
        )
    return any(_is_word(line) for line in answer.stdout.decode("utf-8", "replace").splitlines()[1:])


def require_program() -> str:
    """Return the path of the program (errors: see `has_border_text`)."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ConfigError(
            "expected the program tesseract for read_border in [intake], found none; install the Debian package "
            "tesseract-ocr, or set read_border = false"
        )
    return program


def _is_word(line: str) -> bool:
    """Return True if a line of the answer is a word of enough letters and digits, read with enough confidence."""
    cells = line.split("\t")
    if len(cells) != 12:
        return False
    letters, confidence = sum(each.isalnum() for each in cells[11]), float(cells[10])
    return any(letters >= least and confidence >= limit for least, limit in LEAST_CONFIDENCE)


def _montage(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return the four strips of the border below each other, dark letters on light, enlarged."""
    values = np.asarray(pixels, dtype=np.float64)
    values = values.max(axis=0) if values.ndim == 3 else values
    span = float(np.ptp(values)) or 1.0
    light = 255 - np.rint(255 * (values - values.min()) / span).astype(np.uint8)
    strips = [_enlarged(strip) for strip in _strips(light)]
    width = max(strip.shape[1] for strip in strips) + 2 * _GAP
    page = np.full((sum(strip.shape[0] + _GAP for strip in strips) + _GAP, width), 255, np.uint8)
    top = _GAP
    for strip in strips:
        page[top : top + strip.shape[0], _GAP : _GAP + strip.shape[1]] = strip
        top += strip.shape[0] + _GAP
    return page


def _strips(light: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the upper, lower, left and right part of an image, (rows, columns)."""
    rows, columns = (max(1, round(BORDER_SHARE * size)) for size in light.shape)
    yield light[:rows]
    yield light[-rows:]
    yield light[rows:-rows, :columns]
    yield light[rows:-rows, -columns:]


def _enlarged(strip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = strip.shape
    picture: Any = Image.fromarray(strip).resize((_SCALE * columns, _SCALE * rows), Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def _png(page: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    return buffer.getvalue()
