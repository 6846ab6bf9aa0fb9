"""Why a study has no score, in words that a coordinator can act on."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.message import Message

WHAT_TO_DO: Final[Mapping[str, Message]] = {
    "SeriesNotFound": Message("No STIR series was found: the site should send the semicoronal STIR series"),
    "AmbiguousSeries": Message(
        "Several series could be the STIR series: the site should send only the one that counts"
    ),
    "NotStir": Message("The series is not STIR: the site should send the semicoronal STIR series"),
    "IncompleteSeries": Message("Slices are missing or doubled: the site should send the whole series again"),
    "Geometry": Message("The slices do not lie as one stack: the site should send the original series again"),
    "UnreadablePixels": Message("Images cannot be read: the site should export the study again, uncompressed"),
    "UnsafeArchive": Message("The archive is not safe to unpack: the site should send a plain zip or a folder"),
    "NotSemicoronal": Message(
        "The series is not semicoronal: the site should send the semicoronal one if there is one"
    ),
    "TooFewSlices": Message("Fewer than six slices show the joint: the site should say whether there are more"),
    "JointNotVisible": Message("A sacroiliac joint was not found: a reader should look at the images"),
    "ReferenceSignal": Message("A reference signal could not be measured: a reader should look at the images"),
    "Unscorable": Message("The method does not apply to these images: a reader should look at them"),
    "Registration": Message("The two visits cannot be laid on each other: a reader should compare them by eye"),
}
"""By the kind of the error, its class without `Error`."""

_UNKNOWN: Final = Message("The images were refused: a reader should look at them")


def kind_of(error: SparccError) -> str:
    """The kind of an error, as rows of a batch name it."""
    return type(error).__name__.removesuffix("Error")


def reason_of(kind: str | None, detail: str) -> Message:
    """What to do about a study that was refused, with the program's own sentence behind it.

    Parameters
    ----------
    kind : of the error (see `kind_of`)
    detail : its sentence, in English
    """
    return Message("{what} ({detail})", what=WHAT_TO_DO.get(kind or "", _UNKNOWN), detail=" ".join(detail.split()))


def failure_of(error: Exception) -> Message:
    """Why a step failed: the sentence of an error of ours; of any other only its kind and place, for it may quote."""
    if isinstance(error, SparccError):
        return Message("{error}", error=" ".join(str(error).split()))
    place = traceback.extract_tb(error.__traceback__)[-1]
    return Message(
        "a fault of the program: {kind} in {file}, line {line}; it should be reported with this line",
        kind=type(error).__name__, file=Path(place.filename).name, line=place.lineno,
    )  # fmt: skip
