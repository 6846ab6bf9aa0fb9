"""Read the identity of a source and the positions of its images, for the DICOM results.

Pixels are left out, so a study's files may be removed before its results are written.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from sparcc_pipeline.dicom.input.discover import SeriesCandidate
from sparcc_pipeline.dicom.input.headers import Frame
from sparcc_pipeline.dicom.input.stack import order_frames
from sparcc_pipeline.dicom.output.identity import Identity, read_identity
from sparcc_pipeline.errors import AmbiguousSeriesError, GeometryError, InputError
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import Volume


@dataclass(frozen=True)
class SourceImage:
    """One slice of the source: UIDs, position in LPS mm and, in multi-frame files, the frame number from 1."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    position_mm: tuple[float, float, float]
    rescale: tuple[float, float]


@dataclass(frozen=True)
class SourceHeader:
    """The source of a result: its images, geometry and identity.

    Parameters
    ----------
    images : one for each slice, anterior to posterior
    orientation : direction cosines of growing column and growing row index, as stored
    pixel_spacing_mm : (between rows, between columns), as stored
    size : (rows, columns), as stored
    identity : for use inside this package only; `repr` does not show it
    completed : one line for each element that was missing or not valid in the source, without its value
    """

    images: tuple[SourceImage, ...] = field(repr=False)
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, float]
    size: tuple[int, int]
    slice_thickness_mm: float
    slice_spacing_mm: float
    identity: Identity
    completed: tuple[str, ...]

    @property
    def accession(self) -> str:
        """AccessionNumber of the source; empty where it has none."""
        return str(self.identity.dataset().get("AccessionNumber", "") or "")

    @property
    def is_multiframe(self) -> bool:
        """True if all slices are frames of one file."""
        return self.images[0].frame_number is not None

    def datasets(self) -> list[Dataset]:
        """Return headers for highdicom: one for each slice, anterior to posterior, or one for a multi-frame file."""
        if self.is_multiframe:
            return [self._multiframe_dataset()]
        found = []
        for image in self.images:
            ds = self.dataset_of(image)
            ds.ImageOrientationPatient, ds.PixelSpacing = _decimals(self.orientation), _decimals(self.pixel_spacing_mm)
            ds.ImagePositionPatient = _decimals(image.position_mm)
            ds.SliceThickness, ds.SpacingBetweenSlices = _decimals((self.slice_thickness_mm, self.slice_spacing_mm))
            found.append(ds)
        return found

    def dataset_of(self, image: SourceImage) -> Dataset:
        """Return identity, class and size of one image, without its position."""
        ds = self.identity.dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
        ds.Modality, ds.SamplesPerPixel, (ds.Rows, ds.Columns) = "MR", 1, self.size
        return ds

    def _multiframe_dataset(self) -> Dataset:
        """Return a header with only the functional groups that position the frames, in the order of the file."""
        ds, shared, measures, plane = self.dataset_of(self.images[0]), Dataset(), Dataset(), Dataset()
        measures.PixelSpacing = _decimals(self.pixel_spacing_mm)
        measures.SliceThickness, measures.SpacingBetweenSlices = _decimals(
            (self.slice_thickness_mm, self.slice_spacing_mm)
        )
        plane.ImageOrientationPatient = _decimals(self.orientation)
        shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
        ds.SharedFunctionalGroupsSequence = [shared]
        groups = []
        for image in sorted(self.images, key=lambda i: i.frame_number or 0):
            group, position = Dataset(), Dataset()
            position.ImagePositionPatient = _decimals(image.position_mm)
            group.PlanePositionSequence = [position]
            groups.append(group)
        ds.PerFrameFunctionalGroupsSequence, ds.NumberOfFrames = groups, len(groups)
        return ds


def _decimals(numbers: tuple[float, ...]) -> list[str]:
    """Return decimal strings of at most 16 characters. Source: [DicomPS3.5] 6.2."""
    return [format_number_as_ds(float(n)) for n in numbers]


def read_source_header(candidate: SeriesCandidate, volume: Volume) -> SourceHeader:
    """Read the header for DICOM results of `volume` from the files of its series.

    Raises
    ------
    AmbiguousSeriesError : the slices are in several multi-frame files
    InputError : an image has no UID, or the series uses only some frames of its file
    GeometryError : an image has no position
    UnreadablePixelsError : the first file is missing or damaged
    """
    ordered = order_frames(candidate)
    frames = ordered.frames[::-1] if volume.storage.flipped[0] else ordered.frames
    _require_referable(frames, candidate)
    classes = {file.sop_instance_uid: file.protocol.sop_class_uid for file in candidate.files}
    identity = read_identity(frames[0].path, candidate.study_uid, candidate.series_uid)
    first, spacing, completed = frames[0], round(volume.geometry.spacing_mm[0], 4), list(identity.completed)
    if first.slice_thickness_mm is None:
        completed.append("SliceThickness: missing, set to the distance between slices")
    return SourceHeader(
        images=tuple(_image(frame, classes[frame.sop_instance_uid]) for frame in frames),
        orientation=first.orientation or (),
        pixel_spacing_mm=_pair(first.pixel_spacing_mm),
        size=(first.rows or 0, first.columns or 0),
        slice_thickness_mm=spacing if first.slice_thickness_mm is None else first.slice_thickness_mm,
        slice_spacing_mm=spacing,
        identity=identity,
        completed=tuple(completed),
    )


def _pair(values: tuple[float, ...] | None) -> tuple[float, float]:
    if values is None:
        raise GeometryError("expected PixelSpacing in every image, found none; export the original images")
    return values[0], values[1]


def _require_referable(frames: tuple[Frame, ...], candidate: SeriesCandidate) -> None:
    """Refuse images that results cannot refer to: derived UIDs, some frames of a file, or several multi-frame files."""
    uids = {frame.sop_instance_uid for frame in frames}
    multiframe = any(frame.frame_number is not None for frame in frames)
    if multiframe and len(uids) > 1:
        raise AmbiguousSeriesError(
            Message(
                "expected one multi-frame file for DICOM results, found the slices in {count} files of {series}; leave "
                "--dicom out, or send the series as one image a file",
                count=len(uids),
                series=candidate.describe(),
            )
        )
    missing = sorted({keyword for file in candidate.files for keyword in file.missing_uids})
    if missing:
        raise InputError(
            Message(
                "expected UIDs in every image for DICOM results that refer to them, found {keywords} missing in "
                "{series}; leave --dicom out, or send images with UIDs",
                keywords=tuple(missing),
                series=candidate.describe(),
            )
        )
    if multiframe and sorted(frame.frame_number or 0 for frame in frames) != list(range(1, len(frames) + 1)):
        raise InputError(
            Message(
                "expected all frames of the file in the stack for DICOM results, found {count} frames of other images "
                "left out of {series}; leave --dicom out, or send the series as one image a file",
                count=len(candidate.left_out),
                series=candidate.describe(),
            )
        )


def _image(frame: Frame, sop_class_uid: str) -> SourceImage:
    if frame.position_mm is None:
        raise GeometryError("expected ImagePositionPatient in every image, found none; export the original images")
    x, y, z = frame.position_mm
    rescale = (frame.rescale_slope, frame.rescale_intercept)
    return SourceImage(sop_class_uid, frame.sop_instance_uid, frame.frame_number, (x, y, z), rescale)
