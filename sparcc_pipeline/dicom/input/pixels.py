"""The stored values of an image file.

Most sites send gray pixels without compression: those are read from the place that was found with the header, because
parsing every element a second time would double the time of loading a study. pydicom decodes all others.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.guard.sizes import decoded_pixels, require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, number_of, printable_name, quiet_pydicom, text_of
from sparcc_pipeline.errors import FileFaultError, UnreadablePixelsError
from sparcc_pipeline.message import Message

LAYOUT_TAGS: Final = (
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation"),
)
_PIXEL_TAGS: Final = (
    *("PlanarConfiguration", "PixelData", "FloatPixelData", "DoubleFloatPixelData"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)
_READ_TAGS: Final = [Tag(keyword) for keyword in (*LAYOUT_TAGS, *_PIXEL_TAGS)]
_NATIVE_SYNTAXES: Final = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_PIXEL_DATA: Final = b"\xe0\x7f\x10\x00"


@dataclass(frozen=True)
class NativePixels:
    """The place of the uncompressed values of a gray image.

    Parameters
    ----------
    offset : of their element, bytes from the start of the file
    head : the bytes before its value: tag, VR and length
    dtype : of one value, as numpy spells it
    shape : (rows, columns) or (frames, rows, columns)
    unused_bits : of each value, above those that count ([DicomPS3.5] 8.1.1)
    """

    offset: int
    head: bytes
    dtype: str
    shape: tuple[int, ...]
    unused_bits: int

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


def find_native_pixels(ds: FileDataset, file: BinaryIO) -> NativePixels | None:
    """Return the place of the pixels of a file; None if they are compressed, in color, or otherwise unusual.

    Parameters
    ----------
    ds : header of the file with `LAYOUT_TAGS`
    file : open at the element after the header
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
    """Return how an element of pixels of this length may begin ([DicomPS3.5] 7.1)."""
    if length >= 2**32:
        return ()
    packed = struct.pack("<L", length)
    return (_PIXEL_DATA + packed,) if implicit else tuple(_PIXEL_DATA + vr + b"\0\0" + packed for vr in (b"OW", b"OB"))


def stored_values(path: Path, native: NativePixels | None) -> NDArray[np.generic]:
    """Return the stored values of one file, (rows, columns) or (frames, rows, columns); unused bits do not count.

    Parameters
    ----------
    native : their place, as its header was read

    Raises
    ------
    UnreadablePixelsError : the file is absent, cut off, no gray image, or cannot be decoded
    """
    with pixel_errors(path):
        bits = None if native is None else _read_native(path, native)
        if bits is None or native is None:
            return decoded_values(path)
        values = bits.view(native.dtype)
        return (values << native.unused_bits) >> native.unused_bits if native.unused_bits else values


@contextmanager
def pixel_errors(path: Path) -> Iterator[None]:
    """Turn every error of a decoder into `UnreadablePixelsError`."""
    try:
        yield
    except (*PARSE_ERRORS, FileFaultError) as error:
        raise UnreadablePixelsError(
            Message(
                "expected complete pixels that can be decoded, found a file cut off, absent or in an unknown "
                "compression ({file}); copy the study again, or export it uncompressed",
                file=printable_name(path),
            )
        ) from error


def native_bits(path: Path, native: NativePixels | None, allocated: int | None) -> NDArray[Any] | None:
    """Return the bit patterns of uncompressed gray pixels as unsigned numbers; None if pydicom must decode them.

    Parameters
    ----------
    allocated : bits of a value, for pixels that `find_native_pixels` left out as unusual; None: leave them to pydicom
    """
    if native is not None and (bits := _read_native(path, native)) is not None:
        return bits
    if allocated is None:
        return None
    with quiet_pydicom():
        ds = pydicom.dcmread(path, specific_tags=_READ_TAGS, force=True)
        if complete_syntax(ds) not in _NATIVE_SYNTAXES or "PixelData" not in ds:
            return None
        _require_gray(ds, path)
        shape = tuple(int(ds[keyword].value) for keyword in ("Rows", "Columns"))
        frames = int(number_of(ds, "NumberOfFrames") or 1)
        shape = shape if frames == 1 else (frames, *shape)
        if len(ds.PixelData) < math.prod(shape) * allocated // 8:
            raise EOFError("fewer pixels than the header states")
        return np.frombuffer(ds.PixelData, f"<u{allocated // 8}", math.prod(shape)).reshape(shape)


def complete_syntax(ds: FileDataset) -> UID:
    """Return the transfer syntax; set it in a data set without meta information, which is not compressed."""
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit, little = ds.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return UID(ds.file_meta.TransferSyntaxUID)


def _read_native(path: Path, native: NativePixels) -> NDArray[Any] | None:
    """Return the bit patterns at the place that was found; None if the file has changed since, or is shorter."""
    with path.open("rb") as file:
        file.seek(native.offset)
        if file.read(len(native.head)) != native.head:
            return None
        values = np.fromfile(file, dtype=native.dtype.replace("i", "u"), count=native.count)
    return None if values.size < native.count else values.reshape(native.shape)


def decoded_values(path: Path) -> NDArray[np.generic]:
    """Return the values as pydicom decodes them in a child process.

    Raises
    ------
    FileFaultError : they cannot be decoded
    UnreadablePixelsError : the image is not gray
    """
    return run_guarded(_decode, path)


def _decode(path: Path) -> NDArray[np.generic]:
    with quiet_pydicom(), path.open("rb") as opened:
        require_inflatable(opened)
        ds = pydicom.dcmread(opened, specific_tags=_READ_TAGS, force=True)
        _require_gray(ds, path)
        complete_syntax(ds)
        # `pydicom.pixels.pixel_array(path)` fails on deflated files; the data set's own does not.
        return decoded_pixels(ds)


def _require_gray(ds: Dataset, path: Path) -> None:
    """Refuse all but MONOCHROME2 ([DicomPS3.3] C.8.3.1.1.3): MONOCHROME1 has no zero to measure signal from."""
    photometric = str(ds.get("PhotometricInterpretation", "missing"))
    if photometric != "MONOCHROME2" or int(ds.get("SamplesPerPixel", 1)) != 1:
        raise UnreadablePixelsError(
            f"expected gray MR images (MONOCHROME2), found {photometric[:16]} in {printable_name(path)}; "
            "export the original images, not screen captures or inverted copies"
        )
