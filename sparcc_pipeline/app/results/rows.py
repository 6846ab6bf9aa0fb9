"""Rows of `score.csv` and `batch.csv` as types: their fields are the columns, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final, Self, get_args, get_type_hints

from pydantic import TypeAdapter

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.results.tables import ColumnKind
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

_POINTS: Final = (*(quadrant.value for quadrant in Quadrant), "intense", "deep")
_LENGTHS: Final = ("height_mm", "depth_mm")

ITEM_COLUMNS: Final = {
    f"s{slice_}_{side.value}_{item}": ColumnKind.WHOLE if item in _POINTS else ColumnKind.NUMBER
    for slice_ in range(SLICES_SCORED)
    for side in Side
    for item in (*_POINTS, *_LENGTHS)
}
"""Columns of the items. Slices s0-s5 run from anterior to posterior."""

_NO_COLUMNS: Final = ("items", "messages")
_KINDS: Final = {str: ColumnKind.TEXT, int: ColumnKind.WHOLE, bool: ColumnKind.WHOLE, float: ColumnKind.NUMBER}


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One row of `score.csv`, with one field for each column; None is an empty cell, true is written as 1.

    Parameters
    ----------
    warnings : all warnings, separated by " | "
    items : values of `ITEM_COLUMNS`
    """

    schema: str | None = None
    status: str
    study_uid: str | None = None
    series_uid: str | None = None
    total: int | None = None
    edema: int | None = None
    intensity: int | None = None
    depth: int | None = None
    evaluable_maximum: int | None = None
    expected: float | None = None
    interval_90_low: float | None = None
    interval_90_high: float | None = None
    probability_remission: float | None = None
    asas_positive: int | None = None
    first_slice_index: int | None = None
    chosen_by: str | None = None
    coverage_mm: float | None = None
    reference_signal_kind: str | None = None
    reference_signal_value: float | None = None
    model_name: str | None = None
    model_version: str | None = None
    model_sha256: str | None = None
    software_version: str | None = None
    created_at: str | None = None
    warnings: str | None = None
    items: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def cells(self) -> dict[str, Any]:
        """The value of each column; those of items that the row lacks are missing."""
        names = (each.name for each in fields(self) if each.name not in _NO_COLUMNS)
        return {**{name: getattr(self, name) for name in names}, **self.items}


@dataclass(frozen=True, kw_only=True)
class BatchRow(ScoreRow):
    """One row of `batch.csv`: the columns of `score.csv`, why there is no score, and the cost.

    Parameters
    ----------
    study : name of the folder of the study
    status : "scored", "unscorable", "rejected" or "failed"
    files, seconds, memory_mb, peak_memory_mb : files of the study; time and memory of the worker
    earlier : the row is that of an earlier run
    messages : `reason` and `warnings` as `message.to_plain` stores them, for the index in its language; no column
    """

    study: str
    reason: str | None = None
    reason_kind: str | None = None
    files: int | None = None
    seconds: float | None = None
    memory_mb: float | None = None
    peak_memory_mb: float | None = None
    earlier: bool = False
    messages: Mapping[str, list[Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the row as `row.json` holds it: one key for each column but `earlier`, and `messages`."""
        cells = {name: value for name, value in self.cells.items() if name != "earlier"}
        return {**cells, "messages": dict(self.messages)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the row that `to_json` stored; a key that is missing is an empty cell.

        Raises
        ------
        ValueError : it is no row
        """
        known = {each.name: content[each.name] for each in fields(cls) if each.name in content}
        known["items"] = {name: value for name, value in content.items() if name in ITEM_COLUMNS}
        # Only checked: pydantic would turn whole numbers of a number column into fractions.
        _adapter().validate_python(known)
        return cls(**known)


@cache
def _adapter() -> TypeAdapter[BatchRow]:
    return TypeAdapter(BatchRow)


def _kinds(row: type[ScoreRow]) -> dict[str, ColumnKind]:
    """Return the kind of each column that is a field of a row."""
    hints = get_type_hints(row)
    return {each.name: _kind(hints[each.name]) for each in fields(row) if each.name not in _NO_COLUMNS}


def _kind(hint: Any) -> ColumnKind:
    return _KINDS[next((each for each in get_args(hint) if each is not type(None)), hint)]


SCORE_COLUMNS: Final = _kinds(ScoreRow) | ITEM_COLUMNS
"""Columns of `score.csv`, in order."""

_WHY: Final = ("study", "status", "reason", "reason_kind")
_COST: Final = ("files", "seconds", "memory_mb", "peak_memory_mb", "earlier")

BATCH_COLUMNS: Final = (
    {name: _kinds(BatchRow)[name] for name in _WHY}
    | {name: kind for name, kind in SCORE_COLUMNS.items() if name != "status"}
    | {name: _kinds(BatchRow)[name] for name in _COST}
)
"""Columns of `batch.csv`, in order: those of `score.csv`, why there is no score, and the cost."""


def score_row(document: ScoreDocument) -> ScoreRow:
    """Return a document of any status as a row."""
    return ScoreRow(**row_values(document))


def row_values(document: ScoreDocument) -> dict[str, Any]:
    """Return the fields of `ScoreRow` for a document of any status."""
    reference, made = document.reference_signal, document.provenance
    low, high = document.interval_90 or (None, None)
    row = {each.name: getattr(document, each.name) for each in fields(ScoreRow) if hasattr(document, each.name)}
    items: dict[str, float | None] = {}
    for joint in document.joints:
        cells = {**joint.items, "height_mm": joint.height_mm, "depth_mm": joint.depth_mm}
        items |= {f"s{joint.slice}_{joint.side}_{name}": value for name, value in cells.items()}
    return row | {
        "asas_positive": None if document.asas_positive is None else int(document.asas_positive),
        "interval_90_low": low,
        "interval_90_high": high,
        "first_slice_index": document.slices[0].slice_index if document.slices else None,
        "reference_signal_kind": reference and reference.kind,
        "reference_signal_value": reference and reference.value,
        "model_name": made.model and made.model.name,
        "model_version": made.model and made.model.version,
        "model_sha256": made.model and made.model.sha256,
        "software_version": made.software.version,
        "created_at": made.created_at,
        "warnings": " | ".join(document.warnings),
        "items": items,
    }
