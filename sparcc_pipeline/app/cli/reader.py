"""`sparcc reader`: only typer is imported here; what a command needs is imported when it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import ForceOption, LanguageOption

if TYPE_CHECKING:
    from sparcc_pipeline.app.reader.cases.from_ledger import NightLedger

reader_app = typer.Typer(
    name="reader",
    help="The blinded reading page: serve it, bring cases in, take readings out. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
user_app = typer.Typer(name="user", help="Users of the page.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(name="audit", help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)
reader_app.add_typer(user_app)
reader_app.add_typer(audit_app)

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help="reader.toml; by default that of the installation.", readable=False
    ),
]


class RoleName(StrEnum):
    """Roles of a user."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    COORDINATOR = "coordinator"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


@reader_app.command()
def serve(settings: SettingsFile = None) -> None:
    """Serve the page until interrupted; requests under way are finished first."""
    from sparcc_pipeline.app.reader.run import run_serve

    run_serve(settings)


@reader_app.command()
def demo(
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the page in this folder; else it is forgotten.", readable=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this computer; 0 for any that is free.")] = 8470,
    lang: LanguageOption = None,
) -> None:
    """Serve a page with a few made-up studies and users, ready to click."""
    from sparcc_pipeline.app.reader.demo import run_demo

    run_demo(keep, port, lang=None if lang is None else lang.value)


@reader_app.command("import")
def import_(
    manifest: Annotated[
        Path | None,
        typer.Argument(help="Table of participant, visit, study, score (folders beside it).", readable=False),
    ] = None,
    settings: SettingsFile = None,
    nightly: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Instead: all studies that the night of these settings scored.", readable=False
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="These are a training set; this is known of it (reading_items).", readable=False
        ),
    ] = None,
) -> None:
    """Bring studies and scores in as cases, without anything that identifies; run again, only new ones are added."""
    if (manifest is None) == (nightly is None) or (nightly is not None and training is not None):
        raise typer.BadParameter("give a manifest, or --nightly (which has no training set)")
    from sparcc_pipeline.app.reader.run import run_import

    run_import(manifest, None if nightly is None else _night_ledger(nightly), settings, training)


def _night_ledger(file: Path) -> NightLedger:
    """The ledger that the settings of the night name.

    Raises
    ------
    ConfigError : the settings are not those of the night
    """
    from sparcc_pipeline.app.nightly.settings import load_settings
    from sparcc_pipeline.app.reader.cases.from_ledger import NightLedger

    night = load_settings(file)
    return NightLedger(night.database_url, night.database.patience_seconds, night.paths.work_folder)


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[RoleName, typer.Option(help="What the user may do.")],
    code: Annotated[str, typer.Option(help="Code in tables and DICOM, for instance R1; never a name.")],
    settings: SettingsFile = None,
) -> None:
    """Add a user; prints a password that must be changed at the first sign-in."""
    from sparcc_pipeline.app.reader.run import run_user_add

    run_user_add(name, role.value, code, settings)


@user_app.command("reset")
def user_reset(name: Annotated[str, typer.Argument(help="Name of the user.")], settings: SettingsFile = None) -> None:
    """Give a user a new password; prints it."""
    from sparcc_pipeline.app.reader.run import run_user_reset

    run_user_reset(name, settings)


@reader_app.command()
def assign(
    readers: Annotated[list[str], typer.Argument(metavar="READER...", help="Names of readers.")],
    settings: SettingsFile = None,
) -> None:
    """Give all cases of the trial to readers, each in an order of their own."""
    from sparcc_pipeline.app.reader.run import run_assign

    run_assign(readers, settings)


@reader_app.command("lock-database")
def lock_database(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")], settings: SettingsFile = None
) -> None:
    """Lock the database for good: nothing is read any more, and readings may be taken out."""
    from sparcc_pipeline.app.reader.run import run_lock_database

    run_lock_database(reason, settings)


@reader_app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder for the tables; made by this command.", readable=False)],
    settings: SettingsFile = None,
    before_lock: Annotated[
        str | None, typer.Option(metavar="REASON", help="Before the database is locked; kept in the audit trail.")
    ] = None,
    dicom: Annotated[
        Path | None,
        typer.Option(metavar="MANIFEST", help="Also DICOM SR of each reading, for the studies of it.", readable=False),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Write readings, items, agreement and the comparison with the machine, as CSV and Parquet."""
    from sparcc_pipeline.app.reader.run import run_export

    run_export(out, settings, before_lock, dicom, force=force)


@reader_app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="New file (.tar).", readable=False)], settings: SettingsFile = None
) -> None:
    """Save database, images and key into one file, while the page is served. Keep it as safe as the page itself."""
    from sparcc_pipeline.app.reader.run import run_backup

    run_backup(file, settings)


@reader_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file of `sparcc reader backup`.", readable=False)],
    settings: SettingsFile = None,
) -> None:
    """Bring a backup back into an empty store folder, and verify it."""
    from sparcc_pipeline.app.reader.run import run_restore

    run_restore(file, settings)


@audit_app.command("verify")
def audit_verify(
    settings: SettingsFile = None,
    head: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="Newest entry as you noted it down earlier.")
    ] = None,
) -> None:
    """Find what was changed, deleted, moved or cut off behind the page's back; exit code 3 if anything was."""
    from sparcc_pipeline.app.reader.run import run_audit_verify

    run_audit_verify(settings, head)


@audit_app.command("export")
def audit_export(
    file: Annotated[Path, typer.Argument(help="New file (.csv).", readable=False)], settings: SettingsFile = None
) -> None:
    """Write the whole trail as CSV."""
    from sparcc_pipeline.app.reader.run import run_audit_export

    run_audit_export(file, settings)
