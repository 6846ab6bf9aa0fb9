"""Invented studies of a night, as a morning report sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.studies import Delivery, Reason, Site, Standing, StudyNow
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings_tables import ReportSettings
from sparcc_pipeline.message import Message

NOW = datetime(2026, 11, 25, 22, 30, tzinfo=UTC)
BEIJING = timezone(timedelta(hours=8), "CST")
SITES = (
    Site("URM", "Urumqi, lead hospital", "zh"),
    Site("KSH", "Kashgar", "zh"),
    Site("YIN", "Yining", "zh"),
    Site("KRL", "Korla", "zh"),
    Site("SHZ", "Shihezi", "en"),
)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def study(number: int, site: str = "URM", **changes: Any) -> StudyNow:
    """Return a study scored and delivered in the night, with `changes`."""
    received = changes.pop("received_at", ago(hours=6))
    standing = changes.pop("standing", Standing.SCORED)
    scored = standing is Standing.SCORED
    values: dict[str, Any] = {
        "study": str(number),
        "site": site,
        "version": 1,
        "participant": f"{site}-{number % 60:03d}",
        "visit": "W12" if number % 2 else "W0",
        "standing": standing,
        "received_at": received,
        "since": received + timedelta(minutes=20),
        "files": 50,
        "scored_at": received + timedelta(minutes=14 + number % 9) if scored else None,
        "total": 7 if scored else None,
        "delivery": Delivery.DONE if scored else Delivery.NONE,
    }
    return StudyNow(**(values | changes))


def morning(*studies: StudyNow, sites: tuple[Site, ...] = SITES, **changes: Any) -> Morning:
    values: dict[str, Any] = {"made_at": NOW, "zone": BEIJING, "sites": sites, "studies": studies, "nights_shown": 30}
    return Morning(**(values | changes))


def busy_morning() -> Morning:
    """Return thirty nights, and something of every kind in the last one."""
    return morning(*_earlier_nights(), *_last_night())


def _earlier_nights() -> list[StudyNow]:
    studies: list[StudyNow] = []
    number = 1
    for night in range(1, 30):
        for k in range((night * 7) % 9):
            received = ago(days=night, hours=3 + k)
            site = SITES[k % 5].code
            taken = timedelta(hours=30) if (night, k) == (12, 2) else timedelta(minutes=11 + 3 * k)
            known: dict[str, Any] = {"received_at": received, "since": received + taken}
            known["participant"] = f"{site}-{number:03d}"
            if (night + k) % 11 == 0:
                known |= {"standing": Standing.REJECTED, "reasons": (BY_KIND["IncompleteSeries"],), "scored_at": None}
            else:
                known["scored_at"] = received + taken
            studies.append(study(number, site, **known))
            number += 1
    return studies


def _last_night() -> list[StudyNow]:
    unknown = Reason(Message("no line of the manifest is for this study"), Message("add it to the manifest"))
    kept = Reason(
        BY_KIND["NotStir"].what,
        BY_KIND["NotStir"].remedy,
        "expected a STIR series, found fat-suppressed T2 (SPAIR); accept it with --accept-fat-suppressed",
    )
    burnt_in = Reason(Message("burnt-in annotation on {count} of {files} images", count=3, files=25))
    too_few, failed = BY_KIND["TooFewSlices"], BY_KIND["Output"]
    unassigned: dict[str, Any] = {"standing": Standing.QUARANTINED, "participant": None, "visit": None}
    given_up: dict[str, Any] = {"standing": Standing.GIVEN_UP, "attempts": 5, "reasons": (failed,)}
    undelivered: dict[str, Any] = {"delivery": Delivery.PENDING, "delivery_reason": failed}
    other_scanner = deviations(ImageFacts(3.3, 66, False, 1.5), ImageFacts(3.3, 66, True, 3.0), ReportSettings())
    wide_slices = deviations(ImageFacts(6.0, 90, True, 3.0), None, ReportSettings())
    return [
        *(study(500 + k, SITES[k % 4].code, deviations=()) for k in range(9)),
        study(601, "KSH", reasons=(unknown,), **unassigned),
        study(602, "YIN", received_at=ago(days=4), reasons=(burnt_in,), **unassigned),
        study(603, "KRL", standing=Standing.REJECTED, reasons=(kept,)),
        study(604, "URM", received_at=ago(days=2), **given_up),
        study(605, "URM", standing=Standing.RETRYING, attempts=2, next_try=NOW + timedelta(minutes=40)),
        study(606, "KSH", standing=Standing.IN_WORK, received_at=ago(minutes=4), since=ago(minutes=4)),
        study(607, "URM", standing=Standing.UNSCORABLE, reasons=(too_few,)),
        study(608, "KSH", next_try=NOW + timedelta(hours=1), **undelivered),
        study(609, "KRL", superseded=True, delivery=Delivery.NONE),
        study(610, "KRL", version=2),
        study(611, "YIN", deviations=other_scanner),
        study(612, "KSH", deviations=wide_slices),
    ]


def crowded_morning() -> Morning:
    """Return a hundred studies that wait for a person."""
    studies = []
    for k in range(1, 101):
        standing = Standing.QUARANTINED if k % 4 == 0 else Standing.REJECTED
        known: dict[str, Any] = {"received_at": ago(hours=k / 2), "reasons": (BY_KIND["IncompleteSeries"],)}
        studies.append(study(k, SITES[k % 5].code, standing=standing, **known))
    return morning(*studies)
