"""`sparcc trial safety`. Only typer is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import Allocation, ForceOption, LanguageName, PdfOption, ResultFolderOption
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

if TYPE_CHECKING:
    from sparcc_pipeline.app.trial_data.safety.read import SafetyFiles

AdverseEventsFile = Annotated[
    Path | None,
    typer.Option("--adverse-events", metavar="FILE", help="Table of adverse events, one row each.", readable=False),
]
LaboratoryFile = Annotated[
    Path | None,
    typer.Option(
        "--laboratory", metavar="FILE", help="Table of laboratory values, one row a visit and test.", readable=False
    ),
]
DeviationsFile = Annotated[
    Path | None,
    typer.Option("--deviations", metavar="FILE", help="Table of deviations that a site recorded.", readable=False),
]


def safety_files(adverse_events: Path | None, laboratory: Path | None, deviations: Path | None) -> SafetyFiles:
    """Return the tables of safety that the options name."""
    from sparcc_pipeline.app.trial_data.safety.read import SafetyFiles

    return SafetyFiles(adverse_events, laboratory, deviations)


@trial_app.command()
def safety(
    clinical: ClinicalFiles,
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    adverse_events: AdverseEventsFile = None,
    laboratory: LaboratoryFile = None,
    deviations: DeviationsFile = None,
    unblind: Allocation = None,
    lang: Lang = LanguageName.ENGLISH,
    pdf: PdfOption = False,
    force: ForceOption = False,
) -> None:
    """Write tables of safety and deviations, blinded by default.

    Adverse events, laboratory follow-up and deviations, for a monitoring committee.
    """
    sources = trial_sources(clinical, scores, readings, None, ledger, work_folder)
    files = safety_files(adverse_events, laboratory, deviations)
    if unblind is not None:
        from sparcc_pipeline.app.trial_data.unblinded.safety import run_unblinded_safety

        run_unblinded_safety(sources, files, protocol, unblind, out, lang.value, pdf=pdf, force=force)
        return
    from sparcc_pipeline.app.trial_data.safety.command import run_safety

    run_safety(sources, files, protocol, out, lang.value, pdf=pdf, force=force)
