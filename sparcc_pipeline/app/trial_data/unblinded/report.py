"""`sparcc trial report --unblind`: the report by arm, with doses.

Contents: `run_unblinded_report`, `with_allocation`. Only commands of this folder can open an allocation.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial, TrialSources, file_input, load_trial
from sparcc_pipeline.app.trial_data.run import facts
from sparcc_pipeline.app.trial_data.trial_report.command import REPORT_CHOICES, publish_report
from sparcc_pipeline.app.trial_data.trial_report.content import Unblinded
from sparcc_pipeline.app.trial_data.trial_report.page import TrialReport
from sparcc_pipeline.app.trial_data.unblinded.allocation import (
    Dosing,
    ask_about_unallocated,
    read_allocation,
    read_dosing,
)
from sparcc_pipeline.app.trial_data.unblinded.allocation_checks import ask_about_allocation
from sparcc_pipeline.app.trial_data.unblinded.run import UNBLINDED
from sparcc_pipeline.app.trial_data.unblinded.steps import ask_about_doses, dose_faults
from sparcc_pipeline.trial.protocol.definition import Protocol


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
    """Write the report by arm.

    Parameters
    ----------
    dosing_file : dose steps; None for a report without doses

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written
    """
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    protocol.require(*REPORT_CHOICES, "first_step", "observation_weeks", "second_step", "low_disease_activity")
    loaded = load_trial(sources, protocol)
    loaded, unblinded = with_allocation(loaded, protocol, allocation_file, dosing_file)
    run = facts(loaded, protocol, "report")
    report = TrialReport(loaded.data, protocol, loaded.inputs, run["created_at"], unblinded)
    typer.echo(UNBLINDED)
    publish_report(report, {**run, "unblinded": True}, out, code, pdf=pdf, force=force)


def with_allocation(
    loaded: LoadedTrial, protocol: Protocol, allocation_file: Path, dosing_file: Path | None
) -> tuple[LoadedTrial, Unblinded]:
    """Return the trial with the queries and inputs of the allocation, and the arms and doses."""
    known = [each.participant for each in loaded.data.participants]
    queries = Queries(loaded.data.queries)
    allocation = read_allocation(allocation_file, known, protocol, queries)
    dosing = Dosing({}) if dosing_file is None else read_dosing(dosing_file, known, protocol, queries)
    ask_about_unallocated(allocation_file, loaded.data, allocation, protocol, queries)
    ask_about_allocation(allocation_file, allocation, loaded.dates, protocol, queries)
    ask_about_doses(loaded.data, allocation, dosing, protocol, queries)
    opened = [file for file in (allocation_file, dosing_file) if file is not None]
    data = replace(loaded.data, queries=tuple(queries))
    loaded = replace(loaded, data=data, inputs=(*loaded.inputs, *map(file_input, opened)))
    faults = {name: [fault for _, fault in dose_faults(name, allocation, dosing, protocol)] for name in known}
    listed = allocation.listed
    return loaded, Unblinded(allocation.arms, dosing.steps, allocation.without_data, listed, faults)
