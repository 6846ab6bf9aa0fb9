"""Studies of a night as a morning report sees them, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.nightly.morning.model import Delivery, Morning, Reason, Site, Standing, StudyNow
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings import ReportSettings
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
    """Scored and delivered in the night, unless `changes` say otherwise."""
    received = changes.pop("received_at", ago(hours=6))
    standing = changes.pop("standing", Standing.SCORED)
    scored = standing is Standing.SCORED
    values: dict[str, Any] = {
        "study": str(number), "site": site, "version": 1, "participant": f"{site}-{number % 60:03d}",
        "visit": "W12" if number % 2 else "W0", "standing": standing, "received_at": received,
        "since": received + timedelta(minutes=20), "files": 50,
        "scored_at": received + timedelta(minutes=14 + number % 9) if scored else None, "total": 7 if scored else None,
        "delivery": Delivery.DONE if scored else Delivery.NONE,
    }  # fmt: skip
    return StudyNow(**(values | changes))


def morning(*studies: StudyNow, sites: tuple[Site, ...] = SITES, **changes: Any) -> Morning:
    values: dict[str, Any] = {"made_at": NOW, "zone": BEIJING, "sites": sites, "studies": studies, "nights_shown": 30}
    return Morning(**(values | changes))


def busy_morning() -> Morning:
    """Thirty nights, and something of every kind in the last one."""
    studies: list[StudyNow] = []
    number = 1
    for night in range(1, 30):
        for k in range((night * 7) % 9):
            received = ago(days=night, hours=3 + k)
            standing = Standing.REJECTED if (night + k) % 11 == 0 else Standing.SCORED
            taken = timedelta(hours=30) if (night, k) == (12, 2) else timedelta(minutes=11 + 3 * k)
            studies.append(
                study(number, SITES[k % 5].code, standing=standing, received_at=received, since=received + taken,
                      participant=f"{SITES[k % 5].code}-{number:03d}",
                      reasons=(BY_KIND["IncompleteSeries"],) if standing is Standing.REJECTED else (),
                      scored_at=received + taken if standing is Standing.SCORED else None)
            )  # fmt: skip
            number += 1
    unknown = Reason(Message("no line of the manifest is for this study"), Message("add it to the manifest"))
    kept = Reason(
        BY_KIND["NotStir"].what,
        BY_KIND["NotStir"].remedy,
        "expected a STIR series, found fat-suppressed T2 (SPAIR); accept it with --accept-fat-suppressed",
    )
    studies += [study(500 + k, SITES[k % 4].code, deviations=()) for k in range(9)]
    studies += [
        study(601, "KSH", standing=Standing.QUARANTINED, participant=None, visit=None, reasons=(unknown,)),
        study(602, "YIN", standing=Standing.QUARANTINED, participant=None, visit=None, received_at=ago(days=4),
              reasons=(Reason(Message("burnt-in annotation on {count} of {files} images", count=3, files=25)),)),
        study(603, "KRL", standing=Standing.REJECTED, reasons=(kept,)),
        study(604, "URM", standing=Standing.GIVEN_UP, attempts=5, reasons=(BY_KIND["Output"],),
              received_at=ago(days=2)),
        study(605, "URM", standing=Standing.RETRYING, attempts=2, next_try=NOW + timedelta(minutes=40)),
        study(606, "KSH", standing=Standing.IN_WORK, received_at=ago(minutes=4), since=ago(minutes=4)),
        study(607, "URM", standing=Standing.UNSCORABLE, reasons=(BY_KIND["TooFewSlices"],)),
        study(608, "KSH", delivery=Delivery.PENDING, delivery_reason=BY_KIND["Output"],
              next_try=NOW + timedelta(hours=1)),
        study(609, "KRL", superseded=True, delivery=Delivery.NONE), study(610, "KRL", version=2),
        study(611, "YIN", deviations=(
            *deviations(ImageFacts(3.3, 66, False, 1.5), ImageFacts(3.3, 66, True, 3.0), ReportSettings()),)),
        study(612, "KSH", deviations=(
            *deviations(ImageFacts(6.0, 90, True, 3.0), None, ReportSettings()),)),
    ]  # fmt: skip
    return morning(*studies)


def crowded_morning() -> Morning:
    """A hundred studies that wait for a person."""
    return morning(
        *(
            study(k, SITES[k % 5].code, standing=(Standing.REJECTED, Standing.QUARANTINED)[k % 4 == 0],
                  received_at=ago(hours=k / 2), reasons=(BY_KIND["IncompleteSeries"],))
            for k in range(1, 101)
        )
    )  # fmt: skip
