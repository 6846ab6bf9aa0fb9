"""Make secondary captures of the six pictures, for viewers without segmentations, reports or presentation states.

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

PATIENT_ORIENTATION: Final = ("L", "F")
"""Direction of growing columns and rows of a picture: to the patient's left and feet, for every stored orientation."""


def make_overlay(
    header: ResultHeader, slice_index: int, number: int, picture: NDArray[np.uint8], pixels_per_mm: float
) -> Dataset:
    """Return one picture as a secondary capture.

    Parameters
    ----------
    slice_index : the slice in the picture
    number : 1 to 6, anterior to posterior
    picture : axes (rows, columns, 3), RGB
    pixels_per_mm : scale of the panels
    """
    image = header.source.images[slice_index]
    capture = SCImage.from_ref_dataset(
        ref_dataset=header.source.dataset_of(image),
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
    capture.PixelSpacing = [format_number_as_ds(1 / pixels_per_mm)] * 2
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = f"Slice {slice_index} with SPARCC points. {RESEARCH_ONLY}."
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    if image.frame_number is not None:
        source.ReferencedFrameNumber = image.frame_number
    capture.SourceImageSequence = [source]
    return capture
