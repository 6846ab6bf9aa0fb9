"""Sizes that a file declares, checked before anything of that size is made."""

from __future__ import annotations

import zlib
from typing import IO, Any, Final

from numpy import generic
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

LARGEST_INFLATED: Final = 256 * 2**20
"""Bytes of a data set that is stored deflated; no MR file is as large."""

LARGEST_PIXELS: Final = 2**30
"""Bytes of the pixels of one file; a small compressed stream may declare any size."""

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES: Final = 2**13
_CHUNK: Final = 2**20

_J2K_START: Final = b"\xff\x4f\xff\x51"
_NOT_FRAMES: Final = frozenset({0xC4, 0xC8, 0xCC})
_JPEG_FRAMES: Final = (frozenset(range(0xC0, 0xD0)) - _NOT_FRAMES) | {0xF7}
"""Markers of a frame header in JPEG (ITU-T T.81) and JPEG-LS (ITU-T T.87)."""


def require_inflatable(opened: IO[bytes]) -> None:
    """Check that an open file, if its data set is deflated, is not larger than any image; leave it at its start.

    Raises
    ------
    InvalidDicomError : it inflates to more than `LARGEST_INFLATED`
    """
    head = opened.read(_HEAD_BYTES)
    opened.seek(0)
    if _DEFLATED not in head:
        return
    start = _deflated_start(head)
    if start is not None:
        opened.seek(start)
        _require_inflated_size(opened)
        opened.seek(0)


def _deflated_start(head: bytes) -> int | None:
    """Return the offset of the data set: FileMetaInformationGroupLength counts from its own end ([DicomPS3.10] 7.1)."""
    begin = 132 if head[128:132] == b"DICM" else 0
    if head[begin : begin + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        return None
    return begin + 12 + int.from_bytes(head[begin + 8 : begin + 12], "little")


def _require_inflated_size(opened: IO[bytes]) -> None:
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while (packed := inflater.unconsumed_tail or opened.read(_CHUNK)) and not inflater.eof:
            size += len(inflater.decompress(packed, _CHUNK))
            if size > LARGEST_INFLATED:
                raise InvalidDicomError("larger than an image when inflated")
    except zlib.error:
        return  # pydicom reports it


def decoded_pixels(ds: Dataset) -> NDArray[generic]:
    """Return the pixels of a data set, (rows, columns) or (frames, rows, columns), as pydicom decodes them.

    Raises
    ------
    ValueError : the compressed stream is of another size than the header declares, implausibly large, or makes its
        decoder fail; and whatever pydicom raises
    """
    require_declared_size(ds)
    try:
        return ds.pixel_array
    except BaseException as error:
        # A decoder written in Rust raises its panics as a BaseException without a name to import.
        if type(error).__name__ == "PanicException":
            raise ValueError("the decoder failed") from None
        raise


def require_declared_size(ds: Dataset) -> None:
    """Check that no compressed frame is larger than its header declares.

    Raises
    ------
    ValueError : one is, or all of them together are larger than an image
    """
    rows, columns, frames = int(ds.Rows), int(ds.Columns), int(ds.get("NumberOfFrames") or 1)
    if rows * columns * frames * int(ds.get("SamplesPerPixel", 1)) * int(ds.BitsAllocated) > 8 * LARGEST_PIXELS:
        raise ValueError("more pixels than an image has")
    syntax: Any = ds.file_meta.get("TransferSyntaxUID")
    if not syntax or not syntax.is_compressed or syntax == _DEFLATED.decode():
        return
    for frame in generate_frames(ds.PixelData, number_of_frames=frames):
        found = declared_in_stream(frame)
        if found is not None and found != (rows, columns):
            raise ValueError("a compressed stream of another size than the header declares")


def declared_in_stream(stream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS or JPEG 2000 stream; None if it does not state them."""
    at = stream.find(_J2K_START, 0, _HEAD_BYTES)
    if at >= 0:
        xsize, ysize, left, top = (int.from_bytes(stream[at + k : at + k + 4], "big") for k in (8, 12, 16, 20))
        return ysize - top, xsize - left
    if stream[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _JPEG_FRAMES:
            return int.from_bytes(stream[at + 5 : at + 7], "big"), int.from_bytes(stream[at + 7 : at + 9], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return None
