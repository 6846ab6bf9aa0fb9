"""The commands of `sparcc reader`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.audit import files as audit_files
from sparcc_pipeline.app.reader.audit.backup import HEAD_SUFFIX, restore_backup, write_backup
from sparcc_pipeline.app.reader.audit.trail import Head, read_head
from sparcc_pipeline.app.reader.audit.verification import verify_all
from sparcc_pipeline.app.reader.cases.from_ledger import NightLedger
from sparcc_pipeline.app.reader.cases.importing import ManifestRow, import_cases, read_known, read_manifest
from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import SYSTEM, ReaderDatabase, lock_database, open_reader_database
from sparcc_pipeline.app.reader.readings.assignments import PRIMARY, assign, cases, readers
from sparcc_pipeline.app.reader.reliability.calibration import require_training_set
from sparcc_pipeline.app.reader.settings import ReaderSettings, load_settings
from sparcc_pipeline.app.reader.structural.cases import with_t1
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.errors import ConfigError, InputError, OutputError

if TYPE_CHECKING:
    # The web libraries are needed by the server only.
    from sparcc_pipeline.app.reader.web.night_routes import Desk

SECONDS_TO_FINISH = 10


def run_serve(settings_file: Path | None, night: Desk | None = None) -> None:
    """Serve the page until interrupted, and print its address.

    Parameters
    ----------
    night : the night whose morning the page shows too
    """
    settings = load_settings(settings_file)
    if (dead_end := _dead_end(settings)) is not None:
        typer.echo(f"warning: {dead_end}", err=True)
    typer.echo(f"The reading page is at http://{settings.server.host}:{settings.server.port}; stop it with Ctrl-C.")
    serve(settings, night)


def _dead_end(settings: ReaderSettings) -> ConfigError | None:
    """Return the error that keeps every case closed; None if readers can begin."""
    database = open_reader_database(settings, utc_now)
    try:
        with database.reading() as connection:
            require_training_set(connection, settings)
    except ConfigError as error:
        return error
    finally:
        database.engine.dispose()
    return None


def serve(settings: ReaderSettings, night: Desk | None = None) -> None:
    """Serve the page of these settings until interrupted."""
    import uvicorn

    from sparcc_pipeline.app.reader.web.server import make_app

    app = make_app(settings, night=night)
    logging.basicConfig(level=logging.WARNING)
    server = settings.server
    uvicorn.run(
        app,
        host=server.host,
        port=server.port,
        # A proxy with TLS passes the scheme; addresses of users are not logged.
        proxy_headers=server.https,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
    )


def run_import(
    manifest: Path | None, night: NightLedger | None, settings_file: Path | None, training: Path | None
) -> None:
    """Import cases from a manifest or from the ledger; report a row that fails and go on."""
    _, database = _open(settings_file)
    rows = read_manifest(manifest) if manifest is not None else _rows_of_the_night(night)
    known = None if training is None else read_known(training)
    report = import_cases(database, rows, known=known, progress=lambda step: typer.echo(step, err=True))
    typer.echo(
        f"{report.imported} time points imported, {report.present} already present, {len(report.failed)} failed."
    )
    for number, error in report.failed:
        typer.echo(f"row {number}: {' '.join(str(error).split())}", err=True)
    if report.failed:
        raise typer.Exit(report.failed[0][1].exit_code)


def _rows_of_the_night(night: NightLedger | None) -> list[ManifestRow]:
    from sparcc_pipeline.app.reader.cases.from_ledger import rows_of_ledger

    assert night is not None
    return rows_of_ledger(night, utc_now)


def run_user_add(name: str, role: str, code: str, settings_file: Path | None) -> None:
    """Add a user and print the first password."""
    settings, database = _open(settings_file)
    typer.echo(Accounts(database, settings.session).add(name, code, Role(role)))


def run_user_reset(name: str, settings_file: Path | None) -> None:
    """Set a new password for a user and print it."""
    settings, database = _open(settings_file)
    try:
        typer.echo(Accounts(database, settings.session).reset(name))
    except Refusal as error:
        raise ConfigError("expected the name of a user, found another; see the administrator's page") from error


def run_assign(names: list[str], settings_file: Path | None, *, structural: bool = False) -> None:
    """Assign all cases of the trial to readers, for inflammation or for structural lesions."""
    settings, database = _open(settings_file)
    with database.writing() as work:
        if not structural:
            require_training_set(work.connection, settings)
        known = {row.name: row for row in readers(work.connection, Role.READER)}
        if unknown := sorted(set(names) - set(known)):
            raise ConfigError(f"expected names of active readers, found {unknown[0]!r}; add the user first")
        every = [row.id for row in cases(work.connection, training=False)]
        if structural:
            every = with_t1(work.connection, PictureStore(database.folder), every)
        kind = STRUCTURAL if structural else PRIMARY
        for name in sorted(set(names)):
            count = assign(work, known[name], every, settings.reading, kind=kind, by=SYSTEM)
            typer.echo(f"{name}: {count} cases")


def run_lock_database(reason: str, settings_file: Path | None) -> None:
    """Lock the database permanently."""
    _, database = _open(settings_file)
    if not reason.strip():
        raise ConfigError("expected a reason, found none; give it with --reason")
    with database.writing() as work:
        if not lock_database(work, SYSTEM, reason.strip()):
            raise ConfigError("expected an open database, found it locked already; nothing was changed")
    typer.echo("The database is locked.")


def run_export(
    out: Path, settings_file: Path | None, before_lock: str | None, manifest: Path | None, *, force: bool
) -> None:
    """Write readings and comparisons as tables, and as DICOM SR if a manifest is given."""
    from sparcc_pipeline.app.reader.readings.export import export_readings

    settings, database = _open(settings_file)
    counts = export_readings(database, settings, out, before_lock, manifest, force=force)
    typer.echo(f"{out}: {', '.join(f'{count} {name}' for name, count in counts.items())}")


def run_backup(file: Path, settings_file: Path | None) -> None:
    """Save everything into one file."""
    settings, database = _open(settings_file)
    write_backup(database, settings, file)
    typer.echo(
        f"{file}: {file.stat().st_size / 1e6:.1f} MB. Keep {file.name}{HEAD_SUFFIX} elsewhere: it shows a cut end."
    )


def run_restore(file: Path, settings_file: Path | None) -> None:
    """Restore a backup and verify it."""
    settings = load_settings(settings_file)
    restore_backup(settings, file)
    _report_check(open_reader_database(settings, utc_now), None)


def run_audit_verify(settings_file: Path | None, head: str | None) -> None:
    """Check the trail, the locked readings and the stored images."""
    _, database = _open(settings_file)
    noted = None if head is None else _noted_head(database, head)
    _report_check(database, noted)


def _noted_head(database: ReaderDatabase, text: str) -> Head:
    """Return the head that was noted as NUMBER:HASH, or kept as the file beside a backup."""
    number, _, digest = text.partition(":")
    if number.isdigit() and digest:
        return Head(int(number), digest)
    kept = read_head(Path(text), database.key)
    if kept is None:
        raise ConfigError(
            "expected --head as NUMBER:HASH, or the .head file of a backup of this page, found another; copy the "
            "printed value"
        )
    return kept


def run_audit_export(file: Path, settings_file: Path | None) -> None:
    """Write the trail as CSV."""
    _, database = _open(settings_file)
    if file.exists():
        raise OutputError(f"expected a new file, found {file}, which exists; choose another name")
    with database.reading() as connection:
        write_text(file, "".join(audit_files.csv_of(connection)))
    typer.echo(str(file))


def _report_check(database: ReaderDatabase, noted: Head | None) -> None:
    """Check everything and print the result.

    Raises
    ------
    InputError : the check found a change
    """
    verdict = verify_all(database, noted)
    if not verdict.sound:
        raise InputError(
            f"expected {verdict.entries} unchanged entries, found: {'; '.join(verdict.findings)}; stop the page, "
            "change nothing, and compare with a backup"
        )
    kept = database.kept_head()
    newest = "" if kept is None else f" Newest entry {kept.seq}:{kept.hash}: note it elsewhere."
    typer.echo(f"{verdict.entries} entries, locked readings and images are unchanged.{newest}")


def _open(settings_file: Path | None) -> tuple[ReaderSettings, ReaderDatabase]:
    settings = load_settings(settings_file)
    return settings, open_reader_database(settings, utc_now)
