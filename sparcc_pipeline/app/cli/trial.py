"""`sparcc trial`: only typer is imported here; what a command needs is imported when it runs.

Blinded: all but `steps` and `report --unblind`, the only ones that may open an allocation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import ForceOption, LanguageName, PdfOption, ResultFolderOption

if TYPE_CHECKING:
    from sparcc_pipeline.app.trial_data.read.sources import TrialSources

trial_app = typer.Typer(
    name="trial",
    help="A trial's data, dual target and reports. Reports what the data say; research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
protocol_app = typer.Typer(name="protocol", help="The protocol file.", no_args_is_help=True, rich_markup_mode=None)
trial_app.add_typer(protocol_app)

ClinicalFiles = Annotated[
    list[Path],
    typer.Argument(metavar="CLINICAL...", help="Tables of participants and visits, CSV or Excel.", readable=False),
]
ProtocolFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Protocol (TOML) instead of the one installed.", readable=False)
]
ScoresFile = Annotated[
    Path | None,
    typer.Option(
        "--scores", metavar="MANIFEST", help="Table of participant, visit, path of a score folder.", readable=False
    ),
]
ReadingFiles = Annotated[
    list[Path] | None,
    typer.Option("--readings", metavar="FILE", help="Table of readers' totals; may be repeated.", readable=False),
]
OptionalOutFolder = Annotated[
    Path | None, typer.Option("--out", help="Also write it as tables into this folder.", readable=False)
]


ItemFiles = Annotated[
    list[Path] | None,
    typer.Option("--items", metavar="FILE", help="Table of the items of readings; may be repeated.", readable=False),
]
LedgerUrl = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="Scores of the night, by the URL of its ledger.")
]
WorkFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Work folder of the night; that of the file for a SQLite --ledger.", readable=False
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
    """The files, and the ledger, that the options of a trial command name."""
    from sparcc_pipeline.app.trial_data.read.sources import TrialSources

    found = None
    if ledger is not None:
        from sparcc_pipeline.app.trial_data.read.ledger_scores import ledger_source

        found = ledger_source(ledger, work_folder)
    elif work_folder is not None:
        raise typer.BadParameter("--work-folder says where the results of a --ledger lie: it goes with --ledger only")
    return TrialSources(clinical, scores, readings or [], items or [], found)


@protocol_app.command("check")
def protocol_check(
    file: Annotated[
        Path | None, typer.Argument(help="Protocol (TOML); the installed one if absent.", readable=False)
    ] = None,
) -> None:
    """Validate a protocol file; list its settings with their sources, and the choices that it leaves open."""
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
    """Check a trial's data; DIR gets tidy tables, data queries, codebook and CDISC mapping (CSV, Parquet)."""
    from sparcc_pipeline.app.trial_data.run import run_import

    run_import(trial_sources(clinical, scores, readings, items, ledger, work_folder), protocol, out, force=force)


@trial_app.command()
def status(
    clinical: ClinicalFiles,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """Dual target by participant and visit: both, clinical only, imaging only, neither, not assessable."""
    from sparcc_pipeline.app.trial_data.run import run_status

    run_status(trial_sources(clinical, scores, readings, None, ledger, work_folder), protocol, out, force=force)


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
    """Entry criteria by participant: met, not met, unknown, with the reasons."""
    from sparcc_pipeline.app.trial_data.run import run_eligibility

    run_eligibility(trial_sources(clinical, scores, readings, None, ledger, work_folder), protocol, out, force=force)


@trial_app.command()
def steps(
    clinical: ClinicalFiles,
    allocation: Annotated[Path, typer.Option(metavar="FILE", help="Table of participant, arm.", readable=False)],
    dosing: Annotated[
        Path, typer.Option(metavar="FILE", help="Table of participant, visit, dose_step.", readable=False)
    ],
    protocol: ProtocolFile = None,
    out: OptionalOutFolder = None,
    force: ForceOption = False,
) -> None:
    """UNBLINDED: was the criterion of each recorded step of the taper arm met in the data?"""
    from sparcc_pipeline.app.trial_data.unblinded.run import run_steps

    run_steps(trial_sources(clinical), protocol, allocation, dosing, out, force=force)


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
    unblind: Annotated[
        Path | None, typer.Option(metavar="ALLOCATION", help="By arm: table of participant, arm.", readable=False)
    ] = None,
    dosing: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --unblind: table of participant, visit, dose_step.", readable=False),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Flow, visits, target, change in SPARCC, agreement, data queries, a timeline a participant; blinded by default."""
    sources = trial_sources(clinical, scores, readings, items, ledger, work_folder)
    if unblind is not None:
        from sparcc_pipeline.app.trial_data.unblinded.report import run_unblinded_report

        run_unblinded_report(sources, protocol, unblind, dosing, out, lang.value, pdf=pdf, force=force)
        return
    if dosing is not None:
        raise typer.BadParameter("--dosing shows the arm: it goes with --unblind only")
    from sparcc_pipeline.app.trial_data.trial_report.command import run_report

    run_report(sources, protocol, out, lang.value, pdf=pdf, force=force)


@trial_app.command()
def simulate(
    out: ResultFolderOption,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same trials.")] = 1,
    trials: Annotated[int, typer.Option(min=1, max=10000, help="How many trials.")] = 100,
    assumptions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Assumptions (TOML) instead of those installed.", readable=False)
    ] = None,
    protocol: ProtocolFile = None,
    force: ForceOption = False,
) -> None:
    """How often noise of the score turns the imaging half round, by cut-off and readers; power of primary outcomes."""
    from sparcc_pipeline.app.trial_data.simulate.run import run_simulate

    run_simulate(out, seed, trials, assumptions, protocol, force=force)


@trial_app.command()
def demo(
    out: ResultFolderOption,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another trial.")] = 1,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = True,
) -> None:
    """A small simulated trial as files, some of its studies phantoms that are scored, and its report, opened."""
    from sparcc_pipeline.app.trial_data.simulate.run import run_demo

    run_demo(out, seed, lang.value, pdf=pdf, show=show)
