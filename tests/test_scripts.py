"""The scripts: what the demo prints last, and what the measurement of style counts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .commands import unknown_part

REPOSITORY: Final = Path(__file__).resolve().parents[1]


def test_the_demo_ends_with_the_command_for_a_study_of_ones_own(tmp_path: Path) -> None:
    checkout = tmp_path / "a folder"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts" / "demo", checkout / "scripts")
    (checkout / "scripts" / "environment.sh").write_text(
        f"set -euo pipefail\nREPOSITORY='{checkout}'; VENV='{checkout}/.venv'\nprepare_environment() {{ :; }}\n"
    )
    program = checkout / ".venv" / "bin" / "sparcc"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 'SPARCC 13 of 72'\n")
    program.chmod(0o755)

    printed = subprocess.run([checkout / "scripts" / "demo"], capture_output=True, text=True, check=True).stdout

    (command,) = [line for line in printed.splitlines() if " score /path/to/study" in line]
    words = shlex.split(command)
    assert Path(words[0]) == program
    assert unknown_part(shlex.join(["sparcc", *words[1:]])) is None
    assert str(checkout / "runs" / "demo" / "report.html") in printed


def test_the_figures_of_style_are_counted(tmp_path: Path) -> None:
    package = tmp_path / "sparcc_pipeline"
    (package / "sparcc").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "README.md").write_text("# Four words in all\n\n```sh\nnot counted\n```\n")
    (tmp_path / "tests" / "test_one.py").write_text("x = 1\n" * 5)
    (package / "sparcc" / "one.py").write_text(
        '"""A module."""\n# One comment.\n\ndef first(a: FloatArray) -> None:\n    """Take a (rows, columns) array.\n\n'
        '    >>> first(a)\n    """\n\n\ndef second(a: BoolArray) -> None:\n    return a\n'
    )

    printed = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "style_figures", tmp_path], capture_output=True, text=True, check=True
    ).stdout

    figures = {
        name.strip(): value.strip() for name, _, value in (line.partition(" | ") for line in printed.splitlines())
    }
    assert figures["public names with a docstring"] == "66.7 %"
    assert figures["public array functions that state a shape"] == "50.0 % of 2"
    assert figures["modules in the largest folder"] == "1 (sparcc)"
    assert figures["example lines (>>>) in the pure core"] == "1"
    assert figures["test lines / code lines"] == "0.42"
    assert figures["words in the README"] == "5"
