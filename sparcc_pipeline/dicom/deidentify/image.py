"""An MR image without the identity of its patient: Basic Application Level Confidentiality Profile.

Source: [DicomPS3.15] annex E.

A new data set takes the elements that `confidentiality.toml` lists, and nothing else of the file: no preamble, file
meta information, padding, or compressed stream, in which text can hide. Options: Clean Descriptors, Retain Longitudinal
Temporal Information with Modified Dates, Retain Safe Private. Geometry, sequence, field strength and pixels stay as
they are, to the bit. Only MR images pass; everything else of a study is set aside.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
)

from sparcc_pipeline.dicom.deidentify.admission import is_burnt_in, refusal
from sparcc_pipeline.dicom.deidentify.confidentiality import (
    Profile,
    cleaned_description,
    kept_numbers,
    kept_time,
    kept_words,
    read_profile,
)
from sparcc_pipeline.dicom.deidentify.plain_pixels import set_plain_pixels
from sparcc_pipeline.dicom.deidentify.pseudonyms import keyed_code, keyed_uid
from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom, text_of, values_of
from sparcc_pipeline.dicom.input.missing_uids import UID_TAGS, uids_of
from sparcc_pipeline.errors import UnreadablePixelsError
from sparcc_pipeline.message import Message

METHOD_CODES: Final = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113111", "Retain Safe Private Option"),
)
"""Context group 7050 ([DicomPS3.16])."""

METHOD_TEXT: Final = "sparcc-pipeline: [DicomPS3.15] E, elements kept by list"

LONGEST_EXAMINATION: Final = timedelta(days=31)
"""How far other dates may lie from that of the study; scans that are repeated later are other studies."""

LARGEST_DEPTH: Final = 6
"""Sequences within sequences; functional groups are two deep."""

_PRIVATE_NUMBERS: Final = frozenset({"DS", "IS", "FL", "FD", "US", "SS"})


@dataclass(frozen=True)
class Subject:
    """Who and what an image is of, in the trial's codes, and by how many days its dates are moved."""

    trial: str
    site: str
    participant: str
    visit: str
    days: int


@dataclass(frozen=True)
class Deidentified:
    """A de-identified file.

    Parameters
    ----------
    digest : SHA-256 of the content; the same for the same image in whatever transfer syntax or order it came
    uids : original -> new, of study, series and image; they may only be kept beside the key
    """

    content: bytes = field(repr=False)
    sop_instance_uid: str
    digest: str
    uids: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class SetAside:
    """An object that does not pass, and why; `burnt_in` if a person who looks at it may let it pass."""

    reason: Message
    burnt_in: bool = False


@dataclass(frozen=True)
class _Context:
    key: bytes
    subject: Subject
    profile: Profile
    signed: bool
    studied: datetime | None

    def uid(self, uid: str) -> str:
        return keyed_uid(self.key, self.subject.site, uid)


def deidentify_file(path: Path, subject: Subject, key: bytes, *, released: bool = False) -> Deidentified | SetAside:
    """De-identify one file.

    Parameters
    ----------
    path : a DICOM file in any transfer syntax; it is not changed
    key : secret of the intake, from which UIDs are made (`pseudonyms`)
    released : a person looked at the pictures: what is marked as burnt in passes

    Raises
    ------
    UnreadablePixelsError : the file is absent, cut off, or its pixels cannot be decoded
    """
    try:
        with quiet_pydicom(), path.open("rb") as opened:
            require_inflatable(opened)
            source = pydicom.dcmread(opened, force=True)
            reason = refusal(source)
            if reason:
                return SetAside(reason)
            if is_burnt_in(source) and not released:
                return SetAside(Message("marked as holding text burnt into the picture"), burnt_in=True)
            return _deidentified(source, subject, key)
    except PARSE_ERRORS as error:
        # The decoder's own words may quote the file.
        raise UnreadablePixelsError(
            f"expected an image that can be decoded, found a damaged one ({type(error).__name__}); send the study again"
        ) from None


def _deidentified(source: FileDataset, subject: Subject, key: bytes) -> Deidentified:
    signed = int(source.get("PixelRepresentation") or 0) == 1
    context = _Context(key, subject, read_profile(), signed, _day_of(text_of(source, "StudyDate"), "DA"))
    target = _kept(source, context, 0)
    original = dict(zip(UID_TAGS, uids_of(source).all, strict=True))
    for keyword, uid in original.items():
        setattr(target, keyword, context.uid(uid))
    set_plain_pixels(target, source)
    _set_subject(target, source, context)
    _set_method(target)
    content = _encoded(target)
    uids = {uid: context.uid(uid) for uid in original.values()}
    return Deidentified(content, str(target.SOPInstanceUID), hashlib.sha256(content).hexdigest(), uids)


def _kept(source: Dataset, context: _Context, depth: int) -> Dataset:
    """A new data set with what stays of `source`."""
    target = Dataset()
    for tag in sorted(source.keys()):
        keyword = keyword_for_tag(tag)
        if tag.is_private or keyword not in context.profile.keywords:
            continue
        try:
            if keyword in context.profile.numbers:
                kept = _kept_number(tag, keyword, source, context)
            else:
                kept = _kept_element(tag, keyword, source[tag], context, depth)
        except PARSE_ERRORS:
            continue
        if kept is not None:
            target.add(kept)
    _keep_private(source, target, context.profile)
    return target


def _kept_number(tag: BaseTag, keyword: str, source: Dataset, context: _Context) -> DataElement | None:
    """Return the plausible numbers of one element, read as for scoring; None if there are none."""
    vr = dictionary_VR(tag)
    vr = ("SS" if context.signed else "US") if vr == "US or SS" else vr
    kept = kept_numbers(keyword, vr, values_of(source, keyword))
    return None if not kept else DataElement(tag, vr, kept if len(kept) > 1 else kept[0])


def _kept_element(
    tag: BaseTag, keyword: str, element: DataElement, context: _Context, depth: int
) -> DataElement | None:
    """What stays of one element, with the VR that the standard gives it; None if nothing does."""
    profile, vr = context.profile, dictionary_VR(tag)
    if keyword in profile.sequences:
        items = [_kept(item, context, depth + 1) for item in element.value] if depth < LARGEST_DEPTH else []
        return DataElement(tag, "SQ", items) if any(len(item) for item in items) else None
    value = element.value
    values = [] if value is None else [value] if isinstance(value, str | bytes | int | float) else list(value)
    kept: Any
    texts = [str(each) for each in values]
    if keyword in profile.words or keyword in profile.forms:
        kept = kept_words(keyword, texts, profile)
    elif keyword in profile.uids:
        kept = [context.uid(text) for text in texts if text]
    elif keyword in profile.classes:
        kept = [text for text in texts if text in UID_dictionary]
    elif keyword in profile.dates:
        kept = [shifted for text in texts[:1] if (shifted := _shifted(text, vr, context))]
    elif keyword in profile.times:
        kept = [time for text in texts[:1] if (time := kept_time(text))]
    else:
        kept = [cleaned for cleaned in [cleaned_description(" ".join(texts), profile)] if cleaned]
    return DataElement(tag, vr, kept if len(kept) > 1 else kept[0]) if kept else None


def _day_of(text: str, vr: str) -> datetime | None:
    """The day of a date (DA) or of a date and time (DT); None where it is invalid."""
    plain = text.strip(" \0")
    if vr == "DA":
        plain = plain.replace(".", "").replace("-", "")
    try:
        return datetime.strptime(plain[:8], "%Y%m%d") if vr == "DT" or len(plain) == 8 else None
    except ValueError:
        return None


def _shifted(text: str, vr: str, context: _Context) -> str:
    """A date (DA) or the date of a date and time (DT), moved by the participant's days; empty where it does not stay.

    One far from that of the study is not of the examination: it may be a birth date in the wrong place.
    """
    day = _day_of(text, vr)
    if day is None or (context.studied is not None and abs(day - context.studied) > LONGEST_EXAMINATION):
        return ""
    try:
        moved = day + timedelta(days=context.subject.days)
    except OverflowError:
        return ""
    # The offset from UTC shows the place of a hospital: it is removed.
    clock = kept_time(text.strip(" \0")[8:].split("+")[0].split("-")[0]) if vr == "DT" else ""
    return f"{moved.year:04d}{moved:%m%d}{clock}"


def _keep_private(source: Dataset, target: Dataset, profile: Profile) -> None:
    """Safe private elements under their creator, where they hold plausible numbers."""
    for block in profile.private:
        try:
            found = source.private_block(block.group, block.creator)
        except KeyError:
            continue
        for offset in sorted(block.elements):
            if offset not in found:
                continue
            element = found[offset]
            values: Sequence[Any] = element.value if element.VM > 1 else [element.value]
            kept = kept_numbers("", element.VR, values) if element.VR in _PRIVATE_NUMBERS else None
            if kept is not None:
                place = target.private_block(block.group, block.creator, create=True)
                place.add_new(offset, element.VR, kept if len(kept) > 1 else kept[0])


def _set_subject(target: Dataset, source: Dataset, context: _Context) -> None:
    """The trial's codes in the place of the patient; what an MR image must have and may be empty ([DicomPS3.3] C.7)."""
    subject = context.subject
    target.PatientName = target.PatientID = subject.participant
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
        setattr(target, keyword, "")
    for keyword in (
        "StudyDate",
        "StudyTime",
        "SeriesNumber",
        "Manufacturer",
        "PositionReferenceIndicator",
        "ScanOptions",
    ):
        if keyword not in target:
            setattr(target, keyword, None if keyword == "SeriesNumber" else "")
    # The registration names the sponsor; a module with a time point must state one.
    target.ClinicalTrialSponsorName = target.ClinicalTrialProtocolID = subject.trial
    target.ClinicalTrialProtocolName = target.ClinicalTrialSiteName = ""
    target.ClinicalTrialSiteID, target.ClinicalTrialSubjectID = subject.site, subject.participant
    target.ClinicalTrialTimePointID = subject.visit
    serial = text_of(source, "DeviceSerialNumber")
    if serial:
        # Shows that two scans come from one device, not which device it is.
        target.DeviceSerialNumber = keyed_code(context.key, "device", subject.site, serial)


def _set_method(target: Dataset) -> None:
    """That and how the image was de-identified ([DicomPS3.15] E.1.1)."""
    target.PatientIdentityRemoved, target.DeidentificationMethod = "YES", METHOD_TEXT
    target.LongitudinalTemporalInformationModified = "MODIFIED"
    codes = []
    for value, meaning in METHOD_CODES:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        codes.append(code)
    target.DeidentificationMethodCodeSequence = codes


def _encoded(target: Dataset) -> bytes:
    """As a file with file meta information of our own and an empty preamble."""
    target.file_meta = FileMetaDataset()
    target.file_meta.MediaStorageSOPClassUID = UID(str(target.SOPClassUID))
    target.file_meta.MediaStorageSOPInstanceUID = UID(str(target.SOPInstanceUID))
    target.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    target.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
