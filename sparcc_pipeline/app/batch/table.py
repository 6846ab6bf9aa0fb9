"""The rows of a batch as files: `batch.csv`, `batch.parquet`, and `sources.csv`, the only one with paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.batch.sources import FoundSources
from sparcc_pipeline.app.results import rows as result_rows
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.results.tables import Column, Table, parquet_bytes, rows_as_csv

STATUSES: Final = ("scored", "unscorable", "rejected", "failed")

BATCH_COLUMNS: Final = tuple(result_rows.BATCH_COLUMNS)
"""Columns of `batch.csv`, in order: those of `score.csv`, why there is no score, and the cost.

`study` is the name of the study's folder. `earlier` is 1 where the row is that of an earlier run."""

SOURCE_COLUMNS: Final = ("study", "place")


def batch_csv(rows: Iterable[BatchRow]) -> bytes:
    """Return the content of `batch.csv`."""
    return rows_as_csv(BATCH_COLUMNS, map(_cells, rows)).encode()


def batch_parquet(rows: Sequence[BatchRow]) -> bytes:
    """Return the content of `batch.parquet`: the same columns, typed, so that tables of batches can be joined."""
    columns = [Column(name, "", kind) for name, kind in result_rows.BATCH_COLUMNS.items()]
    return parquet_bytes(Table(columns, [_cells(row) for row in rows]))


def sources_csv(found: FoundSources) -> bytes:
    """Return the content of `sources.csv`: the places of each study.

    Paths may hold names: this file stays where the images are.
    """
    places = [(study.key, place) for study in found.studies for place in study.places]
    places += [(refused.key, refused.place) for refused in found.refused]
    return rows_as_csv(
        SOURCE_COLUMNS, [{"study": key, "place": printable_place(place)} for key, place in places]
    ).encode()


def _cells(row: BatchRow) -> dict[str, Any]:
    """Return the cells of a row; yes and no as 1 and 0."""
    return {name: int(value) if isinstance(value, bool) else value for name, value in row.cells.items()}


def printable_place(place: Path) -> str:
    """Return a path on one line, whatever its bytes are."""
    text = os.fsencode(place.absolute()).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
