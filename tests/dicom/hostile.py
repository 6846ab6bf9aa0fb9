"""Files that end, hang or fill a careless reader, built from a sound image by `HOSTILE`."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import gdcm
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import DeflatedExplicitVRLittleEndian

LOSSLESS: Final = gdcm.TransferSyntax.JPEGLosslessProcess14_1
JPEG_LS: Final = gdcm.TransferSyntax.JPEGLSLossless
JPEG_2000: Final = gdcm.TransferSyntax.JPEG2000Lossless
RLE: Final = gdcm.TransferSyntax.RLELossless


def compress(path: Path, syntax: int) -> None:
    """Compress an image in its place."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()


def edit_stream(path: Path, edit: Callable[[bytearray], None]) -> None:
    """Change the compressed stream of an image."""
    ds = pydicom.dcmread(path)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    stream = bytearray(frame)
    edit(stream)
    ds.PixelData = encapsulate([bytes(stream)])
    ds.save_as(path)


def deflate(path: Path, body: Callable[[bytes], bytes]) -> None:
    """Store an image deflated; `body` changes its deflated data set."""
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    packed = io.BytesIO()
    ds.save_as(packed, enforce_file_format=True, implicit_vr=False, little_endian=True)
    content = packed.getvalue()
    start = 144 + int.from_bytes(content[140:144], "little")
    path.write_bytes(content[:start] + body(content[start:]))


def truncated_deflate(path: Path) -> None:
    deflate(path, lambda packed: packed[: len(packed) // 2] + bytes(100))


def deflate_bomb(path: Path) -> None:
    """A data set with 640 MiB of zeros behind its elements, in 0.6 MB."""

    def inflated(packed: bytes) -> bytes:
        sound = zlib.decompress(packed, -zlib.MAX_WBITS)
        packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        head = b"\xff\xff\x10\x00OB\x00\x00" + (640 * 2**20).to_bytes(4, "little")
        parts = [packer.compress(sound + head)]
        parts += [packer.compress(bytes(2**24)) for _ in range(40)]
        return b"".join([*parts, packer.flush()])

    deflate(path, inflated)


def corrupt_rle(path: Path) -> None:
    """Runs beyond the end of the image, which make the decoder panic: in Python a BaseException."""
    compress(path, RLE)
    edit_stream(path, lambda stream: stream.__setitem__(slice(64, 200), b"\x81\x00" * 68))


def abort_lossless(path: Path) -> None:
    """A precision of 89 bits, which ended the process of gdcm."""
    compress(path, LOSSLESS)
    edit_stream(path, lambda stream: stream.__setitem__(stream.index(b"\xff\xc3") + 4, 89))


def large_j2k(path: Path) -> None:
    """A stream that declares 20000 x 20000 pixels."""
    compress(path, JPEG_2000)
    size = (20000).to_bytes(4, "big")
    edit_stream(path, lambda stream: stream.__setitem__(slice(8, 16), size * 2))


def bad_vr(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"\x02\x00\x10\x00UI")
    content[at + 4 : at + 6] = b"\xff\x01"
    path.write_bytes(content)


def bad_class_vr(path: Path) -> None:
    """A class in the file meta information of an unknown VR, which is converted only when it is asked for."""
    content = bytearray(path.read_bytes())
    at = content.index(b"\x02\x00\x02\x00UI")
    content[at + 4 : at + 6] = b"ZZ"
    path.write_bytes(content)


def long_value(path: Path) -> None:
    """An element that claims nearly 4 GiB."""
    content = bytearray(path.read_bytes())
    at = content.index(b"\x08\x00\x60\x00CS")
    content[at + 4 : at + 12] = b"UN\0\0\xf0\xff\xff\xff"
    path.write_bytes(content)


HOSTILE: Final[dict[str, Callable[[Path], None]]] = {
    each.__name__: each
    for each in (
        truncated_deflate,
        deflate_bomb,
        corrupt_rle,
        abort_lossless,
        large_j2k,
        bad_vr,
        bad_class_vr,
        long_value,
    )
}
