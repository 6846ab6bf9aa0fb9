"""Read study and patient identifiers of a file that a site sent.

Besides `output/identity.py`, only this module keeps identifiers of a patient. Only the intake calls it, and its results
stay in the identity folder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pydicom

from sparcc_pipeline.dicom.deidentify.image import Deidentified, Subject, deidentify_file
from sparcc_pipeline.dicom.deidentify.pseudonyms import keyed_hash
from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import (
    PARSE_ERRORS,
    START_BYTES,
    looks_like_dicom,
    quiet_pydicom,
    starts_like_dicom,
    text_of,
)
from sparcc_pipeline.dicom.input.files.directory import is_directory
from sparcc_pipeline.dicom.input.files.other_files import possible_image
from sparcc_pipeline.dicom.input.missing_uids import HINTS, UID_TAGS, uids_of
from sparcc_pipeline.errors import SparccError

_TAGS: Final = ("SOPClassUID", "PatientID", "AccessionNumber", "StudyDate", "Modality", "Manufacturer")
_READ_TAGS: Final = sorted({*_TAGS, *UID_TAGS, *HINTS, "FrameOfReferenceUID", "Rows"})
_NO_SUBJECT: Final = Subject("", "", "", "", 0)


@dataclass(frozen=True)
class IncomingFile:
    """The identifiers of one file; `study_date` as DICOM writes it, texts empty if the file does not state them."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    study_date: str = field(repr=False)
    modality: str
    manufacturer: str = field(repr=False)
    frame_of_reference_uid: str = field(default="", repr=False)


def read_incoming(path: Path) -> IncomingFile | None:
    """Return the identifiers of one file; None if it is not DICOM, or damaged before its UIDs."""
    if not looks_like_dicom(path) or is_directory(path):
        return None
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            ds = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=list(_READ_TAGS), force=True)
            uids = uids_of(ds)
            if uids.missing and "Rows" not in ds:
                return None
            frame = text_of(ds, "FrameOfReferenceUID")
            # A wrong character set can leave half a character, which could not be stored.
            texts = [
                t.encode("utf-8", "replace").decode("utf-8")
                for t in (*uids.all, *(text_of(ds, k) for k in _TAGS), frame)
            ]
    except PARSE_ERRORS:
        return None
    study, series, instance, _, *others = texts
    return IncomingFile(study, series, instance, *others)


def lost_image(path: Path) -> bool:
    """Return True if a file that `read_incoming` cannot read may have been an image."""
    try:
        with path.open("rb") as opened:
            start = opened.read(START_BYTES)
    except OSError:
        return True
    if starts_like_dicom(start):
        return not is_directory(path)
    return possible_image(path, start) is not None


def content_digest(path: Path, incoming: IncomingFile, key: bytes) -> str:
    """Return a keyed hash of an image and its patient: the same in any transfer syntax, file or order.

    Elements that de-identification removes do not count. The patient counts: an image that a site sends again with a
    corrected patient number is another image.
    """
    try:
        result = deidentify_file(path, _NO_SUBJECT, key, released=True)
        content = result.digest if isinstance(result, Deidentified) else file_digest(path)
    except SparccError:
        content = file_digest(path)
    whose = (incoming.patient_id, incoming.accession, incoming.study_date)
    return keyed_hash(key, "content", content, *whose).hex()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
