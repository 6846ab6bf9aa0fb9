"""`sparcc trial safety`: tables for a monitoring committee. This module cannot open an allocation.

Contents: `run_safety`, `publish_safety`, `SAFETY_RESULT`. The tables by arm are in `unblinded/safety.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import csv_text, parquet_bytes
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.data_tables import query_table
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial, TrialSources, file_input, load_trial
from sparcc_pipeline.app.trial_data.run import facts, print_queries
from sparcc_pipeline.app.trial_data.safety.content import safety_sections
from sparcc_pipeline.app.trial_data.safety.read import Safety, SafetyFiles, read_safety
from sparcc_pipeline.app.trial_data.safety.summary import group_of
from sparcc_pipeline.app.trial_data.safety.tables import safety_tables
from sparcc_pipeline.app.trial_data.sections import SectionPage, write_page
from sparcc_pipeline.app.trial_data.trial_report.command import REPORT_CHOICES
from sparcc_pipeline.app.trial_data.trial_report.content import Unblinded, groups_of
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.monitoring.deviations import deviations_from_data
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import courses, entries, in_trial

SCHEMA: Final = "sparcc-trial-safety/1"
MAIN_FILE: Final = "safety.json"

SAFETY_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-trial-safety/",
    re.compile(r"safety\.(json|html|pdf)|(adverse_events|laboratory|deviations|queries)\.(csv|parquet)"),
)
"""The folder of the tables of safety."""


def run_safety(
    sources: TrialSources,
    files: SafetyFiles,
    protocol_file: Path | None,
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """Write the tables of all participants together.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    protocol = load_protocol(protocol_file)
    publish_safety(sources, files, protocol, lambda loaded: (loaded, None), out, code, pdf=pdf, force=force)


def load_safety(sources: TrialSources, files: SafetyFiles, protocol: Protocol) -> tuple[LoadedTrial, Safety]:
    """Read the data of the trial and the tables of safety; the inputs and queries of both are in the first.

    Raises
    ------
    SparccError : a file cannot be read, or would reveal the arm
    """
    loaded = load_trial(sources, protocol)
    queries = Queries(loaded.data.queries)
    known = [each.participant for each in loaded.data.participants]
    safety = read_safety(files, known, loaded.dates, protocol, queries)
    inputs = (*loaded.inputs, *map(file_input, files.files))
    return replace(loaded, data=replace(loaded.data, queries=tuple(queries)), inputs=inputs), safety


def publish_safety(
    sources: TrialSources,
    files: SafetyFiles,
    protocol: Protocol,
    allocate: Callable[[LoadedTrial], tuple[LoadedTrial, Unblinded | None]],
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """Write page, tables and `safety.json`, complete or not at all.

    Parameters
    ----------
    allocate : returns the trial with the queries of the allocation and the arms; None for a blinded page

    Raises
    ------
    SparccError : see `run_safety`
    """
    if pdf:
        require_pdf()
    protocol.require(*REPORT_CHOICES)
    loaded, safety = load_safety(sources, files, protocol)
    loaded, unblinded = allocate(loaded)
    words, run = language(code), facts(loaded, protocol, "safety")
    of = courses(assess_trial(loaded.data, protocol))
    entry = entries(of, protocol)
    inside = in_trial(of, entry, () if unblinded is None else unblinded.arms)
    deviations = [*deviations_from_data(inside, entry), *safety.deviations]
    groups = [
        group_of(name, mine, safety.adverse_events, safety.laboratory, deviations)
        for name, mine in groups_of(inside, protocol, words, unblinded).items()
    ]
    banner = (
        words.say("Blinded: made without the allocation.")
        if unblinded is None
        else words.say("UNBLINDED: shows results by arm. Not for readers and assessors.")
    )
    page = SectionPage(
        f"{words.say('Safety and deviations')} {protocol.registry}",
        banner,
        safety_sections(groups, protocol, words),
        protocol.file,
        loaded.inputs,
        run["created_at"],
    )
    document: Mapping[str, Any] = {**run, "unblinded": unblinded is not None}
    tables = {**safety_tables(safety, deviations), "queries": query_table(loaded.data.queries)}
    with ResultFolder(out, force=force, kind=SAFETY_RESULT) as result:
        for name, table in tables.items():
            write_text(result.path / f"{name}.csv", csv_text(table))
            write_bytes(result.path / f"{name}.parquet", parquet_bytes(table))
        write_page(page, result.path, "safety", words, pdf=pdf)
        write_text(result.path / MAIN_FILE, json_text({"schema": SCHEMA, "research_use_only": True, **document}))
        result.publish()
    print_queries(loaded.data.queries)
    typer.echo(f"Safety: {out / ('safety.pdf' if pdf else 'safety.html')}")
