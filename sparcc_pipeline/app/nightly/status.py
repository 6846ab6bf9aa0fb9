"""`sparcc nightly status`, and the ledger for a coordinator's commands: retry, release, reject, supersede."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.ledger.database import open_database
from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion, Upload
from sparcc_pipeline.app.ledger.states import State, UploadState
from sparcc_pipeline.app.nightly.settings import load_settings
from sparcc_pipeline.app.study.clock import utc_now

_WAITING: Final = (State.QUARANTINED, State.REJECTED, State.FAILED)


@contextmanager
def open_ledger(file: Path) -> Iterator[Ledger]:
    """Open the ledger of these settings (errors: see `database.open_database`)."""
    settings = load_settings(file)
    engine = open_database(settings.database_url)
    try:
        yield Ledger(engine, utc_now, settings.database.patience_seconds)
    finally:
        engine.dispose()


def show_status(file: Path, *, as_json: bool) -> None:
    """Print how many studies of each site are in each state, and which studies wait and why."""
    with open_ledger(file) as ledger:
        versions, uploads = ledger.versions(), ledger.uploads()
    if as_json:
        content = {"studies": [_plain(each) for each in versions], "uploads": [_plain_upload(each) for each in uploads]}
        typer.echo(json.dumps(content, indent=2))
        return
    current = [each for each in versions if each.superseded_by is None]
    for line in (*_table(current), *_waiting(current, uploads)):
        typer.echo(plain_text(line))


def _table(versions: list[StudyVersion]) -> Iterator[str]:
    """Yield a row for each site, with a column for each state."""
    sites = sorted({each.site for each in versions})
    if not sites:
        yield "No study so far."
        return
    widths = [max(len("site"), *map(len, sites)), *(len(state) for state in State)]
    rows = [["site", *State], *([site, *(_count(versions, site, state) for state in State)] for site in sites)]
    for row in rows:
        yield "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))


def _count(versions: list[StudyVersion], site: str, state: State) -> str:
    count = sum(each.site == site and each.state == state for each in versions)
    return str(count) if count else "-"


def _waiting(versions: list[StudyVersion], uploads: list[Upload]) -> Iterator[str]:
    """Yield the studies in work, and those that wait with their reasons."""
    for each in versions:
        if each.state in _WAITING:
            yield f"{each.id}: {each.name} {each.state}{_until(each)}: {each.reason}"
        elif each.lease_until is not None:
            yield f"{each.id}: {each.name} {each.state}, at work; lease until {each.lease_until:%Y-%m-%d %H:%M:%S} UTC"
    for upload in uploads:
        if upload.state != UploadState.SORTED and upload.reason is not None:
            yield f"{upload.id}: upload of {upload.site} {upload.state}: {upload.reason}"


def _until(version: StudyVersion) -> str:
    if version.state != State.FAILED:
        return ""
    if version.next_try_at is None:
        return f" after {version.attempts} attempts, waits for `sparcc nightly retry {version.id}`"
    return f", next attempt {version.next_try_at:%Y-%m-%d %H:%M} UTC"


def _plain(version: StudyVersion) -> dict[str, Any]:
    study = ("id", "site", "participant", "visit", "version", "supersedes", "superseded_by")
    work = ("state", "resume", "attempts", "reason", "facts", "study_folder", "result_folder")
    steps = ("received_at", "completed_at", "deidentified_at", "scored_at", "delivered_at")
    found = {name: getattr(version, name) for name in (*study, *work)}
    times = {name: getattr(version, name) for name in (*steps, "next_try_at", "lease_until")}
    return found | {name: time and time.isoformat() for name, time in times.items()}


def _plain_upload(upload: Upload) -> dict[str, Any]:
    names = ("id", "site", "way", "state", "files", "bytes")
    found = {name: getattr(upload, name) for name in names}
    return {**found, "received_at": upload.received_at.isoformat(), "reason": upload.reason}


def plain_text(text: str) -> str:
    """Return a text from a header for a terminal: control characters, which could steer it, as escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def print_state(version: StudyVersion) -> None:
    """Print the state of a study."""
    typer.echo(f"{version.id}: {version.name} {version.state}")
