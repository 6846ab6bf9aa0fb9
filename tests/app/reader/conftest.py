"""A reading page with a few small studies and one user of each role, and a browser without a window."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.cases.importing import import_cases, read_known, read_manifest
from sparcc_pipeline.app.reader.database import ReaderDatabase, open_reader_database
from sparcc_pipeline.app.reader.readings.assignments import assign, cases, readers
from sparcc_pipeline.app.reader.settings import ReaderSettings, load_settings
from sparcc_pipeline.app.reader.web.night_routes import Desk
from sparcc_pipeline.app.reader.web.server import make_app
from sparcc_pipeline.app.reader.web.site import Site
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Scored, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.volume import TissueMaps, Volume

from ..conftest import EDEMA, MARROW, KnownSegmenter, make_stir, make_tissue

PASSWORD = "a long enough password"
CODE = r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b"
"""Code of a case on a page."""
NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
USERS = {
    "ann": Role.READER,
    "ben": Role.READER,
    "cem": Role.ADJUDICATOR,
    "dee": Role.COORDINATOR,
    "eva": Role.ADMINISTRATOR,
    "fay": Role.AUDITOR,
    "sid": Role.SITE,
}
SETTINGS = """
[session]
argon2_memory_kib = 64
argon2_passes = 1
[reading]
repeat_share = 0.0
second_opinion = "each"
[calibration]
required = false
visits = 3
"""


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **by: float) -> None:
        self.now += timedelta(**by)


def study_with(seed: int) -> tuple[Volume, TissueMaps]:
    """Return a study with the lesions of the builder, and the left upper ilium on `seed` slices."""
    tissue = make_tissue()
    edema = tissue.edema_probability.copy()
    edema[4 : 4 + seed, 32:42, 102:110] = 0.9
    tissue = replace(tissue, edema_probability=edema)
    signal = np.array(make_stir().signal)
    signal[(tissue.anatomy > 0) & ~tissue.edema] = MARROW
    signal[4 : 4 + seed, 32:42, 102:110] = EDEMA
    return replace(make_stir(), signal=signal), tissue


def make_studies(folder: Path, who: list[tuple[str, str]]) -> Path:
    """Studies and their scores on disk, and a manifest."""
    rows = []
    run = Run(load_config(), Request(), NOW)
    for number, (participant, visit) in enumerate(who):
        stir, tissue = study_with(number % 4)
        study, score = folder / f"SECRETFILE-{participant}-{visit}", folder / "scores" / f"{participant}-{visit}"
        write_mr_series(
            stir, study, style="siemens", patient_id=f"SECRETID-{participant}", seed=f"{participant}{visit}"
        )
        outcome = score_study(study, Request(), lambda t=tissue: KnownSegmenter(t), lambda _: None)  # type: ignore[misc]
        assert isinstance(outcome, Scored)
        score.mkdir(parents=True)
        save_study(outcome, score / STUDY_FILE)
        (score / SCORE_FILE).write_text(json_text(score_document(outcome, run)))
        rows.append({"participant": participant, "visit": visit, "study": study.name, "score": f"scores/{score.name}"})
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest


TRIAL = [("P001", "W0"), ("P001", "W12"), ("P002", "W0"), ("P002", "W12"), ("P003", "W0")]
TRAINING = [("T1", "W0"), ("T2", "W0"), ("T3", "W0"), ("T4", "W0")]


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five time points of three participants."""
    return make_studies(tmp_path_factory.mktemp("trial"), TRIAL)


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A training set: its manifest and its known items (the upper left ilium, on 0, 1, 2, 3 slices)."""
    folder = tmp_path_factory.mktemp("training")
    manifest = make_studies(folder, TRAINING)
    known = folder / "known.csv"
    lines = ["participant,visit,slice_index,joint,item,value"]
    for number, (participant, visit) in enumerate(TRAINING):
        lines.append(f"{participant},{visit},4,right,upper_iliac,0")
        lines += [f"{participant},{visit},{4 + k},left,upper_iliac,1" for k in range(number)]
    known.write_text("\n".join(lines) + "\n")
    return manifest, known


@dataclass
class World:
    """A reading page, its clock, and browsers."""

    settings: ReaderSettings
    clock: Clock
    site: Site
    app: Any

    @property
    def database(self) -> ReaderDatabase:
        return self.site.database

    def browser(self, name: str | None = None) -> Browser:
        """A browser, signed in as `name`."""
        browser = Browser(self.app)
        if name is not None:
            browser.sign_in(name)
        return browser


class InProcess(httpx.BaseTransport):
    """Carries requests to the application without a network."""

    def __init__(self, app: Any) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def carry() -> httpx.Response:
            answer = await self._inner.handle_async_request(request)
            stream = httpx.ByteStream(b"".join([part async for part in answer.aiter_raw()]))
            return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

        return anyio.run(carry)


class Browser(httpx.Client):
    """Sends the same requests as the page and its script."""

    def __init__(self, app: Any) -> None:
        super().__init__(transport=InProcess(app), base_url="http://127.0.0.1:8470")

    @property
    def token(self) -> str:
        page = self.get("/login").text
        return page.split('name="csrf" content="')[1].split('"')[0]

    def sign_in(self, name: str, password: str = PASSWORD) -> Any:
        return self.form("/login", name=name, password=password)

    def form(self, path: str, **fields: Any) -> Any:
        return self.post(path, data={"csrf": self.token, **fields})

    def script(self, method: str, path: str, body: Any = None) -> Any:
        return self.request(method, path, json=body, headers={"X-CSRF-Token": self.token})

    def first_case(self) -> str:
        """Return the code of the next case."""
        page = self.get("/worklist").text
        return str(page.split('href="/case/')[1].split('"')[0])

    def case(self, code: str) -> dict[str, Any]:
        found = self.get(f"/api/cases/{code}")
        assert found.status_code == 200, found.text
        return dict(found.json())

    def read(self, code: str, points: list[tuple[str, int, str, str]] = [], value: int | None = 1) -> dict[str, Any]:  # noqa: B006
        """Fill in a whole case: 0 everywhere but at `points` (label, slice, joint, item); return the saved state."""
        reading = self.case(code)["reading"]
        for label, visit in reading["content"]["visits"].items():
            visit |= {"asas_positive": False, "image_quality": "good"}
            for joint in visit["joints"]:
                joint["read"] = True
                for at, number, side, item in points:
                    if (at, number, side) == (label, joint["slice"], joint["joint"]):
                        joint[item] = value
        body = {"revision": reading["revision"], "content": reading["content"]}
        saved = self.script("PUT", f"/api/cases/{code}/reading", body)
        assert saved.status_code == 200, saved.text
        return dict(saved.json())

    def lock(self, code: str, revision: int, password: str = PASSWORD) -> Any:
        return self.script("POST", f"/api/cases/{code}/lock", {"revision": revision, "password": password})

    def read_and_lock(self, code: str, points: list[tuple[str, int, str, str]] = []) -> dict[str, Any]:  # noqa: B006
        locked = self.lock(code, self.read(code, points)["revision"])
        assert locked.status_code == 200, locked.text
        return dict(locked.json())


def build(folder: Path, manifest: Path, training: tuple[Path, Path] | None = None, more: str = "") -> World:
    """A reading page in a folder, with users and cases; everything is assigned to both readers."""
    file = folder / "reader.toml"
    file.write_text(more or SETTINGS)
    settings, clock = load_settings(file), Clock()
    database = open_reader_database(settings, clock)
    accounts = Accounts(database, settings.session)
    for number, (name, role) in enumerate(USERS.items()):
        accounts.add(name, f"R{number}", role, password=PASSWORD, must_change=False)
    report = import_cases(database, read_manifest(manifest))
    assert not report.failed, report.failed
    if training is not None:
        report = import_cases(database, read_manifest(training[0]), known=read_known(training[1]))
        assert not report.failed, report.failed
    with database.writing() as work:
        for row in readers(work.connection, Role.READER):
            every = [case.id for case in cases(work.connection, training=False)]
            assign(work, row, every, settings.reading, by="dee")
    database.engine.dispose()
    return open_world(settings, clock)


def open_world(settings: ReaderSettings, clock: Clock, night: Desk | None = None) -> World:
    app = make_app(settings, clock, night)
    return World(settings, clock, app.state.site, app)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, manifest: Path, training: tuple[Path, Path]) -> Path:
    """The folder of a page without readings."""
    folder = tmp_path_factory.mktemp("prepared")
    build(folder, manifest, training).database.engine.dispose()
    return folder


@pytest.fixture
def world(tmp_path: Path, prepared: Path) -> Iterator[World]:
    """A separate page without readings."""
    world = open_copy(prepared, tmp_path / "page")
    yield world
    world.database.engine.dispose()


def open_copy(prepared: Path, folder: Path, night: Desk | None = None, **changed: Any) -> World:
    """A copy of a prepared page, with other settings of sections where given."""
    shutil.copytree(prepared, folder)
    settings = load_settings(folder / "reader.toml")
    for section, values in changed.items():
        part = getattr(settings, section).model_copy(update=values)
        settings = settings.model_copy(update={section: part})
    return open_world(settings, Clock(), night)


Opener = Callable[..., World]


@pytest.fixture
def opened(tmp_path: Path, prepared: Path) -> Iterator[Opener]:
    """Opens copies of the prepared page with other settings."""
    worlds: list[World] = []

    def open_with(**changed: Any) -> World:
        worlds.append(open_copy(prepared, tmp_path / f"page{len(worlds)}", **changed))
        return worlds[-1]

    yield open_with
    for world in worlds:
        world.database.engine.dispose()
