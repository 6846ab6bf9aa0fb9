"""Batches: every study a row whatever becomes of it, finished work kept, nothing half written."""

from __future__ import annotations

import copy
import csv
import errno
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from distributed import Client, LocalCluster
from pyarrow import parquet
from pydicom.uid import UID

from sparcc_pipeline.app.batch import cluster
from sparcc_pipeline.app.batch import task as batch_task
from sparcc_pipeline.app.batch.sources import find_sources
from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.report import outputs
from sparcc_pipeline.app.report.pictures.overlay import draw_overlays
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.score import Segmenter
from sparcc_pipeline.dicom.input.files import archive as source_module
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.imaging.nifti import write_nifti
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.volume import TissueMaps, Volume

from ..conftest import KnownSegmenter, make_stir, make_tissue


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One worker in this process, so that it uses the replacements of a test."""
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        ) as workers,
        Client(workers) as client,
    ):
        yield client


class CountingSegmenter:
    """Knows the tissue, and counts how many studies it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.model = "ab" * 32
        self._known = KnownSegmenter(make_tissue())

    @property
    def provenance(self) -> dict[str, str]:
        return {**self._known.provenance, "sha256": self.model}

    def calibration_of(self, tissue: TissueMaps) -> Calibration | None:
        return None

    def segment(self, volume: Volume, t1: Volume | None = None) -> tuple[TissueMaps, Joints]:
        self.asked.append(len(self.asked))
        return self._known.segment(volume, t1)


class Batch:
    """Calls `sparcc batch` in this process, without DICOM results unless a test is about them: they take longest."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: Client) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.segmenter = CountingSegmenter()
        self.sizes: list[tuple[int, int | None]] = []
        self.out, self.err = "", ""

        @contextmanager
        def local(workers: int, worker_bytes: int | None) -> Iterator[Client]:
            self.sizes.append((workers, worker_bytes))
            yield client

        def load(config: PipelineConfig) -> Segmenter:
            return self.segmenter

        monkeypatch.setattr(installation, "load_installed_segmenter", load)
        monkeypatch.setattr(cluster, "local_cluster", local)

    def __call__(self, *arguments: str | Path, dicom: bool = False) -> int:
        batch_task._warm_segmenter.cache_clear()
        options = [] if dicom else ["--no-dicom"]
        self._monkeypatch.setattr(sys, "argv", ["sparcc", "batch", *map(str, arguments), *options])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        self.out, self.err = self._capsys.readouterr()
        assert isinstance(code, int)
        return code


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: Client) -> Iterator[Batch]:
    yield Batch(monkeypatch, capsys, client)
    # The workers are threads of this process, which would keep the known model for other tests.
    batch_task._warm_segmenter.cache_clear()


def write_study(folder: Path, patient: str) -> list[Path]:
    return write_mr_series(make_stir(), folder, style="siemens", patient_id=patient, seed="batch")


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "batch.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "batch.log").read_text().splitlines()]


def statuses(out: Path) -> list[str]:
    return sorted(row["status"] for row in rows_of(out))


def partial_left(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.endswith(".partial")]


def test_studies_mixed_in_one_folder_are_separated(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "ward 7"
    for number, patient in enumerate(("MUELLER_ANNA", "SCHMIDT_OTTO", "LI_WEI")):
        for file in write_study(tmp_path / "made" / str(number), patient):
            (source / file.name[-5]).mkdir(parents=True, exist_ok=True)
            file.rename(source / file.name[-5] / f"{number}{file.name}")

    assert batch(source, "--out", tmp_path / "out", dicom=True) == 0

    rows = rows_of(tmp_path / "out")
    assert [(row["status"], row["total"], row["files"]) for row in rows] == [("scored", "4", "14")] * 3
    assert len({row["study_uid"] for row in rows}) == 3
    assert "3 studies: 3 scored" in batch.out
    for row in rows:
        assert re.fullmatch(r"study-[0-9a-f]{16}", row["study"])
        assert (tmp_path / "out" / "studies" / row["study"] / "report.html").is_file()
    table = parquet.read_table(tmp_path / "out" / "batch.parquet")
    assert table.column("total").to_pylist() == [4, 4, 4]
    assert table.column_names == list(rows[0])
    # The DICOM results join the patient's study and name the patient; nothing else does.
    files = [
        path
        for path in (tmp_path / "out").rglob("*")
        if path.is_file() and path.name not in ("sources.csv", "index_local.html")
    ]
    shared = [path for path in files if path.suffix != ".dcm"]
    for file in shared:
        content = file.read_bytes()
        assert not [word for word in (b"MUELLER", b"SCHMIDT", b"LI_WEI", b"ward 7") if word in content], file.name
    for local in ("sources.csv", "index_local.html"):
        assert "ward 7" in (tmp_path / "out" / local).read_text()


def test_a_bad_study_is_a_row_and_never_the_end(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    write_study(source / "good", "A")
    write_study(source / "gap", "B")[6].unlink()
    stir = make_stir()
    axial = replace(stir.geometry, directions=((0.0, 0.1, 0.9949874), (0.0, 0.9949874, -0.1), (1.0, 0.0, 0.0)))
    write_mr_series(Volume(stir.signal, axial, stir.series), source / "axial", style="ge", patient_id="C", seed="b")
    (source / "cut").mkdir()
    (source / "cut" / "x.dcm").write_bytes((source / "good" / "IM_0001.dcm").read_bytes()[:140])
    monkeypatch.setattr(source_module, "BOMB_FLOOR_BYTES", 2**16)
    with zipfile.ZipFile(source / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("a.dcm", b"\0" * 10_000_000)
    with zipfile.ZipFile(source / "climbs.zip", "w") as climbing:
        climbing.writestr("../../evil.dcm", b"x")
    (source / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    write_nifti(stir.signal, stir, source / "also.nii.gz")
    (source / "broken.nii.gz").write_bytes(b"no image")

    assert batch(source, "--out", tmp_path / "out") == 0

    assert statuses(tmp_path / "out") == ["rejected"] * 6 + ["scored"] * 2 + ["unscorable"]
    reasons = " ".join(row["reason"] for row in rows_of(tmp_path / "out"))
    for words in ("packed at most", "'..'", "found a damaged one", "damaged, cut off", "semicoronal", "NIfTI file"):
        assert words in reasons
    assert not [row for row in rows_of(tmp_path / "out") if row["status"] != "scored" and row["total"]]
    assert not (tmp_path / "evil.dcm").exists()


def test_junk_costs_little_and_odd_names_do_no_harm(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "in"
    write_study(source / "new\nline" / "..." / "c..d", "A")
    odd = Path(os.fsdecode(os.fsencode(source) + b"/new\nline/.../c..d/\xff\n"))
    (source / "new\nline" / "..." / "c..d" / "IM_0001.dcm").rename(odd)
    (source / "junk").mkdir()
    for number in range(1000):
        (source / "junk" / f"{number}.txt").write_bytes(b"junk %d" % number)
    with (source / "disk.img").open("wb") as large:
        large.truncate(2 * 2**30)
    os.mkfifo(source / "pipe")
    (source / "loop").symlink_to(source)

    before = os.times()
    found = find_sources([source], tmp_path / "out")
    cpu = sum(os.times()[:2]) - sum(before[:2])

    assert (len(found.studies), found.other_files, found.refused) == (1, 1001, [])
    assert len(found.studies[0].found.files) == 14
    assert cpu < 3
    assert batch(source, "--out", tmp_path / "out") == 0
    assert "1001 other files were passed over" in batch.out
    (listed,) = (tmp_path / "out" / "sources.csv").read_text().splitlines()[1:]
    assert "new\\nline" in listed
    assert len(list((tmp_path / "out" / "studies").iterdir())) == 1


def test_zips_with_several_studies_and_copies(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    with zipfile.ZipFile(source / "both.zip", "w") as packed:
        for patient in ("A", "B"):
            for file in write_study(tmp_path / patient, patient):
                packed.write(file, f"{patient}/{file.name}")
        packed.writestr("readme.txt", "no image")
    shutil.copytree(tmp_path / "A", source / "A again")
    with zipfile.ZipFile(source / "letter.docx", "w") as letter:
        letter.writestr("word/document.xml", "<x/>")

    assert batch(source, "--out", tmp_path / "out") == 0

    assert [(row["status"], row["total"]) for row in rows_of(tmp_path / "out")] == [("scored", "4")] * 2
    assert sorted(row["files"] for row in rows_of(tmp_path / "out")) == ["14", "28"]


def test_a_damaged_file_beside_a_study_is_in_its_warnings(batch: Batch, tmp_path: Path) -> None:
    write_study(tmp_path / "in", "A")
    (tmp_path / "in" / "cut").write_bytes((tmp_path / "in" / "IM_0001.dcm").read_bytes()[:140])

    assert batch(tmp_path / "in", "--out", tmp_path / "out") == 0

    (row,) = rows_of(tmp_path / "out")
    assert row["status"] == "scored"
    assert "1 damaged or missing files" in row["warnings"]


def split_in_two(file: Path) -> None:
    """One multi-frame file as two, each with half of the slices, as some archives send them."""
    whole = pydicom.dcmread(file)
    half = whole.NumberOfFrames // 2
    groups, pixels = list(whole.PerFrameFunctionalGroupsSequence), whole.PixelData
    size = len(pixels) // whole.NumberOfFrames
    for number, part in enumerate((slice(0, half), slice(half, None))):
        piece = copy.deepcopy(whole)
        piece.PerFrameFunctionalGroupsSequence = groups[part]
        piece.NumberOfFrames = len(groups[part])
        piece.PixelData = b"".join(pixels[k * size : (k + 1) * size] for k in range(whole.NumberOfFrames)[part])
        piece.SOPInstanceUID = piece.file_meta.MediaStorageSOPInstanceUID = UID(f"{whole.SOPInstanceUID}{number}"[:64])
        piece.save_as(file.with_name(f"part{number}"), enforce_file_format=True)
    file.unlink()


def test_a_study_that_can_have_no_dicom_results_keeps_its_score(batch: Batch, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    (file,) = write_mr_series(make_stir(), source, style="ge", patient_id="A", seed="b", enhanced=True)
    split_in_two(file)

    assert batch(source, "--out", out, "--lang", "zh", dicom=True) == 0

    (row,) = rows_of(out)
    assert (row["status"], row["total"]) == ("scored", "4")
    assert "no DICOM results: expected one multi-frame file" in row["warnings"]
    assert not list(out.rglob("*.dcm"))
    assert "无 DICOM 结果" in (out / "index.html").read_text(encoding="utf-8")


def test_the_index_is_in_the_language_of_the_reports(batch: Batch, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write_study(source / "a", "A")
    write_study(source / "b", "B")[6].unlink()
    (source / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    assert batch(source, "--out", out, "--lang", "zh") == 0

    page = (out / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh' in page
    for words in ("已评分", "退回", "得分最高的层面", "补发缺失的层面", "压缩包应能解压"):
        assert words in page
    reasons = [row["reason"] for row in rows_of(out) if row["status"] == "rejected"]
    assert all(reason.startswith("expected ") for reason in reasons), "tables stay English"

    again = (out / "index.html").read_bytes()
    assert batch(source, "--out", out, "--lang", "zh") == 0
    assert "补发缺失的层面" in (out / "index.html").read_text(encoding="utf-8"), "also of a row of an earlier run"
    assert len(again) > 1000


def test_a_rerun_skips_what_is_finished(batch: Batch, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write_study(source / "a", "A")
    write_study(source / "b", "B")[6].unlink()
    assert batch(source, "--out", out) == 0
    first = {path: path.stat().st_mtime_ns for path in (out / "studies").rglob("*")}
    write_study(source / "c", "C")
    (source / "a").rename(source / "moved")

    assert batch(source, "--out", out) == 0

    assert len(batch.segmenter.asked) == 2
    assert sorted((row["status"], row["earlier"]) for row in rows_of(out)) == [
        ("rejected", "1"),
        ("scored", "0"),
        ("scored", "1"),
    ]
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert "2 of them in an earlier run" in batch.out


@pytest.mark.parametrize("changed", ["settings", "model", "content", "outputs"])
def test_whatever_changes_a_result_scores_it_again(batch: Batch, tmp_path: Path, changed: str) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    files = write_study(source, "A")
    assert batch(source, "--out", out, dicom=changed == "outputs") == 0
    arguments: list[str] = []
    if changed == "settings":
        arguments = ["--accept-fat-suppressed"]
    elif changed == "model":
        batch.segmenter.model = "cd" * 32
    elif changed == "content":
        content = bytearray(files[7].read_bytes())
        content[-1] ^= 1
        files[7].write_bytes(content)

    assert batch(source, "--out", out, *arguments) == 0

    assert len(batch.segmenter.asked) == 2
    (row,) = rows_of(out)
    assert (row["status"], row["earlier"]) == ("scored", "0")
    assert not (out / "studies" / row["study"] / "seg.dcm").exists()


def test_half_done_studies_are_done_again(batch: Batch, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write_study(source, "A")
    assert batch(source, "--out", out) == 0
    (folder,) = (out / "studies").iterdir()
    (folder / "row.json").write_text('{"made_from": {')
    (out / "studies" / ".sparcc-dead.partial" / "result").mkdir(parents=True)

    assert batch(source, "--out", out) == 0

    assert len(batch.segmenter.asked) == 2
    assert partial_left(out) == []
    assert json.loads((folder / "row.json").read_text())["row"]["total"] == 4


def test_an_interrupted_batch_keeps_its_rows_and_goes_on(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for patient in "ABC":
        write_study(source / patient, patient)
    real = cluster.run_tasks

    def interrupted(client: Any, run: Any, tasks: Any, done: Any, lost: Any) -> None:
        def once(task: Any, row: Any) -> None:
            done(task, row)
            raise KeyboardInterrupt

        real(client, run, tasks, once, lost)

    with monkeypatch.context() as patch:
        patch.setattr("sparcc_pipeline.app.batch.run.run_tasks", interrupted)
        assert batch(source, "--out", out) == 130
    assert len(rows_of(out)) == 1
    assert "Not reached yet" in (out / "index.html").read_text()
    assert "Interrupted" in batch.err

    assert batch(source, "--out", out) == 0
    assert statuses(out) == ["scored"] * 3
    assert partial_left(out) == []


def test_a_full_disk_half_way_is_reported_in_the_rows(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for patient in "ABC":
        write_study(source / patient, patient)
    write = Path.write_bytes

    def fills_up(self: Path, content: bytes) -> int:
        if self.name == "study.npz" and len(batch.segmenter.asked) > 1:
            write(self, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fills_up)
        assert batch(source, "--out", out) == 6
    assert statuses(out) == ["failed", "failed", "scored"]
    assert "no space left" in next(row["reason"] for row in rows_of(out) if row["status"] == "failed")
    assert len(list((out / "studies").iterdir())) == 1
    assert partial_left(out) == []

    assert batch(source, "--out", out) == 0
    assert statuses(out) == ["scored"] * 3
    assert len(batch.segmenter.asked) == 5


def test_a_fault_of_the_program_costs_one_row_and_shows_no_name(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for patient in "AB":
        write_study(tmp_path / "in" / patient, patient)
    real, calls = draw_overlays, []

    def fails_once(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("Erika Musterfrau")
        return real(*arguments)

    monkeypatch.setattr(outputs, "draw_overlays", fails_once)
    assert batch(tmp_path / "in", "--out", tmp_path / "out") == 6

    assert statuses(tmp_path / "out") == ["failed", "scored"]
    reason = next(row["reason"] for row in rows_of(tmp_path / "out") if row["status"] == "failed")
    assert "ZeroDivisionError in test_batch.py" in reason
    assert "Musterfrau" not in (tmp_path / "out" / "batch.csv").read_text()


def test_the_index_shows_every_study_and_sorts_without_a_network(batch: Batch, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    write_study(source / "a", "A")
    write_study(source / "b", "B")[6].unlink()
    assert batch(source, "--out", out) == 0

    page = (out / "index.html").read_text()
    (scored,) = [row for row in rows_of(out) if row["status"] == "scored"]
    assert f'src="studies/{scored["study"]}/thumbnail.png"' in page
    assert (out / "studies" / scored["study"] / "thumbnail.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert 'data-status="0" data-total="4"' in page
    assert 'data-status="2">' in page, "a study without a score has no number to be sorted by"
    assert 'data-by="total"' in page and 'data-by="status"' in page
    assert not re.search(r"(src|href)=\"(?:https?:)?//", page)
    assert page.index(scored["study"]) < page.index('class="status rejected"')


def test_usage_of_batch(batch: Batch, tmp_path: Path) -> None:
    write_study(tmp_path / "in", "A")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("x")
    out = tmp_path / "out"

    assert batch(tmp_path / "in") == 2
    assert batch(tmp_path / "gone", "--out", out) == 3
    assert batch(tmp_path / "notes", "--out", out) == 3
    assert batch(tmp_path / "in", "--out", tmp_path / "notes") == 6
    assert batch(tmp_path / "in", "--out", out, "--scheduler", "tcp://127.0.0.1:1", "--workers", "2") == 2
    assert batch(tmp_path / "in", "--out", out, "--limit-memory", "much") == 2
    assert batch(tmp_path / "in", "--out", out, "--limit-memory", "100MB") == 2
    assert batch(tmp_path / "in", "--out", out, "--limit-memory", "3GB", "--workers", "2") == 0
    assert batch.sizes[-1] == (2, 1_500_000_000)
    assert batch(tmp_path / "in", "--out", tmp_path / "in" / "results") == 0
    assert batch(tmp_path / "in", "--out", tmp_path / "in" / "results") == 0
    assert len(rows_of(tmp_path / "in" / "results")) == 1


def test_two_batches_do_not_share_a_folder(batch: Batch, tmp_path: Path) -> None:
    from sparcc_pipeline.app.batch.run import batch_folder

    write_study(tmp_path / "in", "A")
    with batch_folder(tmp_path / "out"):
        assert batch(tmp_path / "in", "--out", tmp_path / "out") == 6
    assert "another" in batch.err or "no other batch" in batch.err


def test_every_log_line_is_one_study(batch: Batch, tmp_path: Path) -> None:
    for patient in "AB":
        write_study(tmp_path / "in" / patient, patient)
    assert batch(tmp_path / "in", "--out", tmp_path / "out") == 0

    assert sorted(line["study"] for line in log_of(tmp_path / "out")) == [r["study"] for r in rows_of(tmp_path / "out")]
