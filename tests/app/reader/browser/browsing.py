"""A served reading page and a real browser, for all browser tests."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.database import open_reader_database
from sparcc_pipeline.app.reader.readings.assignments import assign, cases
from sparcc_pipeline.app.reader.settings import load_settings
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL
from sparcc_pipeline.app.reader.tables import USERS
from sparcc_pipeline.app.study.clock import utc_now

from ..conftest import PASSWORD, SETTINGS

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
SERVE = (
    "import sys; from pathlib import Path; from sparcc_pipeline.app.reader.run import serve;"
    "from sparcc_pipeline.app.reader.settings import load_settings; serve(load_settings(Path(sys.argv[1])))"
)
PATIENCE_MS = 20_000
_names = itertools.count(1)

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Served:
    """A copy of a prepared page, served by its own process, which a test can kill and restart."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, prepared: Path, folder: Path) -> Served:
        shutil.copytree(prepared, folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        (folder / "reader.toml").write_text(f"{SETTINGS}\n[server]\nport = {port}\n")
        served = cls(folder, port)
        served.start()
        return served

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, str(self.folder / "reader.toml")])
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < until, "the server did not start"
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def new_user(self, role: Role = Role.READER, *, structural: bool = False) -> str:
        """Add a user of this role; a reader gets every case, and if `structural` each again with that form."""
        name = f"user{next(_names)}"
        settings = load_settings(self.folder / "reader.toml")
        database = open_reader_database(settings, utc_now)
        Accounts(database, settings.session).add(name, name.upper(), role, password=PASSWORD, must_change=False)
        if role is Role.READER:
            with database.writing() as work:
                row = work.connection.execute(select(USERS).where(USERS.c.name == name)).one()
                every = [case.id for case in cases(work.connection, training=False)]
                assign(work, row, every, settings.reading, by="dee")
                if structural:
                    assign(work, row, every, settings.reading, kind=STRUCTURAL, by="dee")
        database.engine.dispose()
        return name


@dataclass
class Reader:
    """A user with an open page."""

    page: Page
    address: str

    @classmethod
    def signed_in(cls, browser: Browser, served: Served, name: str, **options: Any) -> Reader:
        context = browser.new_context(viewport={"width": 1366, "height": 768}, base_url=served.address, **options)
        context.set_default_timeout(PATIENCE_MS)
        reader = cls(context.new_page(), served.address)
        reader.page.goto("/login")
        reader.page.fill("[name=name]", name)
        reader.page.fill("[name=password]", PASSWORD)
        reader.page.keyboard.press("Enter")
        reader.page.wait_for_url(lambda url: "/login" not in url)
        return reader

    def open_next(self) -> str:
        """Open the next case; return its code."""
        self.page.goto("/worklist")
        self.page.click(".progress a.button")
        self.wait()
        return self.code

    def wait(self) -> None:
        """Wait for the page and its first image."""
        self.page.wait_for_selector("body[data-ready]")
        self.page.wait_for_selector(".panel[data-slice]")

    @property
    def code(self) -> str:
        return str(self.page.get_attribute("body", "data-code"))

    @property
    def keys(self) -> Any:
        return self.page.keyboard

    def cell(self, slice_: int, joint: str, item: str) -> Any:
        return self.page.locator(f'[data-item="{slice_} {joint} {item}"]').locator("visible=true").first

    def case(self) -> dict[str, Any]:
        """Return the case as stored on the server."""
        return dict(self.page.request.get(f"/api/cases/{self.code}").json())

    def points(self, label: str = "A") -> set[tuple[int, str, str]]:
        """Return the items of a time point with a point of 1, as stored on the server."""
        joints = self.case()["reading"]["content"]["visits"][label]["joints"]
        return {
            (each["slice"], each["joint"], item)
            for each in joints
            for item, value in each.items()
            if value == 1 and item not in ("slice", "read")
        }

    def saved(self) -> None:
        """Wait until the page shows that everything is saved."""
        expect(self.page.locator("#saved")).to_have_attribute("data-state", "saved")

    def tab_to(self, selector: str) -> None:
        """Move the focus with the Tab key only."""
        for _ in range(60):
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
            self.keys.press("Tab")
        raise AssertionError(f"the keyboard does not reach {selector}")

    def place_of(self, joint: str, item: str) -> tuple[float, float]:
        """Return the screen position of a quadrant of the active time point."""
        x, y = self.page.evaluate(
            """([joint, item]) => {
                const { activePanel: panel } = window.page.hanging;
                const box = panel.canvas.getBoundingClientRect();
                for (let y = 2; y < box.height; y += 3) for (let x = 2; x < box.width; x += 3) {
                    const target = panel.targetAt(x, y);
                    if (target?.joint === joint && target.item === item) return [box.x + x + 1, box.y + y + 1];
                }
                return null;
            }""",
            [joint, item],
        )
        return float(x), float(y)

    def fill_in(self, *points: tuple[int, str, str]) -> None:
        """Read every time point of the case: click the points, mark each slice as read."""
        page = self.page
        for label in self.case()["reading"]["content"]["visits"]:
            page.click(f'#visits [data-label="{label}"]')
            for at in points:
                self.cell(*at).click()
            for slice_ in range(1, 7):
                page.locator(f'[data-read="{slice_}"]').click()
            page.click('[data-answer="asas_positive false"]')
            page.click('[data-answer="image_quality good"]')
        self.saved()

    def read_and_lock(self, *points: tuple[int, str, str]) -> None:
        """Read and lock the next case through the server, with the same points at every time point."""
        page = self.page
        page.goto("/worklist")
        code = str(page.get_attribute(".progress a.button", "href")).rsplit("/", 1)[-1]
        headers = {"X-CSRF-Token": str(page.get_attribute("meta[name=csrf]", "content"))}
        path = f"/api/cases/{code}"
        reading = page.request.get(path).json()["reading"]
        for visit in reading["content"]["visits"].values():
            visit |= {"asas_positive": False, "image_quality": "good"}
            for joint in visit["joints"]:
                joint["read"] = True
                for slice_, side, item in points:
                    if (joint["slice"], joint["joint"]) == (slice_, side):
                        joint[item] = 1
        body = {"revision": reading["revision"], "content": reading["content"]}
        saved = page.request.put(f"{path}/reading", data=body, headers=headers).json()
        signed = {"revision": saved["revision"], "password": PASSWORD}
        locked = page.request.post(f"{path}/lock", data=signed, headers=headers)
        assert locked.status == 200, locked.text()

    def lock(self) -> None:
        page = self.page
        page.click("#lock")
        page.fill("dialog input", PASSWORD)
        page.click("dialog button[type=submit]")
        expect(page.locator("#saved")).to_have_attribute("data-state", "locked")
        self.wait()
