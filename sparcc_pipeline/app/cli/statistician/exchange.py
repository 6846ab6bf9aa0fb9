"""`sparcc trial export`. Only typer is imported here."""

from __future__ import annotations

from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import ForceOption, ResultFolderOption
from sparcc_pipeline.app.cli.statistician.analysis import Allocation, Dosing
from sparcc_pipeline.app.cli.statistician.monitoring import (
    AdverseEventsFile,
    DeviationsFile,
    LaboratoryFile,
    safety_files,
)
from sparcc_pipeline.app.cli.trial import (
    ClinicalFiles,
    ItemFiles,
    LedgerUrl,
    ProtocolFile,
    ReadingFiles,
    ScoresFile,
    WorkFolder,
    trial_app,
    trial_sources,
)


@trial_app.command()
def export(
    clinical: ClinicalFiles,
    out: ResultFolderOption,
    protocol: ProtocolFile = None,
    scores: ScoresFile = None,
    readings: ReadingFiles = None,
    items: ItemFiles = None,
    ledger: LedgerUrl = None,
    work_folder: WorkFolder = None,
    adverse_events: AdverseEventsFile = None,
    laboratory: LaboratoryFile = None,
    deviations: DeviationsFile = None,
    unblind: Allocation = None,
    dosing: Dosing = None,
    xpt: Annotated[bool, typer.Option("--xpt", help="Also write SAS transport files (version 5).")] = False,
    force: ForceOption = False,
) -> None:
    """Write SDTM and ADaM datasets, blinded by default.

    DIR gets Dataset-JSON 1.1 and define.xml in sdtm/ and adam/.
    """
    if dosing is not None and unblind is None:
        raise typer.BadParameter("--dosing needs --unblind: dose steps show the arm")
    sources = trial_sources(clinical, scores, readings, items, ledger, work_folder)
    files = safety_files(adverse_events, laboratory, deviations)
    if unblind is not None:
        from sparcc_pipeline.app.trial_data.unblinded.export import run_unblinded_export

        run_unblinded_export(sources, files, protocol, unblind, dosing, out, xpt=xpt, force=force)
        return
    from sparcc_pipeline.app.trial_data.cdisc.command import run_export

    run_export(sources, files, protocol, out, xpt=xpt, force=force)
