"""List the studies of a PACS, and get them by C-MOVE or DICOMweb.

Answers of a PACS identify patients, so only the intake queries, and it keeps the answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
)

from sparcc_pipeline.dicom.input.elements import PARSE_ERRORS, quiet_pydicom, text_of
from sparcc_pipeline.dicom.network.send import Entity, WebService
from sparcc_pipeline.errors import ConfigError, OutputError

_FIND: Final = StudyRootQueryRetrieveInformationModelFind
_MOVE: Final = StudyRootQueryRetrieveInformationModelMove
_PENDING: Final = (0xFF00, 0xFF01)
_DESTINATION_UNKNOWN: Final = 0xA801
_ASKED: Final = ("StudyInstanceUID", "PatientID", "AccessionNumber", "StudyDate", "NumberOfStudyRelatedInstances")
_PAGE: Final = 200
MOST_STUDIES: Final = 2000
"""Most studies in an answer; more means that the query was wrong."""


@dataclass(frozen=True)
class RemoteStudy:
    """A study as a PACS lists it; `count` is its number of images, None if the PACS does not state it."""

    study_uid: str = field(repr=False)
    patient_id: str = field(repr=False)
    accession: str = field(repr=False)
    study_date: str = field(repr=False)
    count: int | None


@dataclass(frozen=True)
class Query:
    """The studies to list: MR of these days, or one by its accession number."""

    first: date | None = None
    last: date | None = None
    accession: str = field(default="", repr=False)

    @property
    def days(self) -> str:
        """The days as a DICOM range of dates; empty if not both are set."""
        return f"{self.first:%Y%m%d}-{self.last:%Y%m%d}" if self.first and self.last else ""


@dataclass(frozen=True)
class Caller:
    """Our application entity title, and the longest wait for one answer."""

    title: str
    timeout_s: float


def list_studies(entity: Entity, caller: Caller, queries: Sequence[Query]) -> list[RemoteStudy]:
    """Return the studies that a PACS lists by C-FIND, each once.

    Raises
    ------
    OutputError : it cannot be reached, or refuses; may be tried again
    """
    found: dict[str, RemoteStudy] = {}
    association = _associate(entity, caller, _FIND)
    try:
        with quiet_pydicom():
            for query in queries:
                for status, answer in association.send_c_find(_identifier(query), _FIND):
                    if "Status" not in status or (status.Status not in _PENDING and status.Status != 0):
                        raise _refused(entity, "C-FIND", status)
                    if answer is not None:
                        _note(found, answer)
    except RuntimeError as error:
        raise _refused(entity, "C-FIND", Dataset()) from error
    finally:
        association.release()
    return list(found.values())


def move_study(entity: Entity, caller: Caller, study_uid: str, destination: str) -> int | None:
    """Have a PACS send a study to the node with the title `destination`; return the number of images that it reports.

    Raises
    ------
    OutputError : it cannot be reached, does not know the destination, or could not send all; may be tried again
    """
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study_uid
    association = _associate(entity, caller, _MOVE)
    last = Dataset()
    try:
        with quiet_pydicom():
            for status, _ in association.send_c_move(query, destination, _MOVE):
                last = status
    except RuntimeError as error:
        raise _refused(entity, "C-MOVE", last) from error
    finally:
        association.release()
    if last.get("Status") == _DESTINATION_UNKNOWN:
        raise OutputError(
            f"expected {entity} to know {destination!r} as a destination, found that it does not; ask the "
            "administrator of the PACS to add it with our host and port"
        )
    if last.get("Status") != 0 or last.get("NumberOfFailedSuboperations"):
        raise _refused(entity, "C-MOVE", last)
    completed = last.get("NumberOfCompletedSuboperations")
    return None if completed is None else int(completed)


def list_web_studies(service: WebService, caller: Caller, queries: Sequence[Query]) -> list[RemoteStudy]:
    """Return the studies that a DICOMweb service lists by QIDO-RS, each once.

    Raises
    ------
    ConfigError : the URL is not valid
    OutputError : it cannot be reached, or refuses; may be tried again
    """
    client, found = _client(service, caller), dict[str, RemoteStudy]()
    for query in queries:
        filters = {"ModalitiesInStudy": "MR"} | ({"StudyDate": query.days} if query.days else {})
        if query.accession:
            filters = {"AccessionNumber": query.accession}
        try:
            with quiet_pydicom():
                _list_pages(client, filters, found)
        except (requests.RequestException, *PARSE_ERRORS) as error:
            raise _web_fault(service, error) from None
    return list(found.values())


def _list_pages(client: DICOMwebClient, filters: dict[str, str], found: dict[str, RemoteStudy]) -> None:
    """Read all pages of an answer; stop at a page without a new study, as some services repeat a page forever."""
    offset = 0
    while True:
        before = len(found)
        answers = client.search_for_studies(search_filters=filters, fields=list(_ASKED), limit=_PAGE, offset=offset)
        for answer in answers:
            _note(found, Dataset.from_json(answer))
        offset += len(answers)
        if len(found) == before:
            return


def fetch_web_study(service: WebService, caller: Caller, study_uid: str, folder: Path) -> int:
    """Fetch a study by WADO-RS into an existing folder, one file for each image; return the number of images.

    Raises
    ------
    ConfigError : the URL is not valid
    OutputError : the service cannot be reached or refuses, or the disk is full; may be tried again
    """
    count = 0
    try:
        with quiet_pydicom():
            for count, ds in enumerate(_images(_client(service, caller), study_uid), start=1):
                if "TransferSyntaxUID" not in ds.file_meta:
                    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                new = os.open(folder / f"{count:06d}.dcm", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(new, "wb") as to:
                    ds.save_as(to, enforce_file_format=True)
                    to.flush()
                    os.fsync(to.fileno())
    except (requests.RequestException, *PARSE_ERRORS) as error:
        raise _web_fault(service, error) from None
    return count


def _images(client: DICOMwebClient, study_uid: str) -> Iterator[Dataset]:
    """Yield one image at a time: a whole study may be larger than the memory."""
    yield from client.iter_study(study_uid)


def _identifier(query: Query) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    for keyword in _ASKED:
        setattr(ds, keyword, None if keyword == "NumberOfStudyRelatedInstances" else "")
    if query.accession:
        ds.AccessionNumber = query.accession
    else:
        ds.ModalitiesInStudy, ds.StudyDate = "MR", query.days
    return ds


def _note(found: dict[str, RemoteStudy], answer: Dataset) -> None:
    uid, patient, accession, day, count = (text_of(answer, keyword) for keyword in _ASKED)
    if uid:
        found[uid] = RemoteStudy(uid, patient, accession, day, int(count) if count.isdigit() else None)
    if len(found) > MOST_STUDIES:
        raise ConfigError(
            f"expected at most {MOST_STUDIES} studies in an answer of the PACS, found more; query fewer days"
        )


def _associate(entity: Entity, caller: Caller, context: str) -> Association:
    ae = AE(ae_title=caller.title)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = caller.timeout_s
    ae.add_requested_context(context)
    association = ae.associate(entity.host, entity.port, ae_title=entity.title)
    if association.is_established:
        return association
    raise OutputError(
        f"expected {entity} to accept a connection from {caller.title} for queries, found none; check titles, host and "
        f"port, and that the PACS knows {caller.title}; it is tried again"
    )


def _refused(entity: Entity, what: str, status: Dataset) -> OutputError:
    code = status.get("Status")
    found = "the connection dropped, or no answer in time" if code is None else f"status {int(code):04X}"
    failed = status.get("NumberOfFailedSuboperations")
    more = f", {int(failed)} images not sent" if failed else ""
    return OutputError(
        f"expected {entity} to answer {what}, found {found}{more}; ask the administrator of the PACS; it is tried again"
    )


def _client(service: WebService, caller: Caller) -> DICOMwebClient:
    try:
        client = DICOMwebClient(service.url, timeout=caller.timeout_s)
    except ValueError as error:
        raise ConfigError(
            f"expected the URL of a DICOMweb service, found {service.url!r}; change pacs of [[pull]]"
        ) from error
    client.set_http_retry_params(retry=False)
    return client


def _web_fault(service: WebService, error: Exception) -> OutputError:
    """Return the error without its own text, which may quote a query with an accession number."""
    answer: Any = getattr(error, "response", None)
    found = type(error).__name__ if answer is None else f"HTTP status {answer.status_code}"
    return OutputError(f"expected an answer from {service}, found {found}; ask its administrator; it is tried again")
