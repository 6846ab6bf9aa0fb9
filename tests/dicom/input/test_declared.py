"""Pixels that do not fit their header are read in the only possible way, or refused with the name of the element."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal

from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.errors import GeometryError, UnreadablePixelsError
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


def read(folder: Path) -> Volume:
    return read_series(find_stir(discover(folder.iterdir())).series)


def pixels(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Callable[[pydicom.Dataset], bytes]:
    """Return a function for `edit` that changes the stored values."""
    return lambda ds: change(np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns)).astype("<u2").tobytes()


def test_values_over_bits_stored_are_refused_by_name(series: Path, edit: Edit) -> None:
    edit(*series.iterdir(), BitsStored=9, HighBit=8)
    with pytest.raises(UnreadablePixelsError, match="BitsStored 9"):
        read(series)


def test_bits_that_all_pixels_share_are_no_value(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*series.iterdir(), BitsStored=12, HighBit=11, PixelData=pixels(lambda a: a | 0xA000))
    assert_array_equal(read(series).signal, volume.signal)


def test_an_overlay_in_unused_bits_is_no_value(series: Path, volume: Volume, edit: Edit) -> None:
    for path in series.iterdir():
        ds = pydicom.dcmread(path)
        values = ds.pixel_array.copy()
        values[2:5, 2:5] |= 1 << 12
        ds.PixelData, ds.BitsStored, ds.HighBit = values.tobytes(), 12, 11
        ds.add_new(0x60000102, "US", 12)
        ds.save_as(path)
    assert_array_equal(read(series).signal, volume.signal)


@pytest.mark.parametrize("shift", [4, 0])
def test_a_high_bit_is_followed_if_the_values_are_there(series: Path, volume: Volume, edit: Edit, shift: int) -> None:
    edit(*series.iterdir(), BitsStored=12, HighBit=15, PixelData=pixels(lambda a: a << shift))
    found = read(series)
    assert_array_equal(found.signal, volume.signal)
    assert any("HighBit" in w for w in found.series.warnings) is (shift > 0)


def test_a_high_bit_with_values_in_all_bits_is_refused_by_name(series: Path, edit: Edit) -> None:
    edit(*series.iterdir(), BitsStored=12, HighBit=15, PixelData=pixels(lambda a: (a << 3) | 1))
    with pytest.raises(UnreadablePixelsError, match="HighBit 15"):
        read(series)


def test_small_negative_values_in_unsigned_pixels(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*series.iterdir(), PixelData=pixels(lambda a: np.where(a % 7 == 0, 0xFFFF - a % 5, a)))
    found = read(series)
    assert found.signal.min() == -5 and found.signal.max() == volume.signal.max() - (volume.signal.max() % 7 == 0)
    assert any("negative" in w and "8 files" in w for w in found.series.warnings)


def test_bright_unsigned_values_stay(series: Path, edit: Edit) -> None:
    edit(*series.iterdir(), PixelData=pixels(lambda a: a.astype(np.uint32) * 60))
    assert read(series).signal.max() > 0x8000


@pytest.mark.parametrize(("vr", "value", "signed"), [("US", 65535, 0), ("SS", -32768, 1), ("US", 32768, 1)])
def test_padding_outside_the_image_is_background(
    series: Path, volume: Volume, edit: Edit, vr: str, value: int, signed: int
) -> None:
    for path in series.iterdir():
        ds = pydicom.dcmread(path)
        values = ds.pixel_array.astype("<i4") + 1
        values[0] = value
        ds.PixelData, ds.PixelRepresentation = (values % 65536).astype("<u2").tobytes(), signed
        ds.add_new("PixelPaddingValue", vr, value)
        ds.save_as(path)
    found = read(series)
    assert_array_equal(found.signal[:, 1:], volume.signal[:, 1:] + 1)
    assert (found.signal[:, 0] == found.signal[:, 1:].min(axis=(1, 2))[:, None]).all()
    assert any("PixelPaddingValue" in w for w in found.series.warnings)


def test_padding_within_the_image_is_a_value(series: Path, volume: Volume) -> None:
    for path in series.iterdir():
        ds = pydicom.dcmread(path)
        ds.add_new("PixelPaddingValue", "US", int(ds.pixel_array[5, 5]))
        ds.save_as(path)
    assert_array_equal(read(series).signal, volume.signal)


def test_missing_bits_are_all_allocated_ones(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*series.iterdir(), BitsStored=None, HighBit=None)
    found = read(series)
    assert_array_equal(found.signal, volume.signal)
    assert any("BitsStored" in w for w in found.series.warnings)


def test_a_slope_of_zero_in_all_images_means_none(series: Path, volume: Volume, edit: Edit) -> None:
    edit(*series.iterdir(), RescaleSlope=0, RescaleIntercept=0)
    found = read(series)
    assert_array_equal(found.signal, volume.signal)
    assert any("RescaleSlope is 0" in w for w in found.series.warnings)
    edit(min(series.iterdir()), RescaleSlope=1)
    with pytest.raises(UnreadablePixelsError, match="RescaleSlope"):
        read(series)


def respelled(path: Path, tag: bytes, vr: bytes, change: Callable[[bytes], bytes]) -> None:
    """Write an element of decimal strings with another VR or spelling."""
    raw = path.read_bytes()
    at = raw.index(tag + b"DS")
    size = int.from_bytes(raw[at + 6 : at + 8], "little")
    value = change(raw[at + 8 : at + 8 + size])
    long = vr in (b"UT", b"UN", b"OB")
    head = vr + (b"\0\0" + len(value).to_bytes(4, "little") if long else len(value).to_bytes(2, "little"))
    path.write_bytes(raw[: at + 4] + head + value + raw[at + 8 + size :])


@pytest.mark.parametrize("vr", [b"UT", b"UN", b"LO", b"SH", b"OB"])
@pytest.mark.parametrize("tag", [b"\x28\x00\x30\x00", b"\x20\x00\x32\x00", b"\x20\x00\x37\x00"])
def test_numbers_in_any_vr_are_read(series: Path, volume: Volume, vr: bytes, tag: bytes) -> None:
    for path in series.iterdir():
        respelled(path, tag, vr, lambda value: value)
    found = read(series)
    assert_array_equal(found.signal, volume.signal)
    np.testing.assert_allclose(found.geometry.affine, volume.geometry.affine, atol=1e-6)


def test_a_decimal_comma_is_read_and_reported(series: Path, volume: Volume) -> None:
    for path in series.iterdir():
        respelled(path, b"\x28\x00\x30\x00", b"DS", lambda value: value.replace(b".", b","))
    found = read(series)
    np.testing.assert_allclose(found.geometry.spacing_mm, volume.geometry.spacing_mm)
    assert any("PixelSpacing has decimal commas" in w for w in found.series.warnings)


def test_words_in_the_place_of_numbers_are_refused(series: Path) -> None:
    respelled(min(series.iterdir()), b"\x28\x00\x30\x00", b"LO", lambda value: b"0,6 mm" + b" " * (len(value) % 2))
    with pytest.raises(GeometryError, match="PixelSpacing"):
        read(series)
