"""The morning in a real browser: news come by themselves, but never over a reason that is being typed."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")
from playwright.sync_api import Browser, Page, expect

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import FileRecord, Ledger, UploadRecord
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.database import open_reader_database
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.message import Message

from ..conftest import PASSWORD, SETTINGS

NIGHT = '[paths]\nidentity_folder = "i"\nwork_folder = "w"\n[[site]]\ncode = "S01"\nname = "One"\nmanifest = "m.csv"\n'
SERVE = "from sparcc_pipeline.app.cli.main import main; main()"


@dataclass
class Night:
    """A served page of a coordinator, and the ledger of its night with a study in quarantine."""

    ledger: Ledger
    address: str

    def hold(self, name: str) -> None:
        """Add a study in quarantine."""
        self.ledger.record_upload(UploadRecord(name, "S01", "inbox", [FileRecord(name, 1, name)]))
        version = self.ledger.record_study("S01", name, name, [name])
        self.ledger.close_upload(name, UploadState.SORTED)
        self.ledger.assign(version.id, name, "W0")
        held = self.ledger.claim(State.RECEIVED, "night", timedelta(minutes=1), 5)
        assert held is not None
        self.ledger.quarantine(held, Message("a slice is missing"), {"waits_for": "slices"})


@pytest.fixture
def night(tmp_path: Path, free_port: int) -> Iterator[Night]:
    (tmp_path / "reader.toml").write_text(f"{SETTINGS}\n[server]\nport = {free_port}\n")
    (tmp_path / "nightly.toml").write_text(NIGHT)
    settings = load_settings(tmp_path / "reader.toml")
    database = open_reader_database(settings, utc_now)
    Accounts(database, settings.session).add("dee", "C1", Role.COORDINATOR, password=PASSWORD, must_change=False)
    database.engine.dispose()
    engine = open_database(f"sqlite:///{tmp_path / 'w' / 'ledger.sqlite'}")
    found = Night(Ledger(engine, utc_now, 5), f"http://127.0.0.1:{free_port}")
    found.hold("P001")
    arguments = ["reader", "serve", "--settings", str(tmp_path / "reader.toml")]
    command = [sys.executable, "-c", SERVE, *arguments, "--nightly", str(tmp_path / "nightly.toml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _wait_for(found.address)
        yield found
        process.terminate()
    engine.dispose()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(address: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{address}/login")
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def opened(browser: Browser, night: Night) -> Page:
    page = browser.new_context().new_page()
    page.goto(f"{night.address}/login?next=/night")
    page.fill("[name=name]", "dee")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.locator("article")).to_have_count(1)
    return page


def test_news_come_by_themselves_but_not_over_a_typed_reason(browser: Browser, night: Night) -> None:
    page = opened(browser, night)
    night.hold("P002")
    expect(page.locator("article")).to_have_count(2)

    release = page.locator("article", has_text="P001").locator("details", has_text="Release")
    release.locator("summary").click()
    release.locator("[name=reason]").fill("looked at it")
    night.hold("P003")
    expect(page.locator("#live button")).to_be_visible()
    expect(release.locator("[name=reason]")).to_have_value("looked at it")
    assert page.locator("article").count() == 2

    release.locator("button").click()
    expect(page.locator("article h3", has_text="P003")).to_be_visible()
    expect(page.locator("section.need article")).to_have_count(2)
    assert night.ledger.version(1).facts["released"]["reason"] == "looked at it"
    page.context.close()
