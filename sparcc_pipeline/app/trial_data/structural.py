"""`sparcc trial structural`: agreement of the readers' structural scores (SSS), for each lesion.

Contents: `run_structural`, `read_structural`. The tables are `structural.csv` of `sparcc reader export`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.results.table_reader import RawRow, read_table
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.export import write_tables
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.trial.agreement.pairs import TotalPairs, reading_pairs
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import TrialData
from sparcc_pipeline.trial.structural import Lesion

SEED: Final = 1
"""Seed of the bootstrap, fixed so that the same readings give the same intervals."""

_N, _W = ColumnKind.NUMBER, ColumnKind.WHOLE
COLUMNS: Final = (
    Column("lesion", "fat, erosion, backfill or ankylosis"),
    Column("measure", "status, or change since the baseline visit of the protocol"),
    Column("kind", "kind of comparison"),
    Column("first", "first reader"),
    Column("second", "second reader"),
    Column("pairs", "totals of the same images", _W),
    Column("participants", "participants", _W),
    Column("icc_agreement", "ICC(2,1)", _N),
    Column("icc_agreement_low", "lower end of its 95 % interval", _N),
    Column("icc_agreement_high", "upper end", _N),
    Column("mean_difference", "second minus first", _N),
    Column("lower_limit", "lower limit of agreement", _N),
    Column("upper_limit", "upper limit of agreement", _N),
    Column("sdc", "smallest detectable change of one reader", _N),
)


def run_structural(files: Sequence[Path], protocol_file: Path | None, out: Path | None, *, force: bool) -> None:
    """Print the agreement of each lesion, and write it as tables if a folder is given.

    Raises
    ------
    SparccError : a file cannot be read or written
    """
    protocol = load_protocol(protocol_file)
    readings = read_structural(files)
    rows = [
        _row(lesion, pair)
        for lesion in Lesion
        for pair in _pairs(readings[lesion], protocol)
        if pair.agreement(SEED) is not None
    ]
    if out is not None:
        inputs = [{"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} for file in files]
        facts = {
            "command": "structural",
            "created_at": utc_text(utc_now()),
            "software": {"name": "sparcc-pipeline", "version": __version__},
            "protocol": {"file": protocol.file, "registry": protocol.registry, "choices": dict(protocol.choices)},
            "inputs": inputs,
        }
        write_tables(out, {"structural_agreement": Table(COLUMNS, rows)}, facts, force=force)
    for row in rows:
        icc = "–" if row["icc_agreement"] is None else f"{row['icc_agreement']:.2f}"
        names = f"{row['first']} and {row['second']}"
        typer.echo(f"{row['lesion']}, {row['measure']}, {names}: ICC {icc} from {row['pairs']} pairs")
    if not rows:
        typer.echo("No lesion has enough readings of the same images by two readers.")


def read_structural(files: Sequence[Path]) -> dict[Lesion, list[Reading]]:
    """Return the readings of each lesion.

    Raises
    ------
    InputError : a file cannot be read, lacks a column, or has a total outside the range of its lesion
    """
    needed = {"participant", "visit", "reader", "repeat", "adjudicator", *(lesion.value for lesion in Lesion)}
    found: dict[Lesion, list[Reading]] = {lesion: [] for lesion in Lesion}
    for file in files:
        table = read_table(file)
        if lacking := needed - set(table.columns):
            raise InputError(
                f"expected the columns of structural.csv in {file.name}, found no {min(lacking)}; give the table that "
                "`sparcc reader export` writes"
            )
        for row in table.rows:
            for lesion in Lesion:
                found[lesion].append(_reading(row, lesion, file))
    return found


def _reading(row: RawRow, lesion: Lesion, file: Path) -> Reading:
    cells = {name: "" if value is None else str(value).strip() for name, value in row.cells.items()}
    text = cells[lesion.value]
    total = int(text) if text.isdigit() else None
    if (text and total is None) or (total is not None and total > lesion.largest) or not cells["repeat"].isdigit():
        raise InputError(
            f"expected {lesion} of 0-{lesion.largest} and a number as repeat in {file.name}, row {row.number}, found "
            "another value; correct the row"
        )
    third = cells["adjudicator"].lower() in ("true", "yes", "1")
    return Reading(
        cells["participant"], cells["visit"], cells["reader"], total, True, third, None, int(cells["repeat"])
    )


def _pairs(readings: Sequence[Reading], protocol: Protocol) -> tuple[TotalPairs, ...]:
    data = TrialData((), (), tuple(readings), ())
    return reading_pairs(data, protocol.adjudication, protocol.baseline.visit)


def _row(lesion: Lesion, pair: TotalPairs) -> dict[str, Any]:
    agreement = pair.agreement(SEED)
    assert agreement is not None
    icc = agreement.icc_agreement
    return {
        "lesion": lesion.value,
        "measure": pair.measure.value,
        "kind": pair.kind.value,
        "first": pair.first_name,
        "second": pair.second_name,
        "pairs": agreement.pairs,
        "participants": agreement.participants,
        "icc_agreement": icc and icc.value,
        "icc_agreement_low": icc and icc.low,
        "icc_agreement_high": icc and icc.high,
        "mean_difference": agreement.bland_altman.mean,
        "lower_limit": agreement.bland_altman.lower,
        "upper_limit": agreement.bland_altman.upper,
        "sdc": agreement.sdc.value,
    }
