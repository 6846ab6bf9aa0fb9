"""Limits of size and time for the connections of the DICOM node, and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynetdicom.association import Association

from sparcc_pipeline.errors import ConfigError

_LARGEST_REQUEST: Final = 2**20
"""Bytes. An association request lists at most 128 contexts and is far smaller."""

_RECEIVE_BYTES: Final = 2**16

CONNECTIONS_PER_ASSOCIATION: Final = 3
"""Connections that may wait for each permitted association."""


Report = Callable[..., None]
"""`report(event, **fields)`: an event as a constant text, with codes and numbers."""


@dataclass(frozen=True)
class NodeLimits:
    """The limits of one association.

    Parameters
    ----------
    silence_s : an association that is silent for so long ends; also the longest time for one PDU
    handshake_s : longest time for TLS and for the association request; until then the caller is unknown
    """

    pdu_bytes: int = 131072
    associations: int = 20
    instances: int = 5000
    bytes: int = 4 * 2**30
    instance_bytes: int = 512 * 2**20
    silence_s: float = 60.0
    handshake_s: float = 10.0

    @property
    def opening_s(self) -> float:
        """The longest time until an association is established."""
        return min(self.handshake_s, self.silence_s)


@dataclass(frozen=True)
class BoundedReads:
    """Read from a connection within limits; pynetdicom itself waits for, and holds, whatever size a peer announces."""

    association: Association
    connection: Any
    limits: NodeLimits
    report: Report

    def __call__(self, nr_bytes: int) -> bytearray:
        """Read this many bytes, or fewer if the peer closes the connection.

        Raises
        ------
        OSError : too many bytes, or too slow; the connection is then closed
        """
        raw, established = self.connection.socket, self.association.is_established
        if nr_bytes > (self.limits.pdu_bytes if established else _LARGEST_REQUEST):
            self.report("PDU too large", bytes=nr_bytes)
            raise OSError("PDU too large")
        patience = self.limits.silence_s if established else self.limits.opening_s
        received, deadline = bytearray(), time.monotonic() + patience
        while len(received) < nr_bytes:
            try:
                raw.settimeout(max(deadline - time.monotonic(), 0.001))
                part = raw.recv(min(nr_bytes - len(received), _RECEIVE_BYTES))
            except TimeoutError:
                self.report("sender too slow", bytes=len(received))
                raise
            if not part:
                break
            received.extend(part)
        raw.settimeout(self.limits.silence_s)
        return received


class WaitingConnections:
    """The connections that wait for their handshake or request; each occupies a thread.

    Parameters
    ----------
    associations : permitted associations; each allows `CONNECTIONS_PER_ASSOCIATION` waiting connections
    """

    def __init__(self, associations: int) -> None:
        self._most = CONNECTIONS_PER_ASSOCIATION * associations
        self._waiting: dict[Association, str] = {}
        self._lock = threading.Lock()

    def add(self, association: Association, address: str) -> bool:
        """Add the connection of an association; return True if another was closed to make room.

        The oldest connection of the address with most connections is closed, so one machine cannot shut out others.
        """
        with self._lock:
            # The thread of a new association may not have started yet (no ident): it waits like the others.
            alive = {each: place for each, place in self._waiting.items() if each.ident is None or each.is_alive()}
            self._waiting = {each: place for each, place in alive.items() if not each.is_established}
            self._waiting[association] = address
            if len(self._waiting) <= self._most:
                return False
            counted = Counter(self._waiting.values())
            most = max(counted, key=counted.__getitem__)
            oldest = next(each for each, place in self._waiting.items() if place == most)
            del self._waiting[oldest]
        connection: Any = oldest.dul.socket
        with suppress(OSError, AttributeError):  # it may have ended meanwhile
            connection.socket.shutdown(socket.SHUT_RDWR)
        return True


def server_tls(certificate: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer; with `ca`, callers must show a certificate that it signed.

    Source: [DicomPS3.15] B.9 (BCP 195).

    Raises
    ------
    ConfigError : a file is missing or is not valid PEM
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if ca is not None:
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        raise ConfigError(
            "expected certificate, key and CA as PEM files (receive.tls_certificate, tls_key, tls_ca), found one that "
            "cannot be used; check paths and rights, and that key and certificate match"
        ) from error
    return context


def certificate_names(connection: Any) -> frozenset[str]:
    """Return the common name and the DNS names in the certificate of a peer; none without a verified certificate."""
    shown: dict[str, Any] = getattr(connection, "getpeercert", dict)() or {}
    subject = [value for part in shown.get("subject", ()) for key, value in part if key == "commonName"]
    return frozenset([*subject, *(value for kind, value in shown.get("subjectAltName", ()) if kind == "DNS")])
