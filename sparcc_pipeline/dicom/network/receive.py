"""A DICOM node that receives images from known senders by C-STORE, and answers C-ECHO.

Images are not decoded: their bytes are written, synced and renamed before the sender gets its answer. Each association
has its own folder, which gets its final name when the association ends, also after an error.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Self

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from sparcc_pipeline.dicom.input.elements import silence_libraries
from sparcc_pipeline.dicom.network.connection import (
    BoundedReads,
    Report,
    WaitingConnections,
    certificate_names,
)
from sparcc_pipeline.dicom.network.node import SYNTAXES, Node
from sparcc_pipeline.dicom.network.reception import PARTIAL, Reception, left_over, publish
from sparcc_pipeline.errors import ConfigError, OutputError

SWEEP_S: Final = 2.0
"""Seconds between searches for dead associations."""

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
REFUSED_BY_LIMIT: Final = 0xA701
"""Statuses. Source: [DicomPS3.4] table B.2-1."""


class Receiver:
    """A running node; `stop`, or the end of the context, stops it.

    Raises
    ------
    ConfigError : the port is in use, or not allowed
    OutputError : the receptions of a killed node cannot be finished
    """

    def __init__(self, node: Node, report: Report) -> None:
        self._node, self._report = node, report
        silence_libraries()
        self._receptions: dict[Association, Reception] = {}
        self._waiting = WaitingConnections(node.limits.associations)
        self._lock = threading.Lock()
        # List these before taking the port and finish them afterwards: until then another node may own them.
        left = [partial for folder in set(node.senders.values()) for partial in left_over(folder, node.prefix)]
        ae = AE(ae_title=node.title)
        ae.maximum_pdu_size = node.limits.pdu_bytes
        # pynetdicom also counts connections that never become an association; `_requested` counts associations.
        ae.maximum_associations = 10**6
        ae.acse_timeout = node.limits.opening_s
        ae.dimse_timeout = ae.network_timeout = node.limits.silence_s
        ae.require_called_aet = True
        ae.require_calling_aet = sorted(node.senders)
        # A console sends the whole study, and may stop if one class is refused. The intake sets other classes aside.
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), list(SYNTAXES))
        ae.add_supported_context(Verification)
        try:
            server = ae.start_server((node.host, node.port), block=False, evt_handlers=self._handlers())
        except OSError as error:
            raise ConfigError(
                f"expected to listen on {node.host} port {node.port}, found an error "
                f"({(error.strerror or '').lower()}); stop the other program or change receive.port"
            ) from error
        if server is None:
            raise ConfigError("expected a running DICOM node, found none; report this")
        self._ae, self._server = ae, server
        for partial in left:
            publish(partial)
        self._stopped = threading.Event()
        threading.Thread(target=self._sweep, name="sparcc receive sweep", daemon=True).start()

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_DATA_RECV, self._data_came),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_RELEASED, self._released),
            (evt.EVT_ABORTED, self._lost),
            (evt.EVT_CONN_CLOSE, self._lost),
        ]

    @property
    def port(self) -> int:
        """The port, chosen by the system if port 0 was requested."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the node; associations are aborted, acknowledged images are kept."""
        self._stopped.set()
        for association in self._server.active_associations:
            if association.is_established:
                association.abort()
            elif association.dul.socket is not None:
                association.dul.socket.close()
        self._server.shutdown()
        with self._lock:
            left = list(self._receptions.values())
            self._receptions.clear()
        for reception in left:
            self._finish(reception, "association aborted")

    def _opened(self, event: Event) -> None:
        """Limit the time and memory of a connection before its first byte is read, and start TLS."""
        association, limits = event.assoc, self._node.limits
        connection: Any = association.dul.socket
        connection.socket.settimeout(limits.opening_s)
        peer: Any = event
        if self._waiting.add(association, str(peer.address[0])):
            self._report("too many connections")
        # This is not the thread that accepts: there, a peer with a slow handshake would block all others.
        if self._node.tls is not None:
            try:
                # The handshake is a separate call, so that another thread can close the connection during it.
                connection.socket = self._node.tls.wrap_socket(
                    connection.socket, server_side=True, do_handshake_on_connect=False
                )
                connection.socket.do_handshake()
            except OSError:
                self._report("connection without valid TLS refused")
                # Nothing more is read from it.
                connection.socket.close()
        connection.recv = BoundedReads(association, connection, limits, self._report)

    def _sweep(self) -> None:
        """Finish receptions after an association died without an event: their images were acknowledged."""
        while not self._stopped.wait(SWEEP_S):
            with self._lock:
                dead = [each for each in self._receptions if not (each.is_established and each.dul.is_alive())]
            for association in dead:
                self._end(association, "association aborted")

    def _requested(self, event: Event) -> None:
        """Reject a caller with the certificate of another sender, and an association above the limit.

        One sender may hold half of the associations, so that it cannot shut out the others.
        """
        request: Any = event.assoc.requestor.primitive
        title = request.calling_ae_title.strip()
        connection: Any = event.assoc.dul.socket
        if not self._node.owns(title, certificate_names(connection.socket)):
            self._report("certificate of another sender", peer_title=title)
            self._reject(event.assoc, 0x01, 0x01, 0x03)
            return
        most = self._node.limits.associations
        established = [each for each in self._ae.active_associations if each.is_established]
        others = [each for each in established if each.requestor.ae_title.strip() == title]
        if len(others) >= max(1, (most + 1) // 2) or len(established) >= most:
            self._report("too many associations of one sender" if others else "too many associations", peer_title=title)
            self._reject(event.assoc, 0x02, 0x03, 0x02)

    def _reject(self, association: Association, result: int, source: int, reason: int) -> None:
        """Reject a request with the codes of [DicomPS3.8] 9.3.4."""
        association.acse.send_reject(result, source, reason)
        association.kill()

    def _rejected(self, event: Event) -> None:
        self._report("association rejected", peer_title=event.assoc.requestor.ae_title)

    def _data_came(self, event: Event) -> None:
        """Abort an association if one message is larger than an image may be, because it is held in memory."""
        reception = self._reception(event.assoc)
        if reception is None:
            return
        reception.since_store += len(event.data)
        if reception.since_store > self._node.limits.instance_bytes:
            self._report("image too large", peer_title=event.assoc.requestor.ae_title, bytes=reception.since_store)
            event.assoc.abort()

    def _store(self, event: Event) -> int:
        reception = self._reception(event.assoc)
        if reception is None:
            return OUT_OF_RESOURCES
        reception.since_store = 0
        content, limits = event.encoded_dataset(), self._node.limits
        with reception.lock:
            if reception.ended:
                return OUT_OF_RESOURCES
            if reception.count >= limits.instances or reception.size + len(content) > limits.bytes:
                self._report_once(reception, "limit of an association reached")
                return REFUSED_BY_LIMIT
            try:
                reception.write(content)
            except OSError as error:
                self._report_once(reception, "image could not be written", error=error)
                return OUT_OF_RESOURCES
        return SUCCESS

    def _reception(self, association: Association) -> Reception | None:
        """Return the reception of an established association; its first image creates the folder."""
        if not association.is_established:
            return None
        with self._lock:
            if association not in self._receptions:
                folder = self._node.senders[association.requestor.ae_title.strip()]
                self._receptions[association] = Reception(
                    association.requestor.ae_title.strip(), folder / (self._node.name() + PARTIAL)
                )
            return self._receptions[association]

    def _report_once(self, reception: Reception, event: str, **fields: Any) -> None:
        if not reception.reported:
            reception.reported = True
            self._report(event, peer_title=reception.title, files=reception.count, bytes=reception.size, **fields)

    def _released(self, event: Event) -> None:
        self._end(event.assoc, "association ended")

    def _lost(self, event: Event) -> None:
        """End an aborted association or closed connection; after a release this does nothing."""
        self._end(event.assoc, "association aborted")

    def _end(self, association: Association, how: str) -> None:
        with self._lock:
            reception = self._receptions.pop(association, None)
        if reception is not None:
            self._finish(reception, how)

    def _finish(self, reception: Reception, how: str) -> None:
        with reception.lock:
            reception.ended = True
            try:
                final = reception.finish()
            except OutputError as error:
                self._report("reception could not be closed", peer_title=reception.title, error=error)
                return
        if final is not None:
            count, size = reception.count, reception.size
            self._report(how, peer_title=reception.title, upload=final.name, files=count, bytes=size)
