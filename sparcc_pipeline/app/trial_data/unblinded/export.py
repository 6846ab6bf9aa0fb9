"""`sparcc trial export --unblind`: SDTM and ADaM datasets with arm, treatment and dose.

Contents: `run_unblinded_export`.
"""

from __future__ import annotations

from pathlib import Path

import typer

from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.cdisc.command import publish_export
from sparcc_pipeline.app.trial_data.cdisc.source import ArmFacts
from sparcc_pipeline.app.trial_data.read.sources import TrialSources
from sparcc_pipeline.app.trial_data.safety.command import load_safety
from sparcc_pipeline.app.trial_data.safety.read import SafetyFiles
from sparcc_pipeline.app.trial_data.trial_report.command import REPORT_CHOICES
from sparcc_pipeline.app.trial_data.unblinded.report import with_allocation
from sparcc_pipeline.app.trial_data.unblinded.run import UNBLINDED


def run_unblinded_export(
    sources: TrialSources,
    files: SafetyFiles,
    protocol_file: Path | None,
    allocation: Path,
    dosing: Path | None,
    out: Path,
    *,
    xpt: bool,
    force: bool,
) -> None:
    """Write all datasets, with EX, arm and treatment.

    Parameters
    ----------
    dosing : dose steps; None for an empty EX

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or pyreadstat is missing
    SparccError : a file cannot be read or written
    """
    protocol = load_protocol(protocol_file)
    protocol.require(*REPORT_CHOICES, "first_step", "observation_weeks", "second_step", "low_disease_activity")
    loaded, safety = load_safety(sources, files, protocol)
    loaded, unblinded = with_allocation(loaded, protocol, allocation, dosing)
    typer.echo(UNBLINDED)
    arms = ArmFacts(unblinded.arms, unblinded.steps)
    publish_export(loaded, safety, protocol, arms, out, xpt=xpt, force=force)
