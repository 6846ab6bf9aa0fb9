"""Patient, study and frame of reference, as every DICOM result must carry them.

A copy is completed, never the source: sites send images without FrameOfReferenceUID, PatientBirthDate or StudyID, and
texts longer than DICOM allows, on which highdicom fails.

This is the only place where a person's name and birth date are read. They go into the DICOM results, as into every
object of a PACS, and nowhere else: the kept copy is opaque to the rest of the program, and its repr shows nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pydicom
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DA, TM

from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, printable_name, quiet_pydicom, values_of
from sparcc_pipeline.dicom.uids import UID_ROOT, derived_uid
from sparcc_pipeline.errors import UnreadablePixelsError

REQUIRED_TEXTS: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""Must be present, may be empty (type 2 in Patient, General Study and Frame of Reference, [DicomPS3.3] C.7)."""

INHERITED_TEXTS: Final = (
    *("IssuerOfPatientID", "PatientIdentityRemoved", "DeidentificationMethod", "StudyDescription"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialTimePointID"),
)
"""Elements of patient, study and trial that every result takes from its source."""

SOURCE_TEXTS: Final = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "LossyImageCompression")
"""Elements of the source that results repeat: its scanner, and whether detail was lost."""

ALL_TEXTS: Final = (*REQUIRED_TEXTS, *INHERITED_TEXTS, *SOURCE_TEXTS)

LONGEST: Final = {"LO": 64, "SH": 16, "CS": 16, "PN": 64 * 3 + 2}
"""Characters of one value ([DicomPS3.5] 6.2; a person's name has three groups of 64)."""

SEXES: Final = ("M", "F", "O")
WHOLE_TEXT_CHARACTER_SETS: Final = {"GB18030": "gb18030", "GBK": "gbk"}
"""A backslash byte may be the second half of a character here: values are decoded as a whole
([DicomPS3.5] 6.1.2.5.4)."""

UTF_8: Final = "ISO_IR 192"


@dataclass(frozen=True)
class Identity:
    """Patient, study, series and frame of reference of a source.

    `character_set` is that of the results' texts (values of SpecificCharacterSet; none for ASCII); `completed` lists
    the elements that the source lacks, in words without a value.
    """

    _encoded: bytes = field(repr=False)
    series_uid: str
    character_set: tuple[str, ...]
    completed: tuple[str, ...]

    def dataset(self) -> Dataset:
        """Return a new data set with these elements. It stays inside this package."""
        with quiet_pydicom():
            ds = pydicom.dcmread(io.BytesIO(self._encoded))
            for element in ds:
                if element.VR == "PN":
                    # A name that remembers its bytes would be written as them, in whatever character set.
                    element.value = str(element.value)
            del ds.SpecificCharacterSet
            return ds


def read_identity(path: Path, study_uid: str, series_uid: str) -> Identity:
    """Read patient, study and frame of reference from one file of a series, and complete them.

    Raises
    ------
    UnreadablePixelsError : the file is absent or damaged
    """
    completed: list[str] = []
    tags = ["SpecificCharacterSet", "FrameOfReferenceUID", "DeidentificationMethodCodeSequence"]
    try:
        with quiet_pydicom():
            source = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[*tags, *ALL_TEXTS], force=True)
            ds = _completed(source, completed)
            character_set = _character_set(source, [str(element.value) for element in ds if element.VR != "SQ"])
            ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
            if not ds.get("FrameOfReferenceUID"):
                ds.FrameOfReferenceUID = derived_uid("sparcc frame of reference", series_uid)
                completed.append("FrameOfReferenceUID: one was derived from the series")
            return Identity(_encoded(ds), series_uid, character_set, tuple(completed))
    except PARSE_ERRORS as error:
        raise UnreadablePixelsError(
            f"expected a header that can be read again, found the file absent or damaged ({printable_name(path)}); "
            "copy the study again"
        ) from error


def _encoded(ds: Dataset) -> bytes:
    """Return a file in UTF-8, which holds every text whatever character set the results will use."""
    ds.SpecificCharacterSet = UTF_8
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(UID_ROOT + "1")
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _completed(source: Dataset, completed: list[str]) -> Dataset:
    """Return a copy with every element that the results must have, each within the limits of its kind."""
    ds = Dataset()
    for keyword in ALL_TEXTS:
        text, required = _text(source, keyword), keyword in REQUIRED_TEXTS
        if text is None and required and keyword != "PositionReferenceIndicator":
            completed.append(f"{keyword}: missing, left empty")
        valid = _within_limits(keyword, text or "", completed)
        if valid or required:
            setattr(ds, keyword, valid)
    for keyword in ("FrameOfReferenceUID", "DeidentificationMethodCodeSequence"):
        if source.get(keyword):
            setattr(ds, keyword, source.get(keyword))
    return ds


def _within_limits(keyword: str, text: str, completed: list[str]) -> str:
    """Return the text if it is valid for its element; cut if it is too long, empty if it is no date, time or sex."""
    vr = dictionary_VR(keyword)
    if vr in LONGEST:
        if len(text) > LONGEST[vr]:
            completed.append(f"{keyword}: cut to {LONGEST[vr]} characters")
        text = text[: LONGEST[vr]].strip()
    try:
        if vr == "DA" and text:
            return f"{DA(text):%Y%m%d}"
        if vr == "TM" and text:
            TM(text)
    except ValueError:
        completed.append(f"{keyword}: not valid, left empty")
        return ""
    if keyword == "PatientSex" and text.upper() not in ("", *SEXES):
        completed.append(f"{keyword}: not valid, left empty")
        return ""
    return text.upper() if vr == "CS" else text


def _text(source: Dataset, keyword: str) -> str | None:
    """Return one element's text; None if it is absent. Several values are joined: these elements hold one."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in source:
        return None
    raw = source.get_item(tag)
    codec = WHOLE_TEXT_CHARACTER_SETS.get(str(source.get("SpecificCharacterSet", "")))
    if codec and raw is not None and isinstance(raw.value, bytes):
        return raw.value.decode(codec, errors="replace").strip(" \0")
    value = source[tag].value
    parts = value if isinstance(value, MultiValue) else [value]
    return " ".join("" if part is None else str(part) for part in parts).replace("\\", " ").strip(" \0")


def _character_set(source: Dataset, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the source's own character set if it can hold the texts (its PACS knows it), else UTF-8; empty is ASCII.

    A source that states none and holds more than ASCII keeps its bytes: pydicom reads and writes them as Latin 1.
    """
    stated = tuple(str(value) for value in values_of(source, "SpecificCharacterSet"))
    encodings = convert_encodings(list(stated))
    # Read again what pydicom would write: it puts question marks where a character set lacks a character.
    same = all(decode_bytes(encode_string(text, encodings), encodings, set()) == text for text in texts)
    return stated if same else (UTF_8,)
