"""Delivery of results: to a PACS that works, is down, returns, refuses, drops or is slow; to a folder that fills up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.delivery import deliver as step
from sparcc_pipeline.app.nightly.delivery.deliver import PAUSE, deliver
from sparcc_pipeline.app.nightly.delivery.folder_copy import copy_results
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.settings_tables import DeliverSettings, Paths, SiteSettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet
from sparcc_pipeline.dicom.network import send
from sparcc_pipeline.errors import OutputError

from ...cli.test_pacs_peers import Orthanc, orthanc, write_results
from ...conftest import make_stir

__all__ = ["orthanc"]  # a fixture
NOW = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)
FOLDER = "S01/P001/baseline/v1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with one study and its results (14 source images, 10 DICOM results)."""
    work = tmp_path_factory.mktemp("work")
    written = write_results(work / "made")
    (work / "results" / FOLDER).parent.mkdir(parents=True)
    (work / "studies" / FOLDER).parent.mkdir(parents=True)
    written.folder.rename(work / "results" / FOLDER)
    (work / "made" / "dicom").rename(work / "studies" / FOLDER)
    assert make_stir().geometry.shape[0] == len(list((work / "studies" / FOLDER).iterdir()))
    return work


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    step._silent_until.clear()
    monkeypatch.setattr(send, "READ_BACK_WAITS_S", (0.0, 0.2))


VERSION = StudyVersion(
    id=1,
    state=State.SCORED,
    resume=None,
    claim=1,
    attempts=1,
    next_try_at=None,
    lease_owner="me",
    lease_until=None,
    reason=None,
    facts={},
    site="S01",
    study_key="k",
    content_key="c",
    participant="P001",
    visit="baseline",
    version=1,
    supersedes=None,
    superseded_by=None,
    received_at=NOW,
    completed_at=NOW,
    deidentified_at=NOW,
    scored_at=NOW,
    delivered_at=None,
    study_folder=f"studies/{FOLDER}",
    result_folder=f"results/{FOLDER}",
)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def context(work: Path, clock: Clock | None = None, **deliver_settings: Any) -> Context:
    settings = NightlySettings(
        paths=Paths(identity_folder=work.parent / "identity", work_folder=work),
        site=[SiteSettings(code="S01", name="One", manifest=work / "m.csv")],
        deliver=DeliverSettings(timeout_seconds=5.0, **deliver_settings),
    )
    # The step asks the ledger nothing.
    return Context(settings, Ledger.__new__(Ledger), clock or Clock(), lambda *_, **__: None)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


# A PACS


@pytest.mark.parametrize("way", ["dimse", "dicomweb"])
def test_orthanc_gets_results_and_the_source_images_it_lacks(way: str, made: Path, orthanc: Orthanc) -> None:
    pacs = f"PACS@127.0.0.1:{orthanc.dicom_port}" if way == "dimse" else orthanc.dicomweb

    first = deliver(context(made, pacs=pacs, source_images=True), VERSION)
    second = deliver(context(made, pacs=pacs, source_images=True), VERSION)

    assert first == Done({"delivered_to": ["pacs"], "sent_objects": 24, "found_again": 24})
    # The images are there now: only the results are sent once more, which changes nothing.
    assert second == Done({"delivered_to": ["pacs"], "sent_objects": 10, "found_again": 10})
    statistics = orthanc.get("/statistics")
    assert isinstance(statistics, dict)
    assert (statistics["CountInstances"], statistics["CountStudies"]) == (24, 1)


def test_storescp_of_dcmtk_gets_every_object(made: Path, tmp_path: Path) -> None:
    if shutil.which("storescp") is None:
        pytest.skip("needs the program storescp (scripts/peers installs it)")
    port, store = free_port(), tmp_path / "store"
    store.mkdir()
    process = subprocess.Popen(["storescp", "--aetitle", "STORE", "-od", store, str(port)], stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        outcome = deliver(context(made, pacs=f"STORE@127.0.0.1:{port}", source_images=True), VERSION)
    finally:
        process.terminate()
        process.wait(10)

    # It offers no queries: the step knows only its answers, and sends the images in any case.
    assert outcome == Done({"delivered_to": ["pacs"], "sent_objects": 24, "found_again": None})
    assert len(list(store.iterdir())) == 24


def wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as opened:
            if opened.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("it did not start")


@contextmanager
def pacs_on(port: int, answer: Any, title: str = "PACS") -> Iterator[list[str]]:
    """Run a PACS that takes C-STORE and returns the status that `answer` returns."""
    stored: list[str] = []

    def store(event: evt.Event) -> int:
        status = int(answer(event))
        if status == 0:
            stored.append(str(event.file_meta.MediaStorageSOPInstanceUID))
        return status

    ae = AE(ae_title=title)
    ae.require_called_aet = True
    ae.add_supported_context(Verification)
    for ending in ("66.4", "88.34", "7", "11.1"):
        ae.add_supported_context(f"1.2.840.10008.5.1.4.1.1.{ending}", "1.2.840.10008.1.2.1")
    handlers: list[Any] = [(evt.EVT_C_STORE, store)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield stored
    finally:
        server.shutdown()


def test_a_pacs_that_is_down_is_not_asked_again_and_gets_all_when_it_is_back(made: Path) -> None:
    port, clock = free_port(), Clock()
    night = context(made, clock, pacs=f"PACS@127.0.0.1:{port}")

    first = deliver(night, VERSION)
    second = deliver(night, replace(VERSION, id=2))
    clock.now += PAUSE
    with pacs_on(port, lambda _: 0) as stored:
        third = deliver(night, VERSION)

    assert isinstance(first, Failed) and "connection refused" in first.reason
    assert first.facts == {"delivered_to": [], "reason_kind": "Output"}
    # The others of the same round do not wait for it, and it costs them no attempt.
    assert second == NotYet(NOW + PAUSE)
    assert isinstance(third, Done) and len(stored) == 10


def test_a_pacs_that_refuses_one_object_keeps_nothing_else_back(made: Path) -> None:
    port, clock = free_port(), Clock()
    night = context(made, clock, pacs=f"PACS@127.0.0.1:{port}")
    refusals = iter([0, 0xA700, *[0] * 18])
    with pacs_on(port, lambda _: next(refusals)) as stored:
        first = deliver(night, VERSION)
        second = deliver(night, VERSION)

    assert isinstance(first, Failed) and "status A700, out of resources" in first.reason
    # The step asks it again at once: it responds.
    assert isinstance(second, Done) and len(set(stored)) == 10


def test_a_pacs_that_drops_the_association_is_a_failure(made: Path) -> None:
    def drop(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    port = free_port()
    with pacs_on(port, drop):
        outcome = deliver(context(made, pacs=f"PACS@127.0.0.1:{port}"), VERSION)

    assert isinstance(outcome, Failed) and "after 0 of 10 objects" in outcome.reason


def test_a_pacs_that_knows_another_title_is_a_failure(made: Path) -> None:
    port = free_port()
    with pacs_on(port, lambda _: 0, title="OTHER"):
        outcome = deliver(context(made, pacs=f"PACS@127.0.0.1:{port}"), VERSION)

    assert isinstance(outcome, Failed) and "called ae title not recognised" in outcome.reason


def test_a_pacs_that_never_answers_costs_one_time_limit(made: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        night = context(made, pacs=f"PACS@127.0.0.1:{silent.getsockname()[1]}")
        hasty = night.settings.deliver.model_copy(update={"timeout_seconds": 0.5})
        night = replace(night, settings=night.settings.model_copy(update={"deliver": hasty}))

        outcomes = [deliver(night, VERSION) for _ in range(20)]

    assert isinstance(outcomes[0], Failed) and "did not answer within 0.5 s" in outcomes[0].reason
    assert all(isinstance(outcome, NotYet) for outcome in outcomes[1:])


def test_a_result_without_dicom_files_is_no_fault_of_the_site(made: Path, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "work/results" / FOLDER).mkdir(parents=True)
    shutil.copy(made / "results" / FOLDER / "score.json", tmp_path / "work/results" / FOLDER)
    with pacs_on(port, lambda _: 0):
        outcome = deliver(context(tmp_path / "work", pacs=f"PACS@127.0.0.1:{port}"), VERSION)

    assert isinstance(outcome, Failed) and "--dicom" in outcome.reason


def test_a_superseded_version_goes_nowhere(made: Path, tmp_path: Path) -> None:
    outcome = deliver(context(made, folder=tmp_path / "out"), replace(VERSION, superseded_by=2))

    assert outcome == Done({"delivered_to": []}) and not (tmp_path / "out").exists()


def test_without_a_target_a_result_is_delivered_where_it_is(made: Path) -> None:
    assert deliver(context(made), VERSION) == Done({"delivered_to": []})


# A folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_folder_gets_the_result_whole_and_again_the_same(made: Path, tmp_path: Path) -> None:
    night = context(made, folder=tmp_path / "out")

    assert deliver(night, VERSION) == deliver(night, VERSION)

    assert content(tmp_path / "out" / FOLDER) == content(made / "results" / FOLDER)
    assert [each.name for each in (tmp_path / "out" / FOLDER).parent.iterdir()] == ["v1"]


def test_a_changed_result_replaces_the_earlier_one_and_nothing_else(made: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "out" / "v1"
    shutil.copytree(made / "results" / FOLDER, source)
    copy_results(source, target)
    (source / "run.toml").write_text("changed = true\n")
    (source / "seg.dcm").unlink()

    copy_results(source, target)

    assert content(target) == content(source)
    shutil.rmtree(target)
    target.mkdir()
    (target / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="nothing was changed"):
        copy_results(source, target)
    assert content(target) == {"thesis.txt": b"mine"}


def test_a_full_disk_leaves_nothing_and_the_earlier_result(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, night = made / "results" / FOLDER, context(made, folder=tmp_path / "out")
    deliver(night, VERSION)
    (tmp_path / "out" / FOLDER / "run.toml").write_text("an earlier one")
    before, synced = content(tmp_path / "out" / FOLDER), os.fsync
    left = iter(range(5))

    def full(descriptor: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    outcome = deliver(night, VERSION)
    monkeypatch.undo()

    assert isinstance(outcome, Failed) and "no space left on device" in outcome.reason
    assert content(tmp_path / "out" / FOLDER) == before
    assert [each.name for each in (tmp_path / "out" / FOLDER).parent.iterdir()] == ["v1"]
    assert isinstance(deliver(night, VERSION), Done)
    assert content(tmp_path / "out" / FOLDER) == content(source)


def test_a_disk_that_returns_other_content_is_an_error(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = shutil.copyfileobj

    def damage(old: Any, new: Any, size: int) -> None:
        copied(old, new, size)
        if new.name.endswith("seg.dcm"):
            new.seek(200)
            new.write(b"\xff")

    monkeypatch.setattr(shutil, "copyfileobj", damage)
    outcome = deliver(context(made, folder=tmp_path / "out"), VERSION)

    assert isinstance(outcome, Failed) and "read back" in outcome.reason
    assert not (tmp_path / "out" / FOLDER).exists()


KILLED_AT = ("partial", "replaced", "published")


@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_copy_that_was_killed_is_made_again_without_a_trace(moment: str, made: Path, tmp_path: Path) -> None:
    source, target = made / "results" / FOLDER, tmp_path / "out" / "v1"
    copy_results(source, target)
    if moment == "partial":
        (target.parent / ".sparcc-v1.partial").mkdir()
        (target.parent / ".sparcc-v1.partial" / "seg.dcm").write_bytes(b"half")
    if moment == "replaced":
        target.rename(target.parent / ".sparcc-v1.replaced")
    if moment == "published":
        shutil.copytree(target, target.parent / ".sparcc-v1.replaced")

    copy_results(source, target)

    assert content(target) == content(source)
    assert [each.name for each in target.parent.iterdir()] == ["v1"]


def test_studies_are_delivered_while_others_fail(made: Path, tmp_path: Path) -> None:
    # One place cannot be written; the rest of the folder can.
    night = context(made, folder=tmp_path / "out")
    (tmp_path / "out" / "S01").mkdir(parents=True)
    (tmp_path / "out" / "S01" / "P001").write_text("a file where a folder should be")
    other = replace(VERSION, id=2, participant="P002", result_folder="results/S01/P002/baseline/v1")
    shutil.copytree(made / "results" / FOLDER, made / other.result_folder)  # type: ignore[operator]
    outcomes: dict[int, object] = {}

    threads = [
        threading.Thread(target=lambda v=v: outcomes.update({v.id: deliver(night, v)})) for v in (VERSION, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timedelta(seconds=20).total_seconds())

    assert isinstance(outcomes[1], Failed) and isinstance(outcomes[2], Done)
