"""The last step of a study: send its results to the PACS and copy them to the folder of deliveries, and verify both.

The step is idempotent: a result has the same UIDs each time, and a copied folder appears whole. The ledger tries a
failed delivery again later. A PACS that does not respond is not asked again for a minute, so that hundreds of studies
do not wait for it one after the other.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sparcc_pipeline.app.ledger.records import StudyVersion
from sparcc_pipeline.app.nightly.delivery.folder_copy import copy_results
from sparcc_pipeline.app.nightly.settings_tables import DeliverSettings
from sparcc_pipeline.app.nightly.work.outcome import Context, Done, Failed, NotYet, Outcome
from sparcc_pipeline.app.results.send import find_results
from sparcc_pipeline.dicom.network.send import Entity, Outgoing, Receipt, WebService, parse_target, read_outgoing
from sparcc_pipeline.errors import ConfigError, OutputError, SparccError
from sparcc_pipeline.message import Message

PAUSE: Final = timedelta(minutes=1)
"""How long this process does not ask a PACS that did not respond."""

_silent_until: dict[str, datetime] = {}
"""When to ask a PACS again, by its address."""


class _SilentError(OutputError):
    """The PACS does not respond."""


def deliver(context: Context, version: StudyVersion) -> Outcome:
    """Deliver the results of one scored study to the targets in the settings.

    A superseded version is not delivered: the newer one takes its place, and both stay in the work folder.
    """
    settings = context.settings.deliver
    if version.superseded_by is not None:
        return Done({"delivered_to": []})
    facts: dict[str, Any] = {"delivered_to": []}
    try:
        result = context.settings.paths.work_folder / _known(version.result_folder)
        if settings.folder is not None:
            target = settings.folder / Path(_known(version.result_folder)).relative_to("results")
            facts["copied_files"] = copy_results(result, target)
            facts["delivered_to"].append("folder")
        if settings.pacs is not None:
            now = context.clock()
            if (until := _silent_until.get(settings.pacs)) is not None and now < until:
                return NotYet(until)
            source = context.settings.paths.work_folder / _known(version.study_folder)
            receipt = _to_pacs(settings, settings.pacs, result, source)
            facts |= {"sent_objects": receipt.stored, "found_again": receipt.found_again}
            facts["delivered_to"].append("pacs")
    except _SilentError as error:
        _silent_until[str(settings.pacs)] = context.clock() + PAUSE
        return _failed(error, facts)
    except SparccError as error:
        return _failed(error, facts)
    return Done(facts)


def _failed(error: SparccError, facts: dict[str, Any]) -> Failed:
    words = " ".join(str(error).split())
    # A damaged result is not the site's fault: a failed delivery never rejects a study.
    kind = "Config" if isinstance(error, ConfigError) else "Output"
    reason = Message("the results could not be delivered: {error}", error=words)
    return Failed(reason, {**facts, "reason_kind": kind})


def _known(folder: str | None) -> str:
    if folder is None:
        raise OutputError("expected a scored study with its folders in the ledger, found none; retry the study")
    return folder


def _to_pacs(settings: DeliverSettings, address: str, result: Path, source: Path) -> Receipt:
    """Send all DICOM results, after the source images if the settings ask for them and the PACS lacks them."""
    target = parse_target(address)
    _require_life(target, settings)
    objects = read_outgoing(find_results(result))
    if settings.source_images:
        images = read_outgoing(sorted(file for file in source.rglob("*") if file.is_file()))
        # If the PACS takes no queries, send the images: the same images again change nothing.
        if _lacking(images, target, settings) != 0:
            objects = [*images, *objects]
    if isinstance(target, Entity):
        from sparcc_pipeline.dicom.network.cstore import send_by_cstore

        return send_by_cstore(objects, target, settings.ae_title, settings.timeout_seconds)
    from sparcc_pipeline.dicom.network.stow import send_by_stow

    return send_by_stow(objects, target, settings.timeout_seconds)


def _lacking(images: Sequence[Outgoing], target: Entity | WebService, settings: DeliverSettings) -> int | None:
    if isinstance(target, Entity):
        from sparcc_pipeline.dicom.network.cstore import lacking_by_cfind

        return lacking_by_cfind(images, target, settings.ae_title, settings.timeout_seconds)
    from sparcc_pipeline.dicom.network.stow import lacking_by_qido

    return lacking_by_qido(images, target, settings.timeout_seconds)


def _require_life(target: Entity | WebService, settings: DeliverSettings) -> None:
    """Check that the PACS takes a connection and, as a DICOM node, answers C-ECHO.

    Raises
    ------
    _SilentError : it does not
    """
    try:
        socket.create_connection(_place(target), settings.timeout_seconds).close()
        if isinstance(target, Entity):
            from sparcc_pipeline.dicom.network.cstore import echo

            echo(target, settings.ae_title, settings.timeout_seconds)
    except OutputError as error:
        raise _SilentError(str(error)) from error
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise _SilentError(
            f"expected an answer from {target}, found none ({why}); check host, port and network"
        ) from error


def _place(target: Entity | WebService) -> tuple[str, int]:
    if isinstance(target, Entity):
        return target.host, target.port
    parts = urlsplit(target.url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
