"""The command line: exit codes, output, and the files that remain."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.core import TyperGroup
from typer.main import get_command

from sparcc_pipeline.app.cli import main as cli
from sparcc_pipeline.app.cli.terminal import missing_part
from sparcc_pipeline.app.report import pdf as pdf_pages
from sparcc_pipeline.app.results.score_document import SCHEMA_FILE
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.score import Segmenter
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import ConfigError, ModelError
from sparcc_pipeline.imaging.nifti import read_nifti
from sparcc_pipeline.volume import Volume

from ..conftest import KnownSegmenter, make_stir, make_tissue


@dataclass
class Ended:
    code: int
    out: str
    err: str


class Sparcc:
    """Calls `sparcc` in this process, with a segmenter that knows the study."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.config: PipelineConfig | None = None
        self.segmenter: Segmenter = KnownSegmenter(make_tissue())
        monkeypatch.setattr(installation, "load_installed_segmenter", self._load)

    def _load(self, config: PipelineConfig) -> Segmenter:
        self.config = config
        return self.segmenter

    def __call__(self, *arguments: str | Path) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["sparcc", *map(str, arguments)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        printed = self._capsys.readouterr()
        return Ended(code, printed.out, printed.err)


@pytest.fixture
def sparcc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sparcc:
    return Sparcc(monkeypatch, capsys)


def _left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


PICTURES = [f"overlay/slice_{k:02d}.png" for k in range(5, 11)]
OTHERS: dict[str, Any] = {
    "dicom_quadrants": False,
    "dicom_pdf": False,
    "dicom_presentation": False,
    "page_date": True,
    "page_accession": False,
}
RESULT = [*PICTURES, "report.html", "run.toml", "score.csv", "score.json", "study.npz"]


def test_a_study_is_scored(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out")

    assert (ended.code, ended.err) == (0, "")
    assert _left(tmp_path / "out") == RESULT
    assert "Edema 2, intensity 1, depth 1\n" in ended.out
    assert str(tmp_path / "out" / "report.html") in ended.out
    document = json.loads((tmp_path / "out" / "score.json").read_text())
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(document)
    assert document["total"] == 4


def test_json_prints_only_the_document(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out", "--json")

    assert ended.out == (tmp_path / "out" / "score.json").read_text()
    assert ended.err == ""


def test_the_run_is_recorded_without_paths_or_names(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    named = study.rename(tmp_path / "MUSTERFRAU_ERIKA")
    sparcc("score", named, "--out", tmp_path / "out", "--slices", "6-11", "--engine", "torch", "--nifti")

    run = tomllib.loads((tmp_path / "out" / "run.toml").read_text())
    assert run["settings"]["engine"] == "torch"
    assert run["arguments"] == {
        "slices": "6-11",
        "accept_fat_suppressed": False,
        "nifti": True,
        "pdf": False,
        "dicom": False,
    }
    assert run["versions"]["numpy"] == np.__version__
    score = json.loads((tmp_path / "out" / "score.json").read_text())
    assert run["hashes"] == {
        "settings_sha256": score["provenance"]["settings_sha256"],
        "input_sha256": score["provenance"]["input"]["sha256"],
    }
    assert score["chosen_by"] == "user"
    for file in (tmp_path / "out").rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"MUSTERFRAU" not in content
            assert b"P0042" not in content
            assert b"Phantom^" not in content


def test_the_maps_are_in_the_geometry_of_the_source(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    sparcc("score", study, "--out", tmp_path / "out", "--nifti")

    tissue = make_tissue()
    anatomy = read_nifti(tmp_path / "out" / "anatomy.nii.gz")
    assert np.array_equal(anatomy.signal, tissue.anatomy)
    assert np.allclose(anatomy.geometry.affine, tissue.geometry.affine, atol=1e-3)
    assert np.array_equal(read_nifti(tmp_path / "out" / "edema.nii.gz").signal > 0, tissue.edema)
    probability = read_nifti(tmp_path / "out" / "edema_probability.nii.gz").signal
    assert np.allclose(probability, tissue.edema_probability)


def test_nothing_is_overwritten_without_force(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    sparcc("score", study, "--out", tmp_path / "out")
    before = (tmp_path / "out" / "score.json").read_bytes()
    sparcc.config = None

    refused = sparcc("score", study, "--out", tmp_path / "out", "--slices", "6-11")
    assert refused.code == 6
    assert sparcc.config is None, "the model was loaded although the output was refused"
    assert (tmp_path / "out" / "score.json").read_bytes() == before

    assert sparcc("score", study, "--out", tmp_path / "out", "--slices", "6-11", "--force").code == 0
    assert json.loads((tmp_path / "out" / "score.json").read_text())["chosen_by"] == "user"


@pytest.mark.parametrize(
    "slices", ["7", "7-11", "7-13", "12-7", "a-b", "-1-4", "7-12-13", "0-5", "", "9" * 5000 + "-7"]
)
def test_slices_that_are_not_six_are_a_usage_error(sparcc: Sparcc, study: Path, tmp_path: Path, slices: str) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out", f"--slices={slices}")

    assert ended.code == 2
    assert "expected --slices" in ended.err
    assert not (tmp_path / "out").exists()


def test_paths_without_rights_end_with_our_sentence(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("needs a user whose rights can be taken away")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    out = tmp_path / "out"

    assert sparcc("score", locked, "--out", out).err.startswith("sparcc: error: expected a folder")
    assert sparcc("score", locked / "study", "--out", out).code == 3
    assert sparcc("score", study, "--out", locked).code == 6
    assert sparcc("score", study, "--out", locked / "out").code == 6
    assert sparcc("score", study, "--out", out, "--config", locked / "my.toml").code == 2


def test_usage_errors_end_with_2(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("colour = 1\n")

    assert sparcc("score", study).code == 2
    assert sparcc("score", study, "--out", tmp_path / "out", "--engine", "abacus").code == 2
    assert sparcc("scoer").code == 2
    ended = sparcc("score", study, "--out", tmp_path / "out", "--config", tmp_path / "bad.toml")
    assert ended.code == 2
    assert "'colour'" in ended.err
    assert not (tmp_path / "out").exists()


def test_settings_reach_the_segmenter(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('engine = "torch"\nthreads = 5\n')

    sparcc("score", study, "--out", tmp_path / "a", "--config", tmp_path / "my.toml")
    assert sparcc.config == PipelineConfig(engine="torch", threads=5, lang="en", **OTHERS)
    sparcc(
        "score", study, "--out", tmp_path / "b", "--config", tmp_path / "my.toml", "--engine", "onnx", "--lang", "zh"
    )
    assert sparcc.config == PipelineConfig(engine="onnx", threads=5, lang="zh", **OTHERS)


def test_the_report_is_in_the_language_asked_for_and_the_score_in_english(
    sparcc: Sparcc, study: Path, tmp_path: Path
) -> None:
    sparcc("score", study, "--out", tmp_path / "en")
    sparcc("score", study, "--out", tmp_path / "zh", "--lang", "zh")
    documents = [json.loads((tmp_path / lang / "score.json").read_text()) for lang in ("en", "zh")]

    assert "仅供研究使用" in (tmp_path / "zh" / "report.html").read_text(encoding="utf-8")
    for document in documents:
        del document["provenance"]["created_at"]
    assert documents[0] == documents[1]
    assert not (tmp_path / "zh" / "report.pdf").exists(), "a PDF only where it is asked for"
    assert sparcc("score", study, "--out", tmp_path / "fr", "--lang", "fr").code == 2


def test_a_pdf_that_cannot_be_drawn_is_refused_before_the_slow_work(
    sparcc: Sparcc, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ConfigError("apt-get install libpango-1.0-0")

    monkeypatch.setattr(pdf_pages, "require_pdf", missing)
    ended = sparcc("score", study, "--out", tmp_path / "out", "--pdf")

    assert ended.code == 2 and "apt-get install libpango-1.0-0" in ended.err
    assert sparcc.config is None and not (tmp_path / "out").exists()
    assert sparcc("score", study, "--out", tmp_path / "out").code == 0, "without it the study is scored"


def _bad_input(kind: str, folder: Path) -> Path:
    """A source that must be refused."""
    source = folder / "study"
    stir = make_stir()
    if kind == "nothing there":
        return source
    if kind == "impossible name":
        return folder / ("x" * 300)
    source.mkdir()
    if kind == "text file":
        (source / "read me.txt").write_text("no image")
    elif kind == "zip with ..":
        with zipfile.ZipFile(folder / "study.zip", "w") as packed:
            packed.writestr("../evil.dcm", b"0")
        return folder / "study.zip"
    elif kind == "five slices":
        five = Volume(stir.signal[:5], replace(stir.geometry, shape=(5, *stir.geometry.shape[1:])), stir.series)
        write_mr_series(five, source, style="ge", patient_id="P0042", seed="bad")
    elif kind == "missing slice":
        write_mr_series(stir, source, style="ge", patient_id="P0042", seed="bad")[6].unlink()
    elif kind == "truncated":
        file = write_mr_series(stir, source, style="ge", patient_id="P0042", seed="bad")[6]
        file.write_bytes(file.read_bytes()[:2000])
    elif kind == "axial":
        axial = replace(stir.geometry, directions=((0.0, 0.1, 0.9949874), (0.0, 0.9949874, -0.1), (1.0, 0.0, 0.0)))
        write_mr_series(Volume(stir.signal, axial, stir.series), source, style="ge", patient_id="P0042", seed="bad")
    return source


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("nothing there", 3),
        ("impossible name", 3),
        ("empty folder", 3),
        ("text file", 3),
        ("truncated", 3),
        ("zip with ..", 3),
        ("missing slice", 3),
        ("five slices", 4),
        ("axial", 4),
    ],
)
def test_bad_input_ends_with_one_sentence_and_leaves_nothing(
    sparcc: Sparcc, tmp_path: Path, kind: str, code: int
) -> None:
    source = _bad_input(kind, tmp_path)

    ended = sparcc("score", source, "--out", tmp_path / "out")

    assert (ended.code, ended.out) == (code, "")
    assert ended.err.startswith("sparcc: error: ")
    assert ended.err.count("\n") == 1
    assert "found" in ended.err
    assert ";" in ended.err, "no remedy"
    assert not [path for path in tmp_path.iterdir() if path.name not in {"study", "study.zip"}]

    as_json = sparcc("score", source, "--out", tmp_path / "out", "--json")
    document = json.loads(as_json.out)
    jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(document)
    assert as_json.code == code
    assert document["status"] == {3: "rejected", 4: "unscorable"}[code]
    assert document["reason"] in as_json.err


def test_a_missing_model_ends_with_5(
    sparcc: Sparcc, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(config: PipelineConfig) -> Segmenter:
        raise ModelError("expected a model, found none;\ninstall again")

    monkeypatch.setattr(installation, "load_installed_segmenter", missing)
    ended = sparcc("score", study, "--out", tmp_path / "out", "--json")

    assert (ended.code, ended.out) == (5, "")
    assert ended.err == "sparcc: error: expected a model, found none; install again\n"
    assert not (tmp_path / "out").exists()


def test_progress_is_shown_on_a_terminal_only(
    sparcc: Sparcc, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    ended = sparcc("score", study, "--out", tmp_path / "out", "--json")

    assert "Segmenting" in terminal.getvalue()
    assert json.loads(ended.out)["total"] == 4


def test_help_and_version(sparcc: Sparcc) -> None:
    assert "score" in sparcc("--help").out
    assert "Commands for developers" in sparcc("-h").out
    assert "Slice 1 is the most anterior one" in " ".join(sparcc("score", "--help").out.split())
    version = sparcc("--version")
    assert (version.code, version.out.split()[0]) == (0, "sparcc-pipeline")


@pytest.mark.parametrize("group", ["", "nightly", "trial", "reader", "reader user", "reader audit", "model"])
def test_no_summary_of_a_command_is_cut(sparcc: Sparcc, monkeypatch: pytest.MonkeyPatch, group: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    commands = sparcc(*group.split(), "--help").out.split("Commands:")[1].split("Examples:")[0]
    assert "..." not in commands


def test_every_command_has_an_example(sparcc: Sparcc) -> None:
    def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(command, TyperGroup):
            for name, each in command.commands.items():
                yield from commands(each, (*words, name))
        else:
            yield words

    without = [words for words in commands(get_command(cli.app), ()) if "Example" not in sparcc(*words, "-h").out]
    assert without == []


def test_a_path_that_is_not_there_is_named(sparcc: Sparcc, tmp_path: Path) -> None:
    ended = sparcc("score", tmp_path / "nowhere", "--out", tmp_path / "out")

    assert ended.code == 3
    assert str(tmp_path / "nowhere") in ended.err


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("fastapi.routing", 'pip install ".[web]"'),
        ("psycopg", 'pip install ".[postgres]"'),
        ("fcntl", "use WSL or the container image"),
    ],
)
def test_a_missing_part_ends_in_one_sentence_with_what_to_do(module: str, expected: str) -> None:
    assert expected in str(missing_part(module))
    assert missing_part("sparcc_pipeline.nothing") is None


def test_a_command_that_windows_cannot_run_ends_in_a_sentence(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['resource'] = None; sys.argv = ['sparcc', 'inspect', sys.argv[1]]\n"
        "from sparcc_pipeline.app.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert ended.stderr.startswith("sparcc: error: expected Linux or macOS for this command (module resource)")


def test_the_label_is_on_the_pages_only(sparcc: Sparcc, study: Path, tmp_path: Path) -> None:
    ended = sparcc("score", study, "--out", tmp_path / "out", "--label", "T1-0042 week 16")

    assert "SPARCC 4" in ended.out and "#" in ended.out
    with_label = [
        file.name for file in (tmp_path / "out").rglob("*") if file.is_file() and b"T1-0042" in file.read_bytes()
    ]
    assert with_label == ["report.html"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['sparcc', '--help']\n"
        "from sparcc_pipeline.app.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'skimage', 'pydicom', 'nibabel', 'onnxruntime', 'torch', 'monai', 'PIL',"
        " 'pydantic', 'jinja2'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "heavy: []" in ran.stdout


def test_doctor_finds_a_complete_installation(sparcc: Sparcc) -> None:
    ended = sparcc("doctor")

    assert ended.code == 0, ended.out + ended.err
    assert "MISSING" not in ended.out
    assert "known 1.0, onnx, sha256 abababababab as published" in ended.out


def test_doctor_shows_all_and_ends_with_5_without_a_model(sparcc: Sparcc, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(config: PipelineConfig) -> Segmenter:
        raise ModelError("expected a model, found none; install again")

    monkeypatch.setattr(installation, "load_installed_segmenter", missing)
    ended = sparcc("doctor")

    assert ended.code == 5
    assert "model        FAILED" in ended.out
    assert "writing      ok" in ended.out
    assert ended.err == "sparcc: error: expected a model, found none; install again\n"
