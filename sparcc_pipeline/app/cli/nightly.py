"""`sparcc nightly`: only typer is imported here; what a command needs is imported when it runs."""

from __future__ import annotations

from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import JsonOption

nightly_app = typer.Typer(
    name="nightly",
    help="What sites send, from upload to delivered result and morning report. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class PartName(StrEnum):
    """Which steps a process does."""

    ALL = "all"
    INTAKE = "intake"
    RESULTS = "results"


SettingsFile = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Settings of the night (TOML).", readable=False)
]
PartOption = Annotated[
    PartName, typer.Option(help="Only intake, which alone reads what names a person, or only what comes after it.")
]
Study = Annotated[int, typer.Argument(metavar="ID", help="Number of the study, as status shows it.")]
Reason = Annotated[str, typer.Option(help="Why, for the history: no name of a patient.")]
By = Annotated[str, typer.Option(help="Who decides, for the history.")]
MaybeBy = Annotated[str | None, typer.Option("--by", help="Who decides, for the history; by default who is logged in.")]

DEFAULT_FILE = Path("nightly.toml")


@nightly_app.command()
def run(config: SettingsFile = DEFAULT_FILE, part: PartOption = PartName.ALL) -> None:
    """Do everything that is due, write the morning report, and exit: for cron or a systemd timer.

    Exit codes: 0 every study has a result or waits with a reason, 2 settings, 5 model, 6 some failed and are tried
    again. Two runs at once, on one machine or several, do not disturb each other.
    """
    from sparcc_pipeline.app.nightly.run import run_night
    from sparcc_pipeline.app.nightly.work.night import Part

    raise typer.Exit(run_night(config, Part(part.value)))


@nightly_app.command()
def watch(
    config: SettingsFile = DEFAULT_FILE,
    part: PartOption = PartName.ALL,
    receive: Annotated[bool, typer.Option("--receive", help="Also be the DICOM node (see sparcc receive).")] = False,
) -> None:
    """Work until SIGTERM or Ctrl-C; what is being scored then is finished first."""
    from sparcc_pipeline.app.nightly.run import watch_night
    from sparcc_pipeline.app.nightly.work.night import Part

    watch_night(config, Part(part.value), receive=receive)


@nightly_app.command()
def status(
    config: SettingsFile = DEFAULT_FILE,
    as_json: JsonOption = False,
) -> None:
    """Studies by site and state, and which of them wait, and why."""
    from sparcc_pipeline.app.nightly.status import show_status

    show_status(config, as_json=as_json)


@nightly_app.command()
def report(config: SettingsFile = DEFAULT_FILE) -> None:
    """Write the morning report as of now (and mail it, where mail is set and that was not done today)."""
    from sparcc_pipeline.app.nightly.morning.report import write_report
    from sparcc_pipeline.app.nightly.run import open_context
    from sparcc_pipeline.app.nightly.settings import load_settings

    with open_context(load_settings(config), "report") as context:
        typer.echo(f"Report: {write_report(context)}")


@nightly_app.command()
def whose(study: Study, config: SettingsFile = DEFAULT_FILE) -> None:
    """Print patient identifier, accession number and date of a study, to find its row in the manifest.

    Only for who may read the identity folder. Nothing of it is logged.
    """
    from sparcc_pipeline.app.nightly.intake.steps import whose as identities
    from sparcc_pipeline.app.nightly.settings import load_settings
    from sparcc_pipeline.app.nightly.status import open_ledger

    with open_ledger(config) as ledger:
        version = ledger.version(study)
    for patient, accession, day in identities(load_settings(config), version):
        typer.echo(f"patient {patient}, accession {accession or 'none'}, study date {day or 'none'}")


@nightly_app.command()
def retry(study: Study, config: SettingsFile = DEFAULT_FILE, by: MaybeBy = None) -> None:
    """Try a study again that failed or was rejected, at the next run."""
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        print_state(ledger.retry(study, by or getuser()))


@nightly_app.command()
def release(
    study: Annotated[str, typer.Argument(metavar="ID", help="Number of the study, or ID of an upload.")],
    reason: Reason,
    by: By,
    config: SettingsFile = DEFAULT_FILE,
) -> None:
    """Let a study, or an upload, out of quarantine: the next run goes on where it was held."""
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        if study.isdecimal():
            print_state(ledger.release(int(study), reason, by))
        else:
            upload = ledger.release_upload(study, reason, by)
            typer.echo(f"{upload.id}: upload of {upload.site} {upload.state}")


@nightly_app.command()
def reject(study: Study, reason: Reason, by: By, config: SettingsFile = DEFAULT_FILE) -> None:
    """Reject a study that is in quarantine or failed: its site must send something else."""
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        print_state(ledger.refuse(study, reason, by))


@nightly_app.command()
def supersede(
    old: Annotated[int, typer.Argument(metavar="OLD", help="The study that counts no more.")],
    new: Annotated[int, typer.Argument(metavar="NEW", help="The study of the same visit that counts.")],
    config: SettingsFile = DEFAULT_FILE,
    by: MaybeBy = None,
) -> None:
    """Of two studies of one visit, say that NEW counts; both are kept. NEW leaves quarantine if it is there."""
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        for version in ledger.supersede(old, new, by or getuser()):
            print_state(version)
