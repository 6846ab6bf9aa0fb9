"""Sending to a PACS that takes all, refuses, drops, times out, loses objects, or cannot be asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from sparcc_pipeline.dicom.network import send
from sparcc_pipeline.dicom.network.cstore import send_by_cstore
from sparcc_pipeline.dicom.network.send import Entity, Outgoing, WebService, parse_target, read_outgoing
from sparcc_pipeline.dicom.network.stow import send_by_stow
from sparcc_pipeline.errors import ConfigError, InputError, OutputError

MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def objects(series: Path) -> list[Outgoing]:
    """Eight objects of one series."""
    return read_outgoing(sorted(series.iterdir()))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "READ_BACK_WAITS_S", (0.0, 0.1))


class Pacs:
    """A PACS that keeps UIDs; `answer` gives the status of the n-th store (from 0), or does worse."""

    def __init__(self, answer: Callable[[int, evt.Event], int], *, query: bool = True, lists: int = 100) -> None:
        self.stored: list[str] = []
        self._answer, self._query, self._lists = answer, query, lists
        self.levels: list[str] = []
        self.refuse_image_level = False

    def store(self, event: evt.Event) -> int:
        status = self._answer(len(self.stored), event)
        self.stored.append(event.dataset.SOPInstanceUID)
        return status

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        level = event.identifier.QueryRetrieveLevel
        self.levels.append(level)
        if level == "IMAGE" and self.refuse_image_level:
            yield 0xC000, None
            return
        answer = Dataset()
        if level == "SERIES":
            answer.NumberOfSeriesRelatedInstances = len(self.stored)
            yield 0xFF00, answer
            return
        for uid in self.stored[: self._lists]:
            answer.SOPInstanceUID = uid
            yield 0xFF00, answer

    @contextmanager
    def listening(self, *, classes: tuple[str, ...] = (MR,), title: str = "PACS") -> Iterator[Entity]:
        ae = AE(ae_title="PACS")
        ae.require_called_aet = True
        for sop_class in classes:
            ae.add_supported_context(sop_class, "1.2.840.10008.1.2")
        if self._query:
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers = [(evt.EVT_C_STORE, self.store), (evt.EVT_C_FIND, self.find)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
        assert server is not None
        try:
            yield Entity(title, "127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()


def takes_all(_: int, __: evt.Event) -> int:
    return 0


def test_all_is_stored_and_found_again(objects: list[Outgoing]) -> None:
    pacs = Pacs(takes_all)
    with pacs.listening() as entity:
        # The PACS knows implicit VR only; the files are explicit.
        receipt = send_by_cstore(objects, entity, "SPARCC", 5)

    assert (receipt.stored, receipt.found_again) == (8, 8)
    assert set(pacs.stored) == {o.sop_instance_uid for o in objects}
    assert pacs.levels == ["IMAGE"]


def test_a_warning_counts_as_stored(objects: list[Outgoing]) -> None:
    with Pacs(lambda n, _: 0xB000 if n == 3 else 0).listening() as entity:
        assert send_by_cstore(objects, entity, "SPARCC", 5).stored == 8


def test_a_pacs_without_image_queries_is_queried_for_their_number(objects: list[Outgoing]) -> None:
    pacs = Pacs(takes_all)
    pacs.refuse_image_level = True
    with pacs.listening() as entity:
        assert send_by_cstore(objects, entity, "SPARCC", 5).found_again == 8
    assert pacs.levels == ["IMAGE", "SERIES"]


def test_a_pacs_without_queries_is_reported(objects: list[Outgoing]) -> None:
    with Pacs(takes_all, query=False).listening() as entity:
        receipt = send_by_cstore(objects, entity, "SPARCC", 5)

    assert (receipt.stored, receipt.found_again) == (8, None)
    assert "offers no query" in receipt.note


def test_a_confirmed_object_that_a_pacs_does_not_list_is_missing(objects: list[Outgoing]) -> None:
    with Pacs(takes_all, lists=5).listening() as entity, pytest.raises(OutputError, match="3 of them missing"):
        send_by_cstore(objects, entity, "SPARCC", 5)


def test_a_refused_object_does_not_stop_the_others(objects: list[Outgoing]) -> None:
    pacs = Pacs(lambda n, _: 0xA700 if n == 2 else 0)
    with (
        pacs.listening() as entity,
        pytest.raises(OutputError, match=r"7 stored and 1 refused \(status A700, out of r"),
    ):
        send_by_cstore(objects, entity, "SPARCC", 5)
    assert len(pacs.stored) == 8


def test_a_class_that_is_not_accepted_is_named(objects: list[Outgoing]) -> None:
    with (
        Pacs(takes_all).listening(classes=("1.2.840.10008.5.1.4.1.1.7",)) as entity,
        pytest.raises(OutputError, match="does not take objects of this class"),
    ):
        send_by_cstore(objects, entity, "SPARCC", 5)


def test_a_dropped_association_reports_the_number_of_stored_objects(objects: list[Outgoing]) -> None:
    def drop(n: int, event: evt.Event) -> int:
        if n == 3:
            event.assoc.abort()
        return 0

    with (
        Pacs(drop).listening() as entity,
        pytest.raises(OutputError, match="dropped or no answer.*after 3 of 8") as found,
    ):
        send_by_cstore(objects, entity, "SPARCC", 5)
    assert found.value.retryable and all(o.path.exists() for o in objects)


def test_a_pacs_that_does_not_answer_times_out(objects: list[Outgoing]) -> None:
    def sleep(n: int, _: evt.Event) -> int:
        time.sleep(2.0 if n == 1 else 0)
        return 0

    with Pacs(sleep).listening() as entity, pytest.raises(OutputError, match=r"within 0\.5 s, after 1 of 8"):
        send_by_cstore(objects, entity, "SPARCC", 0.5)


def test_another_title_is_rejected(objects: list[Outgoing]) -> None:
    with (
        Pacs(takes_all).listening(title="OTHER") as entity,
        pytest.raises(OutputError, match="rejected.*application entity titles"),
    ):
        send_by_cstore(objects, entity, "SPARCC", 5)


# pynetdicom leaves the socket of a failed connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nobody_listens(objects: list[Outgoing]) -> None:
    with Pacs(takes_all).listening() as entity:
        pass
    with pytest.raises(OutputError, match="connection refused"):
        send_by_cstore(objects, entity, "SPARCC", 2)
    with pytest.raises(OutputError, match="connection refused or dropped"):
        send_by_stow(objects, WebService(f"http://127.0.0.1:{entity.port}"), 2)


class Service(BaseHTTPRequestHandler):
    """A DICOMweb service that keeps nothing but the number of requests; its class attributes say what it does."""

    store_status, failed, query_status, wait_s = 200, False, 200, 0.0
    uids: tuple[str, ...] = ()
    requests = 0

    def do_POST(self) -> None:
        type(self).requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.wait_s)
        failure = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xA900]}}]}}
        self._send(self.store_status, failure if self.failed else {})

    def do_GET(self) -> None:
        listed = "offset=" not in self.path or "offset=0" in self.path
        uids = self.uids if listed else ()
        self._send(self.query_status, [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids])

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def service(**does: Any) -> Iterator[tuple[WebService, type[Service]]]:
    handler = type("ThisService", (Service,), does)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield WebService(f"http://127.0.0.1:{server.server_address[1]}"), handler
        server.shutdown()


def test_a_service_stores_and_lists_all(objects: list[Outgoing]) -> None:
    with service(uids=tuple(o.sop_instance_uid for o in objects)) as (web, handler):
        receipt = send_by_stow(objects, web, 5)

    assert (receipt.stored, receipt.found_again, handler.requests) == (8, 8, 8)


@pytest.mark.parametrize(
    ("does", "found"),
    [
        ({"store_status": 401}, r"HTTP status 401 after 0 of 8.*netrc"),
        ({"store_status": 503}, r"HTTP status 503 after 0 of 8"),
        ({"store_status": 409}, r"0 stored and 8 refused \(HTTP status 409\)"),
        ({"failed": True}, r"8 refused \(reason A900\)"),
        ({"uids": ("1.2",)}, r"8 of them missing"),
        ({"wait_s": 1.0}, r"none within 0\.4 s after 0 of 8"),
    ],
)
def test_a_service_that_does_not_store_all_is_an_error(objects: list[Outgoing], does: Any, found: str) -> None:
    with service(**does) as (web, _), pytest.raises(OutputError, match=found):
        send_by_stow(objects, web, 0.4 if "wait_s" in does else 5)


def test_a_service_without_queries_is_reported(objects: list[Outgoing]) -> None:
    with service(query_status=501) as (web, _):
        receipt = send_by_stow(objects, web, 5)

    assert (receipt.stored, receipt.found_again) == (8, None)


def test_targets() -> None:
    assert parse_target("PACS@10.1.2.3:104") == Entity("PACS", "10.1.2.3", 104)
    assert parse_target("MY PACS@[::1]:11112") == Entity("MY PACS", "::1", 11112)
    assert parse_target("https://pacs.example/dicom-web/") == WebService("https://pacs.example/dicom-web")
    for wrong in ("PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:70000", "A" * 17 + "@h:1", "ftp://host"):
        with pytest.raises(ConfigError, match="AET@HOST:PORT"):
            parse_target(wrong)
    with pytest.raises(ConfigError, match="netrc"):
        parse_target("https://user:secret@host/dicom-web")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "seg.dcm").write_bytes(b"no DICOM")
    with pytest.raises(InputError, match=r"seg\.dcm"):
        read_outgoing([tmp_path / "seg.dcm"])
