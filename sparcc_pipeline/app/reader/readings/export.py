"""Export readings as tables, and as DICOM SR.

Contents: `export_readings`. An export reveals the scores: before the database is locked it needs a reason, which the
trail records. Primary, revised and adjudicated readings stay apart: `readings` holds only the newest locked primary
version and the adjudication, `readings_revised` holds the changes after a second opinion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase
from sparcc_pipeline.app.reader.readings.export_tables import export_tables
from sparcc_pipeline.app.reader.readings.locked_visits import locked_visits
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.structural.tables import structural_tables
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Table, csv_text, parquet_bytes
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.errors import BlindingError

SCHEMA: Final = "sparcc-readings/1"
MAIN_FILE: Final = "export.json"

EXPORT_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-readings/",
    re.compile(
        r"export\.json|(readings|readings_revised|reading_items|counted|agreement|machine|structural|structural_items)\.(csv|parquet)"
        r"|dicom(/[A-Za-z0-9_.-]+\.dcm)?"
    ),
)

_NOT_LOCKED: Final = (
    "expected a locked database, found one with reading in progress; lock it with `sparcc reader lock-database`, or "
    "give the reason for an export now with --before-lock"
)


def export_readings(
    database: ReaderDatabase,
    settings: ReaderSettings,
    folder: Path,
    before_lock: str | None,
    manifest: Path | None,
    *,
    force: bool,
) -> dict[str, int]:
    """Write all tables, and DICOM SR for the studies of `manifest`; return the number of rows of each.

    Raises
    ------
    BlindingError : the database is not locked and no reason is given
    OutputError : the folder is not empty, or cannot be written
    """
    reason = (before_lock or "").strip()
    with database.reading() as connection:
        locked = database.is_locked(connection)
        if not locked and not reason:
            raise BlindingError(_NOT_LOCKED)
        visits = locked_visits(connection)
        structural = structural_tables(connection)
    store = PictureStore(database.folder)
    tables = export_tables(visits, store, load_protocol(settings.protocol_file)) | structural
    with ResultFolder(folder, force=force, kind=EXPORT_RESULT) as result:
        _write_tables(tables, result.path)
        counts = {name: len(table.rows) for name, table in tables.items()}
        if manifest is not None:
            from sparcc_pipeline.app.reader.readings.export_dicom import write_reports

            counts["dicom"] = write_reports(visits, store, manifest, result.path / "dicom")
        main = {"schema": SCHEMA, "research_use_only": True, "database_locked": locked, "rows": counts}
        write_text(result.path / MAIN_FILE, json_text(main))
        # Recorded before the folder is published: no export without an entry in the trail.
        with database.writing() as work:
            work.record(SYSTEM, "export", "readings", new=counts, reason=reason)
        result.publish()
    return counts


def _write_tables(tables: Mapping[str, Table], folder: Path) -> None:
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", csv_text(table))
        write_bytes(folder / f"{name}.parquet", parquet_bytes(table))
