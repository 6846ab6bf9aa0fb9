"""The stored values of an image file.

Gray pixels that are not compressed, which is what most sites send, are taken from the place that was found when the
header was read: parsing every element a second time would double the time of loading a study. All others are pydicom's.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.guard.sizes import decoded_pixels, require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, number_of, quiet_pydicom, text_of
from sparcc_pipeline.errors import FileFaultError, UnreadablePixelsError
from sparcc_pipeline.message import Message

LAYOUT_TAGS: Final = (
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation",
)  # fmt: skip
_READ_TAGS: Final = [
    Tag(keyword)
    for keyword in (
        *LAYOUT_TAGS, "PlanarConfiguration", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
        "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    )
]  # fmt: skip
_NATIVE_SYNTAXES: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_PIXEL_DATA: Final = b"\xe0\x7f\x10\x00"


@dataclass(frozen=True)
class NativePixels:
    """Where the uncompressed values of a gray image lie.

    Parameters
    ----------
    offset : of the element that holds them, bytes from the start of the file
    head : the bytes before its value: tag, VR and length
    dtype : of one value, as numpy spells it
    shape : (rows, columns) or (frames, rows, columns)
    unused_bits : of each value, above those that count (PS3.5 8.1.1)
    """

    offset: int
    head: bytes
    dtype: str
    shape: tuple[int, ...]
    unused_bits: int

    @property
    def count(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)


def find_native_pixels(ds: FileDataset, file: BinaryIO) -> NativePixels | None:
    """Where the pixels of a file lie; None where they are compressed, in color, or in any way out of the ordinary.

    Parameters
    ----------
    ds : header of the file with `LAYOUT_TAGS`
    file : stands at the element that follows the header
    """
    implicit, _ = ds.original_encoding
    if implicit is None or ds.file_meta.get("TransferSyntaxUID") != _NATIVE_SYNTAXES[not implicit]:
        return None
    stated = {keyword: number_of(ds, keyword) for keyword in LAYOUT_TAGS if keyword != "PhotometricInterpretation"}
    rows, columns, allocated, stored = (stated[k] or 0 for k in ("Rows", "Columns", "BitsAllocated", "BitsStored"))
    frames = stated["NumberOfFrames"] or 1
    ordinary = (
        text_of(ds, "PhotometricInterpretation") == "MONOCHROME2"
        and stated["SamplesPerPixel"] == 1
        and allocated in (8, 16)
        and 0 < stored <= allocated
        and stated["HighBit"] == stored - 1
        and stated["PixelRepresentation"] in (0, 1)
        and all(size > 0 and size == int(size) for size in (rows, columns, frames))
    )
    if not ordinary:
        return None
    size = tuple(int(n) for n in (rows, columns))
    native = NativePixels(
        offset=file.tell(),
        head=file.read(8 if implicit else 12),
        dtype=f"<{'i' if stated['PixelRepresentation'] else 'u'}{int(allocated) // 8}",
        shape=size if frames == 1 else (int(frames), *size),
        unused_bits=int(allocated - stored),
    )
    length = native.count * int(allocated) // 8
    return native if native.head in _heads(length + length % 2, implicit=implicit) else None


def _heads(length: int, *, implicit: bool) -> tuple[bytes, ...]:
    """How an element of pixels of this length may begin (PS3.5 7.1)."""
    if length >= 2**32:
        return ()
    packed = struct.pack("<L", length)
    return (_PIXEL_DATA + packed,) if implicit else tuple(_PIXEL_DATA + vr + b"\0\0" + packed for vr in (b"OW", b"OB"))


def stored_values(path: Path, native: NativePixels | None) -> NDArray[np.generic]:
    """The stored values of one file, (rows, columns) or (frames, rows, columns).

    Parameters
    ----------
    native : where they lie, as its header was read

    Raises
    ------
    UnreadablePixelsError : the file is gone, cut off, no gray image, or in a form that cannot be decoded
    """
    try:
        values = None if native is None else _read_native(path, native)
        return run_guarded(_decode, path) if values is None else values
    except (*PARSE_ERRORS, FileFaultError) as error:
        raise UnreadablePixelsError(
            Message(
                "expected complete pixels that can be decoded, found a file cut off, gone or in an unknown compression "
                "({file}); copy the study again, or export it uncompressed",
                file=path.name,
            )
        ) from error


def _read_native(path: Path, native: NativePixels) -> NDArray[np.generic] | None:
    """The values at the place that was found; None if something else lies there by now, or less."""
    with path.open("rb") as file:
        file.seek(native.offset)
        if file.read(len(native.head)) != native.head:
            return None
        values = np.fromfile(file, dtype=native.dtype, count=native.count)
    if values.size < native.count:
        return None
    if native.unused_bits:
        values = (values << native.unused_bits) >> native.unused_bits
    return values.reshape(native.shape)


def _decode(path: Path) -> NDArray[np.generic]:
    with quiet_pydicom(), path.open("rb") as opened:
        require_inflatable(opened)
        ds = pydicom.dcmread(opened, specific_tags=_READ_TAGS, force=True)
        _require_gray(ds, path)
        if "TransferSyntaxUID" not in ds.file_meta:
            # A file without part 10's header is not compressed; its encoding shows in its elements.
            implicit, _ = ds.original_encoding
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        # `pydicom.pixels.pixel_array(path)` fails on deflated files (toolbox P2); the data set's own does not.
        return decoded_pixels(ds)


def _require_gray(ds: Dataset, path: Path) -> None:
    """MR images are MONOCHROME2 (PS3.3 C.8.3.1.1.3). MONOCHROME1 has no zero from which signal could be measured."""
    photometric = str(ds.get("PhotometricInterpretation", "missing"))
    if photometric != "MONOCHROME2" or int(ds.get("SamplesPerPixel", 1)) != 1:
        raise UnreadablePixelsError(
            f"expected gray MR images (MONOCHROME2), found {photometric[:16]} in {path.name}; "
            "export the original images, not screen captures or inverted copies"
        )
