"""`sparcc trial`: data of a trial. Only typer is imported here; a command imports its modules when it runs.

Only `steps` and the commands with `--unblind` may read an allocation; without it they are blinded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import (
    Allocation,
    Dosing,
    ForceOption,
    LanguageName,
    PdfOption,
    ResultFolderOption,
    require_unblinded,
)

if TYPE_CHECKING:
    from sparcc_pipeline.app.trial_data.read.sources import TrialSources

trial_app = typer.Typer(
    name="trial",
    help="Check and report the data of a trial. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
protocol_app = typer.Typer(name="protocol", help="Check a protocol file.", no_args_is_help=True, rich_markup_mode=None)
trial_app.add_typer(protocol_app)

ClinicalFiles = Annotated[
    list[Path],
    typer.Argument(metavar="CLINICAL...", help="Tables of participants and visits (CSV or Excel).", readable=False),
]
ProtocolFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Protocol file (TOML); by default the installed one.", readable=False),
]
ScoresFile = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        metavar="MANIFEST",
        help="Table with the columns participant, visit, path (of a score folder).",
        readable=False,
    ),
]
ReadingFiles = Annotated[
    list[Path] | None,
    typer.Option("--readings", metavar="FILE", help="Table of readers' totals; may be repeated.", readable=False),
]
OptionalOutFolder = Annotated[
    Path | None, typer.Option("--out", help="Also write tables into this folder.", readable=False)
]
ItemFiles = Annotated[
    list[Path] | None,
    typer.Option("--items", metavar="FILE", help="Table of readers' items; may be repeated.", readable=False),
]
LedgerUrl = Annotated[
    str | None,
    typer.Option("--ledger", metavar="URL", help="Database URL of the ledger of a night, to take its scores."),
]
WorkFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Work folder of the night; by default the folder of a SQLite ledger file.", readable=False
    ),
]


def trial_sources(
    clinical: list[Path],
    scores: Path | None = None,
    readings: list[Path] | None = None,
    items: list[Path] | None = None,
    ledger: str | None = None,
    work_folder: Path | None = None,
) -> TrialSources:
    """Return the files and the ledger that the options of a trial command name."""
    from sparcc_pipeline.app.trial_data.read.sources import TrialSources

    found = None
    if ledger is not None:
        from sparcc_pipeline.app.trial_data.scores.ledger_scores import ledger_source

        found = ledger_source(ledger, work_folder)
    elif work_folder is not None:
        raise typer.BadParameter("--work-folder needs --ledger: it is the folder with the results of that ledger")
    return TrialSources(clinical, scores, readings or [], items or [], found)


@protocol_app.command("check")
def protocol_check(
    file: Annotated[
        Path | None, typer.Argument(help="Protocol file (TOML); by default the installed one.", readable=False)
    ] = None,
) -> None:
    """Check a protocol file and list its settings.

    Lists each setting with its source, and the choices that are open.
    """
    from sparcc_pipeline.app.trial_data.run import run_protocol_check

    run_protocol_check(file)


@trial_app.command()
def dictionary() -> None:
    """Print the data dictionary of the input tables (TOML)."""
    from sparcc_pipeline.app.trial_data.read.dictionary import dictionary_toml

    typer.echo(dictionary_toml(), nl=False)


@trial_app.command("import")
def import_(
    clinical: ClinicalFiles,
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    items: ItemFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    force: ForceOption = False,
) -> None:
    """Check the data of a trial and write tidy tables.

    DIR gets tables, data queries, codebook and CDISC mapping, as CSV and Parquet.
    """
    from sparcc_pipeline.app.trial_data.run import run_import

    run_import(trial_sources(clinical, scores, readings, items, ledger, work_folder), protocol, out, force=force)


@trial_app.command()
def status(
    clinical: ClinicalFiles,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    items: ItemFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """Show the dual target for each participant and visit.

    The states are: both, clinical only, imaging only, neither, not assessable.
    """
    from sparcc_pipeline.app.trial_data.run import run_status

    run_status(trial_sources(clinical, scores, readings, items, ledger, work_folder), protocol, out, force=force)


@trial_app.command()
def eligibility(
    clinical: ClinicalFiles,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """Show the entry criteria for each participant.

    Each is met, not met or unknown, with the reason.
    """
    from sparcc_pipeline.app.trial_data.run import run_eligibility

    run_eligibility(trial_sources(clinical, scores, readings, None, ledger, work_folder), protocol, out, force=force)


@trial_app.command()
def steps(
    clinical: ClinicalFiles,
    allocation: Annotated[
        Path, typer.Option(metavar="FILE", help="Table with the columns participant, arm.", readable=False)
    ],
    dosing: Annotated[
        Path, typer.Option(metavar="FILE", help="Table with the columns participant, visit, dose_step.", readable=False)
    ],
    protocol: ProtocolFile = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """UNBLINDED: check each dose step of the taper arm.

    Reports whether the data met the criterion of each recorded step.
    """
    from sparcc_pipeline.app.trial_data.unblinded.run import run_steps

    run_steps(trial_sources(clinical), protocol, allocation, dosing, out, force=force)


@trial_app.command()
def structural(
    readings: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Tables structural.csv of sparcc reader export.", readable=False),
    ],
    protocol: ProtocolFile = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """Show the agreement of structural readings (SSS on T1).

    For fat, erosion, backfill and ankylosis: between readers and within each reader, status and change.
    """
    from sparcc_pipeline.app.trial_data.structural import run_structural

    run_structural(readings, protocol, out, force=force)


Lang = Annotated[LanguageName, typer.Option("--lang", help="Language of the report.")]


@trial_app.command()
def report(
    clinical: ClinicalFiles,
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    items: ItemFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    unblind: Allocation = None,
    dosing: Dosing = None,
    force: ForceOption = False,
) -> None:
    """Write the report of a trial, blinded by default.

    Shows flow, visits, target, change of SPARCC, agreement, data queries, and a timeline of each participant.
    """
    require_unblinded(dosing, unblind)
    sources = trial_sources(clinical, scores, readings, items, ledger, work_folder)
    if unblind is not None:
        from sparcc_pipeline.app.trial_data.unblinded.report import run_unblinded_report

        run_unblinded_report(sources, protocol, unblind, dosing, out, lang.value, pdf=pdf, force=force)
        return
    from sparcc_pipeline.app.trial_data.trial_report.command import run_report

    run_report(sources, protocol, out, lang.value, pdf=pdf, force=force)


@trial_app.command()
def simulate(
    out: ResultFolderOption,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trials.")] = 1,
    trials: Annotated[int, typer.Option(min=1, max=10000, help="Number of trials to simulate.")] = 100,
    assumptions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Assumptions file (TOML); by default the installed one.", readable=False),
    ] = None,
    protocol: ProtocolFile = None,
    force: ForceOption = False,
) -> None:
    """Estimate target errors and power of a trial by simulation.

    Estimates how often scoring noise flips the imaging target, by cut-off and number of readers, and trial power.
    """
    from sparcc_pipeline.app.trial_data.simulate.run import run_simulate

    run_simulate(out, seed, trials, assumptions, protocol, force=force)


@trial_app.command()
def demo(
    out: ResultFolderOption,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random trial.")] = 1,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = True,
) -> None:
    """Write a small simulated trial and open its report.

    Some of its studies are phantoms that are scored.
    """
    from sparcc_pipeline.app.trial_data.simulate.run import run_demo

    run_demo(out, seed, lang.value, pdf=pdf, show=show)
