"""Identity: a study with a person's name in every place goes through a whole night; no output holds the name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from sparcc_pipeline.app.batch import task as batch_task
from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.logs import open_log
from sparcc_pipeline.app.nightly.morning.report import write_report

from ....salted import CHINESE_NAME, NAME, NUMBER, SECRETS, findings, salt
from ...conftest import KnownSegmenter, make_tissue
from .intake_night import IntakeNight, write_study

SALTED = 3
"""Slices with a secret in every element of the dictionary, one slice for each character set."""


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[IntakeNight]:
    monkeypatch.setattr(batch_task, "_warm_segmenter", lambda _: KnownSegmenter(make_tissue()))
    found = IntakeNight(tmp_path, deliver={"folder": tmp_path / "delivered"}, run={"lang": "zh"})
    yield found
    found.close()


def salted_study(folder: Path, **more: str) -> Path:
    """Write a study of one person, whose UIDs hold the person's number."""
    write_study(folder, **more)
    for index, path in enumerate(sorted(folder.iterdir())):
        ds = pydicom.dcmread(path)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.8839201.1", "1.2.8839201.2"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.8839201.19630417.{index}")
        ds.PatientName, ds.PatientID, ds.SpecificCharacterSet = f"{NAME}={CHINESE_NAME}", NUMBER, "ISO_IR 192"
        ds.save_as(path)
        if index < SALTED:
            salt(path, index)
    return folder


def lose_nothing(night: IntakeNight) -> None:
    """Check that nothing outside the identity folder holds a secret, the inboxes included."""
    assert findings(night.folder, apart_from=(night.identity, night.folder / "source")) == []


def test_no_output_of_a_night_holds_identity(night: IntakeNight) -> None:
    night.manifest("S01", (NUMBER, "", "", "T01", "baseline"))
    source = salted_study(night.folder / "source")
    night.drop(source, f"{NAME} {CHINESE_NAME}", zipped=True)
    night.context = night.make_context(night.clock, open_log(night.settings, night.clock, "run"))

    whole = night.night()
    whole.run()
    write_report(night.context)
    (version,) = night.ledger.versions()

    assert whole.problems == []
    assert (version.state, version.facts["total"]) == (State.DELIVERED, 4)
    assert findings(night.identity), "the raw files are there"
    kinds = {path.suffix for path in night.folder.rglob("*") if night.identity not in path.parents}
    assert {".dcm", ".html", ".csv", ".json", ".jsonl", ".png", ".sqlite", ".npz", ".toml"} <= kinds
    lose_nothing(night)


def waiting(night: IntakeNight) -> list[StudyVersion]:
    night.context = night.make_context(night.clock, open_log(night.settings, night.clock, "run"))
    night.night().run()
    write_report(night.context)
    return night.ledger.versions()


def test_waiting_and_rejected_studies_show_no_identity(night: IntakeNight) -> None:
    night.manifest("S01", ("another", "", "", "T01", "baseline"))
    night.manifest("S02", (NUMBER, "", "", "T02", "baseline"))
    source = salted_study(night.folder / "source" / "a")
    night.drop(source, f"{NAME}-{NUMBER}", "S01")
    damaged = shutil.copytree(source, night.folder / "source" / "b")
    file = min(damaged.iterdir())
    file.write_bytes(file.read_bytes()[:-800])
    night.drop(damaged, CHINESE_NAME, "S02", zipped=True)

    states = {version.site: version.state for version in waiting(night)}

    assert states == {"S01": State.QUARANTINED, "S02": State.REJECTED}
    lose_nothing(night)


def test_a_faulty_manifest_shows_no_identity(night: IntakeNight) -> None:
    (night.identity / "S01.csv").write_text(
        f"patient_id,participant,visit\n{NUMBER},{CHINESE_NAME},x\n", encoding="utf-8"
    )
    night.drop(salted_study(night.folder / "source"), NAME)

    (version,) = waiting(night)

    assert version.state == State.QUARANTINED and "row 2" in (version.reason or "")
    lose_nothing(night)


@pytest.mark.parametrize("secret", SECRETS)
def test_the_search_finds_each_secret_wherever_it_is(tmp_path: Path, secret: str) -> None:
    import gzip
    import zipfile

    for number, encoding in enumerate(("utf-8", "gb18030", "utf-16-le", "utf-16-be")):
        (tmp_path / f"{number}").write_bytes(b"\0\1" + secret.lower().encode(encoding) + b"x")
    (tmp_path / "a.gz").write_bytes(gzip.compress(secret.encode()))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", secret.encode() * 50)
    (tmp_path / secret).touch()

    assert len({found.split(" ")[0] + found.split(" ")[-1][:0] for found in findings(tmp_path)}) >= 7
