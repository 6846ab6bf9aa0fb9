"""Sorts uploads into studies: reads each incoming folder once, and records it in the ledger by keyed hashes.

A killed program may run again, and two programs may run at once: every write is idempotent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.ledger import FileRecord, UploadRecord
from sparcc_pipeline.app.ledger.session import LedgerLostError
from sparcc_pipeline.app.ledger.states import UploadState
from sparcc_pipeline.app.nightly.intake.copying import ChangedUpload, RefusedUpload
from sparcc_pipeline.app.nightly.intake.identity_map import Instance
from sparcc_pipeline.app.nightly.intake.identity_store import PARTIAL, IdentityStore
from sparcc_pipeline.app.nightly.intake.inbox import list_entries, remove, take
from sparcc_pipeline.app.nightly.intake.raw_files import INBOX_WAY, files_of
from sparcc_pipeline.app.nightly.settings_tables import SiteSettings
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.nightly.work.reasons import failure_of
from sparcc_pipeline.dicom.deidentify.incoming import (
    IncomingFile,
    content_digest,
    file_digest,
    read_incoming,
)
from sparcc_pipeline.dicom.deidentify.pseudonyms import keyed_code, keyed_hash
from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.input.files.other_files import packed_form_of
from sparcc_pipeline.dicom.input.studies import examinations
from sparcc_pipeline.errors import OutputError
from sparcc_pipeline.message import Message

SORTING_ATTEMPTS: Final = 3
"""How often an upload is read before it is quarantined; a first failure may be the machine's."""

_ENDED: Final = Message("the program ended while it read the upload")

FAULTS_OF_SITE: Final = 3
"""After so many failing uploads of a site in one round, its others wait for the next: other sites have their turn."""


def study_key(store: IdentityStore, site: str, study_uid: str) -> str:
    """Return the key of a study in the ledger. It includes the site: two sites may send the same UID."""
    return keyed_hash(store.key, "study", site, study_uid).hex()


def content_key(store: IdentityStore, site: str, instances: Iterable[Instance]) -> str:
    """Return the key of a study's content in the ledger, whatever the order and the names of the files."""
    parts = sorted(f"{each.instance_key} {each.digest}" for each in instances)
    return keyed_hash(store.key, "contents", site, *parts).hex()


def take_from_inboxes(context: Context, store: IdentityStore) -> list[Exception]:
    """Take the entries of all inboxes that did not change in the quiet period, and return what failed.

    A failing inbox does not block other sites: the error is logged, and the next round tries again.
    """
    problems: list[Exception] = []
    for site in context.settings.site:
        if site.inbox is None:
            continue
        with continued(_inbox_fault(context, site.code), problems):
            _take_from_inbox(context, store, site, site.inbox)
    return problems


def _inbox_fault(context: Context, site: str) -> Callable[[Exception], None]:
    return lambda error: context.log("inbox could not be read", site=site, error=error)


def _sorting_fault(context: Context, site: str) -> Callable[[Exception], None]:
    return lambda error: context.log("uploads could not be sorted", site=site, error=error)


@contextmanager
def continued(report: Callable[[Exception], None], problems: list[Exception]) -> Iterator[None]:
    """Report an error and add it to `problems`, so that the next site has its turn; a lost ledger ends the round."""
    try:
        yield
    except LedgerLostError:
        raise
    except Exception as error:
        report(error)
        problems.append(error)


def _take_from_inbox(context: Context, store: IdentityStore, site: SiteSettings, inbox: Path) -> None:
    limits, ledger = context.settings.intake, context.ledger
    known = {upload.id: upload.state for upload in ledger.uploads()}
    quiet_before = context.clock().timestamp() - limits.quiet_minutes * 60
    for entry in list_entries(inbox, limits.max_files):
        upload = f"{INBOX_WAY}-{keyed_code(store.key, 'entry', site.code, entry.mark)}"
        folder = store.incoming(site.code) / upload
        if entry.changed_at > quiet_before or known.get(upload) in (UploadState.REJECTED, UploadState.QUARANTINED):
            continue
        if not folder.exists() and known.get(upload) != UploadState.SORTED:
            try:
                take(entry, folder, limits)
            except ChangedUpload:
                context.log("upload is changing", site=site.code, upload=upload)
                continue
            except RefusedUpload as refused:
                ledger.record_upload(UploadRecord(upload, site.code, INBOX_WAY, ()))
                ledger.close_upload(upload, UploadState.REJECTED, refused.reason)
                context.log("upload refused", site=site.code, upload=upload)
                continue
            context.log("upload taken from the inbox", site=site.code, upload=upload)
        remove(entry)


def sort_uploads(context: Context, store: IdentityStore) -> list[Exception]:
    """Read every whole upload that is not sorted yet, record its studies, and return what failed.

    An upload that cannot be read is quarantined, and blocks neither the other uploads nor other sites.
    """
    problems: list[Exception] = []
    done = {upload.id for upload in context.ledger.uploads() if upload.state != UploadState.RECEIVED}
    for site in context.settings.site:
        with continued(_sorting_fault(context, site.code), problems):
            _sort_site(context, store, site.code, done)
    return problems


def _sort_site(context: Context, store: IdentityStore, site: str, done: Collection[str]) -> None:
    """Sort the uploads of a site.

    Raises
    ------
    OutputError : some of them wait for the next round
    """
    folders = sorted(each for each in store.incoming(site).iterdir() if _is_open(each, done))
    faults = 0
    for number, folder in enumerate(folders, start=1):
        faults += not _sort_or_quarantine(context, store, site, folder)
        if faults == FAULTS_OF_SITE and folders[number:]:
            _defer(context, site, folders[number:])


def _is_open(folder: Path, done: Collection[str]) -> bool:
    return folder.is_dir() and not folder.name.endswith(PARTIAL) and folder.name not in done


def _defer(context: Context, site: str, folders: list[Path]) -> None:
    """Let uploads wait for the next round.

    Raises
    ------
    OutputError : always; it names the site and the number of uploads
    """
    reason = Message(
        "waits for the next round: {faults} other uploads of the site could not be read", faults=FAULTS_OF_SITE
    )
    for folder in folders:
        context.ledger.defer_upload(folder.name, site, _way(folder), reason)
    raise OutputError(
        Message(
            "expected uploads of {site} that can be read, found {faults} that cannot, so {count} others wait for the "
            "next round; look at the uploads in quarantine",
            site=site,
            faults=FAULTS_OF_SITE,
            count=len(folders),
        )
    )


def _way(folder: Path) -> str:
    return folder.name.split("-")[0]


def _sort_or_quarantine(context: Context, store: IdentityStore, site: str, folder: Path) -> bool:
    """Sort an upload; quarantine it, and return False, once it had all its attempts.

    Attempts are counted in the ledger, so that an upload that ends this process is not read for ever.

    Raises
    ------
    OutputError : the ledger or the identity folder is not usable, for which no upload is at fault
    """
    ledger, reason = context.ledger, _ENDED
    while attempt := ledger.begin_upload(folder.name, site, _way(folder), SORTING_ATTEMPTS):
        try:
            _sort_upload(context, store, site, folder)
            return True
        except LedgerLostError:
            raise
        except OutputError:
            ledger.withdraw_attempt(folder.name)
            raise
        except Exception as error:
            context.log("upload could not be read", site=site, upload=folder.name, attempt=attempt, error=error)
            reason = failure_of(error)
        except BaseException:
            ledger.withdraw_attempt(folder.name)
            raise
    _quarantine(context, store, site, folder, reason)
    return False


def _quarantine(context: Context, store: IdentityStore, site: str, folder: Path, reason: Message) -> None:
    records = [
        FileRecord(keyed_hash(store.key, "file", file_digest(file)).hex(), file.stat().st_size)
        for file in files_of(folder)
    ]
    context.ledger.record_upload(UploadRecord(folder.name, site, _way(folder), records))
    context.ledger.close_upload(
        folder.name,
        UploadState.QUARANTINED,
        Message(
            "upload {upload} could not be read in {attempts} attempts: {reason}. Look at its files in the identity "
            "folder, then release it, or delete it and ask the site to send the study again",
            upload=folder.name,
            attempts=SORTING_ATTEMPTS,
            reason=reason,
        ),
    )


def _sort_upload(context: Context, store: IdentityStore, site: str, folder: Path) -> None:
    read: list[tuple[Path, IncomingFile]] = []
    records: list[FileRecord] = []
    now = context.clock().timestamp()
    for file in files_of(folder):
        incoming = run_guarded(read_incoming, file)
        if incoming is None:
            key = keyed_hash(store.key, "file", file_digest(file)).hex()
            records.append(FileRecord(key, file.stat().st_size))
        else:
            read.append((file, incoming))
    whole = _examinations(incoming for _, incoming in read)
    found = []
    for file, incoming in read:
        place, study_uid = str(file.relative_to(folder)), whole[incoming.study_uid]
        incoming = replace(incoming, study_uid=study_uid)
        instance = _instance(store, site, folder.name, file, place, incoming, now)
        found.append(instance)
        records.append(FileRecord(instance.digest, file.stat().st_size, instance.instance_key))
    store.identities.add(found)
    ledger = context.ledger
    ledger.record_upload(UploadRecord(folder.name, site, _way(folder), records))
    if not found:
        ledger.close_upload(folder.name, UploadState.REJECTED, _no_image(folder, len(records)))
        return
    for key in sorted({each.study_key for each in found}):
        instances = store.identities.instances(site, key)
        facts = {"instances": len(instances), "series": len({each.series_uid for each in instances})}
        ledger.record_study(site, key, content_key(store, site, instances), [folder.name], facts)
    ledger.close_upload(folder.name, UploadState.SORTED)
    studies = len({each.study_key for each in found})
    context.log("upload sorted", site=site, upload=folder.name, files=len(records), studies=studies)


def _examinations(files: Iterable[IncomingFile]) -> dict[str, str]:
    """Return the study UID of each study UID: archives may give every slice one of its own."""
    frames: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for file in files:
        frames[file.study_uid][file.frame_of_reference_uid] += 1
    return examinations(frames)


def _no_image(folder: Path, count: int) -> Message:
    """Return why an upload without an image is rejected."""
    forms = sorted({form for file in folder.rglob("*") if file.is_file() and (form := packed_form_of(file))})
    if forms:
        return Message(
            "no DICOM image among the {count} files of the upload, which are packed ({forms}): unpack them and "
            "send the study again",
            count=count,
            forms=tuple(forms),
        )
    return Message(
        "no DICOM image among the {count} files of the upload: send what the scanner or PACS exported",
        count=count,
    )


def _instance(
    store: IdentityStore, site: str, upload: str, file: Path, place: str, incoming: IncomingFile, now: float
) -> Instance:
    return Instance(
        site=site,
        upload=upload,
        file=place,
        study_key=study_key(store, site, incoming.study_uid),
        instance_key=keyed_hash(store.key, "instance", site, incoming.sop_instance_uid).hex(),
        digest=run_guarded(content_digest, file, incoming, store.key),
        study_uid=incoming.study_uid,
        series_uid=incoming.series_uid,
        patient_id=incoming.patient_id,
        accession=incoming.accession,
        study_date=incoming.study_date,
        # If the clock was wrong when the file came, it must not wait for years.
        arrived_at=min(file.stat().st_mtime, now),
        modality=incoming.modality,
    )
