"""A `Volume` -> MR images in DICOM, for phantoms and tests.

Signal and geometry are the volume's own. The rest of the header is invented in the manner of one vendor, so that a
reader meets what sites send: classic files or one enhanced multi-frame file, any stored orientation, any numbering.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import format_number_as_ds

from sparcc_pipeline.dicom.uids import derived_uid
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.volume import FloatArray, StorageOrder, Volume

Style = Literal["siemens", "ge", "philips"]
Contrast = Literal["stir", "t1"]

LARGEST_STORED: Final = 65535

STIR_HEADERS: Final = MappingProxyType(
    {
        "siemens": MappingProxyType(
            {
                "Manufacturer": "SIEMENS",
                "ManufacturerModelName": "Aera",
                "MagneticFieldStrength": 1.5,
                "SeriesDescription": "t2_tirm_cor_obl",
                "ProtocolName": "t2_tirm_cor_obl",
                "ScanningSequence": ["SE", "IR"],
                "SequenceVariant": ["SK", "SP", "OSP"],
                "SequenceName": "*tir2d1_15",
                "RepetitionTime": 4560,
                "EchoTime": 38,
                "InversionTime": 150,
            }
        ),
        "ge": MappingProxyType(
            {
                "Manufacturer": "GE MEDICAL SYSTEMS",
                "ManufacturerModelName": "SIGNA Pioneer",
                "MagneticFieldStrength": 3,
                "SeriesDescription": "OCor STIR",
                "ProtocolName": "SIJ",
                "ScanningSequence": ["SE", "IR"],
                "SequenceVariant": "SK",
                "RepetitionTime": 5120,
                "EchoTime": 42,
                "InversionTime": 200,
            }
        ),
        "philips": MappingProxyType(
            {
                "Manufacturer": "Philips Medical Systems",
                "ManufacturerModelName": "Ingenia",
                "MagneticFieldStrength": 3,
                "SeriesDescription": "STIR_TSE_COR",
                "ProtocolName": "STIR_TSE_COR",
                "ScanningSequence": "IR",
                "SequenceVariant": "SK",
                "RepetitionTime": 4800,
                "EchoTime": 60,
                "InversionTime": 210,
            }
        ),
    }
)
"""Invented STIR headers in the manner of three vendors; times are the documented default."""

T1_HEADER: Final = MappingProxyType(
    {
        "SeriesDescription": "t1_tse_cor_obl",
        "ProtocolName": "t1_tse_cor_obl",
        "ScanningSequence": "SE",
        "SequenceVariant": ["SK", "SP", "OSP"],
        "SequenceName": "*tse2d1_3",
        "RepetitionTime": 560,
        "EchoTime": 11,
        "InversionTime": None,
    }
)
"""What a T1-weighted series of any vendor has instead."""

_CLASSIC_ONLY: Final = frozenset(
    {"ScanningSequence", "SequenceVariant", "SequenceName", "RepetitionTime", "EchoTime", "InversionTime"}
)


@dataclass(frozen=True)
class _Stored:
    """The stack as it goes into the files: axes (slice, row, column), and LPS geometry of each slice."""

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
    volume : signal of 0 to 65535, rounded to whole numbers
    folder : made if absent; a file of the same name is never replaced
    style : whose header to imitate
    patient_id : an invented number; the patient's name is made from it
    seed : UIDs are derived from it (and from patient, day and series number): one seed, one set of UIDs
    stored : how the files hold the axes (slice, row, column); source axis 0 must hold the slices. None: as they are
    reverse_instance_numbers : count InstanceNumber against the order of the files
    enhanced : one multi-frame file instead of one file a slice
    acquired : day, or day and time, of study, series and images: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS. Without a time it
        is after 10:00, in the order of series numbers. Another day is another study
    contrast : "t1" writes classic files only, into the study of the STIR series with the same seed, patient and day

    Raises
    ------
    ValueError : `acquired` is no date, or an enhanced T1 is asked for
    OutputError : the signal does not fit, `stored` moves the slice axis, or a file cannot be written
    """
    if enhanced and contrast != "stir":
        raise ValueError("only STIR is written as one multi-frame file")
    header = _header(style, contrast)
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


def _header(style: Style, contrast: Contrast) -> Mapping[str, Any]:
    """The vendor's header for this contrast; what the contrast does not have is left out."""
    header = STIR_HEADERS[style] if contrast == "stir" else {**STIR_HEADERS[style], **T1_HEADER}
    return {keyword: value for keyword, value in header.items() if value is not None}


def _layout(volume: Volume, order: StorageOrder) -> _Stored:
    """Bring signal and geometry into the order of the files."""
    low, high = float(volume.signal.min()), float(volume.signal.max())
    if order.source_axis[0] != 0 or low < 0 or high > LARGEST_STORED:
        raise OutputError(
            f"expected slices on the first stored axis and signal of 0 to {LARGEST_STORED}, found axes "
            f"{order.source_axis} and signal of {low:g} to {high:g}; scale the signal or choose another order"
        )
    pixels = np.ascontiguousarray(order.to_source(np.rint(volume.signal).astype(np.uint16)))
    geometry = volume.geometry
    affine = geometry.affine
    # Index of stored voxel [0, 0, 0] in the project's axes, and the step of each stored axis.
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
    """Decimal strings of at most 16 characters ([DicomPS3.5] 6.2)."""
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
    """Patient, study, series, equipment and frame of reference."""
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
    """The image pixel module for (rows, columns) or (frames, rows, columns)."""
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
    """One slice as MR Image Storage."""
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
    """The stack as one Enhanced MR Image ([DicomPS3.3] A.36.2)."""
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
    """A sequence item with these elements."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _shared_groups(layout: _Stored, style: Style) -> Dataset:
    """Functional groups that hold for all frames ([DicomPS3.3] C.7.6.16.2 and C.8.13.5)."""
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
    """Functional groups of one frame."""
    return _item(
        FrameContentSequence=[_item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[number])],
        PlanePositionSequence=[_item(ImagePositionPatient=_decimals(list(layout.positions_mm[index])))],
        PixelValueTransformationSequence=[_item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")],
    )
