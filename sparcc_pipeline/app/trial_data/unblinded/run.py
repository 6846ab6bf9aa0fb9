"""`sparcc trial steps`: the steps of the taper arm, unblinded.

Contents: `run_steps`. Besides `unblinded/report.py` no command can open an allocation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.data_tables import query_table
from sparcc_pipeline.app.trial_data.export import write_tables
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.read.sources import TrialSources, load_trial
from sparcc_pipeline.app.trial_data.run import facts, print_queries
from sparcc_pipeline.app.trial_data.unblinded.allocation import ask_about_unallocated, read_allocation, read_dosing
from sparcc_pipeline.app.trial_data.unblinded.allocation_checks import ask_about_allocation
from sparcc_pipeline.app.trial_data.unblinded.steps import ask_about_doses, step_table

UNBLINDED: Final = "UNBLINDED: not for readers and assessors"


def run_steps(
    sources: TrialSources,
    protocol_file: Path | None,
    allocation_file: Path,
    dosing_file: Path,
    out: Path | None,
    *,
    force: bool,
) -> None:
    """Print the criterion of each step of the taper arm, and write a table if a folder is given.

    Raises
    ------
    ConfigError : the protocol leaves a step, the observation or low disease activity unset
    SparccError : a file cannot be read or written
    """
    protocol = load_protocol(protocol_file)
    protocol.require("first_step", "observation_weeks", "second_step", "low_disease_activity")
    loaded = load_trial(sources, protocol)
    known = [each.participant for each in loaded.data.participants]
    queries = Queries(loaded.data.queries)
    allocation = read_allocation(allocation_file, known, protocol, queries)
    dosing = read_dosing(dosing_file, known, protocol, queries)
    ask_about_unallocated(allocation_file, loaded.data, allocation, protocol, queries)
    ask_about_allocation(allocation_file, allocation, loaded.dates, protocol, queries)
    ask_about_doses(loaded.data, allocation, dosing, protocol, queries)
    table = step_table(loaded.data, allocation, dosing, protocol)
    if out is not None:
        tables = {"steps": table, "queries": query_table(queries)}
        write_tables(out, tables, {**facts(loaded, protocol, "steps"), "unblinded": True}, force=force)
    typer.echo(UNBLINDED)
    for row in table.rows:
        note = f" ({row['note']})" if row["note"] else ""
        recorded = f"recorded at {row['recorded_at']}" if row["recorded_at"] else "not recorded"
        odd = ", although the criterion was not met" if row.get("agrees") is False else ""
        typer.echo(
            f"{row['participant']} step {row['step']} ({row['dose']}): criterion {row['criterion']}{note}"
            f"{' at ' + row['visits'] if row.get('visits') else ''}; {recorded}{odd}"
            f"{'; earlier step at ' + row['returned_at'] if row['returned_at'] else ''}"
        )
    print_queries(queries)
