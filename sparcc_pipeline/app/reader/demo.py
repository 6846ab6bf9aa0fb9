"""`sparcc reader demo`: a reading page with synthetic studies and a user of each role but `site`.

Contents: `run_demo`, `demo_settings`.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import typer
from sqlalchemy import update

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.cases.importing import Known, ManifestRow, import_cases
from sparcc_pipeline.app.reader.database import ReaderDatabase, open_reader_database
from sparcc_pipeline.app.reader.readings.assignments import assign, cases, readers
from sparcc_pipeline.app.reader.run import serve
from sparcc_pipeline.app.reader.settings import LOOPBACK, SETTINGS_FILE, ReaderSettings, load_settings
from sparcc_pipeline.app.reader.tables import USERS as TABLE_OF_USERS
from sparcc_pipeline.app.results.score_document import json_text, score_document
from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import LanguageCode, PipelineConfig, load_config
from sparcc_pipeline.app.study.files import SCORE_FILE, write_text
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Outcome, Scored, score_study
from sparcc_pipeline.dicom.write import write_mr_series
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import PhantomSpec, known_score, random_spec

PASSWORD: Final = "sparcc-demo-reading"
"""Password of every user: the demo holds synthetic images only and listens on this machine only."""

USERS: Final = {
    "anna": Role.READER,
    "bo": Role.READER,
    "chen": Role.ADJUDICATOR,
    "dora": Role.COORDINATOR,
    "emil": Role.ADMINISTRATOR,
    "fay": Role.AUDITOR,
}

SETTINGS: Final = """# Written by `sparcc reader demo`: synthetic images only.

[paths]
store_folder = "store"

[reading]
repeat_share = 0.0
second_opinion = "each"

[calibration]
required = false
visits = 3
"""

PIXEL_MM: Final = 0.9
SLICE_SPACING_MM: Final = 4.0
T1_SIGNAL: Final = {
    "air": 6.0,
    "fat": 620.0,
    "muscle": 190.0,
    "marrow": 430.0,
    "joint": 90.0,
    "cortex": 30.0,
    "ligament": 260.0,
    "disc": 170.0,
    "vessel": 240.0,
    "bladder": 110.0,
}
"""Signal of each tissue on T1: fat and fatty marrow bright, fluid and edema dark."""


@dataclass(frozen=True)
class DemoVisit:
    """One time point of the demo; `lesions` is the number of the person's lesions at that time."""

    participant: str
    visit: str
    seed: int
    lesions: int
    t1: bool = True
    training: bool = False


VISITS: Final = (
    DemoVisit("D001", "W00", 11, 11),
    DemoVisit("D001", "W12", 11, 5),
    DemoVisit("D001", "W24", 11, 1),
    DemoVisit("D002", "W00", 37, 4, t1=False),
    DemoVisit("T001", "W00", 41, 8, training=True),
    DemoVisit("T002", "W00", 53, 3, training=True),
    DemoVisit("T002", "W12", 53, 9, training=True),
)
"""A case of three time points, a case without T1, and a training set of three, the smallest number that can pass."""


def run_demo(keep: Path | None, port: int, lang: LanguageCode | None = None) -> None:
    """Create the demo, print the users, and serve the page until interrupted.

    Parameters
    ----------
    keep : folder that keeps the demo for the next time; None for a temporary folder
    port : 0 for any free port
    lang : language of every user's pages; None for English, or the choice in an earlier demo

    Raises
    ------
    ConfigError : `keep` holds other files, or the port is taken
    OutputError : the folder cannot be written
    """
    # Checked first, because the studies take a while.
    address = {"host": LOOPBACK[0], "port": _free_port(LOOPBACK[0], port)}
    with _folder(keep) as folder:
        settings = demo_settings(folder)
        server = settings.server.model_copy(update=address)
        if lang is not None:
            _set_language(settings, lang)
        _announce(f"http://{server.host}:{server.port}")
        serve(settings.model_copy(update={"server": server}))


def demo_settings(folder: Path, visits: Sequence[DemoVisit] = VISITS) -> ReaderSettings:
    """Return the settings of the demo in `folder`; create the demo if the folder is empty.

    Raises
    ------
    ConfigError : `folder` holds other files
    """
    file = folder / SETTINGS_FILE
    if not file.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise ConfigError(
                f"expected an empty folder or one of an earlier demo, found other files in {folder}; choose another"
            )
        _fill(folder, visits)
    return load_settings(file)


def _free_port(host: str, port: int) -> int:
    """Return `port` if it is free, or any free port for 0."""
    with socket.socket() as listening:
        # Like the server: a port that a process has just released is free.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"expected a free port, found {port} taken by another process; give another one, or --port 0"
            ) from error
        return int(listening.getsockname()[1])


def _set_language(settings: ReaderSettings, lang: LanguageCode) -> None:
    database = open_reader_database(settings, utc_now)
    with database.writing() as work:
        work.connection.execute(update(TABLE_OF_USERS).values(language=lang))
    database.engine.dispose()


def _announce(address: str) -> None:
    typer.echo(f"\nReading page with synthetic images: {address}\n")
    for name, role in USERS.items():
        typer.echo(f"  {name:<6} {PASSWORD}   {role.value}")
    typer.echo("\nStop it with Ctrl-C. Research use only.")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="sparcc-reader-demo-") as folder:
        yield Path(folder)


def _fill(folder: Path, visits: Sequence[DemoVisit]) -> None:
    """Create images, scores, cases and users; write the settings last, as the mark of a complete demo."""
    config = load_config()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{SETTINGS_FILE}.part"
    write_text(draft, SETTINGS)
    settings = load_settings(draft)
    database = open_reader_database(settings, utc_now)
    _import(database, folder, visits, config)
    accounts = Accounts(database, settings.session)
    for number, (name, role) in enumerate(USERS.items(), 1):
        accounts.add(name, f"U{number}", role, password=PASSWORD, must_change=False)
    with database.writing() as work:
        for reader in readers(work.connection, Role.READER.value):
            everything = [case.id for case in cases(work.connection, training=False)]
            assign(work, reader, everything, settings.reading, by="dora")
    database.engine.dispose()
    draft.rename(folder / SETTINGS_FILE)


def _import(database: ReaderDatabase, folder: Path, visits: Sequence[DemoVisit], config: PipelineConfig) -> None:
    segmenter = installation.load_installed_segmenter(config)
    for training in (False, True):
        chosen = [each for each in visits if each.training is training]
        rows, known = [], {}
        for number, each in enumerate(chosen, 1):
            typer.echo(f"Creating and scoring {each.participant} {each.visit}", err=True)
            place = folder / "studies" / each.participant / each.visit
            spec = _write_images(each, place / "dicom")
            outcome = score_study(place / "dicom", Request(), lambda: segmenter, lambda _: None)
            _write_score(outcome, config, place / "score")
            rows.append(ManifestRow(number, each.participant, each.visit, place / "dicom", place / "score"))
            known[each.participant, each.visit] = _known(spec)
        report = import_cases(database, rows, known=known if training else None)
        for _, error in report.failed:
            raise error


def _write_images(visit: DemoVisit, folder: Path) -> PhantomSpec:
    """Write STIR and T1 of one person; each visit has its own noise and gain."""
    person = random_spec(visit.seed, lesions=12, pixel_mm=PIXEL_MM, slice_spacing_mm=SLICE_SPACING_MM)
    later = int(visit.visit.removeprefix("W"))
    spec = replace(person, lesions=person.lesions[: visit.lesions], seed=1000 * visit.seed + later)
    write = partial(
        write_mr_series, style="siemens", patient_id=visit.participant, seed=f"{visit.participant} {visit.visit}"
    )
    write(make_phantom(spec).volume, folder)
    if visit.t1:
        t1 = replace(spec, signal=T1_SIGNAL, seed=spec.seed + 1)
        write(make_phantom(t1).volume, folder / "t1", series_number=9, contrast="t1")
    return spec


def _write_score(outcome: Outcome, config: PipelineConfig, folder: Path) -> None:
    """Write the files of a score that the import reads."""
    if not isinstance(outcome, Scored):
        raise outcome.error
    folder.mkdir(parents=True)
    run = Run(config, Request(), created_at=utc_now())
    write_text(folder / SCORE_FILE, json_text(score_document(outcome, run)))
    save_study(outcome, folder / STUDY_FILE)


def _known(spec: PhantomSpec) -> Known:
    """Return the known items of a phantom, by "slice_index.joint.item"."""
    score = known_score(spec)
    known: dict[str, int | None] = {}
    for (position, side), points in score.edema.items():
        place = f"{score.first_slice + position}.{side.value}"
        known |= {f"{place}.{quadrant.value}": point for quadrant, point in points.items()}
        known |= {f"{place}.intense": score.intense[position, side], f"{place}.deep": score.deep[position, side]}
    return known
