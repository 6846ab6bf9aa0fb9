"""Single DICOM elements as plain values, whatever a site wrote into them."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag

PARSE_ERRORS: Final = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What pydicom and its decoders raise on damaged files (they have no common root)."""

PERSON_TAG: Final = "PatientID"
"""Hashed by `take_person`, never kept."""

_DATE: Final = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.\d*)?")
"""DICOM date and time (PS3.5 6.2: later parts of a time may be left out), with the separators of older files."""


def silence_libraries() -> None:
    """Silence the DICOM libraries for the whole process, whatever they parse in which thread.

    Their warnings quote UIDs and names, and standard error of a service is a journal. `quiet_pydicom` is for one
    thread.
    """
    for name in ("pydicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Silence pydicom's warnings and log: they quote the offending value, which may be a person's name."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


START_BYTES: Final = 132
"""Preamble and prefix of a file of part 10: what `starts_like_dicom` needs."""


def looks_like_dicom(path: Path) -> bool:
    """True if the first bytes are those of a DICOM file, with or without the preamble of part 10."""
    try:
        with path.open("rb") as opened:
            return starts_like_dicom(opened.read(START_BYTES))
    except OSError:
        return False


def starts_like_dicom(start: bytes) -> bool:
    """The same for the first `START_BYTES` bytes of a file."""
    if start[128:132] == b"DICM":
        return True
    # Without a preamble the file starts with an element of the meta (0002) or identifying (0008) group.
    return len(start) == START_BYTES and start[:4] in {b"\x02\x00\x00\x00", b"\x08\x00\x00\x00", b"\x08\x00\x05\x00"}


def is_whole(path: Path) -> bool:
    """Return True if a file ends with pixels of the length that it states."""
    try:
        with quiet_pydicom():
            pixels = dcmread(path, force=True).get_item("PixelData")
    except PARSE_ERRORS:
        return False
    if not isinstance(pixels, RawDataElement):
        return False
    # Pixels without a stated length are read up to their end mark, or not at all.
    return pixels.length in (len(pixels.value or b""), 0xFFFFFFFF)


_TEXT_VRS: Final = frozenset({"CS", "DA", "DT", "LO", "SH", "TM", "UI"})
_NUMBER_VRS: Final = frozenset({"DS", "IS"})
_NUMBER_BYTES: Final = b"+-.0123456789Ee\\ \0"


@cache
def _tag_and_vr(keyword: str) -> tuple[BaseTag, str]:
    tag = Tag(keyword)
    return tag, dictionary_VR(tag)


def values_of(ds: Dataset, keyword: str) -> list[Any]:
    """The values of an element as a list; empty where it is absent, empty or cannot be converted.

    Values of text and of numbers written as text are given as text where that is as good as what pydicom makes of
    them: half of the time that reading a study takes is pydicom's conversion of single values.
    """
    tag, vr = _tag_and_vr(keyword)
    element = ds.get_item(tag)
    if element is None:
        return []
    if isinstance(element, RawDataElement) and (plain := _plain_values(element, element.VR or vr)) is not None:
        return plain
    try:
        value = ds[tag].value
    except PARSE_ERRORS:
        return []
    if value is None or isinstance(value, str | bytes):
        return [value] if value else []
    try:
        return list(value)
    except TypeError:
        return [value]


def _plain_values(element: RawDataElement, vr: str) -> list[Any] | None:
    """One small number, or values in printable ASCII, which mean the same in every character set.

    None for any other element, and where a value is empty or holds a control character: pydicom has rules for those.
    """
    content = element.value
    if vr == "US" and content is not None and len(content) == 2:
        return [int.from_bytes(content, "little" if element.is_little_endian else "big")]
    if content is None:
        return None
    if vr not in _TEXT_VRS and (vr not in _NUMBER_VRS or content.strip(_NUMBER_BYTES)):
        return None
    body = content.rstrip(b" \0")
    values = body.split(b"\\") if body else []
    if not all(value.strip() for value in values) or any(byte < 0x20 or byte > 0x7E for byte in body):
        return None
    return [value.decode("ascii") for value in values]


def items_of(ds: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent or empty.

    Raises
    ------
    One of `PARSE_ERRORS` : the sequence is damaged
    """
    tag, _ = _tag_and_vr(keyword)
    return list(ds[tag].value or ()) if tag in ds else []


def numbers_of(ds: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly `count` finite numbers, or None."""
    try:
        numbers = tuple(float(v) for v in values_of(ds, keyword))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(math.isfinite(v) for v in numbers) else None


def number_of(ds: Dataset, keyword: str) -> float | None:
    """The first value, if it is a finite number."""
    try:
        number = float(values_of(ds, keyword)[0])
    except (IndexError, TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def texts_of(ds: Dataset, keyword: str, *, keep_case: bool = False) -> tuple[str, ...]:
    texts = tuple(str(v).strip() for v in values_of(ds, keyword))
    return texts if keep_case else tuple(t.upper() for t in texts)


def text_of(ds: Dataset, keyword: str) -> str:
    return "\\".join(texts_of(ds, keyword, keep_case=True)).strip(" \0")


def take_person(ds: Dataset) -> str | None:
    """Remove PatientID from `ds`; return its fingerprint, None without one.

    16 bits are too few to find a person by, and enough to notice nearly every mix-up of two. White space and case do
    not count: sites retype identifiers.
    """
    number = " ".join(text_of(ds, PERSON_TAG).upper().split())
    ds.pop(PERSON_TAG, None)
    return hashlib.sha256(f"sparcc person\\{number}".encode(errors="replace")).hexdigest()[:4] if number else None


def acquired(ds: Dataset) -> str | None:
    """When the acquisition began, as `volume.SeriesRef` says it; else when series or study did; None if not stated."""
    together = re.sub(r"[+-]\d{4}$", "", text_of(ds, "AcquisitionDateTime"))  # without the offset from UTC
    stated = (
        (text_of(ds, "AcquisitionDate"), text_of(ds, "AcquisitionTime")),
        (together[:8], together[8:]),
        (text_of(ds, "SeriesDate"), text_of(ds, "SeriesTime")),
        (text_of(ds, "StudyDate"), text_of(ds, "StudyTime")),
    )
    return next((moment for day, clock in stated if (moment := _moment(day, clock))), None)


def _moment(day: str, clock: str) -> str | None:
    """ISO date and time of a DICOM date and time; without an invalid time, None for an invalid date."""
    found_day, found_clock = _DATE.fullmatch(day), _TIME.fullmatch(clock)
    if found_day is None:
        return None
    try:
        iso = date.fromisoformat("-".join(found_day.groups())).isoformat()
    except ValueError:
        return None
    try:
        return f"{iso}T{time.fromisoformat(':'.join(found_clock.groups('00'))).isoformat()}" if found_clock else iso
    except ValueError:
        return iso
