"""The index of a batch: every study with its picture, sortable by score or status; no network needed.

`index.html` may leave the place of the images: it holds no folder, no date and no name. `index_local.html` also shows
the folder and the day of each study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.whose import Whose
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.message import Message, from_plain

_ORDER: Final = {"scored": 0, "unscorable": 1, "rejected": 2, "failed": 3}
_STATUS: Final = {
    "scored": Message("scored"),
    "unscorable": Message("unscorable"),
    "rejected": Message("rejected"),
    "failed": Message("failed"),
}


@dataclass(frozen=True)
class Origin:
    """Where the images of a study are, and whose they are, for the local index."""

    places: tuple[str, ...] = ()
    whose: Whose = Whose()


def index_html(
    rows: Sequence[BatchRow],
    counts: Mapping[str, int],
    waiting: int,
    run: Run,
    origins: Mapping[str, Origin] | None = None,
) -> str:
    """Return the page in the language of the settings, highest scores first, studies without a score last.

    Parameters
    ----------
    waiting : number of studies without a row
    origins : origin of each study, which makes the page the local one
    """
    shown = sorted(rows, key=lambda row: (_ORDER[row.status], -(row.total or 0), row.study))
    words = language(run.config.lang)
    return template("batch.html", words).render(
        rows=[_row(row, words, (origins or {}).get(row.study, Origin())) for row in shown],
        local=origins is not None,
        counts={_STATUS[status]: count for status, count in counts.items()},
        waiting=waiting,
        made=run.created_at.strftime("%Y-%m-%d %H:%M UTC"),
    )


def _row(row: BatchRow, words: Language, origin: Origin) -> dict[str, Any]:
    """Return the values that the page shows of a row.

    `reason_known` is true if the reason is in the language of the page.
    """
    messages = {name: [from_plain(each) for each in stored] for name, stored in row.messages.items()}
    reason = next(iter(messages.get("reason", ())), None) or row.reason
    return {
        "row": row,
        "origin": origin,
        "status_text": words.say(_STATUS[row.status]),
        "order": _ORDER[row.status],
        "reason": words.say(reason) if isinstance(reason, Message) else reason,
        "reason_known": words.code == "en" or (isinstance(reason, Message) and reason.template in words.catalogue),
        "warnings": messages.get("warnings") or (row.warnings.split(" | ") if row.warnings else []),
    }
