"""Why an image of a study does not pass the de-identification, for its site and the coordinator."""

from __future__ import annotations

from sparcc_pipeline.dicom.deidentify.image import SetAside
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.message import Message


def undecodable(error: InputError) -> Message:
    """Return the reason of an image that cannot be de-identified, without the text of its file."""
    wrong = next((a for a in error.args if isinstance(a, Message) and "element" in a.fields), None)
    if wrong is not None:
        return Message(
            "the values of an image do not fit its {element} {stated}: the site should correct the header where it was "
            "written, or send the original images",
            element=wrong.fields["element"],
            stated=wrong.fields["stated"],
        )
    return Message("an image of this study is damaged or cannot be decoded: the site should send it again")


def burnt_in(aside: SetAside) -> Message:
    """Return the reason of an image that may hold text in its pixels: a person must look at it."""
    return Message(
        "an image of this study is held ({found}): look at the images in the identity folder, and release the study if "
        "they show no name",
        found=aside.reason,
    )
