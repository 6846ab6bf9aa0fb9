"""The DICOM node of the night: its senders, their folders, and its limits."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.intake.identity_store import incoming_folder
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.nightly.work.outcome import Clock, Log
from sparcc_pipeline.dicom.network.connection import NodeLimits, server_tls
from sparcc_pipeline.dicom.network.node import Node
from sparcc_pipeline.dicom.network.receive import Receiver
from sparcc_pipeline.dicom.network.send import Entity, parse_target
from sparcc_pipeline.errors import ConfigError

DICOM_WAY: Final = "dicom"
"""First part of the name of a reception's folder, and the `way` of its upload."""


def serve(settings: NightlySettings, clock: Clock, log: Log) -> Receiver:
    """Start the node and return it running.

    Raises
    ------
    ConfigError : there is no sender, a title belongs to two sites, the port is in use, or a certificate is not usable
    OutputError : the identity folder cannot be written
    """
    receive = settings.receive
    limits = NodeLimits(
        pdu_bytes=receive.max_pdu_bytes,
        associations=receive.max_associations,
        instances=receive.max_instances,
        bytes=receive.max_bytes,
        instance_bytes=settings.intake.max_file_bytes,
        silence_s=receive.idle_seconds,
    )
    tls = None
    if receive.tls_certificate is not None and receive.tls_key is not None:
        tls = server_tls(receive.tls_certificate, receive.tls_key, receive.tls_ca)
    node = Node(
        receive.host,
        receive.port,
        receive.ae_title,
        _senders(settings),
        lambda: new_name(DICOM_WAY, clock),
        DICOM_WAY,
        limits,
        tls,
        {site.ae_title: site.tls_name for site in settings.site if site.ae_title and site.tls_name},
    )
    receiver = Receiver(node, log)
    log("receiver listens", port=receiver.port)
    return receiver


def new_name(way: str, clock: Clock) -> str:
    """Return a name for an upload's folder, which is its id in the ledger: way, time and a random part."""
    return f"{way}-{clock():%Y%m%dT%H%M%S}-{secrets.token_hex(6)}"


def _senders(settings: NightlySettings) -> dict[str, Path]:
    """Return the folder of each calling title: of sites, and of PACS that send studies by C-MOVE."""
    titles = [(site.ae_title, site.code) for site in settings.site if site.ae_title is not None]
    for pull in settings.pull:
        target = parse_target(pull.pacs)
        if isinstance(target, Entity):
            titles.append((target.title, pull.site))
    sites: dict[str, str] = {}
    for title, code in titles:
        if sites.setdefault(title, code) != code:
            raise ConfigError(
                f"expected each calling title to belong to one site, found {title!r} for {sites[title]} and {code}; "
                "give the PACS another title for one of them"
            )
    if not sites:
        raise ConfigError("expected an ae_title for at least one [[site]] in the settings, found none; add it")
    folder = settings.paths.identity_folder
    return {title: incoming_folder(folder, code) for title, code in sites.items()}
