"""The figures of a morning as metrics: by site and state, nothing of a participant."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sparcc_pipeline import __version__
from sparcc_pipeline.app.ledger.ledger import Event
from sparcc_pipeline.app.nightly.morning.metrics import Metric
from sparcc_pipeline.app.nightly.morning.model import Counts, Delivery, Morning, Standing, StudyNow


def night_metrics(morning: Morning, work_folder: Path, last_run: Event | None = None) -> list[Metric]:
    """All families of `sparcc.prom`.

    Parameters
    ----------
    work_folder : whose free space is told
    last_run : the end of the last `sparcc nightly run`; None before the first
    """
    counts = {site.code: morning.of_site(site.code).counts() for site in morning.sites}

    def by_site(value: Callable[[Counts], float | None]) -> list[tuple[dict[str, str], float]]:
        return [({"site": code}, found) for code, each in counts.items() if (found := value(each)) is not None]

    def ever(wanted: Callable[[StudyNow], bool]) -> list[tuple[dict[str, str], float]]:
        found = Counter(study.site for study in morning.studies if wanted(study))
        return [({"site": site.code}, float(found[site.code])) for site in morning.sites]

    current = [study for study in morning.studies if not study.superseded]
    standings = [
        ({"site": site.code, "standing": standing.value.replace(" ", "_")},
         float(sum(s.site == site.code and s.standing is standing for s in current)))
        for site in morning.sites for standing in Standing
    ]  # fmt: skip
    disk = os.statvfs(work_folder)
    return [
        Metric("sparcc_build_info", "gauge", "Version of the program.", [({"version": __version__}, 1.0)]),
        Metric("sparcc_report_timestamp_seconds", "gauge", "When these figures were made, Unix time.",
               [({}, round(morning.made_at.timestamp(), 3))]),
        *_of_run(last_run),
        Metric("sparcc_studies", "gauge", "Study versions that are not superseded, by where they stand.", standings),
        Metric("sparcc_study_versions_total", "counter", "Study versions ever received.",
               ever(lambda study: not study.is_upload)),
        Metric("sparcc_scored_total", "counter", "Study versions ever scored.",
               ever(lambda study: study.scored_at is not None)),
        Metric("sparcc_delivered_total", "counter", "Study versions ever delivered.",
               ever(lambda study: study.delivery is Delivery.DONE)),
        Metric("sparcc_needs_somebody", "gauge", "Studies that go nowhere until a person acts.",
               by_site(lambda each: each.needs_attention)),
        Metric("sparcc_deliveries_pending", "gauge", "Scored studies whose results are not delivered.",
               by_site(lambda each: each.deliveries_pending)),
        Metric("sparcc_deviations", "gauge", "Studies of the last 24 hours that depart from the imaging protocol.",
               by_site(lambda each: each.deviations)),
        Metric("sparcc_oldest_waiting_seconds", "gauge", "Age of the oldest study that is still to be scored; 0: none.",
               by_site(lambda each: _seconds(each.oldest_waiting) or 0.0)),
        Metric("sparcc_time_to_score_median_seconds", "gauge", "From receipt to score, last 24 hours, median.",
               by_site(lambda each: _seconds(each.to_score_median))),
        Metric("sparcc_time_to_score_worst_seconds", "gauge", "From receipt to score, last 24 hours, worst.",
               by_site(lambda each: _seconds(each.to_score_worst))),
        Metric("sparcc_disk_free_bytes", "gauge", "Free space where the work folder lies.",
               [({}, float(disk.f_bavail * disk.f_frsize))]),
    ]  # fmt: skip


def _of_run(run: Event | None) -> list[Metric]:
    """When it ended and how; 0: every study has a result or waits with a reason."""
    ended: list[tuple[dict[str, str], float]] = [] if run is None else [({}, round(run.at.timestamp(), 3))]
    code = None if run is None else run.facts.get("exit_code")
    return [
        Metric("sparcc_last_run_timestamp_seconds", "gauge", "When the last nightly run ended, Unix time.", ended),
        Metric("sparcc_last_run_exit_code", "gauge", "Exit code of the last nightly run; 0: nothing failed.",
               [] if code is None else [({}, float(code))]),
    ]  # fmt: skip


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
