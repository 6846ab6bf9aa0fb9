"""`sparcc trial report`: files in, `report.html` and `report.pdf` out. Blinded: this module cannot open an allocation.

There: `run_report`, `publish_report`, `REPORT_RESULT`. The unblinded report is `report_unblinded.py`.
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
from sparcc_pipeline.app.trial_data.run import facts, say_queries
from sparcc_pipeline.app.trial_data.trial_report.page import TrialReport, write_report

MAIN_FILE: Final = "report.json"
SCHEMA: Final = "sparcc-trial-report/1"
REPORT_RESULT: Final = ResultKind(
    MAIN_FILE, "sparcc-trial-report/", re.compile(r"report\.(json|html|pdf)|(queries|missing)\.csv")
)


def run_report(
    sources: TrialSources, protocol_file: Path | None, out: Path, code: LanguageCode, *, pdf: bool, force: bool
) -> None:
    """The blinded report.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written, or would tell the arm
    """
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    protocol.require("age_max_years", "haemoglobin_min_g_l", "dual_clinical", "dual_imaging")
    loaded = load_trial(sources, protocol)
    made = facts(loaded, protocol, "report")
    report = TrialReport(loaded.data, protocol, loaded.inputs, made["created_at"])
    publish_report(report, {**made, "unblinded": False}, out, code, pdf=pdf, force=force)
    say_queries(loaded.data.queries)


def publish_report(
    report: TrialReport, made: dict[str, object], out: Path, code: LanguageCode, *, pdf: bool, force: bool
) -> None:
    """Write all files of a report; the folder appears as a whole or not at all, and its path is printed.

    Raises
    ------
    OutputError : the folder holds something else, or cannot be written
    """
    with ResultFolder(out, force=force, kind=REPORT_RESULT) as result:
        write_report(report, result.path, language(code), pdf=pdf)
        main = {"schema": SCHEMA, "research_use_only": True, **made}
        write_text(result.path / MAIN_FILE, json_text(main))
        result.publish()
    typer.echo(f"Report: {out / ('report.pdf' if pdf else 'report.html')}")
