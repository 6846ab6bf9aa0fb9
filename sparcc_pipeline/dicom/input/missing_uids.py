"""UIDs of images that lost theirs, for instance in a de-identification.

An image without StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID can be read, so it is grouped by what its header
still states. The same header gives the same UID, wherever it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from sparcc_pipeline.dicom.input.elements import PERSON_TAG, fingerprint, text_of
from sparcc_pipeline.dicom.uids import derived_uid

UID_TAGS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

STUDY_HINTS: Final = ("StudyDate", "StudyTime")
SERIES_HINTS: Final = (
    *("SeriesNumber", "SeriesDescription", "ProtocolName", "ImageOrientationPatient", "SequenceName"),
    *("RepetitionTime", "EchoTime", "InversionTime"),
)
IMAGE_HINTS: Final = (
    *("InstanceNumber", "ImagePositionPatient", "ImageType", "AcquisitionNumber", "EchoNumbers"),
    "TemporalPositionIdentifier",
)
HINTS: Final = (*STUDY_HINTS, *SERIES_HINTS, *IMAGE_HINTS)
"""Elements from which a missing UID is derived."""


@dataclass(frozen=True)
class Uids:
    """UIDs of study, series and image; `missing` names the elements that were absent or empty, in the same order."""

    study: str
    series: str
    instance: str
    missing: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, str, str]:
        """Study, series and image."""
        return self.study, self.series, self.instance


def uids_of(ds: Dataset, person: str | None = None) -> Uids:
    """Return the UIDs of an image, derived if they are missing.

    Parameters
    ----------
    ds : a header with `UID_TAGS` and `HINTS`
    person : fingerprint of PatientID if it was taken from `ds` (`elements.take_person`)
    """
    study, series, instance = (text_of(ds, keyword) for keyword in UID_TAGS)
    if study and series and instance:
        return Uids(study, series, instance)
    missing = tuple(k for k, uid in zip(UID_TAGS, (study, series, instance), strict=True) if not uid)
    person = person or fingerprint(text_of(ds, PERSON_TAG)) or ""
    study = study or _derived(ds, STUDY_HINTS, "study", person)
    series = series or _derived(ds, SERIES_HINTS, "series", study)
    instance = instance or _derived(ds, IMAGE_HINTS, "image", series)
    return Uids(study, series, instance, missing)


def _derived(ds: Dataset, hints: tuple[str, ...], kind: str, above: str) -> str:
    return derived_uid(f"sparcc missing {kind}", above, *(text_of(ds, keyword) for keyword in hints))
