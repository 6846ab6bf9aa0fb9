"""Reads a morning report from the ledger and the settings: `morning_of`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sparcc_pipeline.app.ledger.ledger import Ledger, StudyVersion, Upload
from sparcc_pipeline.app.ledger.states import ChangeState, State, UploadState
from sparcc_pipeline.app.nightly.morning.deviations import ImageFacts, deviations
from sparcc_pipeline.app.nightly.morning.model import Morning
from sparcc_pipeline.app.nightly.morning.studies import Delivery, Reason, Site, Standing, StudyNow
from sparcc_pipeline.app.nightly.morning.words import BY_KIND
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

_STANDINGS: Final[Mapping[State, Standing]] = {
    State.RECEIVED: Standing.IN_WORK,
    State.COMPLETE: Standing.IN_WORK,
    State.DEIDENTIFIED: Standing.IN_WORK,
    State.SCORED: Standing.SCORED,
    State.DELIVERED: Standing.SCORED,
    State.QUARANTINED: Standing.QUARANTINED,
    State.REJECTED: Standing.REJECTED,
}

MANIFEST_TEMPLATE: Final = "the manifest of the site cannot be used: {error}"
UNUSABLE_MANIFEST: Final = Message("the manifest of the site cannot be used")

_UPLOADS: Final = {
    UploadState.QUARANTINED: Standing.QUARANTINED,
    UploadState.REJECTED: Standing.REJECTED,
    UploadState.RECEIVED: Standing.IN_WORK,
}
"""Uploads without studies; sorted uploads appear as their studies."""


def morning_of(ledger: Ledger, settings: NightlySettings, now: datetime, problems: tuple[Message, ...] = ()) -> Morning:
    """Return everything that the ledger holds now.

    Parameters
    ----------
    problems : errors of the night as a whole

    Raises
    ------
    ConfigError : the settings name an unknown time zone
    OutputError : the database does not answer
    """
    versions = ledger.versions()
    moved = {event.version_id: event.at for event in ledger.history(event="moved") if event.version_id is not None}
    replaced = {event.version_id: event.at for event in ledger.history(event="superseded")}
    baselines = {
        (each.site, each.participant): ImageFacts.of(each.facts)
        for each in versions
        if each.visit == settings.run.baseline_visit and each.superseded_by is None
    }
    not_compared = _not_compared(ledger)
    studies = [
        _study(
            each,
            (replaced if each.superseded_by is not None else moved).get(each.id, each.received_at),
            None if each.visit == settings.run.baseline_visit else baselines.get((each.site, each.participant)),
            not_compared.get(each.id),
            settings,
        )
        for each in versions
    ]
    linked = _links(ledger, versions)
    studies = [replace(each, links=linked.get(each.study, ())) for each in studies]
    waiting = [_upload(each) for state in _UPLOADS for each in ledger.uploads(state)]
    return Morning(
        made_at=now,
        zone=report_zone(settings, now),
        sites=tuple(Site(each.code, each.name, each.language) for each in settings.site),
        studies=(*studies, *waiting),
        nights_shown=settings.report.nights,
        problems=problems,
    )


def _links(ledger: Ledger, versions: Sequence[StudyVersion]) -> dict[str, tuple[str, ...]]:
    """Return the pages of the result and of the change of each scored study, by its number."""
    changes = {each.follow_up_id: each.change_folder for each in ledger.changes() if each.state == ChangeState.MADE}
    return {
        str(each.id): (
            f"{each.result_folder}/report.html",
            *([f"{folder}/change.html"] if (folder := changes.get(each.id)) else []),
        )
        for each in versions
        if each.result_folder is not None and _standing(each) is Standing.SCORED
    }


def _not_compared(ledger: Ledger) -> dict[int, Reason]:
    """Return why a change could not be computed, by the number of the follow-up."""
    return {
        each.follow_up_id: _reason(each.reason, each.facts.get("reason_kind"))
        for each in ledger.changes()
        if each.state in (ChangeState.REFUSED, ChangeState.FAILED) and each.reason is not None
    }


def report_zone(settings: NightlySettings, now: datetime) -> tzinfo:
    """Return the zone in which the report shows times.

    Raises
    ------
    ConfigError : the settings name an unknown zone
    """
    name = settings.report.time_zone
    if name is None:
        return now.astimezone().tzinfo or ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"expected time_zone in [report] as an IANA name such as Asia/Shanghai, found {name!r}; change it"
        ) from error


def _study(
    version: StudyVersion,
    since: datetime,
    baseline: ImageFacts | None,
    not_compared: Reason | None,
    settings: NightlySettings,
) -> StudyNow:
    standing, delivery = _standing(version), _delivery(version)
    reason = None if version.reason is None else _reason(version.reason, version.facts.get("reason_kind"))
    scored = standing is Standing.SCORED
    return StudyNow(
        study=str(version.id),
        site=version.site,
        version=version.version or 1,
        participant=version.participant,
        visit=version.visit,
        standing=standing,
        received_at=version.received_at,
        since=since,
        files=int(version.facts.get("instances") or 0),
        reasons=() if reason is None or scored else (reason,),
        scored_at=version.scored_at if scored else None,
        total=version.facts.get("total") if scored else None,
        attempts=version.attempts,
        next_try=version.next_try_at,
        delivery=delivery,
        delivery_reason=reason if scored and version.state is State.FAILED else None,
        deviations=deviations(ImageFacts.of(version.facts), baseline, settings.report),
        not_compared=not_compared,
        superseded=version.superseded_by is not None,
        waits_for_manifest=version.facts.get("waits_for") == "manifest",
    )


def _standing(version: StudyVersion) -> Standing:
    match version.state:
        case State.FAILED if version.resume is State.SCORED:
            return Standing.SCORED
        case State.FAILED:
            return Standing.GIVEN_UP if version.next_try_at is None else Standing.RETRYING
        case State.REJECTED if version.facts.get("status") == "unscorable":
            return Standing.UNSCORABLE
        case state:
            return _STANDINGS[state]


def _delivery(version: StudyVersion) -> Delivery:
    match version.state:
        case State.DELIVERED:
            return Delivery.DONE
        case State.FAILED if version.resume is State.SCORED:
            return Delivery.GIVEN_UP if version.next_try_at is None else Delivery.PENDING
        case State.SCORED:
            return Delivery.PENDING
        case _:
            return Delivery.NONE


def _reason(reason: Message, kind: object) -> Reason:
    """Return the general reason of an error of a known kind, with its sentence quoted; else the reason itself."""
    known = BY_KIND.get(kind) if isinstance(kind, str) else None
    error = reason.fields.get("error") if isinstance(reason, Message) else None
    if known is None and error is not None and "{error}" in reason.template:
        # An English sentence, with the path of a manifest: a site's page leaves it out.
        return Reason(UNUSABLE_MANIFEST, None, str(error)) if reason.template == MANIFEST_TEMPLATE else Reason(reason)
    if known is None or error is None:
        return Reason(reason)
    return Reason(known.what, known.remedy, str(error))


def _upload(upload: Upload) -> StudyNow:
    return StudyNow(
        study=upload.id,
        site=upload.site,
        version=1,
        participant=None,
        visit=None,
        standing=_UPLOADS[upload.state],
        received_at=upload.received_at,
        since=upload.received_at,
        files=upload.files,
        reasons=() if upload.reason is None else (Reason(upload.reason),),
        is_upload=True,
    )
