"""Write the stored pixels of an image uncompressed, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sparcc_pipeline.dicom.guard.sizes import decoded_pixels
from sparcc_pipeline.dicom.input.declared import read_declared, require_within
from sparcc_pipeline.dicom.input.pixels import complete_syntax
from sparcc_pipeline.dicom.input.read import LOSSY_SYNTAXES

_PLAIN_SYNTAXES: Final = frozenset({ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian})

LARGEST_BYTES: Final = 2**30
"""Far above any MR image: a small compressed stream may declare any size."""


def set_plain_pixels(target: Dataset, source: FileDataset) -> None:
    """Set the stored pixels of `target`, uncompressed, without data after them or in unused bits.

    Raises
    ------
    ValueError : there are fewer than the header states, or implausibly many
    UnreadablePixelsError : values exceed BitsStored; removing their upper bits would change them
    """
    count = int(target.Rows) * int(target.Columns) * int(target.get("NumberOfFrames") or 1)
    if count > LARGEST_BYTES // 2:
        raise ValueError("more pixels than an image has")
    syntax = complete_syntax(source)
    if syntax in _PLAIN_SYNTAXES:
        content = source.PixelData
    else:
        decoded = decoded_pixels(source)
        target.BitsAllocated = decoded.dtype.itemsize * 8
        content = decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()
    if syntax in LOSSY_SYNTAXES:
        target.LossyImageCompression = "01"
    # Both may be missing in old files: all allocated bits count then, as in `declared.read_declared`.
    target.BitsStored = target.get("BitsStored") or target.BitsAllocated
    target.HighBit = target.BitsStored - 1 if target.get("HighBit") is None else target.HighBit
    allocated, stored, high = int(target.BitsAllocated), int(target.BitsStored), int(target.HighBit)
    if allocated not in (8, 16) or int(target.SamplesPerPixel) != 1 or len(content) < count * allocated // 8:
        raise ValueError("fewer pixels than the header states")
    content = content[: count * allocated // 8]
    if int(target.PixelRepresentation) == 0 and stored < allocated and high == stored - 1:
        pixels = np.frombuffer(content, "<u2" if allocated == 16 else "u1")
        declared = read_declared(source)
        if declared is not None:
            require_within(pixels, declared, Path("an image"))
        content = (pixels & ((1 << stored) - 1)).astype(pixels.dtype).tobytes()
    target.add_new("PixelData", "OW", content + b"\0" * (len(content) % 2))


def plain_array(target: Dataset) -> NDArray[np.generic]:
    """Return the pixels that `set_plain_pixels` wrote, (frames, rows, columns)."""
    shape = int(target.get("NumberOfFrames") or 1), int(target.Rows), int(target.Columns)
    sign = "i" if int(target.PixelRepresentation) else "u"
    stored: NDArray[Any] = np.frombuffer(target.PixelData, f"<{sign}{int(target.BitsAllocated) // 8}")
    return stored[: shape[0] * shape[1] * shape[2]].reshape(shape)
