"""`sparcc trial report --unblind`: the report by arm, with doses.

With `run_unblinded.py` the only way to an allocation.

There: `run_unblinded_report`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.sources import TrialSources, file_input, load_trial
from sparcc_pipeline.app.trial_data.run import facts, say_queries
from sparcc_pipeline.app.trial_data.trial_report.command import publish_report
from sparcc_pipeline.app.trial_data.trial_report.content import Unblinded
from sparcc_pipeline.app.trial_data.trial_report.page import TrialReport
from sparcc_pipeline.app.trial_data.unblinded.allocation import Dosing, read_allocation, read_dosing


def run_unblinded_report(
    sources: TrialSources,
    protocol_file: Path | None,
    allocation_file: Path,
    dosing_file: Path | None,
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """The report by arm.

    Parameters
    ----------
    dosing_file : dose steps; None leaves the doses out

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written
    """
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    protocol.require(
        "age_max_years",
        "haemoglobin_min_g_l",
        "dual_clinical",
        "dual_imaging",
        "first_step",
        "observation_weeks",
        "second_step",
    )
    loaded = load_trial(sources, protocol)
    known = [each.participant for each in loaded.data.participants]
    queries = Queries(loaded.data.queries)
    arms = read_allocation(allocation_file, known, protocol, queries).arms
    dosing = Dosing({}) if dosing_file is None else read_dosing(dosing_file, known, protocol, queries)
    opened = [allocation_file, *([dosing_file] if dosing_file is not None else [])]
    data = replace(loaded.data, queries=tuple(queries))
    loaded = replace(loaded, data=data, inputs=(*loaded.inputs, *map(file_input, opened)))
    made = facts(loaded, protocol, "report")
    report = TrialReport(data, protocol, loaded.inputs, made["created_at"], Unblinded(arms, dosing.steps))
    typer.echo("UNBLINDED: not for readers and assessors")
    publish_report(report, {**made, "unblinded": True}, out, code, pdf=pdf, force=force)
    say_queries(queries)
