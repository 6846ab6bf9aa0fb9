"""Every file of a source is accounted for, and slices that may be lost are reported."""

from __future__ import annotations

import copy
import gzip
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from sparcc_pipeline.dicom.input.discover import SeriesCandidate, discover
from sparcc_pipeline.dicom.input.elements import printable_name
from sparcc_pipeline.dicom.input.files.other_files import possible_image
from sparcc_pipeline.dicom.input.files.recognition import START_BYTES, starts_like_dicom
from sparcc_pipeline.dicom.input.read import read_series
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.dicom.input.series.account import account_for
from sparcc_pipeline.dicom.input.series.cut import ANTERIOR, POSTERIOR
from sparcc_pipeline.dicom.input.source import open_source
from sparcc_pipeline.volume import Volume

Edit = Callable[..., None]


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def chosen(folder: Path) -> SeriesCandidate:
    return find_stir(discover(files(folder))).series


def bare(path: Path, *, implicit: bool, first: tuple[str, object] | None = None) -> None:
    """Write the data set alone: no preamble, no meta information."""
    ds = pydicom.dcmread(path)
    if first is not None:
        setattr(ds, *first)
    del ds.file_meta
    content = DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, implicit
    write_dataset(content, ds)
    path.write_bytes(content.getvalue())


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("first", [None, ("LengthToEnd", 0), ("SpecificCharacterSet", "ISO_IR 100")], ids=str)
def test_bare_data_sets_are_read_whatever_their_first_element(
    series: Path, implicit: bool, first: tuple[str, object] | None
) -> None:
    for path in files(series):
        bare(path, implicit=implicit, first=first)
    found = discover(files(series))
    assert found.series[0].stack.slices == 8 and not found.damaged and not found.not_dicom


def test_bare_big_endian_data_sets_are_read(series: Path, volume: Volume) -> None:
    for path in files(series):
        ds = pydicom.dcmread(path)
        ds.PixelData = ds.pixel_array.astype(">u2").tobytes()
        del ds.file_meta
        ds.set_original_encoding(False, False)
        content = DicomBytesIO()
        content.is_little_endian, content.is_implicit_VR = False, False
        write_dataset(content, ds)
        path.write_bytes(content.getvalue())
    np.testing.assert_array_equal(read_series(chosen(series)).signal, volume.signal)


def test_a_bare_data_set_that_begins_with_another_group(series: Path, edit: Edit) -> None:
    path = files(series)[0]
    ds = pydicom.dcmread(path)
    del ds.file_meta
    small = pydicom.Dataset({e.tag: e for e in ds if e.tag.group >= 0x10})
    content = DicomBytesIO()
    content.is_little_endian, content.is_implicit_VR = True, False
    write_dataset(content, small)
    assert starts_like_dicom(content.getvalue()[:START_BYTES])


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x00" * 80,
        bytes(200),
        b"The quick brown fox " * 10,
        bytes(range(256)),
        b"\x08\x00\x05\x00",
        b"\x89PNG" * 50,
    ],
    ids=["repeated", "zeros", "text", "ascending", "short", "picture"],
)
def test_other_bytes_are_no_data_set(content: bytes) -> None:
    assert not starts_like_dicom(content[:START_BYTES])


@pytest.mark.parametrize(
    ("name", "content", "lost"),
    [
        ("IM_0009.dcm", b"", True),
        ("IM000009", b"", True),
        ("1.2.840.5", b"", True),
        ("IM_9.ima", bytes(4096), True),
        ("IM_9.dcm", b"<html>404</html>", True),
        ("IM_9.dcm.gz", gzip.compress(b"x", mtime=0), True),
        ("study.7z", b"7z\xbc\xaf\x27\x1c" + bytes(200), True),
        ("README", b"how to read this disc", False),
        ("README.txt", b"", False),
        ("notes.pdf", b"%PDF-1.4", False),
        ("DICOMDIR", b"", False),
        ("._IM_0001.dcm", bytes(200), False),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(200), False),
        ("preview", b"\x89PNG\r\n", False),
        ("t1.nii.gz", gzip.compress(b"x", mtime=0), False),
    ],
)
def test_a_file_that_may_have_been_an_image_is_unreadable_and_no_other(name: str, content: bytes, lost: bool) -> None:
    assert (possible_image(Path(name), content[:START_BYTES]) is not None) is lost


def test_every_file_has_one_use(series: Path, edit: Edit) -> None:
    paths = files(series)
    edit(shutil.copy(paths[2], series / "again.dcm"), SOPInstanceUID="1.2.3.99")
    edit(
        shutil.copy(paths[3], series / "scout.dcm"),
        SOPInstanceUID="1.2.3.98",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )
    edit(
        shutil.copy(paths[3], series / "other.dcm"),
        SOPInstanceUID="1.2.3.97",
        SeriesInstanceUID="1.2.4",
        ScanningSequence="GR",
    )
    (series / "README.txt").write_text("no image")
    (series / "IM_0009.dcm").write_bytes(b"")
    discovery = discover(files(series))
    account = account_for(discovery, find_stir(discovery).series)
    assert account.files == 13 and len(account.used) == 8
    assert account.other_series == ("other.dcm",) and account.not_images == ("README.txt",)
    assert [(each.name, each.reason) for each in account.unreadable] == [("IM_0009.dcm", "empty")]
    assert sorted(each.name for each in account.left_out)[-1] == "scout.dcm"
    assert len(account.left_out) == 2 and any("copy" in each.reason for each in account.left_out)


def test_empty_outer_files_cut_the_stack_at_their_end(series: Path) -> None:
    for path in files(series)[:2]:
        path.write_bytes(b"")
    found = chosen(series)
    assert found.cut.ends == {ANTERIOR} and any("begin with 3" in reason for reason in found.cut.reasons)
    assert any("2 damaged or missing files" in w and "IM_0001.dcm, empty" in w for w in found.warnings)


def test_empty_files_at_the_far_end_cut_the_stack_there(series: Path) -> None:
    for path in files(series)[6:]:
        path.write_bytes(b"")
    assert chosen(series).cut.ends == {POSTERIOR}


def test_without_instance_numbers_both_ends_may_be_cut(series: Path, edit: Edit) -> None:
    edit(*files(series), InstanceNumber=None)
    files(series)[0].write_bytes(b"")
    assert chosen(series).cut.ends == {ANTERIOR, POSTERIOR}


@pytest.mark.parametrize("keyword", ["ImagesInAcquisition", "NumberOfSeriesRelatedInstances"])
def test_fewer_images_than_the_header_announces_cut_the_stack(series: Path, edit: Edit, keyword: str) -> None:
    edit(*files(series), **{keyword: 8})
    assert not chosen(series).cut.ends
    files(series)[7].unlink()
    assert chosen(series).cut.ends == {POSTERIOR}


def test_a_whole_series_is_not_cut_by_a_file_that_cannot_be_its_own(series: Path, edit: Edit) -> None:
    edit(*files(series), ImagesInAcquisition=8)
    (series / "IM_0099.dcm").write_bytes(b"")
    found = chosen(series)
    assert not found.cut.ends and any("damaged" in w for w in found.warnings)


def test_an_odd_first_number_is_no_cut(series: Path, edit: Edit) -> None:
    for number, path in enumerate(files(series), start=101):
        edit(path, InstanceNumber=number)
    assert not chosen(series).cut.ends


def test_a_number_beyond_those_of_the_machine_is_no_cut(series: Path, edit: Edit) -> None:
    with warnings.catch_warnings(action="ignore"):
        edit(files(series)[0], InstanceNumber=10**11)
        edit(files(series)[1], InstanceNumber=str(10**30))

    assert not chosen(series).cut.ends


def test_a_dicomdir_beside_moved_files_finds_the_missing_one(disc: Path) -> None:
    images = [p for p in files(disc) if p.name != "DICOMDIR"]
    for path in images:
        path.rename(disc / f"{path.name}.dcm")
    with open_source(disc / "DICOMDIR") as found:
        assert discover(found).series[0].stack.slices == 8
    (disc / f"{images[0].name}.dcm").unlink()
    for source in (disc, disc / "DICOMDIR"):
        with open_source(source) as found:
            discovery = discover(found)
        assert discovery.damaged == (images[0].name,) and discovery.series[0].cut.ends


def test_missing_files_of_another_series_of_a_disc_do_not_matter(disc: Path, series: Path) -> None:
    ds = pydicom.dcmread(disc / "DICOMDIR")
    records = list(ds.DirectoryRecordSequence)
    other = copy.deepcopy(next(r for r in records if r.DirectoryRecordType == "SERIES"))
    other.SeriesInstanceUID = "1.2.3.4"
    image = copy.deepcopy(next(r for r in records if r.DirectoryRecordType == "IMAGE"))
    image.ReferencedFileID, image.ReferencedSOPInstanceUIDInFile = ["OTHER", "IM1"], "1.2.3.4.5"
    ds.DirectoryRecordSequence = [*records, other, image]
    ds.save_as(disc / "DICOMDIR")
    found = discover(files(disc))
    assert found.damaged == ("IM1",) and not found.series[0].cut.ends and not found.series[0].warnings


def test_a_name_in_any_bytes_can_be_printed() -> None:
    raw = "图像".encode("gb18030").decode("utf-8", "surrogateescape")
    assert printable_name(Path(raw)) == "图像"
    assert printable_name(Path("a\udcff\udc80b")).isprintable()
    assert printable_name(Path("plain é.dcm")) == "plain é.dcm"
    for name in ("a\nb", raw, "\udc80"):
        printable_name(Path(name)).encode()
