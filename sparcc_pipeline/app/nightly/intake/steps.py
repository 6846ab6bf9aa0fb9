"""Intake: from uploads to de-identified studies of known participants. The only part that reads identity.

`take_in` brings uploads into the ledger; `check_complete` and `deidentify` are the first two steps of a study. Their
reasons hold no identity: the text of an error in a site's files may quote names or UIDs, so it stays here.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.ledger.ledger import StudyVersion
from sparcc_pipeline.app.ledger.states import State
from sparcc_pipeline.app.nightly.intake.identity_map import Instance
from sparcc_pipeline.app.nightly.intake.identity_store import IdentityStore
from sparcc_pipeline.app.nightly.intake.image_reasons import burnt_in, undecodable
from sparcc_pipeline.app.nightly.intake.manifest import Assigned, read_manifest
from sparcc_pipeline.app.nightly.intake.pulling import pull_all
from sparcc_pipeline.app.nightly.intake.raw_files import STUDY_SECONDS, clean_raw, mark_lost, raw_files
from sparcc_pipeline.app.nightly.intake.sorting import continued, sort_uploads, take_from_inboxes
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet, Outcome, Quarantined, Rejected
from sparcc_pipeline.app.nightly.work.reasons import failure_of
from sparcc_pipeline.app.nightly.work.staging import RESULT, publish, remove_staging, staging_folder
from sparcc_pipeline.dicom.deidentify.image import SetAside, Subject, deidentify_file
from sparcc_pipeline.dicom.deidentify.pseudonyms import days_shifted
from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.input.discover import Discovery, SeriesCandidate, discover
from sparcc_pipeline.dicom.input.select import find_stir, find_t1
from sparcc_pipeline.dicom.input.stack import order_frames
from sparcc_pipeline.errors import FileFaultError, IncompleteSeriesError, InputError, SparccError, TooFewSlicesError
from sparcc_pipeline.message import Message

WAITS_FOR: Final = "waits_for"
"""Fact with the check that quarantined a study; a release lets the study pass that check."""

BY_ITSELF: Final = "intake"
"""The name of the releases by this program, without a person."""

MANIFEST: Final = "manifest"
RAW_FILES: Final = "raw_files"
SLICES: Final = "slices"
PATIENTS: Final = "patients"
BURNT_IN: Final = "burnt_in"
READER: Final = "reader"


def take_in(context: Context) -> list[Exception]:
    """Take in uploads from all sources, release studies whose manifest row or files have come, return what failed.

    If another process holds the lock, return.
    """
    store = IdentityStore.open(context.settings.paths.identity_folder)
    problems: list[Exception] = []
    with store.lock() as locked:
        if not locked:
            return problems
        for bring in (take_from_inboxes, pull_all, sort_uploads):
            with continued(lambda error: context.log("uploads could not be taken in", error=error), problems):
                problems += bring(context, store)
        _look_again(context, store)
        clean_raw(context, store)
    return problems


def check_complete(context: Context, version: StudyVersion) -> Outcome:
    """Check that a study is complete: no file came lately, its STIR stack has no gap, and the PACS has no more."""
    store = IdentityStore.open(context.settings.paths.identity_folder)
    instances = store.identities.instances(version.site, version.study_key)
    quiet = timedelta(minutes=context.settings.intake.quiet_minutes)
    arrived = datetime.fromtimestamp(max(each.arrived_at for each in instances), UTC)
    # Do not wait for a clock that was set back.
    if arrived <= context.clock() < arrived + quiet:
        return NotYet(arrived + quiet)
    expected = store.identities.expected(version.site, version.study_key)
    if expected is not None and len(instances) < expected:
        return Failed(
            Message(
                "only {count} of the {expected} images of this study in the PACS came: it is fetched again",
                count=len(instances),
                expected=expected,
            )
        )
    if len({each.patient_id.strip().casefold() for each in instances}) > 1 and not _passes(version, PATIENTS):
        reason = Message(
            "the images of this study carry different patient identifiers: the site should name the right patient"
        )
        return Quarantined(reason, {WAITS_FOR: PATIENTS})
    files = raw_files(store, instances)
    if not all(file.is_file() for file in files):
        reason = Message(
            "more of this study came after its first files had been deleted (keep_raw_days): the site should send the "
            "whole study again"
        )
        return Quarantined(reason, {WAITS_FOR: RAW_FILES})
    try:
        discovery = run_guarded(discover, files, seconds=STUDY_SECONDS)
    except FileFaultError as error:
        return _reader_failed(context, version, instances, error)
    if not _passes(version, SLICES) and (gap := _gap(context, discovery)):
        return Quarantined(gap, {WAITS_FOR: SLICES})
    return Done({"instances": len(instances), "series": len(discovery.series)})


def _gap(context: Context, discovery: Discovery) -> Message | None:
    """Return the sign of missing slices; None if there is none. Scoring checks that the series is STIR."""
    stir: SeriesCandidate | None = None
    try:
        stir = find_stir(discovery, accept_fat_suppressed=context.settings.run.accept_fat_suppressed).series
        order_frames(stir)
    except (IncompleteSeriesError, TooFewSlicesError):
        count = stir.stack.slices if stir is not None else 0
        return Message(
            "the STIR series is not whole: slices are missing or doubled among the {count} that came; the site should "
            "send the study again",
            count=count,
        )
    except SparccError:
        return None
    return None


def deidentify(context: Context, version: StudyVersion) -> Outcome:
    """Assign a study by the manifest, and publish it de-identified in the work folder."""
    store = IdentityStore.open(context.settings.paths.identity_folder)
    instances = store.identities.instances(version.site, version.study_key)
    assigned = _assigned(context.settings, version.site, instances)
    if isinstance(assigned, Message):
        return Quarantined(assigned, {WAITS_FOR: MANIFEST})
    version = context.ledger.assign(version.id, assigned.participant, assigned.visit)
    if rivals := context.ledger.rivals(version):
        return Quarantined(
            Message(
                "participant {participant} already has study {others} for visit {visit}: choose which one counts "
                "(sparcc nightly supersede OLD NEW), or correct the manifest",
                participant=assigned.participant,
                others=tuple(rival.id for rival in rivals),
                visit=assigned.visit,
            )
        )
    work = context.settings.paths.work_folder
    folder = staging_folder(work, "study", version)
    try:
        outcome = _write(context, store, version, instances, folder / RESULT)
        if isinstance(outcome, Done):
            publish(folder / RESULT, work / (version.study_folder or ""))
        return outcome
    finally:
        remove_staging(folder)


def _write(
    context: Context, store: IdentityStore, version: StudyVersion, instances: list[Instance], folder: Path
) -> Outcome:
    """Write every image that passes the checks, and return the facts of the written images."""
    participant, visit = version.participant or "", version.visit or ""
    days = days_shifted(store.key, participant)
    subject = Subject(context.settings.intake.trial, version.site, participant, visit, days)
    folder.mkdir()
    released, reads_border = _passes(version, BURNT_IN), context.settings.intake.read_border
    aside: Counter[str] = Counter()
    uids: dict[str, str] = {}
    for number, file in enumerate(raw_files(store, instances), start=1):
        try:
            made = run_guarded(deidentify_file, file, subject, store.key, released=released, read_border=reads_border)
        except FileFaultError as error:
            return _reader_failed(context, version, instances, error)
        except InputError as error:
            return Rejected(undecodable(error))
        if isinstance(made, SetAside):
            if made.burnt_in:
                return Quarantined(burnt_in(made), {WAITS_FOR: BURNT_IN})
            aside[made.reason] += 1
            continue
        uids |= made.uids
        # The number keeps two images with one UID apart; files sort by their pseudonyms.
        (folder / f"{made.sop_instance_uid}-{number}.dcm").write_bytes(made.content)
    if not uids:
        count = len(instances)
        return Rejected(
            Message(
                "none of the {count} objects of this study is an MR image: the site should send the images", count=count
            )
        )
    try:
        mark_lost(context, store, instances, folder)
    except FileFaultError as error:
        return _reader_failed(context, version, instances, error)
    for patient in {each.patient_id for each in instances}:
        store.identities.remember(version.site, patient, participant, days, uids)
    return Done({**_facts(context, folder), "set_aside": sum(aside.values())})


def _reader_failed(
    context: Context, version: StudyVersion, instances: list[Instance], error: FileFaultError
) -> Outcome:
    """Try again after a file that ended its reader, for the machine may be at fault; then quarantine the study."""
    if version.attempts < context.settings.run.attempts:
        return Failed(failure_of(error))
    reason = Message(
        "files of the uploads {uploads} could not be read in {attempts} attempts: {reason}. Look at them in the "
        "identity folder, then release the study, or reject it and ask the site to send it again",
        uploads=tuple(sorted({each.upload for each in instances})),
        attempts=version.attempts,
        reason=failure_of(error),
    )
    return Quarantined(reason, {WAITS_FOR: READER})


def _facts(context: Context, folder: Path) -> dict[str, Any]:
    """Return the facts for reports from the de-identified files."""
    discovery = discover(folder.iterdir())
    facts: dict[str, Any] = {
        "instances": discovery.files - len(discovery.unreadable),
        "series": len(discovery.series),
        "modality": "MR",
    }
    try:
        stir = find_stir(discovery, accept_fat_suppressed=context.settings.run.accept_fat_suppressed).series
    except SparccError:
        return facts
    first, stack = stir.files[0], stir.stack
    return facts | {
        "vendor": first.manufacturer,
        "field_strength_tesla": first.field_strength_t,
        "spacing_mm": round(stack.spacing_mm, 3),
        "coverage_mm": round(stack.coverage_mm, 1),
        "slices": stack.slices,
        "rows": first.frames[0].rows,
        "columns": first.frames[0].columns,
        "has_t1": find_t1(discovery, stir) is not None,
        "lost_files": len(discovery.unreadable),
        "cut_ends": sorted(stir.cut.ends),
    }


def _passes(version: StudyVersion, check: str) -> bool:
    """Return True if a person let the study pass this check."""
    released = version.facts.get("released") or {}
    return released.get("by") not in (None, BY_ITSELF) and version.facts.get(WAITS_FOR) == check


def _assigned(settings: NightlySettings, site: str, instances: list[Instance]) -> Assigned | Message:
    """Assign by the present manifest. An unreadable manifest stops the studies of its site only."""
    try:
        manifest = read_manifest(settings.site_of(site).manifest)
    except InputError as error:
        return Message("the manifest of the site cannot be used: {error}", error=str(error))
    newest = max(instances, key=lambda each: each.arrived_at)
    return manifest.assign(newest.patient_id, newest.accession, newest.study_date)


def _look_again(context: Context, store: IdentityStore) -> None:
    """Release studies that waited for a row of the manifest, or for deleted files, once these are there."""
    for version in context.ledger.versions(state=State.QUARANTINED):
        waits_for = version.facts.get(WAITS_FOR)
        if version.superseded_by is not None or waits_for not in (MANIFEST, RAW_FILES):
            continue
        instances = store.identities.instances(version.site, version.study_key)
        if waits_for == MANIFEST:
            assigned = _assigned(context.settings, version.site, instances)
            there = isinstance(assigned, Assigned)
            if isinstance(assigned, Message):
                context.ledger.explain(version.id, assigned, BY_ITSELF)
        else:
            there = all(file.is_file() for file in raw_files(store, instances))
        if there:
            context.ledger.release(version.id, "the missing row or files are there now", BY_ITSELF)


def whose(settings: NightlySettings, version: StudyVersion) -> list[tuple[str, str, str]]:
    """Return (patient identifier, accession number, study date) of a study's files, for the coordinator only."""
    store = IdentityStore.open(settings.paths.identity_folder)
    instances = store.identities.instances(version.site, version.study_key)
    return sorted({(each.patient_id, each.accession, each.study_date) for each in instances})
