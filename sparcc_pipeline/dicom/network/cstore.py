"""Send DICOM results to a PACS by C-STORE, and check by C-FIND that it holds them."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.network.send import (
    Entity,
    Outgoing,
    Receipt,
    count_lacking,
    read_back,
    require_all_stored,
)
from sparcc_pipeline.errors import OutputError

SYNTAXES: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""Offered for every class: the files are explicit; a PACS that accepts implicit only gets implicit."""

_QUERY: Final = StudyRootQueryRetrieveInformationModelFind
_PENDING: Final = (0xFF00, 0xFF01)
_STATUS: Final = {0xA7: "out of resources", 0xA9: "data set does not match its class", 0xC0: "cannot understand"}
"""First byte of a status of refusal. Source: [DicomPS3.4] table B.2-1."""


def send_by_cstore(objects: Sequence[Outgoing], entity: Entity, calling: str, timeout_s: float) -> Receipt:
    """Store every object, then check that the PACS holds it.

    Parameters
    ----------
    calling : our application entity title, at most 16 characters
    timeout_s : for the connection and for each answer

    Raises
    ------
    OutputError : refused, dropped, timed out, or missing afterwards; may be tried again
    """
    association = _associate(objects, entity, calling, timeout_s)
    try:
        with quiet_pydicom():
            _store(objects, entity, association, timeout_s)
            return _look(objects, entity, association)
    finally:
        if association.is_established:
            association.release()


def lacking_by_cfind(objects: Sequence[Outgoing], entity: Entity, calling: str, timeout_s: float) -> int | None:
    """Return the number of objects that the PACS does not list, or None if it cannot be queried; store nothing."""
    try:
        association = _associate([], entity, calling, timeout_s)
    except OutputError:
        # A PACS that only stores ends an association for queries.
        return None
    try:
        with quiet_pydicom():
            return count_lacking(objects, partial(_missing, association))
    except ValueError:
        # It did not accept the context for queries.
        return None
    finally:
        if association.is_established:
            association.release()


def echo(entity: Entity, calling: str, timeout_s: float) -> None:
    """Check by C-ECHO that the PACS answers.

    Raises
    ------
    OutputError : no connection, rejected, or no answer
    """
    association = _connect([Verification], entity, calling, timeout_s)
    try:
        status = association.send_c_echo()
    except (RuntimeError, ValueError):
        status = Dataset()
    finally:
        if association.is_established:
            association.release()
    if status.get("Status") != 0:
        raise OutputError(
            f"expected {entity} to answer a C-ECHO, found no answer or a refusal; ask the administrator of the PACS"
        )


def _associate(objects: Sequence[Outgoing], entity: Entity, calling: str, timeout_s: float) -> Association:
    """Return an association with one context for each class (far below the limit of 128) and one for queries."""
    # Name each class: pynetdicom's list of common classes lacks Segmentation.
    return _connect([*dict.fromkeys(o.sop_class_uid for o in objects), _QUERY], entity, calling, timeout_s)


def _connect(classes: Sequence[str], entity: Entity, calling: str, timeout_s: float) -> Association:
    ae = AE(ae_title=calling)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    for sop_class in classes:
        ae.add_requested_context(sop_class, SYNTAXES)
    association = ae.associate(entity.host, entity.port, ae_title=entity.title)
    if association.is_established:
        return association
    if association.is_rejected:
        why = getattr(association.acceptor.primitive, "reason_str", "") or "no reason given"
        raise OutputError(
            f"expected {entity} to accept a connection from {calling}, found it rejected ({why.lower()}); check both "
            "application entity titles, and that the PACS knows this one"
        )
    raise OutputError(
        f"expected an answer from {entity}, found none ({_why_no_connection(entity, timeout_s)}); check host, port and "
        "network, then send again: the files are still in their folder"
    )


def _why_no_connection(entity: Entity, timeout_s: float) -> str:
    try:
        with socket.create_connection((entity.host, entity.port), timeout_s):
            return f"it dropped the connection, or did not answer within {timeout_s:g} s"
    except TimeoutError:
        return f"no connection within {timeout_s:g} s"
    except OSError as error:
        return (error.strerror or "no connection").lower()


def _store(objects: Sequence[Outgoing], entity: Entity, association: Association, timeout_s: float) -> None:
    """Send one object after the other; if one is refused, the others are still sent."""
    stored = 0
    refused: dict[str, list[str]] = defaultdict(list)
    for outgoing in objects:
        try:
            status = association.send_c_store(outgoing.dataset())
        except ValueError:
            refused["it does not take objects of this class"].append(outgoing.path.name)
            continue
        except RuntimeError:
            status = Dataset()
        if "Status" not in status:
            raise OutputError(
                f"expected {entity} to answer for {outgoing.path.name}, found the connection dropped or no answer "
                f"within {timeout_s:g} s, after {stored} of {len(objects)} objects were stored; send again: the files "
                "are still in their folder"
            )
        code = int(status.Status)
        # Success, or a warning: stored, perhaps with changed elements. Source: [DicomPS3.4] B.2.3.
        if code == 0 or code >> 12 == 0xB:
            stored += 1
        else:
            refused[f"status {code:04X}, {_STATUS.get(code >> 8, 'unknown')}"].append(outgoing.path.name)
    require_all_stored(refused, stored, entity)


def _look(objects: Sequence[Outgoing], entity: Entity, association: Association) -> Receipt:
    """Query the objects by C-FIND, or only their number if the PACS has no queries of single objects."""
    if not any(context.abstract_syntax == _QUERY for context in association.accepted_contexts):
        return Receipt(len(objects), None, "it offers no query, so only its answers to each store are known")
    refused = "it refused the query, so only its answers to each store are known"
    return read_back(objects, entity, partial(_missing, association), refused)


def _missing(association: Association, study_uid: str, series_uid: str, uids: set[str]) -> int | None:
    """Return the number of objects of a series that the PACS does not list, or None if it cannot be queried."""
    try:
        answers = _find(association, "IMAGE", study_uid, series_uid, "SOPInstanceUID")
        if answers is not None:
            return len(uids - set(answers))
        counts = _find(association, "SERIES", study_uid, series_uid, "NumberOfSeriesRelatedInstances")
    except RuntimeError:
        return None
    return None if counts is None else max(len(uids) - sum(int(c) for c in counts if c.isdigit()), 0)


def _find(association: Association, level: str, study_uid: str, series_uid: str, wanted: str) -> list[str] | None:
    """Return the values of `wanted` in all answers, or None if the PACS does not answer queries at this level.

    Raises
    ------
    RuntimeError : the association has ended; some PACSs drop a sender that may store but not query
    """
    query, values = Dataset(), []
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = level, study_uid, series_uid
    setattr(query, wanted, "")
    for status, answer in association.send_c_find(query, _QUERY):
        if "Status" not in status:
            raise RuntimeError("no answer")
        if status.Status not in _PENDING and status.Status != 0:
            return None
        if answer is not None:
            values.append(str(answer.get(wanted, "")))
    return values
