"""Make the report as Encapsulated PDF, for viewers that show documents. Source: [DicomPS3.3] A.45.1."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage

from sparcc_pipeline.dicom.output.identity import REQUIRED_TEXTS
from sparcc_pipeline.dicom.output.result_header import RESEARCH_ONLY, Kind, ResultHeader

OF_IMAGES: Final = "PositionReferenceIndicator"
"""The one required text of a source that belongs to images only."""


def make_encapsulated_pdf(header: ResultHeader, pdf: bytes, indices: tuple[int, ...]) -> Dataset:
    """Return the report as one object of the source's study.

    Parameters
    ----------
    pdf : the file
    indices : the slices that the report is about
    """
    document = _series(header)
    made = header.origin.created_at
    document.SOPClassUID = EncapsulatedPDFStorage
    document.ConversionType = "WSD"
    document.ContentDate, document.ContentTime = f"{made:%Y%m%d}", f"{made:%H%M%S}"
    document.AcquisitionDateTime = None
    # A site may give its reports a label.
    document.BurnedInAnnotation = "YES"
    document.DocumentTitle = f"SPARCC report. {RESEARCH_ONLY}."
    document.ConceptNameCodeSequence = [header.codes["measurement_report"]]
    document.SourceInstanceSequence = _sources(header, indices)
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(pdf)
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    document.file_meta = FileMetaDataset()
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    document.file_meta.TransferSyntaxUID = header.common(Kind.REPORT)["transfer_syntax_uid"]
    return document


def _series(header: ResultHeader) -> Dataset:
    """Return patient, study, series and equipment."""
    identity, origin, common = header.source.identity.dataset(), header.origin, header.common(Kind.REPORT)
    made, document = origin.created_at, Dataset()
    for keyword in (*REQUIRED_TEXTS, "StudyInstanceUID"):
        if keyword != OF_IMAGES:
            document[keyword] = identity[keyword]
    document.Modality, document.SOPInstanceUID = "DOC", common["sop_instance_uid"]
    document.SeriesInstanceUID, document.SeriesNumber = common["series_instance_uid"], common["series_number"]
    document.SeriesDescription, document.InstanceNumber = common["series_description"], common["instance_number"]
    document.SeriesDate, document.SeriesTime = f"{made:%Y%m%d}", f"{made:%H%M%S}"
    document.Manufacturer, document.ManufacturerModelName = origin.software, origin.model
    document.DeviceSerialNumber, document.SoftwareVersions = origin.model_sha256, list(origin.versions)
    return document


def _sources(header: ResultHeader, indices: tuple[int, ...]) -> list[Dataset]:
    """Return references to the images, or to the one multi-frame file."""
    images = [header.source.images[index] for index in indices]
    found = []
    for uid, sop_class in {image.sop_instance_uid: image.sop_class_uid for image in images}.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        found.append(item)
    return found
