"""`sparcc reader`: blinded reading. Only typer is imported here; a command imports its modules when it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import ForceOption, LanguageOption

if TYPE_CHECKING:
    from sparcc_pipeline.app.reader.cases.from_ledger import NightLedger
    from sparcc_pipeline.app.reader.web.night_routes import Desk

reader_app = typer.Typer(
    name="reader",
    help="Run the blinded reading page and export its readings. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
user_app = typer.Typer(name="user", help="Manage users of the page.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(
    name="audit", help="Verify or export the audit trail.", no_args_is_help=True, rich_markup_mode=None
)
reader_app.add_typer(user_app)
reader_app.add_typer(audit_app)

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "--settings",
        metavar="FILE",
        help="Settings file (TOML); by default reader.toml of the installation. --settings is its earlier name.",
        readable=False,
    ),
]


class RoleName(StrEnum):
    """The roles of a user."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    COORDINATOR = "coordinator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    SITE = "site"


class FormName(StrEnum):
    """The forms of a reading."""

    INFLAMMATION = "inflammation"
    STRUCTURAL = "structural"


@reader_app.command()
def serve(
    settings: SettingsFile = None,
    nightly: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also serve the morning of this night (its settings file), for coordinators and sites.",
            readable=False,
        ),
    ] = None,
) -> None:
    """Serve the page until SIGTERM or Ctrl-C."""
    from sparcc_pipeline.app.reader.run import run_serve

    run_serve(settings, None if nightly is None else _night_desk(nightly))


def _night_desk(file: Path) -> Desk:
    """Return the desk of a night, for the page.

    Raises
    ------
    ConfigError : the file holds no settings of a night
    """
    from sparcc_pipeline.app.nightly.desk import NightDesk
    from sparcc_pipeline.app.nightly.settings import load_settings
    from sparcc_pipeline.app.study.clock import utc_now

    load_settings(file)
    return NightDesk(file, utc_now)


@reader_app.command()
def demo(
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep the data in this folder; by default they are deleted at the end.", readable=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this computer; 0 selects a free one.")] = 8470,
    lang: LanguageOption = None,
) -> None:
    """Serve a page with synthetic studies and demo users."""
    from sparcc_pipeline.app.reader.demo import run_demo

    run_demo(keep, port, lang=None if lang is None else lang.value)


@reader_app.command("import")
def import_(
    manifest: Annotated[
        Path | None,
        typer.Argument(
            help="Table with the columns participant, visit, study, score; paths are relative to it.", readable=False
        ),
    ] = None,
    settings: SettingsFile = None,
    nightly: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Import all studies that this night scored (its settings file), instead of a manifest.",
            readable=False,
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Import as a training set with these known readings (table reading_items).",
            readable=False,
        ),
    ] = None,
) -> None:
    """Import studies and scores as de-identified cases.

    Only new ones are added if the command is run again.
    """
    if (manifest is None) == (nightly is None) or (nightly is not None and training is not None):
        raise typer.BadParameter("give a manifest, or --nightly (which has no training set)")
    from sparcc_pipeline.app.reader.run import run_import

    run_import(manifest, None if nightly is None else _night_ledger(nightly), settings, training)


def _night_ledger(file: Path) -> NightLedger:
    """Return the ledger of the settings of a night.

    Raises
    ------
    ConfigError : the file holds no settings of a night
    """
    from sparcc_pipeline.app.nightly.settings import load_settings
    from sparcc_pipeline.app.reader.cases.from_ledger import NightLedger

    night = load_settings(file)
    return NightLedger(night.database_url, night.database.patience_seconds, night.paths.work_folder)


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[RoleName, typer.Option(help="Role of the user.")],
    code: Annotated[str, typer.Option(help="Code of the user in tables and DICOM, for example R1. Never a name.")],
    settings: SettingsFile = None,
) -> None:
    """Add a user and print a first password.

    The user must change the password at the first sign-in.
    """
    from sparcc_pipeline.app.reader.run import run_user_add

    run_user_add(name, role.value, code, settings)


@user_app.command("reset")
def user_reset(name: Annotated[str, typer.Argument(help="Name of the user.")], settings: SettingsFile = None) -> None:
    """Set a new password for a user and print it."""
    from sparcc_pipeline.app.reader.run import run_user_reset

    run_user_reset(name, settings)


@reader_app.command()
def assign(
    readers: Annotated[list[str], typer.Argument(metavar="READER...", help="Names of the readers.")],
    settings: SettingsFile = None,
    form: Annotated[
        FormName,
        typer.Option(help="inflammation (SPARCC on STIR) or structural (SSS on T1, where every visit has T1)."),
    ] = FormName.INFLAMMATION,
) -> None:
    """Assign all cases to readers, each in a random order."""
    from sparcc_pipeline.app.reader.run import run_assign

    run_assign(readers, settings, structural=form is FormName.STRUCTURAL)


@reader_app.command("lock-database")
def lock_database(
    reason: Annotated[str, typer.Option(help="The reason, kept in the audit trail.")], settings: SettingsFile = None
) -> None:
    """Lock the database permanently.

    No more cases are read, and readings may be exported.
    """
    from sparcc_pipeline.app.reader.run import run_lock_database

    run_lock_database(reason, settings)


@reader_app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for the tables. The command creates it.", readable=False)],
    settings: SettingsFile = None,
    before_lock: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Export before the lock, for this reason (kept in the audit trail)."),
    ] = None,
    dicom: Annotated[
        Path | None,
        typer.Option(
            metavar="MANIFEST",
            help="Also write a DICOM SR of each reading, for the studies in this table.",
            readable=False,
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Export readings and agreement as CSV and Parquet.

    The tables hold readings, items, agreement of the readers, and the comparison with the machine.
    """
    from sparcc_pipeline.app.reader.run import run_export

    run_export(out, settings, before_lock, dicom, force=force)


@reader_app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="File to write (.tar); it must not exist.", readable=False)],
    settings: SettingsFile = None,
) -> None:
    """Back up database, images and key into one file.

    The page may be served meanwhile. Keep the file as safe as the page itself.
    """
    from sparcc_pipeline.app.reader.run import run_backup

    run_backup(file, settings)


@reader_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="File of sparcc reader backup.", readable=False)],
    settings: SettingsFile = None,
) -> None:
    """Restore a backup into an empty folder and verify it."""
    from sparcc_pipeline.app.reader.run import run_restore

    run_restore(file, settings)


@audit_app.command("verify")
def audit_verify(
    settings: SettingsFile = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HEAD", help="The newest entry noted earlier, NUMBER:HASH, or the .head file of a backup."
        ),
    ] = None,
) -> None:
    """Verify that the audit trail is complete and unchanged.

    Finds entries that were changed, deleted, moved or cut off. Exit code 3 if there are any.
    """
    from sparcc_pipeline.app.reader.run import run_audit_verify

    run_audit_verify(settings, head)


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="File to write (.csv); it must not exist.", readable=False)],
    settings: SettingsFile = None,
) -> None:
    """Export the audit trail as CSV."""
    from sparcc_pipeline.app.reader.run import run_audit_export

    run_audit_export(file, settings)
