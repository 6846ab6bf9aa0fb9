"""The elements that all DICOM results share: series, software, model, UIDs and times."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final

from highdicom.content import AlgorithmIdentificationSequence
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from sparcc_pipeline.dicom.output.codes import CodeTable
from sparcc_pipeline.dicom.output.identity import INHERITED_TEXTS
from sparcc_pipeline.dicom.output.source_header import SourceHeader
from sparcc_pipeline.dicom.uids import ResultUids

RESEARCH_ONLY: Final = "Research use only, not for diagnostic use"


DOCUMENTS: Final = ("SR", "DOC")
"""Modalities of objects that have no body part."""


class Kind(Enum):
    """Series of results: number and description. Scanners do not use such high numbers.

    Viewers cut descriptions at about 20 characters, so a short one is first.
    """

    SEGMENTATION = (9101, "SPARCC bones")
    SCORE = (9102, "SPARCC score")
    VOLUMES = (9103, "SPARCC volumes")
    OVERLAY = (9104, "SPARCC pictures")
    PRESENTATION = (9105, "SPARCC marks")
    READING = (9106, "SPARCC reading")
    REPORT = (9107, "SPARCC report")

    @property
    def series_number(self) -> int:
        """SeriesNumber of the series."""
        return self.value[0]

    @property
    def description(self) -> str:
        """SeriesDescription with the research note."""
        return f"{self.value[1]} (research only)"


@dataclass(frozen=True)
class Origin:
    """Software, model, settings and input of a result, and its local time."""

    software: str
    software_version: str
    model: str
    model_version: str
    model_sha256: str
    settings_sha256: str
    input_sha256: str
    created_at: datetime

    @property
    def versions(self) -> tuple[str, str]:
        """Values of SoftwareVersions."""
        return f"{self.software} {self.software_version}", f"{self.model} {self.model_version}"

    @property
    def parameters(self) -> dict[str, str]:
        """Hashes that identify the model and the settings."""
        return {"model sha256": self.model_sha256, "settings sha256": self.settings_sha256}


@dataclass(frozen=True)
class ResultHeader:
    """The header of every object of one result."""

    source: SourceHeader
    origin: Origin
    uids: ResultUids
    codes: CodeTable

    def common(self, kind: Kind, number: int = 1) -> dict[str, Any]:
        """Return the arguments that all constructors of highdicom share, for the object `number` (from 1)."""
        return {
            "series_instance_uid": self.uids.series(kind.name),
            "series_number": kind.series_number,
            "series_description": kind.description,
            "sop_instance_uid": self.uids.instance(kind.name, number),
            "instance_number": number,
            "manufacturer": self.origin.software,
            "manufacturer_model_name": self.origin.model,
            "software_versions": list(self.origin.versions),
            "device_serial_number": self.origin.model_sha256,
            "content_date": self.origin.created_at.date(),
            "content_time": self.origin.created_at.time(),
            "series_date": self.origin.created_at.date(),
            "series_time": self.origin.created_at.time(),
            "transfer_syntax_uid": ExplicitVRLittleEndian,
            # `encode` sets it: highdicom does not accept every character set.
            "specific_character_set": None,
        }

    def algorithm(self) -> AlgorithmIdentificationSequence:
        """Return algorithm and model version, for image objects."""
        return AlgorithmIdentificationSequence(
            name=self.origin.model,
            family=self.codes["artificial_intelligence"],
            version=self.origin.model_version,
            source=self.origin.software,
            parameters=self.origin.parameters,
        )

    def encode(self, ds: Dataset) -> bytes:
        """Return the object as a file, with the time of the result and the character set of the source."""
        made = self.origin.created_at
        ds.InstanceCreationDate, ds.InstanceCreationTime = f"{made:%Y%m%d}", f"{made:%H%M%S}"
        identity = self.source.identity.dataset()
        for keyword in INHERITED_TEXTS:
            # highdicom copies only some of them, for secondary captures even fewer.
            if keyword in identity:
                ds[keyword] = identity[keyword]
        for equipment in ds.get("ContributingEquipmentSequence", ()):
            if "ContributionDateTime" in equipment:
                equipment.ContributionDateTime = f"{made:%Y%m%d%H%M%S}"
        if ds.Modality not in DOCUMENTS:
            # An unpaired body part needs no Laterality.
            ds.BodyPartExamined = "PELVIS"
        character_set = list(self.source.identity.character_set)
        if character_set:
            ds.SpecificCharacterSet = character_set
        buffer = io.BytesIO()
        ds.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()
