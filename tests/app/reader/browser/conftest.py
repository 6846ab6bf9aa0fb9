"""A browser and a served page, shared by the tests of one module; each test has its own users.

They end with the module: Playwright keeps an event loop running in the thread, in which no other may run meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

    from .browsing import Reader, Served


@pytest.fixture(scope="module")
def engine() -> Iterator[Playwright]:
    """Playwright itself; it downloads nothing, the browser is the system's."""
    from playwright.sync_api import sync_playwright

    from .browsing import CHROMIUM

    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM} (Debian: chromium)")
    with sync_playwright() as engine:
        yield engine


@pytest.fixture(scope="module")
def browser(engine: Playwright) -> Iterator[Browser]:
    """Chromium."""
    from .browsing import ARGUMENTS, CHROMIUM

    browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Served]:
    """A page served by its own process."""
    from .browsing import Served

    served = Served.of(prepared, tmp_path_factory.mktemp("served") / "page")
    yield served
    served.kill()


@pytest.fixture
def reader(browser: Browser, served: Served) -> Iterator[Reader]:
    """A reader who just signed in and has every case still to read."""
    from .browsing import Reader

    reader = Reader.signed_in(browser, served, served.new_user())
    yield reader
    reader.page.context.close()
