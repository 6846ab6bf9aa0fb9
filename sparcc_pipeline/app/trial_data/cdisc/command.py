"""`sparcc trial export`: SDTM and ADaM datasets. This module cannot open an allocation.

Contents: `run_export`, `publish_export`, `EXPORT_RESULT`. The unblinded export is in `unblinded/export.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.cdisc.adam import adam_datasets
from sparcc_pipeline.app.trial_data.cdisc.dataset import Dataset
from sparcc_pipeline.app.trial_data.cdisc.files import (
    DEFINE_FILE,
    dataset_json,
    define_xml,
    require_transport,
    transport_file,
)
from sparcc_pipeline.app.trial_data.cdisc.sdtm import sdtm_datasets
from sparcc_pipeline.app.trial_data.cdisc.source import ArmFacts, ExportData
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial, TrialSources
from sparcc_pipeline.app.trial_data.run import facts, print_queries
from sparcc_pipeline.app.trial_data.safety.command import load_safety
from sparcc_pipeline.app.trial_data.safety.read import Safety, SafetyFiles
from sparcc_pipeline.app.trial_data.trial_report.command import REPORT_CHOICES
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.monitoring.deviations import deviations_from_data
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import courses, entries, in_trial

SCHEMA: Final = "sparcc-trial-export/1"
MAIN_FILE: Final = "export.json"

EXPORT_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-trial-export/",
    re.compile(r"export\.json|(sdtm|adam)(/([a-z]{2,8}\.(json|xpt)|define\.xml))?"),
)
"""The folder of an export."""


def run_export(
    sources: TrialSources, files: SafetyFiles, protocol_file: Path | None, out: Path, *, xpt: bool, force: bool
) -> None:
    """Write the blinded datasets: without arm, treatment and dose.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or pyreadstat is missing
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    protocol = load_protocol(protocol_file)
    protocol.require(*REPORT_CHOICES)
    loaded, safety = load_safety(sources, files, protocol)
    publish_export(loaded, safety, protocol, None, out, xpt=xpt, force=force)


def publish_export(
    loaded: LoadedTrial,
    safety: Safety,
    protocol: Protocol,
    arms: ArmFacts | None,
    out: Path,
    *,
    xpt: bool,
    force: bool,
) -> None:
    """Write all datasets with their metadata, complete or not at all.

    Parameters
    ----------
    arms : None for a blinded export
    xpt : also write SAS transport files

    Raises
    ------
    ConfigError : pyreadstat is missing
    OutputError : the folder holds other files, or cannot be written
    """
    if xpt:
        require_transport()
    assessed = assess_trial(loaded.data, protocol)
    of = courses(assessed)
    entry = entries(of, protocol)
    inside = in_trial(of, entry, () if arms is None else arms.arms)
    deviations = [*deviations_from_data(inside, entry), *safety.deviations]
    data = ExportData(loaded, safety, deviations, assessed, protocol, arms)
    run = facts(loaded, protocol, "export")
    rows: dict[str, int] = {}
    with ResultFolder(out, force=force, kind=EXPORT_RESULT) as result:
        for datasets in (sdtm_datasets(data), adam_datasets(data)):
            folder = result.path / datasets[0].group.lower()
            folder.mkdir()
            _write(datasets, folder, protocol, run["created_at"], xpt=xpt)
            rows |= {each.name: len(each.rows) for each in datasets}
        document = {"schema": SCHEMA, "research_use_only": True, **run, "unblinded": arms is not None, "rows": rows}
        write_text(result.path / MAIN_FILE, json_text(document))
        result.publish()
    print_queries(loaded.data.queries)
    typer.echo(f"Export: {out} ({', '.join(f'{name} {count}' for name, count in rows.items())} rows)")


def _write(datasets: Sequence[Dataset], folder: Path, protocol: Protocol, created_at: str, *, xpt: bool) -> None:
    for each in datasets:
        write_text(folder / f"{each.name.lower()}.json", dataset_json(each, protocol.registry, created_at))
        if xpt:
            transport_file(each, folder / f"{each.name.lower()}.xpt")
    write_text(folder / DEFINE_FILE, define_xml(datasets, protocol.registry, protocol.name, created_at))
