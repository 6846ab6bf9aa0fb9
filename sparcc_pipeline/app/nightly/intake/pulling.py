"""Fetches studies from PACS: only those in a site's manifest, and each until all its images are here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.intake.identity_store import PARTIAL, IdentityStore
from sparcc_pipeline.app.nightly.intake.manifest import Assigned, read_manifest
from sparcc_pipeline.app.nightly.intake.raw_files import PULL_WAY
from sparcc_pipeline.app.nightly.intake.receiving import new_name, serve
from sparcc_pipeline.app.nightly.intake.sorting import continued, study_key
from sparcc_pipeline.app.nightly.settings_tables import PullSettings
from sparcc_pipeline.app.nightly.work.outcome import Context
from sparcc_pipeline.app.results.table_reader import compact, read_table
from sparcc_pipeline.dicom.network.pull import (
    Caller,
    Query,
    RemoteStudy,
    fetch_web_study,
    list_studies,
    list_web_studies,
    move_study,
)
from sparcc_pipeline.dicom.network.send import Entity, WebService, parse_target
from sparcc_pipeline.errors import ConfigError, InputError, OutputError

ACCESSION_HEADERS: Final = ("accession", "accession_number", "检查号", "检查编号")


def pull_all(context: Context, store: IdentityStore) -> list[Exception]:
    """Ask every PACS of the settings, fetch missing studies, and return what failed.

    A failing PACS does not block the others.
    """
    problems: list[Exception] = []
    for pull in context.settings.pull:
        with continued(_pull_fault(context, pull.site), problems):
            _pull(context, store, pull)
    return problems


def _pull_fault(context: Context, site: str) -> Callable[[Exception], None]:
    return lambda error: context.log("studies could not be fetched from the PACS", site=site, error=error)


def _pull(context: Context, store: IdentityStore, pull: PullSettings) -> None:
    target, caller = parse_target(pull.pacs), Caller(pull.ae_title, pull.timeout_seconds)
    queries = list(_queries(context, pull))
    listed = (
        list_studies(target, caller, queries)
        if isinstance(target, Entity)
        else list_web_studies(target, caller, queries)
    )
    missing = [study for study in listed if _is_missing(context, store, pull.site, study)]
    if not missing:
        return
    context.log("studies are fetched from the PACS", site=pull.site, studies=len(missing))
    with _listening(context, target):
        for study in missing:
            if isinstance(target, Entity):
                sent = move_study(target, caller, study.study_uid, context.settings.receive.ae_title)
            else:
                sent = _fetch(context, store, pull.site, target, caller, study)
            key = study_key(store, pull.site, study.study_uid)
            store.identities.expect(pull.site, key, study.count if study.count is not None else sent)


def _queries(context: Context, pull: PullSettings) -> Iterator[Query]:
    if pull.days is not None:
        # One more day at each end: the PACS may have another clock and zone.
        today = context.clock().date()
        yield Query(today - timedelta(days=pull.days + 1), today + timedelta(days=1))
    if pull.accessions is not None:
        table = read_table(pull.accessions)
        column = next((c for c in table.columns if compact(c) in map(compact, ACCESSION_HEADERS)), None)
        if column is None:
            raise InputError(f"expected a column 'accession' in {table.file}, found none; add it")
        for row in table.rows:
            if row.cells.get(column) is not None:
                yield Query(accession=str(row.cells[column]))


def _is_missing(context: Context, store: IdentityStore, site: str, study: RemoteStudy) -> bool:
    """Return True for a study with missing images. Studies of unknown participants are ignored."""
    manifest = read_manifest(context.settings.site_of(site).manifest)
    if not isinstance(manifest.assign(study.patient_id, study.accession, study.study_date), Assigned):
        return False
    key = study_key(store, site, study.study_uid)
    here = len(store.identities.instances(site, key))
    return here == 0 or (study.count is not None and here < study.count)


@contextmanager
def _listening(context: Context, target: Entity | WebService) -> Iterator[None]:
    """Run this program's node for C-MOVE, unless `sparcc receive` already does."""
    if isinstance(target, WebService):
        yield
        return
    try:
        receiver = serve(context.settings, context.clock, context.log)
    except ConfigError:
        # The port is in use, by the running node. If another program uses it, the PACS reports that it could not send.
        yield
        return
    with receiver:
        yield


def _fetch(
    context: Context, store: IdentityStore, site: str, service: WebService, caller: Caller, study: RemoteStudy
) -> int:
    """Fetch a study into a folder that gets its name when it is whole; return the number of images."""
    folder = store.incoming(site) / new_name(PULL_WAY, context.clock)
    partial = folder.with_name(folder.name + PARTIAL)
    try:
        partial.mkdir(mode=0o700)
        count = fetch_web_study(service, caller, study.study_uid, partial)
        _publish(partial, folder, count)
        return count
    except OSError as error:
        raise OutputError("expected room in the identity folder, found it not usable; free space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, folder: Path, count: int) -> None:
    if count:
        partial.rename(folder)
