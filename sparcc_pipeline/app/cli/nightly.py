"""`sparcc nightly` and `sparcc receive`: unattended work. Only typer is imported here; a command imports the rest."""

from __future__ import annotations

from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import JsonOption

nightly_app = typer.Typer(
    name="nightly",
    help="Score uploads of sites unattended, with a morning report. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class PartName(StrEnum):
    """The steps that a process does."""

    ALL = "all"
    INTAKE = "intake"
    RESULTS = "results"


SettingsFile = Annotated[
    Path, typer.Option("--config", metavar="FILE", help="Settings file of the night (TOML).", readable=False)
]
PartOption = Annotated[
    PartName, typer.Option(help="Steps to do: all, only intake (reads patient identity), or only those after it.")
]
Study = Annotated[int, typer.Argument(metavar="ID", help="Number of the study, as sparcc nightly status shows it.")]
Reason = Annotated[str, typer.Option(help="The reason, kept in the history. Never a patient's name.")]
By = Annotated[str, typer.Option(help="Name of the person who decides, kept in the history.")]
MaybeBy = Annotated[
    str | None, typer.Option("--by", help="Name of the person who decides; by default the logged-in user.")
]

DEFAULT_FILE = Path("nightly.toml")


@nightly_app.command()
def run(config: SettingsFile = DEFAULT_FILE, part: PartOption = PartName.ALL) -> None:
    """Do all work that is due, write the morning report, and exit.

    Start it from cron or a systemd timer. Several runs may work at once, on one machine or on several.

    Exit codes: 0 every study has a result or waits for a known reason, 2 settings, 5 model, 6 some studies failed
    and are tried again.
    """
    from sparcc_pipeline.app.nightly.run import run_night
    from sparcc_pipeline.app.nightly.work.night import Part

    raise typer.Exit(run_night(config, Part(part.value)))


@nightly_app.command()
def watch(
    config: SettingsFile = DEFAULT_FILE,
    part: PartOption = PartName.ALL,
    receive: Annotated[bool, typer.Option("--receive", help="Also receive DICOM (see sparcc receive).")] = False,
) -> None:
    """Work until SIGTERM or Ctrl-C.

    Studies that are being scored are finished first.
    """
    from sparcc_pipeline.app.nightly.run import watch_night
    from sparcc_pipeline.app.nightly.work.night import Part

    watch_night(config, Part(part.value), receive=receive)


@nightly_app.command()
def status(
    config: SettingsFile = DEFAULT_FILE,
    as_json: JsonOption = False,
) -> None:
    """Show studies by site and state, and why some wait."""
    from sparcc_pipeline.app.nightly.status import show_status

    show_status(config, as_json=as_json)


@nightly_app.command()
def report(config: SettingsFile = DEFAULT_FILE) -> None:
    """Write the morning report now.

    It is mailed if mail is configured and today's report was not mailed yet.
    """
    from sparcc_pipeline.app.nightly.morning.report import write_report
    from sparcc_pipeline.app.nightly.run import open_context
    from sparcc_pipeline.app.nightly.settings import load_settings

    with open_context(load_settings(config), "report") as context:
        typer.echo(f"Report: {write_report(context)}")


@nightly_app.command()
def whose(study: Study, config: SettingsFile = DEFAULT_FILE) -> None:
    """Print whose study this is, to find its row in the manifest.

    Prints patient identifier, accession number and study date. Requires read access to the identity folder; not
    logged.
    """
    from sparcc_pipeline.app.nightly.intake.steps import whose as identities
    from sparcc_pipeline.app.nightly.settings import load_settings
    from sparcc_pipeline.app.nightly.status import open_ledger, plain_text

    with open_ledger(config) as ledger:
        version = ledger.version(study)
    for row in identities(load_settings(config), version):
        patient, accession, day = map(plain_text, row)
        typer.echo(f"patient {patient}, accession {accession or 'none'}, study date {day or 'none'}")


@nightly_app.command()
def retry(study: Study, config: SettingsFile = DEFAULT_FILE, by: MaybeBy = None) -> None:
    """Try a failed or rejected study again at the next run."""
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        print_state(ledger.retry(study, by or getuser()))


@nightly_app.command()
def release(
    study: Annotated[str, typer.Argument(metavar="ID", help="Number of a study, or ID of an upload.")],
    reason: Reason,
    by: By,
    config: SettingsFile = DEFAULT_FILE,
) -> None:
    """Release a study or an upload from quarantine.

    The next run continues with the step at which it was held.
    """
    from sparcc_pipeline.app.ledger.ledger import Upload
    from sparcc_pipeline.app.nightly.desk import release as release_any
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        released = release_any(ledger, study, reason, by)
    if isinstance(released, Upload):
        typer.echo(f"{released.id}: upload of {released.site} {released.state}")
    else:
        print_state(released)


@nightly_app.command()
def reject(study: Study, reason: Reason, by: By, config: SettingsFile = DEFAULT_FILE) -> None:
    """Reject a study that is in quarantine or failed.

    Its site must send other images.
    """
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        print_state(ledger.refuse(study, reason, by))


@nightly_app.command()
def supersede(
    old: Annotated[int, typer.Argument(metavar="OLD", help="The study that no longer counts.")],
    new: Annotated[int, typer.Argument(metavar="NEW", help="The study of the same visit that counts instead.")],
    config: SettingsFile = DEFAULT_FILE,
    by: MaybeBy = None,
) -> None:
    """Let one of two studies of a visit replace the other.

    Both are kept; only NEW counts. NEW leaves quarantine if it is there.
    """
    from sparcc_pipeline.app.nightly.status import open_ledger, print_state

    with open_ledger(config) as ledger:
        for version in ledger.supersede(old, new, by or getuser()):
            print_state(version)


def receive(config: SettingsFile = DEFAULT_FILE) -> None:
    """Run the DICOM receiver until SIGTERM or Ctrl-C.

    It stores what sites send; sparcc nightly scores it.
    """
    from sparcc_pipeline.app.nightly.receive import run_receiver

    run_receiver(config)
