"""The objects of a study that may pass the intake: MR images, and no pictures of screens."""

from __future__ import annotations

from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from sparcc_pipeline.dicom.input.elements import text_of, texts_of
from sparcc_pipeline.dicom.input.headers import MR_CLASSES
from sparcc_pipeline.message import Message

SCREEN_WORDS: Final = frozenset({"SCREEN SAVE", "SCREENSHOT", "POSDISP", "CSAPARALLEL", "CSA REPORT", "REPORT"})
"""Values of Image Type that mark a picture of a screen, into which names are often burnt."""


def refusal(source: Dataset) -> Message | None:
    """Return why an object can never pass: it is no MR image, or a picture of a screen; None if it may."""
    sop_class = text_of(source, "SOPClassUID")
    image_type = set(texts_of(source, "ImageType"))
    if sop_class not in MR_CLASSES:
        kind = UID_dictionary[sop_class][0] if sop_class in UID_dictionary else Message("of an unknown class")
        return Message("not an MR image: {kind}", kind=kind)
    if text_of(source, "Modality").upper() != "MR":
        return Message("its modality is not MR")
    if text_of(source, "ConversionType") or image_type & SCREEN_WORDS:
        return Message("a picture of a screen, which may hold a name")
    if texts_of(source, "PhotometricInterpretation")[:1] not in (("MONOCHROME1",), ("MONOCHROME2",)):
        return Message("a color picture, which may hold a name")
    if _overlay_in_pixels(source):
        return Message("a drawing or text lies in unused bits of the pixels")
    if "PixelData" not in source:
        return Message("no image in the file")
    return None


def is_burnt_in(source: Dataset) -> bool:
    """Return True if the image is marked as holding text burnt into the picture."""
    return text_of(source, "BurnedInAnnotation").upper() not in ("", "NO")


def _overlay_in_pixels(source: Dataset) -> bool:
    """Return True if bits of the pixels themselves hold an overlay (retired Overlay Bit Position, groups 6000-60FF)."""
    tags = [Tag(0x6000 + group, 0x0102) for group in range(0, 0x100, 2)]
    return any(source[tag].value not in (None, "", 0) for tag in tags if tag in source)
