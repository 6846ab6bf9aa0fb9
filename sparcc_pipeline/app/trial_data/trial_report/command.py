"""`sparcc trial report`: read files, write `report.html` and `report.pdf`. This module cannot open an allocation.

Contents: `run_report`, `publish_report`, `REPORT_RESULT`. The unblinded report is in `unblinded/report.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.read.sources import TrialSources, load_trial
from sparcc_pipeline.app.trial_data.run import facts, print_queries
from sparcc_pipeline.app.trial_data.trial_report.page import TrialReport, write_report

MAIN_FILE: Final = "report.json"
SCHEMA: Final = "sparcc-trial-report/1"
REPORT_CHOICES: Final = ("age_max_years", "haemoglobin_min_g_l", "dual_clinical", "dual_imaging")
"""Choices of the protocol that every report needs."""

REPORT_RESULT: Final = ResultKind(
    MAIN_FILE, "sparcc-trial-report/", re.compile(r"report\.(json|html|pdf)|(queries|missing|analysis_sets)\.csv")
)


def run_report(
    sources: TrialSources, protocol_file: Path | None, out: Path, code: LanguageCode, *, pdf: bool, force: bool
) -> None:
    """Write the blinded report.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    protocol.require(*REPORT_CHOICES)
    loaded = load_trial(sources, protocol)
    run = facts(loaded, protocol, "report")
    report = TrialReport(loaded.data, protocol, loaded.inputs, run["created_at"])
    publish_report(report, {**run, "unblinded": False}, out, code, pdf=pdf, force=force)


def publish_report(
    report: TrialReport, run: dict[str, object], out: Path, code: LanguageCode, *, pdf: bool, force: bool
) -> None:
    """Publish the folder of a report, complete or not at all; print the data queries, then the path of the report.

    Raises
    ------
    OutputError : the folder holds other files, or cannot be written
    """
    with ResultFolder(out, force=force, kind=REPORT_RESULT) as result:
        write_report(report, result.path, language(code), pdf=pdf)
        main = {"schema": SCHEMA, "research_use_only": True, **run}
        write_text(result.path / MAIN_FILE, json_text(main))
        result.publish()
    # The path comes last: many lines of queries would hide it.
    print_queries(report.data.queries)
    typer.echo(f"Report: {out / ('report.pdf' if pdf else 'report.html')}")
