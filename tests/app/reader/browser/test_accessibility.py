"""axe-core finds nothing serious on the worklist and on an open case."""

from __future__ import annotations

from pathlib import Path

from ...accessibility import axe_script, serious_findings
from .browsing import Reader


def test_axe_finds_nothing_serious(reader: Reader, tmp_path: Path) -> None:
    axe = axe_script(tmp_path)
    assert serious_findings(reader.page, axe) == [], "worklist"
    reader.open_next()
    assert serious_findings(reader.page, axe) == [], "case"
