"""`index.html` of a batch: every study with its picture, to be sorted by score or status; no network needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sparcc_pipeline.app.batch.task import MESSAGES
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.message import Message, from_plain

_ORDER: Final = {"scored": 0, "unscorable": 1, "rejected": 2, "failed": 3}
_STATUS: Final = {
    "scored": Message("scored"),
    "unscorable": Message("unscorable"),
    "rejected": Message("rejected"),
    "failed": Message("failed"),
}


def index_html(rows: Sequence[Mapping[str, Any]], counts: Mapping[str, int], waiting: int, run: Run) -> str:
    """The page in the language of the settings. As it opens, the highest scores come first, studies without one last.

    Parameters
    ----------
    rows : rows of `batch.csv`
    waiting : how many studies have no row yet
    """
    shown = sorted(rows, key=lambda row: (_ORDER[row["status"]], -(row.get("total") or 0), row["study"]))
    words = language(run.config.lang)
    return template("batch.html", words).render(
        rows=[_row(row, words) for row in shown],
        counts={_STATUS[status]: count for status, count in counts.items()},
        waiting=waiting,
        made=run.created_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def _row(row: Mapping[str, Any], words: Language) -> dict[str, Any]:
    """What the page shows of a row; None where there is nothing.

    `reason_known` says that the reason is in the language of the page.
    """
    names = (
        "study", "status", "total", "edema", "intensity", "depth", "evaluable_maximum", "asas_positive",
        "expected", "interval_90_low", "interval_90_high", "study_uid", "seconds",
    )  # fmt: skip
    said = {name: [from_plain(each) for each in plain] for name, plain in (row.get(MESSAGES) or {}).items()}
    reason = next(iter(said.get("reason", ())), None) or row.get("reason")
    warnings = row.get("warnings") or ""
    return {
        **{name: row.get(name) for name in names},
        "status_said": words.say(_STATUS[row["status"]]),
        "order": _ORDER[row["status"]],
        "reason": words.say(reason) if isinstance(reason, Message) else reason,
        "reason_known": words.code == "en" or (isinstance(reason, Message) and reason.template in words.catalogue),
        "warnings": said.get("warnings") or (warnings.split(" | ") if warnings else []),
    }
