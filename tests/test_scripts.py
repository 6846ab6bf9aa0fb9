"""The scripts: what the demo prints last, and what the measurement of style counts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
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
