"""`sparcc score --dicom` and `sparcc send` as their user calls them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pydicom
import pytest

from sparcc_pipeline.app.report import dicom_results
from sparcc_pipeline.app.results import send as send_command
from sparcc_pipeline.app.study.files import write_bytes
from sparcc_pipeline.dicom.network.send import Receipt
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.imaging.nifti import write_nifti

from ..cli.test_main import PICTURES, RESULT, Sparcc, _left, sparcc
from ..conftest import make_stir

__all__ = ["sparcc"]

CAPTURES = [name.replace(".png", ".dcm") for name in PICTURES]
OBJECTS = [*CAPTURES, "overlay/cover.dcm", "score.sr.dcm", "seg.dcm", "volumes.sr.dcm"]


def test_dicom_results_are_written_if_asked_for(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out", "--dicom")

    assert (ended.code, ended.err) == (0, "")
    assert _left(tmp_path / "out") == sorted([*RESULT, *OBJECTS])
    assert tomllib.loads((tmp_path / "out" / "run.toml").read_text())["arguments"]["dicom"] is True
    again = sparcc("score", study, "--out", tmp_path / "out", "--force", "--no-dicom")
    assert again.code == 0 and _left(tmp_path / "out") == RESULT


def test_only_the_dicom_results_know_the_person(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out", "--dicom")

    assert "P0042" not in ended.out
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            known = b"Phantom^P0042" in file.read_bytes()
            assert known == (file.suffix == ".dcm"), file.name


def test_quadrants_are_a_setting(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("dicom_quadrants = true\n")

    sparcc("score", study, "--out", tmp_path / "out", "--dicom", "--config", tmp_path / "settings.toml")

    assert len(pydicom.dcmread(tmp_path / "out" / "seg.dcm").SegmentSequence) == 12


def test_the_report_and_presentation_states_are_settings(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("dicom_pdf = true\ndicom_presentation = true\n")
    options = ["--out", tmp_path / "out", "--config", tmp_path / "settings.toml"]

    assert sparcc("score", study, *options, "--dicom").code == 0

    assert _left(tmp_path / "out") == sorted([*RESULT, *OBJECTS, "presentation_1.dcm", "report.pdf.dcm"])
    document = pydicom.dcmread(tmp_path / "out" / "report.pdf.dcm")
    assert document.EncapsulatedDocument.startswith(b"%PDF-") and document.SeriesDescription.startswith("SPARCC report")
    sent = [path.name for path in send_command.find_results(tmp_path / "out")]
    assert "report.pdf.dcm" in sent and "presentation_1.dcm" in sent
    assert sparcc("score", study, *options, "--force", "--no-dicom", "--pdf").code == 0
    assert _left(tmp_path / "out") == sorted([*RESULT, "report.pdf"])


def test_completed_attributes_are_reported(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    for path in study.iterdir():
        ds = pydicom.dcmread(path)
        del ds.StudyID
        ds.save_as(path)

    ended = sparcc("score", study, "--out", tmp_path / "out", "--dicom")

    assert "DICOM results: StudyID: missing, left empty" in ended.out


def test_a_nifti_file_is_refused_before_the_slow_work(sparcc: Sparcc, tmp_path: Path) -> None:
    stir = make_stir()
    write_nifti(stir.signal, stir, tmp_path / "stir.nii.gz")

    ended = sparcc("score", tmp_path / "stir.nii.gz", "--out", tmp_path / "out", "--dicom")

    assert ended.code == 2 and "expected a DICOM source for DICOM results, found a NIfTI file" in ended.err
    assert sparcc.config is None and not (tmp_path / "out").exists()


def test_a_full_disk_half_way_leaves_nothing(
    sparcc: Sparcc, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def fill(file: Path, content: bytes) -> None:
        if len(written) == 4:
            raise OutputError("expected to write slice_05.dcm, found the place not usable (no space left on device)")
        written.append(file)
        write_bytes(file, content)

    monkeypatch.setattr(dicom_results, "write_bytes", fill)

    ended = sparcc("score", study, "--out", tmp_path / "out", "--dicom")

    assert ended.code == 6 and len(written) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.fixture
def finished(sparcc: Sparcc, study: Path, tmp_path: Path) -> Path:
    assert sparcc("score", study, "--out", tmp_path / "results" / "one", "--dicom").code == 0
    return tmp_path / "results"


def test_all_results_below_a_folder_are_found_what_others_refer_to_first(finished: Path) -> None:
    partial = finished / ".sparcc-abc.partial" / "result"
    partial.mkdir(parents=True)
    for name in ("score.json", "seg.dcm"):
        (partial / name).write_bytes(b"half written")
    (finished / "one" / "other.dcm").write_bytes(b"of another program")

    found = [path.relative_to(finished / "one").as_posix() for path in send_command.find_results(finished)]

    assert sorted(found) == sorted(OBJECTS)
    assert found[:3] == ["seg.dcm", "score.sr.dcm", "volumes.sr.dcm"]


# pynetdicom leaves the socket of a failed connection to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_errors_of_sending_have_their_codes_and_lose_nothing(sparcc: Sparcc, finished: Path, tmp_path: Path) -> None:
    before = _left(finished)
    refused = sparcc("send", finished, "--to", "PACS@127.0.0.1:1", "--timeout", "2")
    assert refused.code == 6 and "PACS@127.0.0.1:1" in refused.err and "send again" in refused.err
    assert "http://127.0.0.1:1" in sparcc("send", finished, "--to", "http://127.0.0.1:1", "--timeout", "2").err

    assert sparcc("send", finished, "--to", "nowhere").code == 2
    assert sparcc("send", finished, "--to", "PACS@127.0.0.1:1", "--from", "A" * 17).code == 2
    nothing = sparcc("send", tmp_path / "study", "--to", "PACS@127.0.0.1:1")
    assert nothing.code == 3 and "--dicom" in nothing.err
    assert _left(finished) == before


def test_the_outcome_of_sending_is_reported(sparcc: Sparcc, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sparcc_pipeline.dicom.network import cstore

    receipts = iter([Receipt(10, 10), Receipt(10, None, "it offers no query")])
    monkeypatch.setattr(cstore, "send_by_cstore", lambda *_: next(receipts))

    first, second = (sparcc("send", finished, "--to", "PACS@host:104") for _ in range(2))

    assert first.out == "10 objects stored by PACS@host:104, all 10 found there again.\n"
    assert second.out == "10 objects stored by PACS@host:104. Not found again: it offers no query.\n"
