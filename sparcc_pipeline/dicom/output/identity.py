"""Read patient, study and frame of reference of a source; every DICOM result repeats them.

Sites send images without FrameOfReferenceUID, PatientBirthDate or StudyID, and with texts longer than DICOM allows.
highdicom fails on such headers, so a copy is completed; the source never changes.

Only this module reads a person's name and birth date. They go into the DICOM results, as into every object of a PACS,
and nowhere else: the rest of the program cannot read them, and `repr` does not show them.
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
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""Elements that must be present and may be empty.

Source: [DicomPS3.3] C.7 (type 2 in the modules Patient, General Study and Frame of Reference).
"""

INHERITED_TEXTS: Final = (
    "IssuerOfPatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDescription",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialTimePointID",
)
"""Elements of patient, study and trial that every result copies if the source has them."""

SOURCE_TEXTS: Final = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "LossyImageCompression")
"""Elements about the source: its scanner, and whether compression lost detail."""

ALL_TEXTS: Final = (*REQUIRED_TEXTS, *INHERITED_TEXTS, *SOURCE_TEXTS)

LONGEST: Final = {"LO": 64, "SH": 16, "CS": 16, "PN": 64 * 3 + 2}
"""Most characters of one value; a person's name has three groups of 64. Source: [DicomPS3.5] 6.2."""

SEXES: Final = ("M", "F", "O")
WHOLE_TEXT_CHARACTER_SETS: Final = {"GB18030": "gb18030", "GBK": "gbk"}
"""Character sets in which the second byte of a character may equal a backslash, and the Python codec of each.

Such a value is decoded before it is split. Source: [DicomPS3.5] 6.1.2.5.4.
"""

UTF_8: Final = "ISO_IR 192"


@dataclass(frozen=True)
class Identity:
    """Patient, study, series and frame of reference of a source.

    Parameters
    ----------
    series_uid : SeriesInstanceUID of the source
    character_set : values of SpecificCharacterSet for the results; empty for ASCII
    completed : one line for each element that was missing or not valid in the source, without its value
    """

    _encoded: bytes = field(repr=False)
    series_uid: str
    character_set: tuple[str, ...]
    completed: tuple[str, ...]

    def dataset(self) -> Dataset:
        """Return a new data set with these elements, for use inside this package only."""
        with quiet_pydicom():
            ds = pydicom.dcmread(io.BytesIO(self._encoded))
            for element in ds:
                if element.VR == "PN":
                    # pydicom writes a name that keeps its bytes as these bytes, even in another character set.
                    element.value = str(element.value)
            del ds.SpecificCharacterSet
            return ds


def read_identity(path: Path, study_uid: str, series_uid: str) -> Identity:
    """Read patient, study and frame of reference from one file of a series, and complete them.

    Raises
    ------
    UnreadablePixelsError : the file is missing or damaged
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
                completed.append("FrameOfReferenceUID: missing, derived from the series")
            return Identity(_encoded(ds), series_uid, character_set, tuple(completed))
    except PARSE_ERRORS as error:
        raise UnreadablePixelsError(
            f"expected a readable header, found the file missing or damaged ({printable_name(path)}); "
            "copy the study again"
        ) from error


def _encoded(ds: Dataset) -> bytes:
    """Return the data set as a file in UTF-8, which can hold every text of every character set."""
    ds.SpecificCharacterSet = UTF_8
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(UID_ROOT + "1")
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _completed(source: Dataset, completed: list[str]) -> Dataset:
    """Return a copy with every element that the results need, each within the limits of its VR."""
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
    """Return a valid text for the element: cut if too long, empty if not a valid date, time or sex."""
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
    """Return the text of one element, or None if it is absent. Several values are joined: these elements hold one."""
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
    """Return the character set of the source if it can hold the texts, because its PACS knows it; else UTF-8.

    An empty tuple means ASCII. If the source declares no character set but has other bytes, these bytes stay the same:
    pydicom reads and writes them as Latin 1.
    """
    declared = tuple(str(value) for value in values_of(source, "SpecificCharacterSet"))
    encodings = convert_encodings(list(declared))
    # Encode and decode each text: pydicom writes a question mark for a character that a character set lacks.
    same = all(decode_bytes(encode_string(text, encodings), encodings, set()) == text for text in texts)
    return declared if same else (UTF_8,)
