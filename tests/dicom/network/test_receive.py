"""The DICOM node with senders of other makers (dcmtk) and with hostile senders."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import MRImageStorage
from pynetdicom import AE
from pynetdicom.association import Association

from sparcc_pipeline.dicom.input.elements import quiet_pydicom
from sparcc_pipeline.dicom.network import receive, reception
from sparcc_pipeline.dicom.network.connection import NodeLimits, server_tls
from sparcc_pipeline.dicom.network.node import Node
from sparcc_pipeline.dicom.network.receive import Receiver
from sparcc_pipeline.errors import ConfigError

PATIENCE_S = 60
"""A test waits so long for an event: a busy machine starts threads late."""


@dataclass
class Running:
    """A running node, and the events that it reported."""

    receiver: Receiver
    folder: Path
    events: list[tuple[str, dict[str, Any]]]

    @property
    def uploads(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if not path.name.endswith(".partial"))

    def files(self) -> list[Path]:
        return sorted(file for upload in self.uploads for file in upload.iterdir())

    def wait(self, *names: str) -> None:
        """Wait until all of these events were reported."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if set(names) <= {event for event, _ in self.events}:
                return
            time.sleep(0.02)
        raise AssertionError(f"expected {names}, found {self.events}")


@dataclass
class Nodes:
    """Start nodes that end with the test."""

    folder: Path
    running: list[Receiver] = field(default_factory=list)

    def start(
        self, limits: NodeLimits | None = None, tls: ssl.SSLContext | None = None, **certificates: str
    ) -> Running:
        events: list[tuple[str, dict[str, Any]]] = []
        names = itertools.count(1)
        node = Node(
            "127.0.0.1",
            0,
            "SPARCC",
            {"SITE1": self.folder, "SITE2": self.folder},
            lambda: f"dicom-{next(names)}",
            "dicom-",
            limits or NodeLimits(silence_s=5),
            tls,
            certificates,
        )
        receiver = Receiver(node, lambda event, **fields: events.append((event, fields)))
        self.running.append(receiver)
        return Running(receiver, self.folder, events)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    (tmp_path / "incoming").mkdir()
    found = Nodes(tmp_path / "incoming")
    yield found
    for receiver in found.running:
        receiver.stop()


def require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs the program {program} (scripts/peers installs it)")
    return found


def storescu(node: Running, *arguments: str | Path, sender: str = "SITE1", called: str = "SPARCC") -> int:
    command = [require("storescu"), "-aet", sender, "-aec", called, "127.0.0.1", str(node.receiver.port), *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode


def associate(node: Running, title: str = "SITE1") -> Association:
    ae = AE(ae_title=title)
    ae.add_requested_context(MRImageStorage)
    association = ae.associate("127.0.0.1", node.receiver.port, ae_title="SPARCC")
    assert association.is_established
    return association


def test_images_of_dcmtk_are_stored_unchanged(nodes: Nodes, series: Path) -> None:
    node = nodes.start()

    assert storescu(node, "+sd", series) == 0

    node.wait("association ended")
    sent = {pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path) for path in series.iterdir()}
    received = {pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path) for path in node.files()}
    assert received == sent
    assert all(path.stat().st_mode & 0o077 == 0 for path in (*node.files(), *node.uploads))
    assert node.events[-1][1]["files"] == len(sent)


def test_all_objects_of_a_study_are_accepted_not_only_mr_images(
    nodes: Nodes, series: Path, edit: Callable[..., None]
) -> None:
    edit(min(series.iterdir()), SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    node = nodes.start()

    assert storescu(node, "+sd", series) == 0

    node.wait("association ended")
    assert len(node.files()) == 8


def test_strangers_are_rejected(nodes: Nodes, series: Path) -> None:
    node = nodes.start()

    for sender, called in (("STRANGER", "SPARCC"), ("SITE1", "OTHER"), ("site1", "SPARCC")):
        assert storescu(node, "+sd", series, sender=sender, called=called) != 0

    node.wait("association rejected")
    assert node.uploads == []
    assert storescu(node, "+sd", series) == 0


def test_an_association_aborted_in_the_middle_leaves_what_was_acknowledged(nodes: Nodes, series: Path) -> None:
    node = nodes.start()
    association = associate(node)
    for path in sorted(series.iterdir())[:3]:
        assert association.send_c_store(pydicom.dcmread(path)).Status == 0

    association.abort()

    node.wait("association aborted")
    assert len(node.files()) == 3
    assert list(node.folder.glob("*.partial")) == []


def test_what_a_killed_node_had_acknowledged_is_found_when_it_starts_again(nodes: Nodes) -> None:
    left, other = nodes.folder / "dicom-0.partial", nodes.folder / "inbox-0.partial"
    for folder in (left, other):
        folder.mkdir()
    (other / "000001.dcm").write_bytes(b"being copied by another program")
    (left / "000001.dcm").write_bytes(b"acknowledged")
    (left / "000002.dcm.partial").write_bytes(b"half")

    node = nodes.start()

    assert [path.name for path in node.files()] == ["000001.dcm"]


def test_a_uid_cannot_name_a_path(nodes: Nodes, series: Path) -> None:
    node, path = nodes.start(), min(series.iterdir())
    ds = pydicom.dcmread(path)
    association = associate(node)

    with quiet_pydicom():
        ds.SOPInstanceUID = "../../../evil"
        association.send_c_store(ds)
    association.release()

    assert list(nodes.folder.parent.rglob("*evil*")) == []
    time.sleep(0.05)
    assert all(nodes.folder in path.parents for path in node.files())


def test_more_than_an_association_may_send_is_refused(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(instances=5, silence_s=5))

    assert storescu(node, "+sd", series) != 0

    node.wait("limit of an association reached")
    associate(node).release()
    assert len(node.files()) == 5


def test_an_image_larger_than_allowed_ends_its_association(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(instance_bytes=20_000, silence_s=5))
    ds = pydicom.dcmread(min(series.iterdir()))
    ds.PixelData = bytes(200_000)
    association = associate(node)

    status = association.send_c_store(ds)

    assert "Status" not in status
    node.wait("image too large")
    assert node.files() == []
    assert storescu(node, "+sd", series) == 0


def test_an_oversize_pdu_is_not_waited_for(nodes: Nodes, series: Path) -> None:
    node = nodes.start()
    with socket.create_connection(("127.0.0.1", node.receiver.port)) as harmful:
        harmful.sendall(b"\x01\x00" + struct.pack(">L", 2**31) + bytes(1000))
        node.wait("PDU too large")

    assert storescu(node, "+sd", series) == 0


def test_a_slow_sender_is_left(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(silence_s=2.0))
    with socket.create_connection(("127.0.0.1", node.receiver.port)) as slow:
        slow.settimeout(10)
        for byte in b"\x01\x00\x00\x00":
            slow.sendall(bytes([byte]))
            time.sleep(0.05)

        assert slow.recv(10) == b""
    node.wait("sender too slow")
    assert storescu(node, "+sd", series) == 0


def test_an_association_that_falls_silent_is_ended_and_what_it_sent_stays(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(silence_s=0.5))
    association = associate(node)
    association.send_c_store(pydicom.dcmread(min(series.iterdir())))

    node.wait("association aborted")

    assert len(node.files()) == 1


def test_one_sender_does_not_shut_out_the_others(nodes: Nodes) -> None:
    node = nodes.start(NodeLimits(associations=4, silence_s=5))
    first, second = associate(node), associate(node)
    ae = AE(ae_title="SITE1")
    ae.add_requested_context(MRImageStorage)

    third = ae.associate("127.0.0.1", node.receiver.port, ae_title="SPARCC")
    other = associate(node, "SITE2")

    assert third.is_rejected and other.is_established
    for association in (first, second, other):
        association.release()


def test_connections_that_only_wait_are_bounded_and_go(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(associations=2, silence_s=5))
    with ExitStack() as waiting:
        for _ in range(9):
            waiting.enter_context(socket.create_connection(("127.0.0.1", node.receiver.port)))
        node.wait("too many connections")

        deadline = time.monotonic() + PATIENCE_S
        while storescu(node, "+sd", series) != 0:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_many_associations_in_sequence_are_accepted(nodes: Nodes) -> None:
    node = nodes.start(NodeLimits(associations=1, silence_s=30))
    for _ in range(8):
        associate(node).release()

    assert not any(event == "too many connections" for event, _ in node.events)


def test_a_full_disk_is_reported_and_no_partial_file_stays(
    nodes: Nodes, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes.start()
    monkeypatch.setattr(reception, "FREE_BYTES", 2**62)
    association = associate(node)

    status = association.send_c_store(pydicom.dcmread(min(series.iterdir())))
    association.release()

    assert status.Status == 0xA700
    node.wait("image could not be written")
    assert node.uploads == []


def test_two_nodes_cannot_share_a_port_and_the_second_touches_nothing(nodes: Nodes, series: Path) -> None:
    node = nodes.start()
    association = associate(node)
    association.send_c_store(pydicom.dcmread(min(series.iterdir())))
    taken = Node("127.0.0.1", node.receiver.port, "SPARCC", {"SITE1": nodes.folder}, lambda: "x", "x")

    with pytest.raises(ConfigError, match=r"receive\.port"):
        Receiver(taken, lambda *_, **__: None)

    assert node.uploads == []
    association.release()
    node.wait("association ended")
    assert len(node.files()) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, pem = folder / "key.pem", folder / "certificate.pem"
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command = [require("openssl"), "req", "-x509", *options, "-keyout", str(key), "-out", str(pem)]
    subprocess.run(command, capture_output=True, check=True)
    return pem, key


def test_only_tls_with_a_certificate_is_accepted(nodes: Nodes, series: Path, certificate: tuple[Path, Path]) -> None:
    pem, key = certificate
    node = nodes.start(NodeLimits(silence_s=2), server_tls(pem, key, pem))

    assert storescu(node, "+tls", key, pem, "+cf", pem, "+sd", series) == 0
    assert storescu(node, "+sd", series) != 0
    # A caller without its own certificate is refused.
    assert storescu(node, "+tla", "+cf", pem, "+sd", series) != 0

    node.wait("connection without valid TLS refused", "association ended")
    assert len(node.files()) == 8


def test_a_peer_that_does_not_shake_hands_does_not_block_others(
    nodes: Nodes, series: Path, certificate: tuple[Path, Path]
) -> None:
    pem, key = certificate
    node = nodes.start(NodeLimits(silence_s=5), server_tls(pem, key, None))
    with socket.create_connection(("127.0.0.1", node.receiver.port)):
        assert storescu(node, "+tla", "+cf", pem, "+sd", series) == 0


def test_a_wrong_certificate_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")

    with pytest.raises(ConfigError, match="PEM"):
        server_tls(tmp_path / "x.pem", tmp_path / "x.pem", None)


def test_hidden_traces_of_the_sender_are_not_logged(nodes: Nodes, series: Path, edit: Callable[..., None]) -> None:
    edit(*series.iterdir(), PatientName="ZHANGSAN", PatientID="8839201")
    node = nodes.start()
    storescu(node, "+sd", series)
    node.wait("association ended")

    assert not any(word in str(node.events) for word in ("ZHANGSAN", "8839201", os.fspath(series)))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reception_without_an_end_is_swept(nodes: Nodes, series: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive, "SWEEP_S", 0.1)
    node = nodes.start(NodeLimits(silence_s=60))
    association = associate(node)
    association.send_c_store(pydicom.dcmread(min(series.iterdir())))
    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField, command.MessageID = MRImageStorage, 1, 7
    command.Priority, command.AffectedSOPInstanceUID = 2, "1.2.3"
    elements = write_command(command)  # no CommandDataSetType: the reactor of the library dies
    context = association.accepted_contexts[0].context_id
    value = struct.pack(">LBB", len(elements) + 2, context, 3) + elements
    peer: Any = association.dul.socket
    peer.socket.sendall(struct.pack(">BBL", 4, 0, len(value)) + value)

    node.wait("association aborted")

    assert len(node.files()) == 1


def write_command(command: Dataset) -> bytes:
    group = DicomBytesIO()
    group.is_little_endian, group.is_implicit_VR = True, True
    write_dataset(group, command)
    content = group.getvalue()
    return struct.pack("<HHLL", 0, 0, 4, len(content)) + content


def test_an_association_goes_on_after_a_first_image_that_could_not_be_written(
    nodes: Nodes, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes.start()
    association = associate(node)
    monkeypatch.setattr(reception, "FREE_BYTES", 2**62)
    first, second, *_ = sorted(series.iterdir())
    assert association.send_c_store(pydicom.dcmread(first)).Status == 0xA700
    monkeypatch.setattr(reception, "FREE_BYTES", 0)

    assert association.send_c_store(pydicom.dcmread(second)).Status == 0

    association.release()
    node.wait("association ended")
    assert len(node.files()) == 1


def test_a_whole_image_whose_rename_was_lost_with_the_power_stays(nodes: Nodes, series: Path) -> None:
    left = nodes.folder / "dicom-0.partial"
    left.mkdir()
    content = min(series.iterdir()).read_bytes()
    (left / "000001.dcm").write_bytes(b"acknowledged")
    (left / "000002.dcm.partial").write_bytes(content)
    (left / "000003.dcm.partial").write_bytes(content[:-9])

    node = nodes.start()

    assert [path.name for path in node.files()] == ["000001.dcm", "000002.dcm"]


def test_the_folder_is_synced_before_an_image_is_acknowledged(
    nodes: Nodes, series: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes.start()
    synced: list[list[str]] = []
    real = reception._sync

    def noted(folder: Path) -> None:
        synced.append(sorted(each.name for each in folder.iterdir()))
        real(folder)

    monkeypatch.setattr(reception, "_sync", noted)
    association = associate(node)

    association.send_c_store(pydicom.dcmread(min(series.iterdir())))

    assert ["000001.dcm"] in synced
    association.release()


def test_connections_without_a_title_keep_no_sender_out(nodes: Nodes, series: Path) -> None:
    node = nodes.start(NodeLimits(associations=2, silence_s=60))
    waiting = [socket.create_connection(("127.0.0.1", node.receiver.port)) for _ in range(30)]

    begun = time.monotonic()
    association = associate(node)

    assert time.monotonic() - begun < 5
    association.release()
    for each in waiting:
        each.close()


def test_a_bare_connection_ends_soon_and_a_silent_association_may_last(nodes: Nodes) -> None:
    node = nodes.start(NodeLimits(silence_s=60, handshake_s=0.5))
    association = associate(node)
    with socket.create_connection(("127.0.0.1", node.receiver.port)) as bare:
        bare.settimeout(5)
        bare.sendall(b"\x01\x00\x00")
        assert bare.recv(1000) == b"" or bare.recv(1000) == b""
    assert association.is_established
    association.release()


def test_a_certificate_calls_with_its_own_title_only(
    nodes: Nodes, series: Path, certificate: tuple[Path, Path]
) -> None:
    pem, key = certificate
    node = nodes.start(NodeLimits(silence_s=5), server_tls(pem, key, pem), SITE1="localhost", SITE2="other.hospital")
    options = ("+tls", key, pem, "+cf", pem, "+sd", series)

    assert storescu(node, *options, sender="SITE2") != 0
    node.wait("certificate of another sender")
    assert storescu(node, *options, sender="SITE1") == 0

    bound = nodes.start(NodeLimits(silence_s=5), server_tls(pem, key, pem), SITE2="localhost")
    assert storescu(bound, *options, sender="SITE1") != 0
