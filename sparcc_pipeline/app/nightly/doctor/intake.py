"""Checks of the intake: uploads that wait, and the program that looks for text in pixels; see `checks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from sparcc_pipeline.app.ledger.database import connect
from sparcc_pipeline.app.ledger.states import UploadState
from sparcc_pipeline.app.ledger.tables import upload
from sparcc_pipeline.app.nightly.doctor.findings import Finding, Level
from sparcc_pipeline.app.nightly.doctor.places import sqlite_file
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.dicom.deidentify.border_text import require_program


def uploads(settings: NightlySettings) -> Iterator[Finding]:
    """Count the uploads that are not sorted into studies, by site; `database` reports a ledger that does not answer."""
    file = sqlite_file(settings)
    if file is not None and not file.exists():
        return
    engine = connect(settings.database_url)
    query = select(upload.c.site, upload.c.state).where(upload.c.state != UploadState.SORTED)
    try:
        with engine.connect() as connection:
            found = Counter((row.site, row.state) for row in connection.execute(query))
    except SQLAlchemyError:
        return
    finally:
        engine.dispose()
    held = {UploadState.QUARANTINED, UploadState.REJECTED}
    for (site, state), count in sorted(found.items()):
        text = f"{site}: {count} {state}, not sorted into studies; sparcc nightly status shows why"
        yield Finding(Level.WARNING if UploadState(state) in held else Level.OK, text)
    if not found:
        yield Finding(Level.OK, "every upload in the ledger is sorted into studies")


def border_text(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the program that reads the border of pixels is there, if the settings ask for it."""
    if not settings.intake.read_border:
        yield Finding(Level.OK, "read_border is off: text burnt into pixels is found only if the header states it")
        return
    yield Finding(Level.OK, f"the border of every image is read by {require_program()}")
