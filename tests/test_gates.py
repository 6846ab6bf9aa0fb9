"""Every gate can fail: a planted fault is found by the same configuration that passes the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        # No plugins of pytest: they take ten times as long to load as a planted test takes to run.
        env={**os.environ, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its configuration, free to be changed."""
    shutil.copytree(
        REPOSITORY / "sparcc_pipeline", tmp_path / "sparcc_pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


LINT_IMPORTS = ["-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("sparcc/depth.py", "import sparcc_pipeline.app.results.store", "Imports point one way BROKEN"),
        ("dicom/input/read.py", "import sparcc_pipeline.imaging.nifti", "Imports point one way BROKEN"),
        ("anatomy.py", "import sparcc_pipeline.volume", "Imports point one way BROKEN"),
        ("sparcc/score.py", "import pydicom", "The core knows no file, network, engine or framework BROKEN"),
        ("trial/remission.py", "import sparcc_pipeline.app.results.store", "Imports point one way BROKEN"),
        (
            "trial/protocol/definition.py",
            "import tomllib",
            "The core knows no file, network, engine or framework BROKEN",
        ),
        ("trial/records.py", "import datetime", "The core knows no file, network, engine or framework BROKEN"),
        ("volume.py", "import pathlib", "The core knows no file, network, engine or framework BROKEN"),
        ("app/study/score.py", "import sparcc_pipeline.app.results.store", "Inside app, imports point one way BROKEN"),
        ("app/reader/run.py", "import sparcc_pipeline.app.nightly.run", "Inside app, imports point one way BROKEN"),
        (
            "dicom/input/read.py",
            "import sparcc_pipeline.dicom.output.seg",
            "Inside dicom, imports point one way BROKEN",
        ),
        ("simulation/clinic.py", "import time", "The core knows no file, network, engine or framework BROKEN"),
        ("app/study/score.py", "import pydicom", "pydicom only in sparcc_pipeline.dicom BROKEN"),
        ("app/report/pictures/overlay.py", "import onnxruntime", "(training has torch as well) BROKEN"),
    ],
)
def test_a_forbidden_import_is_found(copy: Path, module: str, planted: str, contract: str) -> None:
    changed = copy / "sparcc_pipeline" / module
    changed.write_text(changed.read_text() + f"\n{planted}\n")

    found = _run(LINT_IMPORTS, copy)

    assert found.returncode == 1, found.stdout + found.stderr
    assert contract in " ".join(found.stdout.split())


def test_a_module_outside_the_layers_is_found(copy: Path) -> None:
    (copy / "sparcc_pipeline" / "helpers.py").write_text("")

    found = _run(LINT_IMPORTS, copy)

    assert found.returncode == 1
    assert "helpers" in found.stdout


def test_the_package_keeps_its_contracts(copy: Path) -> None:
    found = _run(LINT_IMPORTS, copy)

    assert found.returncode == 0, found.stdout + found.stderr
    assert "6 kept, 0 broken" in found.stdout


@pytest.mark.parametrize("planted", ["import os\n", "def f(a=[]):\n    return a\n", "x = 1;\n"])
def test_lint_is_not_asleep(copy: Path, planted: str) -> None:
    (copy / "sparcc_pipeline" / "planted.py").write_text(planted)

    assert _run(["-m", "ruff", "check", "--no-cache", "sparcc_pipeline/planted.py"], copy).returncode == 1


def test_format_is_not_asleep(copy: Path) -> None:
    (copy / "sparcc_pipeline" / "planted.py").write_text("x = {  'a':1 }\n")

    assert _run(["-m", "ruff", "format", "--check", "--no-cache", "sparcc_pipeline/planted.py"], copy).returncode == 1


def test_types_are_strict(copy: Path) -> None:
    (copy / "sparcc_pipeline" / "planted.py").write_text("def f(a):\n    return a\n")

    found = _run(["-m", "mypy", "--cache-dir", os.devnull, "sparcc_pipeline/planted.py"], copy)

    assert found.returncode == 1
    assert "no-untyped-def" in found.stdout


@pytest.mark.parametrize(
    ("planted", "reported"),
    [
        ("import warnings\ndef test_it():\n    warnings.warn('old', DeprecationWarning)\n", "DeprecationWarning: old"),
        ("import pytest\n@pytest.mark.slwo\ndef test_it(): pass\n", "'slwo' not found in `markers`"),
        ("def test_it():\n    assert False\n", "1 failed"),
    ],
)
def test_tests_are_strict(copy: Path, planted: str, reported: str) -> None:
    (copy / "tests").mkdir()
    (copy / "tests" / "test_planted.py").write_text(planted)

    found = _run(["-m", "pytest", "-p", "no:cacheprovider"], copy)

    assert found.returncode != 0
    assert reported in found.stdout
