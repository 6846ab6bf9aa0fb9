"""Fetching from a real PACS (Orthanc): by C-MOVE into this program's node, and by DICOMweb."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.intake import steps as intake
from sparcc_pipeline.app.nightly.intake.receiving import serve
from sparcc_pipeline.dicom.network.pull import Caller, Query, list_studies, list_web_studies, move_study
from sparcc_pipeline.dicom.network.send import Entity, WebService
from sparcc_pipeline.errors import OutputError

from ...cli.test_pacs_peers import Orthanc, free_port, running_orthanc
from .intake_night import IntakeNight, write_study


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A PACS with the baseline of a participant, and a study of another person."""
    folder = tmp_path_factory.mktemp("pacs")
    with running_orthanc(folder) as found:
        for patient, accession in (("P1", "ACC1"), ("P9", "ACC9")):
            put(found, write_study(folder / patient, patient), accession)
        yield found


def put(pacs: Orthanc, study: Path, accession: str) -> None:
    for path in study.iterdir():
        ds = pydicom.dcmread(path)
        ds.AccessionNumber = accession
        ds.save_as(path)
        post(pacs, "/instances", path.read_bytes())


def post(pacs: Orthanc, path: str, content: bytes, method: str = "POST") -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{pacs.http_port}{path}", content, method=method)
    urllib.request.urlopen(request, timeout=10).close()


@pytest.fixture
def make_night(tmp_path: Path, pacs: Orthanc) -> Iterator[Any]:
    """Return `make_night(pacs address, **keys of [[pull]])`; the PACS knows this program's node."""
    nights = []
    port = free_port()
    target = {"AET": "SPARCC", "Host": "127.0.0.1", "Port": port}
    post(pacs, "/modalities/sparcc", json.dumps(target).encode(), "PUT")

    def make(address: str, **keys: Any) -> IntakeNight:
        (tmp_path / "night").mkdir()
        pull = {"site": "S01", "pacs": address, "timeout_seconds": 20.0} | keys
        night = IntakeNight(tmp_path / "night", pull=[pull], receive={"port": port})
        night.manifest("S01", ("P1", "", "", "T01", "baseline"), ("P2", "", "", "T02", "baseline"))
        nights.append(night)
        return night

    yield make
    for night in nights:
        night.close()


def accession_list(tmp_path: Path) -> Path:
    (tmp_path / "accessions.csv").write_text("检查号\nACC1\nACC9\n", encoding="utf-8")
    return tmp_path / "accessions.csv"


@pytest.mark.parametrize(("way", "by"), [("move", "date"), ("web", "accession")])
def test_only_known_participants_are_fetched_and_once(
    pacs: Orthanc, make_night: Any, tmp_path: Path, way: str, by: str
) -> None:
    address = pacs.dicomweb if way == "web" else f"PACS@127.0.0.1:{pacs.dicom_port}"
    night = make_night(address, **({"accessions": accession_list(tmp_path)} if by == "accession" else {"days": 20_000}))

    (version,) = night.run()
    before = len(night.ledger.uploads())
    night.run()

    assert (version.state, version.name) == (State.DEIDENTIFIED, "S01/T01/baseline v1")
    assert len(night.files(version)) == 14 == version.facts["slices"]
    assert before == len(night.ledger.uploads()) == 1


def test_a_node_that_runs_already_is_used(pacs: Orthanc, make_night: Any, tmp_path: Path) -> None:
    night = make_night(f"PACS@127.0.0.1:{pacs.dicom_port}", accessions=accession_list(tmp_path))
    with serve(night.settings, night.clock, night.context.log):
        intake.take_in(night.context)
    (version,) = night.run()

    assert version.state == State.DEIDENTIFIED


def test_a_study_with_more_images_in_the_pacs_is_fetched_again(pacs: Orthanc, make_night: Any, tmp_path: Path) -> None:
    put(pacs, write_study(tmp_path / "first", "P2"), "ACC2")
    (tmp_path / "list.csv").write_text("accession\nACC2\n")
    night = make_night(pacs.dicomweb, accessions=tmp_path / "list.csv")
    (first,) = night.run()
    put(pacs, write_study(tmp_path / "more", "P2", series_number=9), "ACC2")

    old, new = night.run()

    assert old.id == first.id and new.supersedes == old.id
    assert len(night.files(new)) == 28


# pynetdicom leaves a refused socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_pacs_that_is_down_stops_nothing_else(pacs: Orthanc, make_night: Any, tmp_path: Path) -> None:
    night = make_night(f"PACS@127.0.0.1:{free_port()}", days=3, timeout_seconds=1.0)
    night.drop(write_study(tmp_path / "dropped"), "dropped")

    (version,) = night.run(problems=1)

    assert version.state == State.DEIDENTIFIED
    assert any(event == "studies could not be fetched from the PACS" for event, _ in night.logged)


def test_an_unknown_destination_is_an_error_without_identity(pacs: Orthanc) -> None:
    entity, caller = Entity("PACS", "127.0.0.1", pacs.dicom_port), Caller("SPARCC", 10)
    (study,) = list_studies(entity, caller, [Query(accession="ACC1")])

    assert (study.patient_id, study.accession, study.count) == ("P1", "ACC1", 14)
    with pytest.raises(OutputError) as refused:
        move_study(entity, caller, study.study_uid, "NOBODY")
    assert not any(word in str(refused.value) for word in ("ACC1", study.study_uid))
    assert "ACC1" not in repr(study) and study.study_uid not in repr(study)


def test_faults_of_the_service_quote_no_accession_number(pacs: Orthanc) -> None:
    caller, query = Caller("SPARCC", 2), Query(accession="ACC1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/dicom-web", f"{pacs.dicomweb}/nothing"):
            with pytest.raises(OutputError) as refused:
                list_web_studies(WebService(url), caller, [query])
            assert "ACC1" not in str(refused.value)
    with pytest.raises(OutputError):
        list_studies(Entity("OTHER", "127.0.0.1", pacs.dicom_port), replace(caller, title="X"), [query])
