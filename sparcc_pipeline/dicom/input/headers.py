"""One DICOM file's header as plain, checked values.

Only the tags named here are read, so a person's name or birth date never enters memory (only `output/identity.py`
reads them, for DICOM results). PatientID is read, hashed at once to a fingerprint of four hexadecimal digits, and
dropped before anything else is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage, MRImageStorage

from sparcc_pipeline.dicom.guard.sizes import require_inflatable
from sparcc_pipeline.dicom.input.dates import acquired
from sparcc_pipeline.dicom.input.declared import DECLARED_TAGS, OVERLAY_TAGS, Declared, read_declared
from sparcc_pipeline.dicom.input.elements import (
    PERSON_TAG,
    has_decimal_comma,
    items_of,
    number_of,
    numbers_of,
    printable_name,
    quiet_pydicom,
    take_person,
    text_of,
    texts_of,
)
from sparcc_pipeline.dicom.input.missing_uids import HINTS, UID_TAGS, Uids, uids_of
from sparcc_pipeline.dicom.input.pixels import LAYOUT_TAGS, NativePixels, find_native_pixels
from sparcc_pipeline.dicom.input.protocol import (
    PROTOCOL_TAGS,
    UNASSIGNED,
    Protocol,
    functional_groups,
    read_protocol,
    states_protocol,
)

ACQUISITION_TAGS: Final = (
    "AcquisitionNumber",
    "EchoNumbers",
    "EchoTime",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "ImageType",
    "InversionTime",
)
"""Elements that may differ between two classic images at one position."""

_FRAME_TAGS: Final = (
    *("Rows", "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "InstanceNumber"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", *ACQUISITION_TAGS),
)
_FILE_TAGS: Final = (
    *(*UID_TAGS, *HINTS, "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "SeriesDate", "SeriesTime"),
    *("FrameOfReferenceUID", "Manufacturer", "ManufacturerModelName", "MagneticFieldStrength", "ImagesInAcquisition"),
    *("NumberOfSeriesRelatedInstances", "LossyImageCompression"),
)
HEADER_TAGS: Final = tuple(
    dict.fromkeys((*PROTOCOL_TAGS, *_FRAME_TAGS, *_FILE_TAGS, *LAYOUT_TAGS, *DECLARED_TAGS, PERSON_TAG))
)
_READ_TAGS: Final = [Tag(keyword) for keyword in HEADER_TAGS] + list(OVERLAY_TAGS)

MR_CLASSES: Final = frozenset({MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
GEOMETRY_TAGS: Final = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


@dataclass(frozen=True)
class Frame:
    """Place and identity of one slice image; None if the header does not state it.

    `position_mm`, `row_direction` (growing column index) and `column_direction` (growing row index) are LPS;
    `pixel_spacing_mm` is (between rows, between columns). `frame_number` is 1-based, None in a single-frame file;
    `number` is InstanceNumber of a single-frame file.
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
    protocol: Protocol = field(default=Protocol(), repr=False)
    number: int | None = None


@dataclass(frozen=True)
class ImageFile:
    """The header of one file. `person` and `acquired`: see `volume.SeriesRef`.

    `name_hash` is a hash of the series' name; `announced` is how many images its series has, as far as the header
    states it; `missing_uids` and `decimal_commas` name elements; `native_pixels` and `declared` serve `declared`.
    """

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
    declared: Declared | None = None
    person: str | None = field(default=None, repr=False)
    name_hash: str = ""
    announced: int | None = None
    missing_uids: tuple[str, ...] = ()
    decimal_commas: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The base name, printable."""
        return printable_name(self.path)


def read_header(path: Path) -> ImageFile:
    """Read one file's header, never its pixels.

    Raises
    ------
    One of `elements.PARSE_ERRORS` : the file is cut off or damaged, or states neither a class nor an image
    """
    with path.open("rb") as opened:
        return read_open_header(path, opened)


def read_open_header(path: Path, opened: BinaryIO) -> ImageFile:
    """Read the header of a file that is open at its beginning (see `read_header`)."""
    with quiet_pydicom():
        require_inflatable(opened)
        return _parsed(path, opened)


def _parsed(path: Path, opened: BinaryIO) -> ImageFile:
    ds = pydicom.dcmread(opened, stop_before_pixels=True, specific_tags=_READ_TAGS, force=True)
    person = take_person(ds)
    uids = uids_of(ds, person)
    _require_whole(ds, uids)
    frame_groups = items_of(ds, "PerFrameFunctionalGroupsSequence")
    shared = _first(ds, "SharedFunctionalGroupsSequence")
    frames = _frames(ds, shared, frame_groups, path, uids.instance)
    in_acquisition = _whole(ds, "ImagesInAcquisition")
    related = _whole(ds, "NumberOfSeriesRelatedInstances")
    name = "\\".join(text_of(ds, keyword) for keyword in ("SeriesDescription", "ProtocolName"))
    return ImageFile(
        path=path,
        study_uid=uids.study,
        series_uid=uids.series,
        sop_instance_uid=uids.instance,
        series_number=_whole(ds, "SeriesNumber"),
        acquired=acquired(ds),
        protocol=frames[0].protocol,
        frames=frames,
        transfer_syntax_uid=str(ds.file_meta.get("TransferSyntaxUID", "")),
        lossy=text_of(ds, "LossyImageCompression") == "01",
        frame_of_reference_uid=text_of(ds, "FrameOfReferenceUID") or None,
        manufacturer=text_of(ds, "Manufacturer"),
        model=text_of(ds, "ManufacturerModelName"),
        field_strength_t=number_of(ds, "MagneticFieldStrength"),
        images_in_acquisition=in_acquisition,
        native_pixels=find_native_pixels(ds, opened),
        declared=read_declared(ds),
        person=person,
        name_hash=hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8] if name.strip("\\") else "",
        announced=max((n for n in (in_acquisition, related) if n is not None), default=None),
        missing_uids=uids.missing,
        decimal_commas=tuple(k for k in GEOMETRY_TAGS if has_decimal_comma(ds, k)),
    )


def _require_whole(ds: Dataset, uids: Uids) -> None:
    """Refuse a header that was cut off: an MR image without size, or any object without UIDs and size."""
    sop_class = text_of(ds, "SOPClassUID")
    is_mr = sop_class in MR_CLASSES and text_of(ds, "Modality").upper() == "MR"
    if "Rows" not in ds and (not sop_class or uids.missing or is_mr):
        raise InvalidDicomError("the header is cut off")


def _whole(ds: Dataset, keyword: str) -> int | None:
    return None if (number := number_of(ds, keyword)) is None else int(number)


def _frames(ds: Dataset, shared: Dataset, frame_groups: list[Dataset], path: Path, uid: str) -> tuple[Frame, ...]:
    """Return every slice image of a file: one, or one a functional group, or one a frame without geometry."""
    count = int(number_of(ds, "NumberOfFrames") or 1)
    if frame_groups:
        return _enhanced_frames(ds, shared, frame_groups, path, uid)
    found = _frame(ds, [ds], path, uid, None, _differences(ds, ACQUISITION_TAGS))
    protocol = read_protocol(ds, shared, Dataset(), placed=_is_placed(found))
    found = replace(found, protocol=protocol, number=_whole(ds, "InstanceNumber") if count == 1 else None)
    if count == 1:
        return (found,)
    # With many frames and one position at most, the place of each slice is unknown.
    unplaced = replace(_frame(ds, [Dataset()], path, uid, None, ()), protocol=found.protocol)
    return tuple(replace(unplaced, frame_number=n) for n in range(1, min(count, 10_000) + 1))


def _is_placed(frame: Frame) -> bool:
    return None not in (frame.position_mm, frame.orientation, frame.pixel_spacing_mm)


def _enhanced_frames(
    ds: Dataset, shared: Dataset, frame_groups: list[Dataset], path: Path, uid: str
) -> tuple[Frame, ...]:
    """Return the frames of an enhanced object. Each has its own protocol if its groups state one: objects mix them."""
    frames = [_enhanced_frame(ds, shared, g, path, uid, n) for n, g in enumerate(frame_groups, start=1)]
    common = read_protocol(ds, shared, frame_groups[0], placed=_is_placed(frames[0]))
    return tuple(
        replace(frame, protocol=read_protocol(ds, shared, group, placed=_is_placed(frame)))
        if states_protocol(group)
        else replace(frame, protocol=common)
        for frame, group in zip(frames, frame_groups, strict=True)
    )


def _enhanced_frame(ds: Dataset, shared: Dataset, group: Dataset, path: Path, uid: str, number: int) -> Frame:
    keywords = (
        "PlanePositionSequence",
        "PlaneOrientationSequence",
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        *UNASSIGNED,
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
