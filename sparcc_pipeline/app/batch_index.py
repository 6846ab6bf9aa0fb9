"""`index.html` of a batch: every study with its picture, to be sorted by score or status; no network needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.app.language import language
from sparcc_pipeline.app.pages import template
from sparcc_pipeline.app.provenance import Run

_ORDER: Final = {"scored": 0, "unscorable": 1, "rejected": 2, "failed": 3}


def index_html(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int], waiting: int, run: Run) -> str:
    """The page; as it opens, the highest scores come first and studies without one last.

    Parameters
    ----------
    rows : rows of `batch.csv`
    waiting : how many studies have no row yet
    """
    shown = sorted(rows, key=lambda row: (_ORDER[row["status"]], -(row.get("total") or 0), row["study"]))
    return template("batch.html", language("en")).render(
        rows=[_row(row) for row in shown],
        counts=counts,
        waiting=waiting,
        made=run.created_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the page shows of a row; None where there is nothing."""
    names = (
        "study", "status", "reason", "total", "edema", "intensity", "depth", "evaluable_maximum", "asas_positive",
        "expected", "interval_90_low", "interval_90_high", "study_uid", "seconds",
    )  # fmt: skip
    warnings = row.get("warnings") or ""
    return {
        **{name: row.get(name) for name in names},
        "order": _ORDER[row["status"]],
        "warnings": warnings.split(" | ") if warnings else [],
    }
