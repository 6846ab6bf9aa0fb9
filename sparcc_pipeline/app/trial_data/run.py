"""The blinded commands of `sparcc trial`: read files, print lines, write tables.

Contents: `run_protocol_check`, `run_import`, `run_status`, `run_eligibility`. None of them can open an allocation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.data_tables import data_tables, query_table
from sparcc_pipeline.app.trial_data.export import write_tables
from sparcc_pipeline.app.trial_data.read.sources import LoadedTrial, TrialSources, load_trial
from sparcc_pipeline.app.trial_data.result_tables import eligibility_table, status_table
from sparcc_pipeline.trial.assessment import VisitAssessment, assess_trial, entry_of
from sparcc_pipeline.trial.eligibility import EntryState, reasons_against
from sparcc_pipeline.trial.protocol.choices import CHOICES
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.over_time import Confirmation
from sparcc_pipeline.trial.protocol.registry import ABSENT, CONTRADICTIONS, dose_contradiction
from sparcc_pipeline.trial.records import DataQuery
from sparcc_pipeline.trial.remission import TargetStatus

QUERIES_SHOWN = 20
"""Number of data queries printed; the table holds all of them."""


def run_protocol_check(file: Path | None) -> None:
    """Print every setting with its source, the unconfirmed ones, and every choice with its value or its readings.

    Raises
    ------
    ConfigError : the file is not valid
    """
    protocol = load_protocol(file)
    typer.echo(f"{protocol.file}: valid; {protocol.registry}, {protocol.name}")
    for key in protocol.settings:
        typer.echo(f"  {key} = {protocol.settings[key]}  [{protocol.sources[key]}]")
    typer.echo("To be confirmed by the trial: decided here [D], or in wide use but not confirmed [R]:")
    for key in protocol.unconfirmed:
        typer.echo(f"  {key} = {protocol.settings[key]}")
    typer.echo("Choices that the registry entry leaves open:")
    for choice in CHOICES:
        if choice.key in protocol.choices:
            source = protocol.sources[f"choices.{choice.key}"]
            typer.echo(f"  {choice.key}: {choice.what}: {protocol.choices[choice.key]}  [{source}]")
        else:
            typer.echo(f"  {choice.key}: {choice.what}: UNSET. Readings: {choice.readings}")
    typer.echo("The registry entry contradicts itself or repeats itself:")
    for contradiction in (dose_contradiction(protocol.choices), *CONTRADICTIONS):
        if contradiction is not None:
            typer.echo(f"  {contradiction}")
    typer.echo("The registry entry does not give:")
    for absent in ABSENT:
        typer.echo(f"  {absent}")
    if protocol.unset:
        typer.echo(
            f"{len(protocol.unset)} of {len(CHOICES)} choices are unset; a command that needs one stops. Copy the file "
            "and set them under [choices], each with its source"
        )


def run_import(sources: TrialSources, protocol_file: Path | None, out: Path, *, force: bool) -> None:
    """Check a trial's data, write its tables and queries, and print their numbers.

    Raises
    ------
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    protocol = load_protocol(protocol_file)
    loaded = load_trial(sources, protocol)
    write_tables(out, data_tables(loaded, protocol), facts(loaded, protocol, "import"), force=force)
    data = loaded.data
    print_queries(data.queries)
    typer.echo(
        f"{len(data.participants)} participants, {len(data.visits)} visits, {len(data.readings)} readings, "
        f"{len(data.scores)} scores; tables in {out}"
    )


def run_status(sources: TrialSources, protocol_file: Path | None, out: Path | None, *, force: bool) -> None:
    """Print the dual target by participant and visit, and write it as tables if a folder is given.

    Raises
    ------
    ConfigError : the protocol leaves a definition of the dual target unset
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    protocol = load_protocol(protocol_file)
    protocol.require("dual_clinical", "dual_imaging")
    loaded = load_trial(sources, protocol)
    assessed = assess_trial(loaded.data, protocol)
    if out is not None:
        tables = {"status": status_table(assessed), "queries": query_table(loaded.data.queries)}
        write_tables(out, tables, facts(loaded, protocol, "status"), force=force)
    for each in assessed:
        if each.visit is not None or each.readings or each.machine is not None:
            typer.echo(status_line(each, protocol.target.confirmation))
    counts = Counter(each.target.status for each in assessed)
    typer.echo("all planned visits: " + ", ".join(f"{status.value} {counts[status]}" for status in TargetStatus))
    print_queries(loaded.data.queries)


def run_eligibility(sources: TrialSources, protocol_file: Path | None, out: Path | None, *, force: bool) -> None:
    """Print the entry criteria of each participant with the reasons, and write them if a folder is given.

    Raises
    ------
    ConfigError : the protocol leaves the highest age or the lowest haemoglobin unset
    SparccError : a file cannot be read or written, or would reveal the arm
    """
    protocol = load_protocol(protocol_file)
    protocol.require("age_max_years", "haemoglobin_min_g_l")
    loaded = load_trial(sources, protocol)
    found = [(entry_of(each, loaded.data, protocol), each.site) for each in loaded.data.participants]
    if out is not None:
        tables = {"eligibility": eligibility_table(found), "queries": query_table(loaded.data.queries)}
        write_tables(out, tables, facts(loaded, protocol, "eligibility"), force=force)
    for entry, _ in found:
        typer.echo(f"{entry.participant}: entry criteria {entry.state.value}")
        for reason in reasons_against(entry.criteria):
            typer.echo(f"  {reason}")
    counts = Counter(entry.state for entry, _ in found)
    typer.echo("participants: " + ", ".join(f"{state.value} {counts[state]}" for state in EntryState))
    print_queries(loaded.data.queries)


def status_line(each: VisitAssessment, confirmation: Confirmation) -> str:
    """Return one visit as a line for the terminal."""
    target, score = each.target, each.score
    clinical, imaging = target.clinical_half, target.imaging_half
    parts = [f"{each.participant.participant} {each.planned.visit}: {target.status.value}"]
    if clinical.value is not None and clinical.distance is not None:
        parts.append(f"ASDAS {clinical.value:.2f} ({clinical.distance:+.2f} from {clinical.cut_off:g})")
    if imaging.value is not None and imaging.distance is not None:
        chance = "" if target.probability_imaging is None else f", P {target.probability_imaging:.2f}"
        parts.append(
            f"SPARCC {imaging.value:g} ({imaging.distance:+g} from {imaging.cut_off:g}{chance}; {score.source.value})"
        )
    flags = [name for name, value in (("flare", each.flare), ("rescue", each.rescue)) if value]
    flags += ["confirmed"] if each.confirmed and confirmation is not Confirmation.SINGLE_VISIT else []
    flags += ["sustained"] if each.sustained else []
    return "; ".join([*parts, *flags, *target.reasons])


def print_queries(queries: Sequence[DataQuery]) -> None:
    """Print the first data queries and the number of all."""
    for query in queries[:QUERIES_SHOWN]:
        typer.echo(f"query: {query.message}", err=True)
    more = len(queries) - QUERIES_SHOWN
    if more > 0:
        typer.echo(f"and {more} more queries: see the table of queries in --out", err=True)
    kinds = Counter(query.kind.value for query in queries)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    typer.echo(f"{len(queries)} data queries{': ' + listed if listed else ''}")


def facts(loaded: LoadedTrial, protocol: Protocol, command: str) -> dict[str, Any]:
    """Return the facts of a run for `trial.json`: time, software, protocol, input files."""
    return {
        "command": command,
        "created_at": utc_text(utc_now()),
        "software": {"name": "sparcc-pipeline", "version": __version__},
        "protocol": {"file": protocol.file, "registry": protocol.registry, "choices": dict(protocol.choices)},
        "inputs": [{"file": file, "sha256": sha256} for file, sha256 in loaded.inputs],
    }
