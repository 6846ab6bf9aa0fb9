"""C-STORE to a PACS, and C-FIND for what it holds afterwards."""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Sequence
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
    READ_BACK_WAITS_S,
    Entity,
    Outgoing,
    Receipt,
    by_series,
    require_all_found,
    require_all_stored,
)
from sparcc_pipeline.errors import OutputError

SYNTAXES: Final = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""What is offered for every class: the files are explicit, and a PACS that knows implicit only gets that."""

_QUERY: Final = StudyRootQueryRetrieveInformationModelFind
_PENDING: Final = (0xFF00, 0xFF01)
_STATUS: Final = {0xA7: "out of resources", 0xA9: "data set does not match its class", 0xC0: "cannot understand"}
"""First byte of a status that refuses ([DicomPS3.4] table B.2-1)."""


def send_by_cstore(objects: Sequence[Outgoing], entity: Entity, calling: str, timeout_s: float) -> Receipt:
    """Store every object and look whether it is there.

    Parameters
    ----------
    calling : our own application entity title, at most 16 characters
    timeout_s : for the connection and for every single answer

    Raises
    ------
    OutputError : refused, dropped, timed out, or not found again; may be tried again
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
    """How many of the objects the PACS does not list; None where it cannot be asked. Nothing is sent."""
    try:
        association = _associate([], entity, calling, timeout_s)
    except OutputError:
        # A mere store ends an association that offers nothing else.
        return None
    try:
        with quiet_pydicom():
            found = [_missing(association, study, series, uids) for (study, series), uids in by_series(objects).items()]
    except ValueError:
        # Queries are not among the contexts that it accepted.
        return None
    finally:
        if association.is_established:
            association.release()
    known = [number for number in found if number is not None]
    return sum(known) if len(known) == len(found) else None


def echo(entity: Entity, calling: str, timeout_s: float) -> None:
    """Ask for a sign of life by C-ECHO.

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
        raise OutputError(f"expected {entity} to answer a C-ECHO, found no answer or a refusal; ask who runs the PACS")


def _associate(objects: Sequence[Outgoing], entity: Entity, calling: str, timeout_s: float) -> Association:
    """An association with one context a class (far below the limit of 128) and one for the query."""
    # The classes are named one by one: lists of common ones lack Segmentation.
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
    """Send one after the other; what one object is refused for is no reason to keep back the rest."""
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
        # Success, or a warning: stored, though elements may have been changed ([DicomPS3.4] B.2.3).
        if code == 0 or code >> 12 == 0xB:
            stored += 1
        else:
            refused[f"status {code:04X}, {_STATUS.get(code >> 8, 'unknown')}"].append(outgoing.path.name)
    require_all_stored(refused, stored, entity)


def _look(objects: Sequence[Outgoing], entity: Entity, association: Association) -> Receipt:
    """Ask for the objects by C-FIND, or for their number where single objects cannot be asked for."""
    count = len(objects)
    if not any(context.abstract_syntax == _QUERY for context in association.accepted_contexts):
        return Receipt(count, None, "it offers no query, so its answers to the single stores are all that is known")
    missing = count
    for wait in READ_BACK_WAITS_S:
        time.sleep(wait)
        found = [_missing(association, study, series, uids) for (study, series), uids in by_series(objects).items()]
        known = [number for number in found if number is not None]
        if len(known) < len(found):
            return Receipt(
                count,
                None,
                "it did not let itself be queried, so its answers to the single stores are all that is known",
            )
        missing = sum(known)
        if not missing:
            return Receipt(count, count)
    require_all_found(missing, count, entity)
    return Receipt(count, count)


def _missing(association: Association, study_uid: str, series_uid: str, uids: set[str]) -> int | None:
    """How many of a series' objects the PACS does not list; None where it cannot be asked."""
    try:
        answers = _find(association, "IMAGE", study_uid, series_uid, "SOPInstanceUID")
        if answers is not None:
            return len(uids - set(answers))
        counts = _find(association, "SERIES", study_uid, series_uid, "NumberOfSeriesRelatedInstances")
    except RuntimeError:
        return None
    return None if counts is None else max(len(uids) - sum(int(c) for c in counts if c.isdigit()), 0)


def _find(association: Association, level: str, study_uid: str, series_uid: str, wanted: str) -> list[str] | None:
    """The values of `wanted` in all answers; None where the PACS does not answer queries at this level.

    Raises
    ------
    RuntimeError : the association has ended; a PACS that knows a sender, but not for queries, may simply drop it
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
