"""One DICOM file's header as plain, checked values.

Only the tags named here are read, so a person's name or birth date never enters memory (only `identity.py` reads
them, for DICOM results). PatientID is read, at once hashed to a fingerprint of four hexadecimal digits, and dropped
before anything else is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.elements import (
    PERSON_TAG,
    acquired,
    items_of,
    number_of,
    numbers_of,
    quiet_pydicom,
    take_person,
    text_of,
    texts_of,
)
from sparcc_pipeline.dicom.input.pixels import LAYOUT_TAGS, NativePixels, find_native_pixels
from sparcc_pipeline.dicom.input.protocol import PROTOCOL_TAGS, Protocol, functional_groups, read_protocol

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
HEADER_TAGS: Final = tuple(dict.fromkeys((*PROTOCOL_TAGS, *_FRAME_TAGS, *_FILE_TAGS, *LAYOUT_TAGS, PERSON_TAG)))
_READ_TAGS: Final = [Tag(keyword) for keyword in HEADER_TAGS]


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
    native_pixels: NativePixels | None = None
    person: str | None = field(default=None, repr=False)


def read_header(path: Path) -> ImageFile:
    """Read one file's header, never its pixels.

    Raises
    ------
    One of `elements.PARSE_ERRORS` : the file is cut off or damaged, or lacks the UIDs that place it in a study.
    """
    with quiet_pydicom(), path.open("rb") as opened:
        require_inflatable(opened)
        ds = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=_READ_TAGS, force=True)
        person = take_person(ds)
        uids = {k: text_of(ds, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")}
        if not all(uids.values()):
            raise InvalidDicomError(f"no {', '.join(k for k, v in uids.items() if not v)}")
        frame_groups = items_of(ds, "PerFrameFunctionalGroupsSequence")
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
            protocol=read_protocol(ds, shared, frame_groups[0] if frame_groups else Dataset()),
            frames=frames,
            transfer_syntax_uid=str(ds.file_meta.get("TransferSyntaxUID", "")),
            lossy=text_of(ds, "LossyImageCompression") == "01",
            frame_of_reference_uid=text_of(ds, "FrameOfReferenceUID") or None,
            manufacturer=text_of(ds, "Manufacturer"),
            model=text_of(ds, "ManufacturerModelName"),
            field_strength_t=number_of(ds, "MagneticFieldStrength"),
            images_in_acquisition=None if in_acquisition is None else int(in_acquisition),
            native_pixels=find_native_pixels(ds, opened),
            person=person,
        )


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
    places = [*functional_groups(group, keywords), *functional_groups(shared, keywords)]
    differences: list[tuple[str, str]] = []
    for keyword, tags in (
        ("FrameContentSequence", ("StackID", "TemporalPositionIndex", "FrameAcquisitionNumber")),
        ("MREchoSequence", ("EffectiveEchoTime",)),
        ("MRImageFrameTypeSequence", ("FrameType",)),
        ("MRModifierSequence", ("InversionTimes",)),
    ):
        for place in functional_groups(group, (keyword,)):
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
    return next(iter(items_of(ds, keyword)), Dataset())
