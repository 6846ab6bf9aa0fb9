"""One DICOM file's header as plain, checked values.

Only the tags named here are read, so a person's name or birth date never enters memory (only `identity.py` reads
them, for DICOM results). PatientID is read, at once hashed to a fingerprint of four hexadecimal digits, and dropped
before anything else is looked at. Free text (series description, protocol name) is kept only as the few sequence words
found in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from sparcc_pipeline.dicom.elements import (
    PERSON_TAG,
    acquired,
    number_of,
    numbers_of,
    quiet_pydicom,
    take_person,
    text_of,
    texts_of,
)

SEQUENCE_WORDS: Final = {
    "flair": re.compile(r"flair|dark.?fluid"),
    "spair": re.compile(r"spair"),
    "spir": re.compile(r"spir(?!al)"),
    "dixon": re.compile(r"dixon|(?<![a-z])ideal(?![a-z])"),
    "fat saturation": re.compile(r"(?<![a-z])(?:fs|fatsat|fat.?sat\w*|fat.?sup\w*)(?![a-z])"),
    "stir": re.compile(r"stir|tirm"),
}
"""Words of series and protocol names that say how fat was treated (clinical reference, section 7)."""

ACQUISITION_TAGS: Final = (
    "AcquisitionNumber",
    "EchoNumbers",
    "EchoTime",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "ImageType",
    "InversionTime",
)
"""What may tell two classic images at one position apart."""

_PROTOCOL_TAGS: Final = (
    "Modality", "SOPClassUID", "ImageType", "ScanningSequence", "SequenceVariant", "ScanOptions", "SequenceName",
    "PulseSequenceName", "RepetitionTime", "EchoTime", "InversionTime", "InversionTimes", "InversionRecovery",
    "SpectrallySelectedSuppression", "EchoPulseSequence", "AcquisitionContrast", "DiffusionBValue", "BodyPartExamined",
    "SeriesDescription", "ProtocolName",
)  # fmt: skip
_FRAME_TAGS: Final = (
    "Rows", "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "InstanceNumber",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", *ACQUISITION_TAGS,
)  # fmt: skip
_FILE_TAGS: Final = (
    "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "AcquisitionDate", "AcquisitionTime",
    "FrameOfReferenceUID", "Manufacturer", "ManufacturerModelName", "MagneticFieldStrength", "ImagesInAcquisition",
    "LossyImageCompression", "AcquisitionDateTime", "SeriesDate", "SeriesTime", "StudyDate", "StudyTime",
)  # fmt: skip
HEADER_TAGS: Final = tuple(dict.fromkeys((*_PROTOCOL_TAGS, *_FRAME_TAGS, *_FILE_TAGS, PERSON_TAG)))


@dataclass(frozen=True)
class Protocol:
    """How an image was acquired, as far as its header says; times in ms."""

    modality: str = ""
    sop_class_uid: str = ""
    image_type: tuple[str, ...] = ()
    scanning_sequence: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    sequence_name: str = ""
    repetition_time_ms: float | None = None
    echo_time_ms: float | None = None
    inversion_time_ms: float | None = None
    inversion_recovery: bool | None = None
    spectral_suppression: str = ""
    echo_pulse_sequence: str = ""
    acquisition_contrast: str = ""
    b_value: float | None = None
    body_part: str = ""
    named: frozenset[str] = frozenset()
    has_image: bool = True


@dataclass(frozen=True)
class Frame:
    """Place and identity of one slice image; None where the header is silent.

    `position_mm`, `row_direction` (growing column index) and `column_direction` (growing row index) are LPS;
    `pixel_spacing_mm` is (between rows, between columns). `frame_number` is 1-based, None in a single-frame file.
    """

    path: Path
    sop_instance_uid: str
    frame_number: int | None
    rows: int | None
    columns: int | None
    position_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, ...] | None
    slice_thickness_mm: float | None
    slice_spacing_mm: float | None
    rescale_slope: float
    rescale_intercept: float
    acquisition: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ImageFile:
    """The header of one file. `person` and `acquired`: see `volume.SeriesRef`."""

    path: Path
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    series_number: int | None
    acquired: str | None
    protocol: Protocol
    frames: tuple[Frame, ...]
    transfer_syntax_uid: str
    lossy: bool
    frame_of_reference_uid: str | None
    manufacturer: str
    model: str
    field_strength_t: float | None
    images_in_acquisition: int | None
    person: str | None = field(default=None, repr=False)


def read_header(path: Path) -> ImageFile:
    """Read one file's header, never its pixels.

    Raises
    ------
    One of `elements.PARSE_ERRORS` : the file is cut off or damaged, or lacks the UIDs that place it in a study.
    """
    with quiet_pydicom():
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER_TAGS), force=True)
        person = take_person(ds)
        uids = {k: text_of(ds, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")}
        if not all(uids.values()):
            raise InvalidDicomError(f"no {', '.join(k for k, v in uids.items() if not v)}")
        frame_groups = list(ds.get("PerFrameFunctionalGroupsSequence") or ())
        shared = _first(ds, "SharedFunctionalGroupsSequence")
        frames = _frames(ds, shared, frame_groups, path)
        series_number = number_of(ds, "SeriesNumber")
        in_acquisition = number_of(ds, "ImagesInAcquisition")
        return ImageFile(
            path=path,
            study_uid=uids["StudyInstanceUID"],
            series_uid=uids["SeriesInstanceUID"],
            sop_instance_uid=uids["SOPInstanceUID"],
            series_number=None if series_number is None else int(series_number),
            acquired=acquired(ds),
            protocol=_protocol(ds, shared, frame_groups[0] if frame_groups else Dataset()),
            frames=frames,
            transfer_syntax_uid=str(ds.file_meta.get("TransferSyntaxUID", "")),
            lossy=text_of(ds, "LossyImageCompression") == "01",
            frame_of_reference_uid=text_of(ds, "FrameOfReferenceUID") or None,
            manufacturer=text_of(ds, "Manufacturer"),
            model=text_of(ds, "ManufacturerModelName"),
            field_strength_t=number_of(ds, "MagneticFieldStrength"),
            images_in_acquisition=None if in_acquisition is None else int(in_acquisition),
            person=person,
        )


def _protocol(ds: Dataset, shared: Dataset, frame: Dataset) -> Protocol:
    """The acquisition of a file; enhanced files say it in functional groups (PS3.3 C.8.13.5)."""
    places = [ds, *chain.from_iterable(_groups(g, _ENHANCED_GROUPS) for g in (frame, shared))]

    def number(keyword: str) -> float | None:
        return next((v for place in places if (v := number_of(place, keyword)) is not None), None)

    def text(keyword: str) -> str:
        return next((v for place in places if (v := text_of(place, keyword))), "").upper()

    recovery = text("InversionRecovery")
    inversion = number("InversionTime")
    echo = number("EchoTime")
    named = " ".join(text_of(ds, k) for k in ("SeriesDescription", "ProtocolName")).lower()
    image_type = texts_of(ds, "ImageType") or next((t for p in places if (t := texts_of(p, "FrameType"))), ())
    return Protocol(
        modality=text("Modality"),
        sop_class_uid=text_of(ds, "SOPClassUID"),
        image_type=image_type,
        scanning_sequence=texts_of(ds, "ScanningSequence"),
        scan_options=texts_of(ds, "ScanOptions"),
        sequence_name=(text_of(ds, "SequenceName") or text_of(ds, "PulseSequenceName")).lower(),
        repetition_time_ms=number("RepetitionTime"),
        echo_time_ms=number("EffectiveEchoTime") if echo is None else echo,
        inversion_time_ms=number("InversionTimes") if inversion is None else inversion,
        inversion_recovery={"YES": True, "NO": False}.get(recovery),
        spectral_suppression=text("SpectrallySelectedSuppression"),
        echo_pulse_sequence=text("EchoPulseSequence"),
        acquisition_contrast=text("AcquisitionContrast"),
        b_value=number("DiffusionBValue"),
        body_part=text("BodyPartExamined"),
        named=frozenset(word for word, pattern in SEQUENCE_WORDS.items() if pattern.search(named)),
        has_image=number_of(ds, "Rows") is not None,
    )


_ENHANCED_GROUPS: Final = (
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRImageFrameTypeSequence",
    "MRDiffusionSequence",
)


def _groups(group: Dataset, keywords: Iterable[str]) -> Iterator[Dataset]:
    """The named functional groups that a shared or per-frame item holds."""
    for keyword in keywords:
        yield from list(group.get(keyword) or ())[:1]


def _frames(ds: Dataset, shared: Dataset, frame_groups: list[Dataset], path: Path) -> tuple[Frame, ...]:
    """Every slice image of a file: one, or one a functional group, or one a frame without geometry."""
    count = int(number_of(ds, "NumberOfFrames") or 1)
    uid = text_of(ds, "SOPInstanceUID")
    if frame_groups:
        return tuple(_enhanced_frame(ds, shared, g, path, uid, n) for n, g in enumerate(frame_groups, start=1))
    found = _frame(ds, [ds], path, uid, None, _differences(ds, ACQUISITION_TAGS))
    if count == 1:
        return (found,)
    # Many frames and one position at most: which slice lies where is not said.
    return tuple(_frame(ds, [Dataset()], path, uid, n, ()) for n in range(1, min(count, 10_000) + 1))


def _enhanced_frame(ds: Dataset, shared: Dataset, group: Dataset, path: Path, uid: str, number: int) -> Frame:
    keywords = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
    )
    places = [*_groups(group, keywords), *_groups(shared, keywords)]
    differences: list[tuple[str, str]] = []
    for keyword, tags in (
        ("FrameContentSequence", ("StackID", "TemporalPositionIndex", "FrameAcquisitionNumber")),
        ("MREchoSequence", ("EffectiveEchoTime",)),
        ("MRImageFrameTypeSequence", ("FrameType",)),
        ("MRModifierSequence", ("InversionTimes",)),
    ):
        for place in _groups(group, (keyword,)):
            differences += _differences(place, tags)
    return _frame(ds, places, path, uid, number, tuple(differences))


def _frame(
    ds: Dataset,
    places: list[Dataset],
    path: Path,
    uid: str,
    number: int | None,
    acquisition: tuple[tuple[str, str], ...],
) -> Frame:
    def numbers(keyword: str, count: int) -> tuple[float, ...] | None:
        return next((v for place in places if (v := numbers_of(place, keyword, count)) is not None), None)

    def stated(keyword: str, default: float | None = None) -> float | None:
        return next((v for place in places if (v := number_of(place, keyword)) is not None), default)

    rows, columns = number_of(ds, "Rows"), number_of(ds, "Columns")
    slope, intercept = stated("RescaleSlope", 1.0), stated("RescaleIntercept", 0.0)
    return Frame(
        path=path,
        sop_instance_uid=uid,
        frame_number=number,
        rows=None if rows is None else int(rows),
        columns=None if columns is None else int(columns),
        position_mm=numbers("ImagePositionPatient", 3),
        orientation=numbers("ImageOrientationPatient", 6),
        pixel_spacing_mm=numbers("PixelSpacing", 2),
        slice_thickness_mm=stated("SliceThickness"),
        slice_spacing_mm=stated("SpacingBetweenSlices"),
        rescale_slope=1.0 if slope is None else slope,
        rescale_intercept=0.0 if intercept is None else intercept,
        acquisition=acquisition,
    )


def _differences(place: Dataset, keywords: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((k, "\\".join(t)) for k in keywords if (t := texts_of(place, k)))


def _first(ds: Dataset, keyword: str) -> Dataset:
    return next(iter(ds.get(keyword) or ()), Dataset())
