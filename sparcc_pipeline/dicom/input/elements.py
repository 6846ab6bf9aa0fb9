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
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag

from sparcc_pipeline.message import printable

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

_QUIET: Final = ContextVar("quiet", default=False)


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
    """Silence pydicom's warnings and log: they quote the offending value, which may be a person's name.

    Entering it again costs nothing: a loop over files enters it once, since it takes a tenth of the time of a header.
    """
    if _QUIET.get():
        yield
        return
    token = _QUIET.set(True)
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)
            _QUIET.reset(token)


START_BYTES: Final = 132
"""Preamble and prefix of a part 10 file: `starts_like_dicom` needs as many bytes."""

FIRST_GROUPS: Final = frozenset({0x0002, 0x0004, 0x0008, 0x0010, 0x0018, 0x0020, 0x0028})
"""Groups that may come first in a data set without preamble."""

LONGEST_FIRST_VALUE: Final = 0x10000
"""Bytes. The first elements of a data set are UIDs, codes and dates; only sequences are longer."""

_VR: Final = re.compile(rb"[A-Z]{2}")
_LONG_VRS: Final = frozenset(
    {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UC", b"UR", b"UT", b"SV", b"UV"}
)
_UNDEFINED: Final = 0xFFFFFFFF


def looks_like_dicom(path: Path) -> bool:
    """Return True if a file begins like DICOM, with or without the preamble of part 10."""
    try:
        with path.open("rb") as opened:
            return starts_like_dicom(opened.read(START_BYTES))
    except OSError:
        return False


def starts_like_dicom(start: bytes) -> bool:
    """Return True if these first `START_BYTES` bytes of a file are those of DICOM.

    Old archives and gateways store the bare data set, in either byte order, with any first element, with or without
    VRs (pydicom issues 150 and 503). Two elements in ascending order are taken for one.
    """
    if start[128:132] == b"DICM":
        return True
    return len(start) == START_BYTES and any(_is_data_set(start, order) for order in ("<", ">"))


def _is_data_set(start: bytes, order: str) -> bool:
    """Return True if two elements in ascending order stand at the beginning, or one that is longer than `start`."""
    last, offset = (0, -1), 0
    for number in range(2):
        if offset + 12 > len(start):
            return number > 0
        tag = struct.unpack_from(order + "HH", start, offset)
        if tag <= last or (number == 0 and tag[0] not in FIRST_GROUPS) or tag[0] > 0x7FE0:
            return False
        size = _element_size(start, offset, order)
        if size is None:
            return False
        last, offset = tag, offset + size
    return True


def _element_size(start: bytes, offset: int, order: str) -> int | None:
    """Return the bytes of the element at `offset`, head included; None if no element stands there."""
    vr = start[offset + 4 : offset + 6]
    if vr in _LONG_VRS:
        head, length = 12, struct.unpack_from(order + "L", start, offset + 8)[0]
    elif _VR.fullmatch(vr):
        head, length = 8, struct.unpack_from(order + "H", start, offset + 6)[0]
    elif order == "<":  # implicit VR is little endian ([DicomPS3.5] A.1)
        head, length = 8, struct.unpack_from("<L", start, offset + 4)[0]
    else:
        return None
    if length == _UNDEFINED:
        return len(start)
    return head + length if length <= LONGEST_FIRST_VALUE else None


def printable_name(path: Path) -> str:
    """Return the last part of a path as text that can be printed and stored, whatever bytes it has on disk."""
    return printable(path.name)


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
_NUMBER_BYTES: Final = b"+-.,0123456789Ee\\ \0"


@cache
def _tag_and_vr(keyword: str) -> tuple[BaseTag, str]:
    tag = Tag(keyword)
    return tag, dictionary_VR(tag)


def values_of(ds: Dataset, keyword: str) -> list[Any]:
    """Return the values of an element as a list; empty if it is absent, empty or cannot be converted.

    Values of text and of numbers written as text are returned as text if that equals pydicom's value: pydicom's
    conversion of single values takes half of the time of reading a study.
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
    """Return one small number, or values in printable ASCII, which are the same in every character set.

    None for any other element, and if a value is empty or holds a control character: pydicom has rules for those.
    """
    content = element.value
    if vr == "US" and content is not None and len(content) == 2:
        return [int.from_bytes(content, "little" if element.is_little_endian else "big")]
    if content is None:
        return None
    if vr not in _TEXT_VRS and (vr not in _NUMBER_VRS or content.strip(_NUMBER_BYTES)):
        return None
    body = content.rstrip(b" \0")
    if not body:
        return []
    text = body.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        return None
    values = text.split("\\")
    return values if all(value.strip() for value in values) else None


def items_of(ds: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; none if it is absent or empty.

    Raises
    ------
    One of `PARSE_ERRORS` : the sequence is damaged
    """
    tag, _ = _tag_and_vr(keyword)
    return list(ds[tag].value or ()) if tag in ds else []


def numbers_of(ds: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return exactly `count` finite numbers, or None; a decimal comma and numbers in any text VR are read."""
    try:
        numbers = tuple(float(v) for v in values_of(ds, keyword))
    except (TypeError, ValueError):
        numbers = _numbers_in_text(ds, keyword)
    return numbers if len(numbers) == count and all(math.isfinite(v) for v in numbers) else None


def number_of(ds: Dataset, keyword: str) -> float | None:
    """Return the first value, if it is a finite number."""
    try:
        number = float(values_of(ds, keyword)[0])
    except IndexError:
        return None
    except (TypeError, ValueError):
        number = next(iter(_numbers_in_text(ds, keyword)), math.nan)
    return number if math.isfinite(number) else None


def all_numbers_of(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """Return every value that is a finite number."""
    values = values_of(ds, keyword)
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = _numbers_in_text(ds, keyword)
    return tuple(number for number in numbers if math.isfinite(number))


_DECIMAL: Final = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")


def _numbers_in_text(ds: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the numbers of a text that pydicom leaves as it is; none if one of its values is no number."""
    values = [v.decode("ascii", "replace") if isinstance(v, bytes) else v for v in values_of(ds, keyword)]
    texts = [text.strip(" \0") for value in values for text in str(value).split("\\")]
    if not all(_DECIMAL.fullmatch(text) for text in texts):
        return ()
    return tuple(float(text.replace(",", ".")) for text in texts)


def has_decimal_comma(ds: Dataset, keyword: str) -> bool:
    """Return True if an element writes its numbers with a comma."""
    element = ds.get_item(_tag_and_vr(keyword)[0])
    value = None if element is None else element.value
    return b"," in value if isinstance(value, bytes) else isinstance(value, str) and "," in value


def texts_of(ds: Dataset, keyword: str, *, keep_case: bool = False) -> tuple[str, ...]:
    """Return the values as text without surrounding space, in upper case unless `keep_case`."""
    texts = tuple(str(v).strip() for v in values_of(ds, keyword))
    return texts if keep_case else tuple(t.upper() for t in texts)


def text_of(ds: Dataset, keyword: str) -> str:
    """Return the text of an element; empty if it is absent."""
    return "\\".join(texts_of(ds, keyword, keep_case=True)).strip(" \0")


def take_person(ds: Dataset) -> str | None:
    """Remove PatientID from `ds`; return its fingerprint, None without one."""
    number = text_of(ds, PERSON_TAG)
    ds.pop(PERSON_TAG, None)
    return fingerprint(number)


def fingerprint(patient_id: str) -> str | None:
    """Return four hexadecimal digits of a hash of PatientID; None if it is empty.

    16 bits are too few to find a person by, and enough to notice nearly every mix-up of two. White space and case do
    not count: sites retype identifiers.
    """
    number = " ".join(patient_id.upper().split())
    return hashlib.sha256(f"sparcc person\\{number}".encode(errors="replace")).hexdigest()[:4] if number else None
