"""The raw files of uploads: list them, mark those that were lost, delete those that are no longer needed."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.ledger.states import UploadState
from sparcc_pipeline.app.nightly.intake.identity_map import Instance
from sparcc_pipeline.app.nightly.intake.identity_store import PARTIAL, IdentityStore
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.dicom.deidentify.incoming import (
    lost_image,
    read_incoming,
)
from sparcc_pipeline.dicom.guard.child import run_guarded
from sparcc_pipeline.dicom.input.discover import discover
from sparcc_pipeline.dicom.input.files.directory import is_directory
from sparcc_pipeline.dicom.input.select import find_stir
from sparcc_pipeline.errors import SparccError

INBOX_WAY: Final = "inbox"
PULL_WAY: Final = "pull"

STUDY_SECONDS: Final = 300.0
"""The longest time for the headers of one study; 5000 files take 10 s."""


def files_of(folder: Path) -> list[Path]:
    """Return the files of an upload, without links."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def raw_files(store: IdentityStore, instances: Iterable[Instance]) -> list[Path]:
    """Return the paths of these instances."""
    return [store.incoming(each.site) / each.upload / each.file for each in instances]


def lost_files(store: IdentityStore, instances: list[Instance]) -> list[Path]:
    """Return the files of a study's uploads that cannot be read and may have been its slices, and its DICOMDIRs.

    An upload that holds the whole study, and was sent since, replaces those before it.
    """
    keys = {each.instance_key for each in instances}
    lost: dict[str, list[Path]] = {}
    for upload in sorted({each.upload for each in instances}):
        folder = store.incoming(instances[0].site) / upload
        lost[upload] = [path for path in files_of(folder) if _is_lost(path)]
        if keys == {each.instance_key for each in instances if each.upload == upload} and not lost[upload]:
            return []
    return [path for paths in lost.values() for path in paths]


def _is_lost(path: Path) -> bool:
    return run_guarded(read_incoming, path) is None and (lost_image(path) or is_directory(path))


def clean_raw(context: Context, store: IdentityStore) -> None:
    """Delete raw uploads past `keep_raw_days` whose studies are delivered or superseded, and remains of killed copies.

    Receptions stay: the node finishes them.
    """
    for site in context.settings.site:
        for way in (INBOX_WAY, PULL_WAY):
            # Intake holds the lock, so no process owns these.
            for partial in store.incoming(site.code).glob(f"{way}-*{PARTIAL}"):
                shutil.rmtree(partial, ignore_errors=True)
    days = context.settings.intake.keep_raw_days
    if days is None:
        return
    before = context.clock().timestamp() - days * 86400
    waiting: dict[str, int] = defaultdict(int)
    for version in context.ledger.versions():
        if version.delivered_at is None and version.superseded_by is None:
            for name in store.identities.uploads(version.site, version.study_key):
                waiting[name] += 1
    for upload in context.ledger.uploads(UploadState.SORTED):
        folder = store.incoming(upload.site) / upload.id
        if upload.received_at.timestamp() < before and not waiting[upload.id] and folder.exists():
            remove_folder(folder)
            context.log("raw files deleted", site=upload.site, upload=upload.id)


def remove_folder(folder: Path) -> None:
    """Remove an upload's folder. It is renamed first, so that no half-deleted folder has its name."""
    renamed = folder.with_name(folder.name + PARTIAL)
    folder.rename(renamed)
    shutil.rmtree(renamed, ignore_errors=True)


def mark_lost(context: Context, store: IdentityStore, instances: list[Instance], folder: Path) -> None:
    """Write an empty file for each file of the uploads that may have held a slice of the STIR series.

    The score then counts them as unreadable, as it does for a study that it reads itself. Their names stay behind.

    Raises
    ------
    FileFaultError : one of the files ends its reader
    """
    lost = lost_files(store, instances)
    if not lost:
        return
    files = [*raw_files(store, instances), *lost]
    discovery = run_guarded(discover, files, seconds=STUDY_SECONDS)
    try:
        stir = find_stir(discovery, accept_fat_suppressed=context.settings.run.accept_fat_suppressed).series
        series = {uid for _, uid in stir.uids}
    except SparccError:
        series = set()
    count = sum(each.series_uid is None or each.series_uid in series for each in discovery.unreadable)
    for number in range(1, count + 1):
        (folder / f"unreadable-{number:04d}.dcm").touch()
