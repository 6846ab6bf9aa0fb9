"""`sparcc trial analysis` and `sparcc trial shells`. Only typer is imported here."""

from __future__ import annotations

from typing import Annotated

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
from sparcc_pipeline.app.cli.trial import (
    ClinicalFiles,
    Lang,
    LedgerUrl,
    ProtocolFile,
    ReadingFiles,
    ScoresFile,
    WorkFolder,
    trial_app,
    trial_sources,
)


@trial_app.command()
def analysis(
    clinical: ClinicalFiles,
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    unblind: Allocation = None,
    dosing: Dosing = None,
    dummy: Annotated[
        int | None, typer.Option(metavar="SEED", min=0, help="Random arms in place of the allocation, to try it out.")
    ] = None,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    force: ForceOption = False,
) -> None:
    """UNBLINDED: estimate the estimands of the protocol.

    Needs the tables [analysis] and [[estimands]] of the protocol file. With --dummy the arms are random.
    """
    if (unblind is None) == (dummy is None):
        raise typer.BadParameter("give --unblind ALLOCATION, or --dummy SEED for random arms")
    require_unblinded(dosing, unblind)
    from sparcc_pipeline.app.trial_data.unblinded.analysis import Arms, run_analysis

    sources = trial_sources(clinical, scores, readings, None, ledger, work_folder)
    run_analysis(sources, protocol, Arms(unblind, dosing, dummy), out, lang.value, pdf=pdf, force=force)


@trial_app.command()
def shells(
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    force: ForceOption = False,
) -> None:
    """Write the tables of the analysis without numbers.

    For the statistical analysis plan; reads the protocol file alone.
    """
    from sparcc_pipeline.app.trial_data.unblinded.analysis import run_shells

    run_shells(protocol, out, lang.value, pdf=pdf, force=force)
