"""Recognize DICOM files by their first bytes."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

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
