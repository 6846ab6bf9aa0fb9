"""The figures of a morning as metrics, by site and state; nothing of a participant."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from sparcc_pipeline import __version__
from sparcc_pipeline.app.ledger.ledger import Event
from sparcc_pipeline.app.nightly.morning.metrics import Metric
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.studies import Counts, Delivery, Standing, StudyNow

Samples = list[tuple[dict[str, str], float]]


def night_metrics(morning: Morning, work_folder: Path, last_run: Event | None = None) -> list[Metric]:
    """Return all families of `sparcc.prom`.

    Parameters
    ----------
    work_folder : folder whose free space is reported
    last_run : the end of the last `sparcc nightly run`; None before the first
    """
    return [
        Metric("sparcc_build_info", "gauge", "Version of the program.", [({"version": __version__}, 1.0)]),
        _gauge("sparcc_report_timestamp_seconds", "Time of these figures, Unix time.", _unix(morning.made_at)),
        *_of_run(last_run),
        *_of_versions(morning),
        *_of_counts(morning),
        _gauge("sparcc_disk_free_bytes", "Free space of the work folder's disk.", _free_bytes(work_folder)),
    ]


def _of_run(run: Event | None) -> list[Metric]:
    """Return time and exit code of the last run; 0: every study has a result or waits with a reason."""
    ended = None if run is None else _unix(run.at)
    code = None if run is None else run.facts.get("exit_code")
    return [
        _gauge("sparcc_last_run_timestamp_seconds", "When the last nightly run ended, Unix time.", ended),
        _gauge("sparcc_last_run_exit_code", "Exit code of the last nightly run; 0: nothing failed.", code),
    ]


def _of_versions(morning: Morning) -> list[Metric]:
    """Return counts of study versions by site."""

    def ever(wanted: Callable[[StudyNow], bool]) -> Samples:
        found = Counter(study.site for study in morning.studies if wanted(study))
        return [({"site": site.code}, float(found[site.code])) for site in morning.sites]

    current = Counter((study.site, study.standing) for study in morning.studies if not study.superseded)
    standings: Samples = [
        ({"site": site.code, "standing": standing.value.replace(" ", "_")}, float(current[site.code, standing]))
        for site in morning.sites
        for standing in Standing
    ]
    received = ever(lambda study: not study.is_upload)
    scored = ever(lambda study: study.scored_at is not None)
    delivered = ever(lambda study: study.delivery is Delivery.DONE)
    return [
        Metric("sparcc_studies", "gauge", "Study versions that are not superseded, by standing.", standings),
        Metric("sparcc_study_versions_total", "counter", "Study versions ever received.", received),
        Metric("sparcc_scored_total", "counter", "Study versions ever scored.", scored),
        Metric("sparcc_delivered_total", "counter", "Study versions ever delivered.", delivered),
    ]


def _of_counts(morning: Morning) -> list[Metric]:
    """Return the figures of the report by site."""
    counts = {site.code: morning.of_site(site.code).counts() for site in morning.sites}

    def by_site(name: str, text: str, value: Callable[[Counts], float | None]) -> Metric:
        found = [(code, value(each)) for code, each in counts.items()]
        return Metric(name, "gauge", text, [({"site": code}, each) for code, each in found if each is not None])

    return [
        by_site("sparcc_needs_somebody", "Studies that wait for a person.", lambda each: each.needs_attention),
        by_site(
            "sparcc_deliveries_pending",
            "Scored studies whose results are not delivered.",
            lambda each: each.deliveries_pending,
        ),
        by_site(
            "sparcc_deviations",
            "Studies of the last 24 hours that depart from the imaging protocol.",
            lambda each: each.deviations,
        ),
        by_site(
            "sparcc_oldest_waiting_seconds",
            "Age of the oldest study that is not scored yet; 0: none.",
            lambda each: _seconds(each.oldest_waiting) or 0.0,
        ),
        by_site(
            "sparcc_time_to_score_median_seconds",
            "From receipt to score, last 24 hours, median.",
            lambda each: _seconds(each.to_score_median),
        ),
        by_site(
            "sparcc_time_to_score_worst_seconds",
            "From receipt to score, last 24 hours, worst.",
            lambda each: _seconds(each.to_score_worst),
        ),
    ]


def _gauge(name: str, text: str, value: float | None) -> Metric:
    """Return a gauge without labels; without a value it has no sample."""
    return Metric(name, "gauge", text, [] if value is None else [({}, float(value))])


def _free_bytes(folder: Path) -> float:
    disk = os.statvfs(folder)
    return float(disk.f_bavail * disk.f_frsize)


def _unix(moment: datetime) -> float:
    return round(moment.timestamp(), 3)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
