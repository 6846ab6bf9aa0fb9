"""What a header declares about its pixels, held against the pixels themselves.

Gateways, denoisers and converters write values that their header does not allow. A value that wraps around changes a
score without a trace, so each declaration is checked: it is followed, repaired if only one reading is possible, or the
image is refused with the name of the element.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from sparcc_pipeline.dicom.input.elements import number_of, printable_name
from sparcc_pipeline.dicom.input.pixels import NativePixels, decoded_values, native_bits, pixel_errors
from sparcc_pipeline.errors import UnreadablePixelsError
from sparcc_pipeline.message import Message

OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)
OVERLAY_TAGS: Final = tuple(Tag(group, 0x0102) for group in OVERLAY_GROUPS)
"""Overlay Bit Position (retired): an overlay in unused bits of the pixels."""

DECLARED_TAGS: Final = ("PixelPaddingValue", "PixelPaddingRangeLimit")

LARGEST_NEGATIVE: Final = 1024
"""Unsigned values this close to 65536 are negative numbers if nothing lies between them and half of the range."""

HIGH_BIT: Final = Message("HighBit names the upper bits, where the values are: they were shifted down")
NEGATIVE: Final = Message("values near 65535 in unsigned pixels were read as the small negative numbers that they are")
PADDING: Final = Message("pixels outside the image (PixelPaddingValue) were read as background")
NO_BITS: Final = Message("BitsStored or HighBit is missing: all allocated bits were read")


@dataclass(frozen=True)
class Declared:
    """What a header states of its pixels. `overlay_bits` and `padding` (lowest, highest) are bit patterns."""

    allocated: int
    stored: int
    high: int
    signed: bool
    overlay_bits: int = 0
    padding: tuple[int, int] | None = None
    bits_missing: bool = False


def read_declared(ds: Dataset) -> Declared | None:
    """Return what a header declares; None if it states no usual number of bits."""
    allocated, signed = number_of(ds, "BitsAllocated"), number_of(ds, "PixelRepresentation")
    if allocated not in (8, 16) or signed not in (0, 1):
        return None
    stored, high = number_of(ds, "BitsStored"), number_of(ds, "HighBit")
    missing = stored is None or high is None
    stored = allocated if stored is None else stored
    high = stored - 1 if high is None else high
    if not 0 < stored <= allocated or not stored - 1 <= high < allocated:
        return None
    positions = [element_value(ds, tag) for tag in OVERLAY_TAGS if tag in ds]
    return Declared(
        int(allocated),
        int(stored),
        int(high),
        signed == 1,
        overlay_bits=sum(1 << position for position in {p for p in positions if stored <= p < allocated}),
        padding=_padding(ds, int(allocated)),
        bits_missing=missing,
    )


def element_value(ds: Dataset, tag: Any) -> int:
    """Return a whole number; 0 if it is none."""
    try:
        return int(ds[tag].value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return 0


def _padding(ds: Dataset, allocated: int) -> tuple[int, int] | None:
    """Return the padding values as bit patterns: sites write signed values as unsigned ones and the reverse."""
    first = number_of(ds, "PixelPaddingValue")
    if first is None:
        return None
    last = number_of(ds, "PixelPaddingRangeLimit")
    low, high = sorted(int(value) % (1 << allocated) for value in (first, first if last is None else last))
    return low, high


def checked_values(
    path: Path, native: NativePixels | None, declared: Declared | None
) -> tuple[NDArray[np.generic], tuple[Message, ...]]:
    """Return the values of one file, (rows, columns) or (frames, rows, columns), and what was repaired in them.

    Raises
    ------
    UnreadablePixelsError : the file is absent, cut off, no gray image, not decodable, or contradicts its header
    """
    with pixel_errors(path):
        bits = native_bits(path, native, None if declared is None else declared.allocated)
        if bits is None or declared is None:
            values, notes = decoded_values(path), list[Message]()
        else:
            values, notes = _settled(bits, declared, path)
    if declared is not None and declared.padding is not None:
        values, padded = _without_padding(values, declared)
        notes += [PADDING] if padded else []
    if declared is not None and values.dtype == np.uint16 and declared.stored == 16:
        values, negative = _with_negatives(values)
        notes += [NEGATIVE] if negative else []
    return values, tuple(notes)


def _settled(bits: NDArray[Any], declared: Declared, path: Path) -> tuple[NDArray[np.generic], list[Message]]:
    """Return the values that bit patterns stand for."""
    notes = [NO_BITS] if declared.bits_missing else []
    unused = declared.allocated - declared.stored
    if declared.high != declared.stored - 1:
        shift = declared.high + 1 - declared.stored
        if not (bits & ((1 << shift) - 1)).any():
            bits, shifted = bits >> shift, bool(bits.any())
            notes += [HIGH_BIT] if shifted else []
        elif (bits >> declared.stored).any():
            raise _contradicted(path, "HighBit", declared.high, int(bits.max()))
    if unused:
        require_within(bits, declared, path)
    signed_type = np.dtype(f"<{'i' if declared.signed else 'u'}{declared.allocated // 8}")
    values = bits.view(signed_type)
    return ((values << unused) >> unused if unused else values), notes


def require_within(bits: NDArray[Any], declared: Declared, path: Path) -> None:
    """Refuse values that need more bits than BitsStored; an overlay in unused bits is none."""
    counted = bits & ~bits.dtype.type(declared.overlay_bits)
    above = counted >> declared.stored
    if above.min() == above.max():
        return  # the same in all pixels: no part of a value
    if declared.signed:
        # The unused bits of a negative number may repeat its sign.
        sign = counted >> (declared.stored - 1)
        if (np.isin(sign, [0, 1, (1 << (declared.allocated - declared.stored + 1)) - 1])).all():
            return
    padding = declared.padding
    if padding is not None and not above[(bits < padding[0]) | (bits > padding[1])].any():
        return
    raise _contradicted(path, "BitsStored", declared.stored, int(counted.max()))


def _contradicted(path: Path, element: str, stated: int, largest: int) -> UnreadablePixelsError:
    return UnreadablePixelsError(
        Message(
            "expected pixels that fit {element} {stated}, found values up to {largest} in {file}: the header is wrong "
            "and the values would wrap around; correct the header where it was written, or export the original images",
            element=element,
            stated=stated,
            largest=largest,
            file=printable_name(path),
        )
    )


def _without_padding(values: NDArray[Any], declared: Declared) -> tuple[NDArray[Any], bool]:
    """Return the values with padding set to the lowest other value, if it lies outside the range of all others."""
    unsigned = values.view(f"u{values.dtype.itemsize}") if values.dtype.kind in "iu" else None
    low, high = declared.padding or (0, 0)
    if unsigned is None or high >= 1 << (8 * values.dtype.itemsize):
        return values, False
    padded = (unsigned >= low) & (unsigned <= high)
    if not padded.any() or padded.all():
        return values, False
    others = values[~padded]
    lowest, highest, shown = others.min(), others.max(), values[padded]
    if lowest <= shown.max() and shown.min() <= highest:
        return values, False
    if 0 in (low, high) and not (shown != 0).any():
        return values, False  # zero is background already
    values = np.where(padded, lowest, values)
    return values, True


def _with_negatives(values: NDArray[Any]) -> tuple[NDArray[Any], bool]:
    """Return unsigned values as signed ones where a denoiser wrote small negative numbers."""
    high = values >= 0x8000
    if not high.any() or values[high].min() < 0x10000 - LARGEST_NEGATIVE or high.all():
        return values, False
    return values.view(np.int16), True
