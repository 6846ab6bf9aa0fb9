"""`sparcc trial safety --unblind`: the tables of safety by arm, for a monitoring committee.

Contents: `run_unblinded_safety`.
"""

from __future__ import annotations

from pathlib import Path

import typer

from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.read.sources import TrialSources
from sparcc_pipeline.app.trial_data.safety.command import publish_safety
from sparcc_pipeline.app.trial_data.safety.read import SafetyFiles
from sparcc_pipeline.app.trial_data.unblinded.report import with_allocation
from sparcc_pipeline.app.trial_data.unblinded.run import UNBLINDED


def run_unblinded_safety(
    sources: TrialSources,
    files: SafetyFiles,
    protocol_file: Path | None,
    allocation: Path,
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """Write the tables of safety by arm.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    SparccError : a file cannot be read or written
    """
    protocol = load_protocol(protocol_file)
    protocol.require("first_step", "observation_weeks", "second_step", "low_disease_activity")
    typer.echo(UNBLINDED)
    publish_safety(
        sources,
        files,
        protocol,
        lambda loaded: with_allocation(loaded, protocol, allocation, None),
        out,
        code,
        pdf=pdf,
        force=force,
    )
