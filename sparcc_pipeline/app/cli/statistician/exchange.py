"""`sparcc trial export` and `sparcc trial redcap`. Only typer is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import Allocation, Dosing, ForceOption, ResultFolderOption, require_unblinded
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
    require_unblinded(dosing, unblind)
    sources = trial_sources(clinical, scores, readings, items, ledger, work_folder)
    files = safety_files(adverse_events, laboratory, deviations)
    if unblind is not None:
        from sparcc_pipeline.app.trial_data.unblinded.export import run_unblinded_export

        run_unblinded_export(sources, files, protocol, unblind, dosing, out, xpt=xpt, force=force)
        return
    from sparcc_pipeline.app.trial_data.cdisc.command import run_export

    run_export(sources, files, protocol, out, xpt=xpt, force=force)


@trial_app.command()
def redcap(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the API, https://HOST/api/.")],
    out: ResultFolderOption,
    token_file: Annotated[
        Path, typer.Option(metavar="FILE", help="File with the project's token, readable by its owner only.")
    ],
    form: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Form to read; may be repeated. By default all.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Records in one request.")] = 50,
) -> None:
    """Download the records of a REDCap project, read-only.

    The same command continues a broken download. The table is read by the other commands as a clinical table.
    """
    from sparcc_pipeline.app.trial_data.redcap.download import run_redcap

    run_redcap(url, token_file, out, form or [], batch)
