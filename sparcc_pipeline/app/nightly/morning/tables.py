"""The tables of a morning report: `sites.csv` and `studies.csv`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.studies import Counts, Delivery, Standing, StudyNow
from sparcc_pipeline.app.results.tables import rows_as_csv
from sparcc_pipeline.app.study.clock import utc_text


def sites_csv(morning: Morning) -> str:
    """Return the table with one row for each site: the figures of the night."""
    counts = {site.code: morning.of_site(site.code).counts() for site in morning.sites}
    rows = [{"site": code, **{name: cell(c) for name, cell in SITE_CELLS.items()}} for code, c in counts.items()]
    return rows_as_csv(("site", *SITE_CELLS), rows)


def studies_csv(morning: Morning) -> str:
    """Return the table with one row for each study of the night or still open; times are UTC."""
    needing = set(morning.needing_attention())
    listed = [
        s
        for s in morning.studies
        if s in needing
        or morning.in_night(s.received_at)
        or morning.in_night(s.since)
        or s.standing in (Standing.IN_WORK, Standing.RETRYING)
        or s.delivery in (Delivery.PENDING, Delivery.GIVEN_UP)
    ]
    listed.sort(key=lambda s: (s.site, s.received_at, s.study))
    return rows_as_csv(tuple(STUDY_CELLS), [{name: cell(s) for name, cell in STUDY_CELLS.items()} for s in listed])


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)


def _number(span: timedelta | None, unit_s: float) -> float | None:
    return None if span is None else round(span.total_seconds() / unit_s, 1)


SITE_CELLS: Final[Mapping[str, Callable[[Counts], object]]] = {
    "received": lambda c: c.received,
    "scored": lambda c: c.scored,
    "method_does_not_apply": lambda c: c.unscorable,
    "delivered": lambda c: c.delivered,
    "quarantined": lambda c: c.quarantined,
    "rejected": lambda c: c.rejected,
    "failed": lambda c: c.failed,
    "retrying": lambda c: c.retrying,
    "not_processed_yet": lambda c: c.in_work,
    "deliveries_pending": lambda c: c.deliveries_pending,
    "versions_superseded": lambda c: c.superseded,
    "protocol_deviations": lambda c: c.deviations,
    "to_score_median_minutes": lambda c: _number(c.to_score_median, 60),
    "to_score_worst_minutes": lambda c: _number(c.to_score_worst, 60),
    "oldest_waiting_hours": lambda c: _number(c.oldest_waiting, 3600),
}
"""The columns of `sites.csv` after the code of the site."""

STUDY_CELLS: Final[Mapping[str, Callable[[StudyNow], object]]] = {
    "study": lambda s: s.study,
    "site": lambda s: s.site,
    "participant": lambda s: s.participant,
    "visit": lambda s: s.visit,
    "version": lambda s: s.version,
    "standing": lambda s: s.standing.value,
    "superseded": lambda s: int(s.superseded),
    "received_at": lambda s: _utc(s.received_at),
    "since": lambda s: _utc(s.since),
    "scored_at": lambda s: _utc(s.scored_at),
    "total": lambda s: s.total,
    "delivery": lambda s: s.delivery.value,
    "attempts": lambda s: s.attempts,
    "next_try": lambda s: _utc(s.next_try),
    "reason": lambda s: " | ".join(str(reason.what) for reason in s.reasons),
    "remedy": lambda s: " | ".join(str(reason.remedy) for reason in s.reasons if reason.remedy is not None),
    "deviations": lambda s: " | ".join(s.deviations),
}
"""The columns of `studies.csv`; times are UTC."""
