"""A file as a site sent it: to which study it belongs, and what the manifest may ask for. It is identity, all of it.

Beside `identity.py` the only place that keeps what identifies a patient; only the intake calls it, and what it returns
stays in the identity folder.
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
from sparcc_pipeline.dicom.input.directory import is_directory
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, looks_like_dicom, quiet_pydicom, text_of
from sparcc_pipeline.errors import SparccError

_TAGS: Final = [
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "PatientID", "AccessionNumber",
    "StudyDate", "Modality", "Manufacturer",
]  # fmt: skip
_NOBODY: Final = Subject("", "", "", "", 0)


@dataclass(frozen=True)
class IncomingFile:
    """What one file says of itself; `study_date` as DICOM writes it, texts empty where the file is silent."""

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    study_date: str = field(repr=False)
    modality: str
    manufacturer: str = field(repr=False)


def read_incoming(path: Path) -> IncomingFile | None:
    """Read one file's place and identifiers; None for a file that is no DICOM, or damaged before its UIDs."""
    if not looks_like_dicom(path) or is_directory(path):
        return None
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            ds = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
            # What a wrong character set left half a character of could not be stored.
            values = [text_of(ds, k).encode("utf-8", "replace").decode("utf-8") for k in _TAGS]
    except PARSE_ERRORS:
        return None
    study, series, instance, _, *others = values
    return IncomingFile(study, series, instance, *others) if study and series and instance else None


def content_digest(path: Path, incoming: IncomingFile, key: bytes) -> str:
    """Keyed hash of an image and of whose it is: the same in whatever transfer syntax, file or order it comes.

    What the de-identification drops does not count; who the patient is does: an image that a site sends again under a
    corrected number is another one.
    """
    try:
        result = deidentify_file(path, _NOBODY, key, released=True)
        content = result.digest if isinstance(result, Deidentified) else file_digest(path)
    except SparccError:
        content = file_digest(path)
    return keyed_hash(
        key, "content", content, incoming.patient_id, incoming.accession, incoming.study_date
    ).hex()  # fmt: skip


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
