"""Write a `Volume` as a DICOM series of MR images, for phantoms and tests.

Signal and geometry come from the volume. The rest of the header is invented in the style of one vendor, so that tests
cover the files that sites send: classic files or one enhanced multi-frame file, any stored orientation, any numbering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.dicom.vendor_headers import STIR_HEADERS, Contrast, Style, vendor_header
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.volume import FloatArray, StorageOrder, Volume

LARGEST_STORED: Final = 65535

_CLASSIC_ONLY: Final = frozenset(
    {"ScanningSequence", "SequenceVariant", "SequenceName", "RepetitionTime", "EchoTime", "InversionTime"}
)
"""Elements that an Enhanced MR Image holds in functional groups instead."""


@dataclass(frozen=True)
class _Stored:
    """Pixels in the order of the files, axes (slice, row, column), and the LPS geometry of each slice."""

    pixels: NDArray[np.uint16]
    positions_mm: FloatArray
    orientation: list[str]
    pixel_spacing: list[str]
    slice_spacing: str


def write_mr_series(
    volume: Volume,
    folder: Path,
    *,
    style: Style,
    patient_id: str,
    seed: str,
    stored: StorageOrder | None = None,
    reverse_instance_numbers: bool = False,
    enhanced: bool = False,
    series_number: int = 3,
    acquired: str = "2026-03-01",
    contrast: Contrast = "stir",
) -> list[Path]:
    """Write a volume as a STIR or T1-weighted series and return the files.

    Parameters
    ----------
    volume : signal from 0 to 65535; it is rounded to whole numbers
    folder : created if absent; existing files are never replaced
    style : the vendor to imitate
    patient_id : an invented number; it is also part of the patient's name
    seed : UIDs derive from it and from patient, day and series number; the same seed gives the same UIDs
    stored : order and direction of the axes (slice, row, column) in the files; source axis 0 must hold the slices.
        None keeps the order of the volume
    reverse_instance_numbers : InstanceNumber decreases from file to file
    enhanced : write one multi-frame file instead of one file per slice
    acquired : day, or day and time, of study, series and images: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS. Without a time,
        each series begins at 10:00 plus its series number in minutes. Another day is another study
    contrast : "t1" writes classic files only, into the study of the STIR series with the same seed, patient and day

    Raises
    ------
    ValueError : `acquired` is not a date, or `enhanced` is True for a T1
    OutputError : the signal is out of range, `stored` moves the slice axis, or a file cannot be written
    """
    if enhanced and contrast != "stir":
        raise ValueError("only STIR is written as one multi-frame file")
    header = vendor_header(style, contrast)
    layout = _layout(volume, stored or StorageOrder())
    count = len(layout.pixels)
    numbers = range(count, 0, -1) if reverse_instance_numbers else range(1, count + 1)
    begun = datetime.fromisoformat(acquired)
    if "T" not in acquired:
        begun = begun.replace(hour=10, minute=series_number % 60)
    common = _common(volume, style, header, patient_id, seed, series_number, begun)
    if enhanced:
        datasets = [_enhanced(common, layout, style, list(numbers))]
    else:
        datasets = [_classic(common, layout, style, header, index, number) for index, number in enumerate(numbers)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"IM_{index:04d}.dcm" for index in range(1, len(datasets) + 1)]
        for path, ds in zip(paths, datasets, strict=True):
            ds.save_as(path, enforce_file_format=True, overwrite=False)
    except OSError as error:
        raise OutputError(
            f"expected a writable folder without images of these names, found {error.strerror} ({folder.name}); "
            "choose another folder"
        ) from error
    return paths


def _layout(volume: Volume, order: StorageOrder) -> _Stored:
    """Return signal and geometry in the order of the files."""
    low, high = float(volume.signal.min()), float(volume.signal.max())
    if order.source_axis[0] != 0 or low < 0 or high > LARGEST_STORED:
        raise OutputError(
            f"expected slices on the first stored axis and signal of 0 to {LARGEST_STORED}, found axes "
            f"{order.source_axis} and signal of {low:g} to {high:g}; scale the signal or choose another order"
        )
    pixels = np.ascontiguousarray(order.to_source(np.rint(volume.signal).astype(np.uint16)))
    geometry = volume.geometry
    affine = geometry.affine
    # Position of the stored voxel [0, 0, 0] and the step of each stored axis, in mm.
    corner = [size - 1 if flip else 0 for size, flip in zip(geometry.shape, order.flipped, strict=True)]
    origin = (affine @ np.array([*corner, 1.0]))[:3]
    steps = np.empty((3, 3))
    for axis, source_axis in enumerate(order.source_axis):
        steps[source_axis] = affine[:3, axis] * (-1.0 if order.flipped[axis] else 1.0)
    lengths = np.linalg.norm(steps, axis=1)
    along_row, along_column = steps[2] / lengths[2], steps[1] / lengths[1]
    return _Stored(
        pixels=pixels,
        positions_mm=origin + np.outer(np.arange(len(pixels)), steps[0]),
        orientation=_decimals([*along_row, *along_column]),
        pixel_spacing=_decimals([lengths[1], lengths[2]]),
        slice_spacing=_decimals([lengths[0]])[0],
    )


def _decimals(numbers: list[Any]) -> list[str]:
    """Return decimal strings of at most 16 characters. Source: [DicomPS3.5] 6.2."""
    return [format_number_as_ds(float(n)) for n in numbers]


def _common(
    volume: Volume,
    style: Style,
    header: Mapping[str, Any],
    patient_id: str,
    seed: str,
    series_number: int,
    begun: datetime,
) -> Dataset:
    """Return the elements that all images share: patient, study, series, equipment and frame of reference."""
    day = f"{begun:%Y%m%d}"
    study_uid = derived_uid(seed, patient_id, day, "study")
    ds = Dataset()
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = f"Phantom^{patient_id}", patient_id, "", ""
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, derived_uid(study_uid, series_number, "series")
    ds.FrameOfReferenceUID = volume.geometry.frame_of_reference_uid or derived_uid(study_uid, "frame of reference")
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"{begun:%H%M%S}"
    ds.StudyID, ds.SeriesNumber, ds.AccessionNumber, ds.AcquisitionNumber = "1", series_number, "", 1
    ds.Modality, ds.BodyPartExamined, ds.PatientPosition = "MR", "PELVIS", "HFS"
    ds.ReferringPhysicianName, ds.PositionReferenceIndicator, ds.Laterality = "", "", ""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"] if style == "siemens" else ["ORIGINAL", "PRIMARY", "OTHER"]
    for keyword, value in header.items():
        if keyword not in _CLASSIC_ONLY:
            setattr(ds, keyword, value)
    return ds


def _pixels(ds: Dataset, pixels: NDArray[np.uint16]) -> None:
    """Set the Image Pixel module; `pixels` has axes (rows, columns) or (frames, rows, columns)."""
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = pixels.astype("<u2").tobytes()


def _file_meta(ds: Dataset) -> Dataset:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def _classic(
    common: Dataset, layout: _Stored, style: Style, header: Mapping[str, Any], index: int, number: int
) -> Dataset:
    """Return one slice as an MR Image."""
    ds = Dataset()
    ds.update(common)
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, derived_uid(common.SeriesInstanceUID, index)
    ds.InstanceNumber, ds.MRAcquisitionType, ds.ScanOptions, ds.EchoTrainLength = number, "2D", "", 15
    for keyword in sorted(_CLASSIC_ONLY & header.keys()):
        setattr(ds, keyword, header[keyword])
    ds.ImageOrientationPatient, ds.PixelSpacing = layout.orientation, layout.pixel_spacing
    ds.ImagePositionPatient = _decimals(list(layout.positions_mm[index]))
    ds.SliceThickness = _decimals([float(layout.slice_spacing) / 1.1])[0]
    ds.SpacingBetweenSlices = layout.slice_spacing
    if style == "philips":
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, 0, "normalized"
    _pixels(ds, layout.pixels[index])
    return _file_meta(ds)


def _enhanced(common: Dataset, layout: _Stored, style: Style, numbers: list[int]) -> Dataset:
    """Return the stack as one Enhanced MR Image. Source: [DicomPS3.3] A.36.2."""
    ds = Dataset()
    ds.update(common)
    ds.SOPClassUID, ds.SOPInstanceUID = EnhancedMRImageStorage, derived_uid(common.SeriesInstanceUID, "enhanced")
    ds.InstanceNumber, ds.NumberOfFrames = 1, len(layout.pixels)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "WHOLE BODY", "NONE"]
    ds.AcquisitionDateTime = str(common.AcquisitionDate) + str(common.AcquisitionTime)
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.ComplexImageComponent, ds.AcquisitionContrast, ds.ContentQualification = "MAGNITUDE", "STIR", "RESEARCH"
    ds.EchoPulseSequence, ds.MRAcquisitionType, ds.MultiPlanarExcitation = "SPIN", "2D", "NO"
    ds.PulseSequenceName, ds.BurnedInAnnotation, ds.LossyImageCompression = "STIR", "NO", "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.DimensionOrganizationSequence = Sequence([_item(DimensionOrganizationUID=derived_uid(ds.SOPInstanceUID, "dim"))])
    ds.SharedFunctionalGroupsSequence = Sequence([_shared_groups(layout, style)])
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame_groups(layout, index, number) for index, number in enumerate(numbers)]
    )
    _pixels(ds, layout.pixels)
    return _file_meta(ds)


def _item(**elements: Any) -> Dataset:
    """Return a sequence item with these elements."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _shared_groups(layout: _Stored, style: Style) -> Dataset:
    """Return the functional groups that all frames share. Source: [DicomPS3.3] C.7.6.16.2 and C.8.13.5."""
    header = STIR_HEADERS[style]
    return _item(
        PixelMeasuresSequence=[
            _item(
                PixelSpacing=layout.pixel_spacing,
                SliceThickness=_decimals([float(layout.slice_spacing) / 1.1])[0],
                SpacingBetweenSlices=layout.slice_spacing,
            )
        ],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=layout.orientation)],
        MRImageFrameTypeSequence=[
            _item(
                FrameType=["ORIGINAL", "PRIMARY", "WHOLE BODY", "NONE"],
                PixelPresentation="MONOCHROME",
                VolumetricProperties="VOLUME",
                VolumeBasedCalculationTechnique="NONE",
                ComplexImageComponent="MAGNITUDE",
                AcquisitionContrast="STIR",
            )
        ],
        MRTimingAndRelatedParametersSequence=[_item(RepetitionTime=header["RepetitionTime"], EchoTrainLength=15)],
        MREchoSequence=[_item(EffectiveEchoTime=float(str(header["EchoTime"])))],
        MRModifierSequence=[
            _item(
                InversionRecovery="YES",
                InversionTimes=float(str(header["InversionTime"])),
                SpectrallySelectedSuppression="NONE",
            )
        ],
    )


def _frame_groups(layout: _Stored, index: int, number: int) -> Dataset:
    """Return the functional groups of one frame."""
    return _item(
        FrameContentSequence=[_item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[number])],
        PlanePositionSequence=[_item(ImagePositionPatient=_decimals(list(layout.positions_mm[index])))],
        PixelValueTransformationSequence=[_item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")],
    )
