"""axe-core, a checker of accessibility in the browser; npm fetches it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
AXE = "axe-core@4"
SERIOUS = ("serious", "critical")


def axe_script(folder: Path) -> str:
    """Return the script of axe-core; skip the test where npm is absent or reaches no registry."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm (Debian: npm)")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), AXE]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm reaches no registry")
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if ended.returncode != 0 or not script.is_file():
        pytest.skip(f"npm did not install {AXE}")
    return script.read_text(encoding="utf-8")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield the browser of the system; skip the test where it is absent."""
    sync = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM} (Debian: chromium)")
    with sync.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


def serious_findings(page: Page, axe: str) -> list[tuple[Any, ...]]:
    """Return rule, number of places and the first place of every serious finding on the page."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (each["id"], len(each["nodes"]), each["nodes"][0]["html"])
        for each in found["violations"]
        if each["impact"] in SERIOUS
    ]
