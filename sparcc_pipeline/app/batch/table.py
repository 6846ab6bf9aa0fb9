"""The rows of a batch as files: `batch.csv`, `batch.parquet`, and `sources.csv`, which alone holds paths."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.batch.sources import FoundSources
from sparcc_pipeline.app.results.score_document import CSV_COLUMNS
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table, parquet_bytes, rows_as_csv

STATUSES: Final = ("scored", "unscorable", "rejected", "failed")

BATCH_COLUMNS: Final = (
    "study", "status", "reason", "reason_kind",
    *(name for name in CSV_COLUMNS if name != "status"),
    "files", "seconds", "memory_mb", "peak_memory_mb", "earlier",
)  # fmt: skip
"""Columns of `batch.csv`, in order: those of `score.csv`, why there is no score, and what it took.

`study` is the name of the study's folder. `earlier` is 1 where the row is that of an earlier run."""

SOURCE_COLUMNS: Final = ("study", "place")

_TEXTS: Final = frozenset(
    {
        "study", "status", "reason", "reason_kind", "schema", "study_uid", "series_uid", "chosen_by",
        "reference_signal_kind", "model_name", "model_version", "model_sha256", "software_version", "created_at",
        "warnings",
    }
)  # fmt: skip
_WHOLE: Final = frozenset(
    {"total", "edema", "intensity", "depth", "evaluable_maximum", "asas_positive", "first_slice_index", "files",
     "earlier"}
)  # fmt: skip
_WHOLE_ENDINGS: Final = ("_iliac", "_sacral", "_intense", "_deep")


def batch_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """`batch.csv`."""
    return rows_as_csv(BATCH_COLUMNS, map(_as_written, rows)).encode()


def batch_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """`batch.parquet`: the same columns, typed, so that tables of several batches fit together."""
    return parquet_bytes(Table([Column(name, "", _kind(name)) for name in BATCH_COLUMNS], [*map(_as_written, rows)]))


def _kind(name: str) -> ColumnKind:
    if name in _TEXTS:
        return ColumnKind.TEXT
    return ColumnKind.WHOLE if name in _WHOLE or name.endswith(_WHOLE_ENDINGS) else ColumnKind.NUMBER


def sources_csv(found: FoundSources) -> bytes:
    """`sources.csv`: where each study lies. Paths may hold names: this file stays where the images are."""
    places = [(study.key, place) for study in found.studies for place in study.places]
    places += [(refused.key, refused.place) for refused in found.refused]
    return rows_as_csv(SOURCE_COLUMNS, [{"study": key, "place": _printable(place)} for key, place in places]).encode()


def _as_written(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's own columns; yes and no as 1 and 0."""
    return {
        name: int(value) if isinstance(value, bool) else value for name, value in row.items() if name in BATCH_COLUMNS
    }


def _printable(place: Path) -> str:
    """A path on one line, whatever its bytes are."""
    text = os.fsencode(place.absolute()).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
