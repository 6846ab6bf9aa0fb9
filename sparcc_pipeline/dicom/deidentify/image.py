"""Remove the identity of the patient from an MR image.

Source: [DicomPS3.15] annex E, Basic Application Level Confidentiality Profile with the options Clean Descriptors,
Retain Longitudinal Temporal Information with Modified Dates, and Retain Safe Private.

A new data set gets the elements that `confidentiality.toml` lists, and nothing else of the file: no preamble, file meta
information, padding or compressed stream, in which text can hide. Geometry, sequence, field strength and pixels stay
the same to the bit. Only MR images pass; everything else of a study is set aside.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian

from sparcc_pipeline.dicom.deidentify.admission import is_burnt_in, refusal
from sparcc_pipeline.dicom.deidentify.border_text import has_border_text
from sparcc_pipeline.dicom.deidentify.confidentiality import (
    Profile,
    cleaned_description,
    kept_numbers,
    kept_time,
    kept_words,
    read_profile,
)
from sparcc_pipeline.dicom.deidentify.plain_pixels import plain_array, set_plain_pixels
from sparcc_pipeline.dicom.deidentify.pseudonyms import keyed_code, keyed_uid
from sparcc_pipeline.dicom.deidentify.shifted_dates import DateShift, day_of
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
"""Source: [DicomPS3.16] context group 7050."""

METHOD_TEXT: Final = "sparcc-pipeline: PS3.15 E, elements kept by list"

PIXELS_TEXT: Final = "pixels were not read: text burnt into them stays"
BORDER_TEXT: Final = "border of the pixels was read by OCR: no text was found"

LARGEST_DEPTH: Final = 6
"""Deepest nesting of sequences; functional groups are two deep."""

_PRIVATE_NUMBERS: Final = frozenset({"DS", "IS", "FL", "FD", "US", "SS"})


@dataclass(frozen=True)
class Subject:
    """Participant and visit of an image, in the codes of the trial, and the days by which its dates move."""

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
    digest : SHA-256 of the content; the same image has the same digest in every transfer syntax
    uids : original -> new UID of study, series and image; keep them only beside the key
    """

    content: bytes = field(repr=False)
    sop_instance_uid: str
    digest: str
    uids: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class SetAside:
    """An object that does not pass, and the reason; if `burnt_in`, a person may look at it and let it pass."""

    reason: Message
    burnt_in: bool = False


@dataclass(frozen=True)
class _Context:
    key: bytes
    subject: Subject
    profile: Profile
    signed: bool
    dates: DateShift

    def uid(self, uid: str) -> str:
        return keyed_uid(self.key, self.subject.site, uid)


def deidentify_file(
    path: Path, subject: Subject, key: bytes, *, released: bool = False, read_border: bool = False
) -> Deidentified | SetAside:
    """De-identify one file.

    Parameters
    ----------
    path : a DICOM file in any transfer syntax; it is not changed
    key : secret key of the intake, from which UIDs derive (`pseudonyms`)
    released : a person looked at the images, so those marked as holding burnt-in text pass
    read_border : look for text at the border of the pixels, unless `released`

    Raises
    ------
    ConfigError : the program that reads the border is not installed
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
            return _deidentified(source, subject, key, read_border=read_border and not released)
    except PARSE_ERRORS as error:
        # The text of the decoder's error may quote the file.
        raise UnreadablePixelsError(
            f"expected an image that can be decoded, found a damaged one ({type(error).__name__}); send the study again"
        ) from None


def _deidentified(source: FileDataset, subject: Subject, key: bytes, *, read_border: bool) -> Deidentified | SetAside:
    signed = int(source.get("PixelRepresentation") or 0) == 1
    studied, born = (day_of(text_of(source, keyword), "DA") for keyword in ("StudyDate", "PatientBirthDate"))
    context = _Context(key, subject, read_profile(), signed, DateShift(subject.days, studied, born))
    target = _kept(source, context, 0)
    original = dict(zip(UID_TAGS, uids_of(source).all, strict=True))
    for keyword, uid in original.items():
        setattr(target, keyword, context.uid(uid))
    set_plain_pixels(target, source)
    if read_border and has_border_text(plain_array(target)):
        return SetAside(Message("text was found at the border of the picture"), burnt_in=True)
    _set_subject(target, source, context)
    _set_method(target, BORDER_TEXT if read_border else PIXELS_TEXT)
    content = _encoded(target)
    uids = {uid: context.uid(uid) for uid in original.values()}
    return Deidentified(content, str(target.SOPInstanceUID), hashlib.sha256(content).hexdigest(), uids)


def _kept(source: Dataset, context: _Context, depth: int) -> Dataset:
    """Return a new data set with the elements of `source` that stay."""
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
    """Return the part of one element that stays, with its standard VR; None if nothing stays."""
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
        kept = [shifted for text in texts[:1] if (shifted := context.dates.shifted(text, vr))]
    elif keyword in profile.times:
        kept = [time for text in texts[:1] if (time := kept_time(text))]
    else:
        kept = [cleaned for cleaned in [cleaned_description(" ".join(texts), profile)] if cleaned]
    return DataElement(tag, vr, kept if len(kept) > 1 else kept[0]) if kept else None


def _keep_private(source: Dataset, target: Dataset, profile: Profile) -> None:
    """Copy safe private elements that hold plausible numbers, under their creator."""
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
    """Set the codes of the trial in place of the patient, and the required elements that may be empty.

    Source: [DicomPS3.3] C.7.
    """
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
        # The code shows that two scans come from one device, but not from which one.
        target.DeviceSerialNumber = keyed_code(context.key, "device", subject.site, serial)


def _set_method(target: Dataset, pixels_text: str) -> None:
    """State that the image was de-identified, and how. Source: [DicomPS3.15] E.1.1."""
    target.PatientIdentityRemoved, target.DeidentificationMethod = "YES", [METHOD_TEXT, pixels_text]
    target.LongitudinalTemporalInformationModified = "MODIFIED"
    codes = []
    for value, meaning in METHOD_CODES:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        codes.append(code)
    target.DeidentificationMethodCodeSequence = codes


def _encoded(target: Dataset) -> bytes:
    """Return a file with new file meta information and an empty preamble."""
    target.file_meta = FileMetaDataset()
    target.file_meta.MediaStorageSOPClassUID = UID(str(target.SOPClassUID))
    target.file_meta.MediaStorageSOPInstanceUID = UID(str(target.SOPInstanceUID))
    target.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    target.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
