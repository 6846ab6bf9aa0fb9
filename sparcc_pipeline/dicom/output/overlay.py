"""Make secondary captures of the cover and the six pictures, for viewers without segmentations or reports.

They are uncompressed RGB. Points and legend are part of the pixels; the patient's identity is not.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM, format_number_as_ds

from sparcc_pipeline.dicom.output.result_header import RESEARCH_ONLY, Kind, ResultHeader
from sparcc_pipeline.dicom.output.source_header import SourceImage

PATIENT_ORIENTATION: Final = ("L", "F")
"""Direction of growing columns and rows of a picture: to the patient's left and feet, for every stored orientation."""


COVER_NUMBER: Final = 1
"""InstanceNumber of the cover; the slices follow, anterior to posterior."""


def make_cover(header: ResultHeader, indices: tuple[int, ...], picture: NDArray[np.uint8]) -> Dataset:
    """Return the cover as a secondary capture.

    Parameters
    ----------
    indices : the scored slices
    picture : axes (rows, columns, 3), RGB
    """
    return _capture(header, indices, COVER_NUMBER, picture, f"SPARCC score. {RESEARCH_ONLY}.")


def make_overlay(
    header: ResultHeader, slice_index: int, number: int, picture: NDArray[np.uint8], pixels_per_mm: float
) -> Dataset:
    """Return the picture of one slice as a secondary capture.

    Parameters
    ----------
    slice_index : the slice in the picture
    number : 1 to 6, anterior to posterior
    picture : axes (rows, columns, 3), RGB
    pixels_per_mm : scale of the panels
    """
    what = f"Slice {slice_index + 1} with SPARCC points. {RESEARCH_ONLY}."
    capture = _capture(header, (slice_index,), COVER_NUMBER + number, picture, what)
    capture.PixelSpacing = [format_number_as_ds(1 / pixels_per_mm)] * 2
    return capture


def _capture(
    header: ResultHeader, indices: tuple[int, ...], number: int, picture: NDArray[np.uint8], what: str
) -> Dataset:
    images = [header.source.images[index] for index in indices]
    capture = SCImage.from_ref_dataset(
        ref_dataset=header.source.dataset_of(images[0]),
        pixel_array=np.ascontiguousarray(picture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=PATIENT_ORIENTATION,
        **header.common(Kind.OVERLAY, number),
    )
    made = header.origin.created_at
    capture.ConversionType = "WSD"
    capture.DateOfSecondaryCapture, capture.TimeOfSecondaryCapture = DA(made.date()), TM(made.time())
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = what
    capture.SourceImageSequence = [_source(image) for image in images]
    return capture


def _source(image: SourceImage) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    if image.frame_number is not None:
        source.ReferencedFrameNumber = image.frame_number
    return source
