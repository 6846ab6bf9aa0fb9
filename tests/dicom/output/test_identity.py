"""Headers as sites send them: results are written with the values of the source, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID
from pydicom.valuerep import PersonName

from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.errors import AmbiguousSeriesError

from ..conftest import ScoredStudy

Scoring = Callable[..., ScoredStudy]
CHINESE = "Zhang^XiaoDong=张^小东"
BACKSLASH = "誠"
"""Its second byte in GB18030 equals a backslash."""


def changed(**elements: Any) -> Callable[[list[Path]], None]:
    """Return a function that sets elements of all files; None deletes, bytes are written unchanged."""

    def change(paths: list[Path]) -> None:
        with quiet_pydicom():
            for path in paths:
                ds = pydicom.dcmread(path)
                for keyword, value in elements.items():
                    if value is None:
                        ds.pop(keyword, None)
                    else:
                        setattr(ds, keyword, value)
                ds.save_as(path, enforce_file_format=True)

    return change


def test_missing_elements_are_completed_and_reported(scored_study: Scoring) -> None:
    case = scored_study(
        change=changed(FrameOfReferenceUID=None, PatientBirthDate=None, StudyID=None, SliceThickness=None)
    )

    files = case.files()

    seg = files["seg.dcm"]
    assert seg.FrameOfReferenceUID.startswith("2.25.")
    for ds in files.values():
        assert (ds.PatientBirthDate, ds.StudyID) == ("", "")
        assert ds.PatientID == "P5"
    assert "FrameOfReferenceUID: missing, derived from the series" in case.header.completed
    assert "StudyID: missing, left empty" in case.header.completed
    assert seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 4.0


def test_a_complete_header_is_copied(scored_study: Scoring) -> None:
    patient = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
    study = ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ClinicalTrialProtocolID")
    case = scored_study(
        change=changed(
            AccessionNumber="A12", ClinicalTrialProtocolID="ChiCTR1", PatientSex="F", PatientBirthDate="19900102"
        )
    )
    source = pydicom.dcmread(next(case.folder.iterdir()))

    assert case.header.completed == ()
    for ds in case.files().values():
        for keyword in (*patient, *study):
            assert ds[keyword].value == source[keyword].value
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID


@pytest.mark.parametrize("character_set", ["GB18030", "ISO_IR 192"])
def test_chinese_names_keep_their_character_set(scored_study: Scoring, character_set: str) -> None:
    case = scored_study(
        change=changed(SpecificCharacterSet=character_set, PatientName=CHINESE, StudyDescription="骶髂")
    )

    seg = case.seg()

    assert seg.SpecificCharacterSet == character_set
    assert str(seg.PatientName) == CHINESE
    assert seg.StudyDescription == "骶髂"


def test_escape_sequences_of_a_character_set_are_kept(scored_study: Scoring) -> None:
    ideographs = b"^".join(b"\x1b$)A" + name.encode("gb2312") for name in ("张", "小东"))
    stored = b"Zhang^XiaoDong=" + ideographs
    name = PersonName(stored, ["iso8859", "iso_ir_58"])
    case = scored_study(change=changed(SpecificCharacterSet=["", "ISO 2022 IR 58"], PatientName=name))
    source = pydicom.dcmread(next(case.folder.iterdir()))
    assert source.get_item("PatientName").value.rstrip() == stored

    seg = case.seg()

    assert list(seg.SpecificCharacterSet) == ["", "ISO 2022 IR 58"]
    assert seg.get_item("PatientName").value.rstrip() == stored


def test_a_wrong_character_set_keeps_the_bytes(scored_study: Scoring) -> None:
    # The name is UTF-8 but the file declares Latin 1: it is read as other characters and must keep its bytes.
    def change(paths: list[Path]) -> None:
        changed(SpecificCharacterSet="ISO_IR 192", PatientName=CHINESE)(paths)
        for path in paths:
            path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"ISO_IR 100"))

    seg = scored_study(change=change).seg()

    assert seg.get_item("PatientName").value.rstrip() == CHINESE.encode()


def test_a_backslash_byte_inside_a_character_does_not_split_the_name(scored_study: Scoring) -> None:
    assert b"\\" in BACKSLASH.encode("gb18030")
    case = scored_study(change=changed(SpecificCharacterSet="GB18030", PatientName=f"Li^Wei={BACKSLASH}^{BACKSLASH}"))

    # pydicom splits such a name when it reads, so compare the bytes.
    name = case.seg().get_item("PatientName").value
    assert name.rstrip() == f"Li^Wei={BACKSLASH}^{BACKSLASH}".encode("gb18030")


def test_bytes_of_an_undeclared_character_set_are_kept(scored_study: Scoring) -> None:
    # Common in China: GBK without a SpecificCharacterSet.
    stored = "Wang^Fang=王^芳".encode("gbk")
    case = scored_study(change=changed(PatientName=stored.decode("latin-1")))

    seg = case.seg()

    assert "SpecificCharacterSet" not in seg
    assert seg.get_item("PatientName").value.rstrip() == stored


def test_values_that_dicom_does_not_allow_are_cut_or_left_empty(scored_study: Scoring) -> None:
    case = scored_study(
        change=changed(
            StudyDescription="x" * 80,
            ManufacturerModelName="m" * 70,
            StudyID="s" * 20,
            PatientSex="W",
            StudyTime="99:99",
            PatientBirthDate="unknown",
        )
    )

    seg = case.seg()

    assert (len(seg.StudyDescription), len(seg.StudyID)) == (64, 16)
    assert (seg.PatientSex, seg.PatientBirthDate) == ("", "")
    assert "StudyDescription: cut to 64 characters" in case.header.completed
    assert "PatientSex: not valid, left empty" in case.header.completed


def test_repr_of_the_header_does_not_show_the_name(scored_study: Scoring) -> None:
    case = scored_study(change=changed(PatientName="Secret^Name", PatientBirthDate=None))

    assert "Secret" not in repr(case.header) + repr(case.header.identity) + " ".join(case.header.completed)
    assert b"Secret" not in str(case.header).encode()


def test_a_series_in_several_multiframe_files_is_refused(scored_study: Scoring) -> None:
    def split(paths: list[Path]) -> None:
        whole = pydicom.dcmread(paths[0])
        pixels, groups = whole.pixel_array, list(whole.PerFrameFunctionalGroupsSequence)
        for part in range(2):
            ds = pydicom.dcmread(paths[0]) if part else whole
            half = slice(6 * part, 6 * part + 6)
            ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = groups[half], 6
            ds.PixelData = pixels[half].tobytes()
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.{part}")
            ds.save_as(paths[0].with_name(f"part{part}.dcm"))
        paths[0].unlink()

    with pytest.raises(AmbiguousSeriesError, match="one multi-frame file"):
        scored_study(enhanced=True, change=split)
