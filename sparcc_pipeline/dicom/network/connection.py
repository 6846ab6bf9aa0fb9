"""Connections of the DICOM node: how much a peer may send, how long it may take, and TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pynetdicom.association import Association

from sparcc_pipeline.errors import ConfigError

_LARGEST_REQUEST: Final = 2**20
"""An association request lists at most 128 contexts; a megabyte is far above."""

_RECEIVE_BYTES: Final = 2**16


Report = Callable[..., None]
"""`report(event, **fields)`: an event as a constant text, with codes and numbers."""


@dataclass(frozen=True)
class NodeLimits:
    """What one association may do; `silence_s` is also how long one PDU may take."""

    pdu_bytes: int = 131072
    associations: int = 20
    instances: int = 5000
    bytes: int = 4 * 2**30
    instance_bytes: int = 512 * 2**20
    silence_s: float = 60.0


@dataclass(frozen=True)
class BoundedReads:
    """Reading from a connection with limits; pynetdicom's own waits for and holds all that a peer announces."""

    association: Association
    connection: Any
    limits: NodeLimits
    report: Report

    def __call__(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, or what came until the connection was closed.

        Raises
        ------
        OSError : they are more than allowed, or take too long: the connection is then closed
        """
        raw = self.connection.socket
        if nr_bytes > (self.limits.pdu_bytes if self.association.is_established else _LARGEST_REQUEST):
            self.report("PDU too large", bytes=nr_bytes)
            raise OSError("PDU too large")
        received, deadline = bytearray(), time.monotonic() + self.limits.silence_s
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


def server_tls(certificate: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer ([DicomPS3.15] B.9, BCP 195); with `ca`, callers must show a certificate that it signed.

    Raises
    ------
    ConfigError : a file is missing or no valid PEM
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
            "cannot be used; check paths, rights and that key and certificate belong together"
        ) from error
    return context
