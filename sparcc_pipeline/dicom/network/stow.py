"""Send DICOM results to a DICOMweb service by STOW-RS, and check by QIDO-RS or WADO-RS that it holds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

import requests
from dicomweb_client.api import DICOMwebClient

from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.network.send import (
    Outgoing,
    Receipt,
    WebService,
    count_lacking,
    read_back,
    require_all_stored,
)
from sparcc_pipeline.errors import ConfigError, OutputError

_SOP_INSTANCE_UID: Final = "00080018"
_HINTS: Final = {
    401: "put user and password into ~/.netrc",
    403: "put user and password with the right to store into ~/.netrc",
    404: "check the URL: it must be the part before /studies",
    413: "ask its administrator to allow larger requests",
}


def send_by_stow(objects: Sequence[Outgoing], service: WebService, timeout_s: float) -> Receipt:
    """Store every object, one in each request, then check that the service holds it.

    Raises
    ------
    ConfigError : the URL is not valid
    OutputError : refused, dropped, timed out, or missing afterwards; may be tried again
    """
    client = _client(service, timeout_s)
    with quiet_pydicom():
        _store(objects, service, client, timeout_s)
        return _look(objects, service, client)


def lacking_by_qido(objects: Sequence[Outgoing], service: WebService, timeout_s: float) -> int | None:
    """Return the number of objects that the service does not hold, or None if it cannot be queried; store nothing.

    Raises
    ------
    ConfigError : the URL is not valid
    """
    client = _client(service, timeout_s)
    with quiet_pydicom():
        return count_lacking(objects, partial(_missing, client))


def reach(service: WebService, timeout_s: float) -> None:
    """Check with a query for one study that the service answers.

    Raises
    ------
    ConfigError : the URL is not valid
    OutputError : no connection, or the request is refused
    """
    client = _client(service, timeout_s)
    try:
        client.search_for_studies(limit=1)
    except requests.HTTPError as error:
        code = _status(error)
        raise OutputError(
            f"expected {service} to answer a query, found HTTP status {code}; "
            f"{_HINTS.get(code, 'ask its administrator')}"
        ) from error
    except requests.RequestException as error:
        raise OutputError(
            f"expected an answer from {service}, found {_fault(error, timeout_s)}; check the URL and the network"
        ) from error


def _client(service: WebService, timeout_s: float) -> DICOMwebClient:
    try:
        client = DICOMwebClient(service.url, timeout=timeout_s)
    except ValueError as error:
        raise ConfigError(f"expected the URL of a DICOMweb service, found {service.url!r}; change it") from error
    # dicomweb_client would repeat a request without its body.
    client.set_http_retry_params(retry=False)
    return client


def _store(objects: Sequence[Outgoing], service: WebService, client: DICOMwebClient, timeout_s: float) -> None:
    stored = 0
    refused: dict[str, list[str]] = defaultdict(list)
    for outgoing in objects:
        try:
            answer = client.store_instances([outgoing.dataset()])
        except requests.HTTPError as error:
            code = _status(error)
            if code not in (400, 409, 415):
                raise OutputError(
                    f"expected {service} to store {outgoing.path.name}, found HTTP status {code} after {stored} of "
                    f"{len(objects)} objects were stored; {_HINTS.get(code, 'ask its administrator')}, then send again"
                ) from error
            refused[f"HTTP status {code}"].append(outgoing.path.name)
            continue
        except requests.RequestException as error:
            raise OutputError(
                f"expected an answer from {service} for {outgoing.path.name}, found {_fault(error, timeout_s)} after "
                f"{stored} of {len(objects)} objects were stored; send again: the files are still in their folder"
            ) from error
        if failed := answer.get("FailedSOPSequence"):
            reason = f"reason {int(failed[0].get('FailureReason', 0)):04X}"
            refused[reason].append(outgoing.path.name)
        else:
            stored += 1
    require_all_stored(refused, stored, service)


def _status(error: requests.HTTPError) -> int:
    return 0 if error.response is None else error.response.status_code


def _fault(error: requests.RequestException, timeout_s: float) -> str:
    if isinstance(error, requests.Timeout):
        return f"none within {timeout_s:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "a certificate that is not trusted (set REQUESTS_CA_BUNDLE to the hospital's CA file)"
    return "the connection refused or dropped"


def _look(objects: Sequence[Outgoing], service: WebService, client: DICOMwebClient) -> Receipt:
    """Query the objects by QIDO-RS, or the metadata of each by WADO-RS."""
    no_query = "it offers no query, so only its answers to each store are known"
    return read_back(objects, service, partial(_missing, client), no_query)


def _missing(client: DICOMwebClient, study_uid: str, series_uid: str, uids: set[str]) -> int | None:
    """Return the number of objects of a series that the service does not hold, or None if it cannot be queried."""
    try:
        listed = client.search_for_instances(study_uid, series_uid, get_remaining=True)
        return len(uids - {value for item in listed for value in item.get(_SOP_INSTANCE_UID, {}).get("Value", [])})
    except requests.RequestException:
        return _missing_metadata(client, study_uid, series_uid, uids)


def _missing_metadata(client: DICOMwebClient, study_uid: str, series_uid: str, uids: set[str]) -> int | None:
    missing = 0
    for uid in uids:
        try:
            client.retrieve_instance_metadata(study_uid, series_uid, uid)
        except requests.HTTPError as error:
            if _status(error) != 404:
                return None
            missing += 1
        except requests.RequestException:
            return None
    return missing
