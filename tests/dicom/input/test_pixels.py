"""The short way to uncompressed pixels, and to plain elements, gives what pydicom's long way gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, number_of, quiet_pydicom, text_of, texts_of
from sparcc_pipeline.dicom.input.headers import read_header
from sparcc_pipeline.dicom.input.pixels import stored_values
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import UnreadablePixelsError
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


@pytest.fixture
def image(series: Path) -> Path:
    return sorted(series.iterdir())[0]


def rewrite(path: Path, syntax: pydicom.uid.UID = ExplicitVRLittleEndian, **elements: Any) -> None:
    ds = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, enforce_file_format=True, implicit_vr=syntax.is_implicit_VR, little_endian=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=lambda s: str(s.name))
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize(("allocated", "stored"), [(16, 16), (16, 12), (8, 8), (8, 7)])
def test_uncompressed_values_are_those_of_pydicom(
    image: Path, syntax: pydicom.uid.UID, signed: int, allocated: int, stored: int
) -> None:
    # Every bit is random: those above the stored ones do not count. Nine by nine pixels end on an odd byte.
    content = np.random.default_rng(1).bytes(9 * 9 * allocated // 8)
    rewrite(
        image,
        syntax,
        Rows=9,
        Columns=9,
        BitsAllocated=allocated,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=signed,
        PixelData=content + b"\0" * (len(content) % 2),
    )
    native = read_header(image).native_pixels
    assert native is not None
    found = stored_values(image, native)
    assert_array_equal(found, pydicom.dcmread(image).pixel_array)
    assert found.dtype.kind == "ui"[signed]


def test_frames_of_one_file(tmp_path: Path, volume: Volume) -> None:
    (path,) = write_mr_series(volume, tmp_path, style="ge", patient_id="P1", seed="s", enhanced=True)
    native = read_header(path).native_pixels
    assert native is not None
    assert_array_equal(stored_values(path, native), pydicom.dcmread(path).pixel_array)


@pytest.mark.parametrize(
    "elements",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"BitsStored": 12, "HighBit": 15},
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"Rows": 5},
    ],
    ids=str,
)
def test_what_is_out_of_the_ordinary_is_left_to_pydicom(image: Path, elements: dict[str, Any]) -> None:
    rewrite(image, **elements)
    assert read_header(image).native_pixels is None


def test_deflated_files_are_left_to_pydicom(image: Path) -> None:
    expected = pydicom.dcmread(image).pixel_array
    rewrite(image, DeflatedExplicitVRLittleEndian)
    assert read_header(image).native_pixels is None
    assert_array_equal(stored_values(image, None), expected)


def test_a_file_that_changed_after_its_header_was_read_is_read_anew(image: Path) -> None:
    native = read_header(image).native_pixels
    rewrite(image, StudyDescription="moves what comes after it")
    assert_array_equal(stored_values(image, native), pydicom.dcmread(image).pixel_array)


def test_a_file_that_was_cut_off_after_its_header_was_read_is_refused(image: Path) -> None:
    native = read_header(image).native_pixels
    image.write_bytes(image.read_bytes()[:-2])
    with pytest.raises(UnreadablePixelsError, match="cut off"):
        stored_values(image, native)


KEYWORDS = {
    "ImageType": "CS",
    "AcquisitionDate": "DA",
    "AcquisitionTime": "TM",
    "SeriesDescription": "LO",
    "SequenceName": "SH",
    "SOPInstanceUID": "UI",
    "ImagePositionPatient": "DS",
    "SeriesNumber": "IS",
    "Rows": "US",
}


@given(
    st.sampled_from(sorted(KEYWORDS)),
    st.binary(max_size=12) | st.text("0123456789.+-eE \\\0aÄ", max_size=12).map(lambda t: t.encode("latin-1")),
    st.sampled_from([None, b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"ISO 2022 IR 6\\ISO 2022 IR 58"]),
    st.booleans(),
)
@example("SeriesNumber", b"3.5", None, False)
@example("SeriesNumber", b"3.0 ", None, True)
@example("ImagePositionPatient", b"1\\\\3", None, False)
@example("ImageType", b"A\\ B \\", None, False)
@example("ImageType", b"\x01\x00\\", None, False)
@example("SeriesDescription", b"\x00\\", None, False)
@example("ImagePositionPatient", b"0\\", None, False)
@example("SequenceName", b"\x1b$)A\x44\x61", b"ISO 2022 IR 6\\ISO 2022 IR 58", False)
def test_plain_elements_are_what_pydicom_makes_of_them(
    keyword: str, content: bytes, character_set: bytes | None, implicit: bool
) -> None:
    def made() -> Dataset:
        elements: dict[BaseTag, DataElement | RawDataElement] = {
            Tag(keyword): raw(keyword, KEYWORDS[keyword], content, implicit)
        }
        if character_set is not None:
            elements[Tag("SpecificCharacterSet")] = raw("SpecificCharacterSet", "CS", character_set, implicit)
        ds = Dataset(elements)
        ds.set_original_encoding(implicit, True, "iso8859")
        return ds

    with quiet_pydicom():
        long_way = made()
        try:
            _ = long_way[keyword].value  # from now on pydicom keeps what it made of it
        except PARSE_ERRORS:
            del long_way[keyword]
        short_way = made()
        assert number_of(short_way, keyword) == number_of(long_way, keyword)
        if KEYWORDS[keyword] not in ("DS", "IS", "US"):
            assert text_of(short_way, keyword) == text_of(long_way, keyword)
            assert texts_of(short_way, keyword) == texts_of(long_way, keyword)


def raw(keyword: str, vr: str, content: bytes, implicit: bool) -> RawDataElement:
    return RawDataElement(Tag(keyword), None if implicit else vr, len(content), content or None, 0, implicit, True)
