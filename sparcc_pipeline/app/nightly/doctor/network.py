"""Checks over the network: the DICOM node, its certificate, PACS, mail; see `checks`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sparcc_pipeline.app.nightly.doctor.findings import Finding, Level
from sparcc_pipeline.app.nightly.doctor.places import delivery_folder
from sparcc_pipeline.app.nightly.morning.mail import greet, read_secret
from sparcc_pipeline.app.nightly.morning.webhook import place_of
from sparcc_pipeline.app.nightly.settings import NightlySettings
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.dicom.network.send import Entity, parse_target
from sparcc_pipeline.errors import ConfigError, SparccError

EXPIRY_WARNING: Final = timedelta(days=30)
"""How long before its end a certificate is a warning."""

TIMEOUT_S: Final = 10.0
"""The longest wait of a check, whatever the settings allow a night."""


def receiver(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the port of the DICOM node is free, or that this program's node answers there."""
    receive, title = settings.receive, next((s.ae_title for s in settings.site if s.ae_title is not None), None)
    place = f"{receive.host}, port {receive.port}"
    if title is None:
        yield Finding(Level.OK, "no site has an ae_title, so no site sends by C-STORE")
        return
    if receive.host in ("0.0.0.0", "::") and receive.tls_certificate is None:
        yield Finding(Level.WARNING, f"{place} listens on all networks without TLS; name one address, or set TLS")
    if _is_free(receive.host, receive.port):
        yield Finding(Level.OK, f"{place} is free; sparcc receive is not running")
        return
    here = "127.0.0.1" if receive.host == "0.0.0.0" else "::1" if receive.host == "::" else receive.host
    if receive.tls_certificate is not None:
        yield Finding(Level.OK, f"{place} is in use; with TLS this check cannot ask whether by the DICOM node")
        return
    from sparcc_pipeline.dicom.network.cstore import echo

    try:
        echo(Entity(receive.ae_title, here, receive.port), title, TIMEOUT_S)
    except SparccError as error:
        text = f"{place} is in use, but not by the DICOM node ({error}); end that program, or change port in [receive]"
        yield Finding(Level.FAILED, text)
        return
    yield Finding(Level.OK, f"{place} answers as {receive.ae_title} to {title}")


def certificate(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the certificate fits its key, and does not end soon."""
    receive = settings.receive
    if receive.tls_certificate is None or receive.tls_key is None:
        yield Finding(Level.OK, "none is set: the node uses no TLS")
        return
    ends = certificate_end(receive.tls_certificate, receive.tls_key)
    left = ends - utc_now()
    text = f"{receive.tls_certificate} is valid until {ends:%Y-%m-%d}"
    if left > EXPIRY_WARNING:
        yield Finding(Level.OK, text)
    else:
        yield Finding(Level.WARNING, f"{text}, {left.days} more days; renew it")
    unbound = [site.code for site in settings.site if site.ae_title is not None and site.tls_name is None]
    if receive.tls_ca is not None and unbound:
        text = (
            f"tls_ca is set, but no tls_name for {', '.join(unbound)}: every site with a certificate of this authority "
            "may send under their calling titles; set tls_name in their [[site]]"
        )
        yield Finding(Level.WARNING, text)


def delivery(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the PACS and the folder of deliveries can be reached."""
    deliver = settings.deliver
    if deliver.pacs is None and deliver.folder is None:
        yield Finding(Level.OK, "results stay in the work folder")
    if deliver.folder is not None:
        yield delivery_folder(deliver.folder)
    if deliver.pacs is not None:
        if not settings.run.dicom:
            text = "pacs is set in [deliver], and dicom = false in [run]: there is nothing to send; change one of them"
            yield Finding(Level.FAILED, text)
        yield _reached(deliver.pacs, deliver.ae_title, deliver.timeout_seconds)


def pull(settings: NightlySettings) -> Iterator[Finding]:
    """Check that every PACS of a pull can be reached."""
    for each in settings.pull:
        found = _reached(each.pacs, each.ae_title, each.timeout_seconds)
        yield Finding(found.level, f"{each.site}: {found.text}", found.by_settings)


def mail(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the mail server accepts the login; no mail is sent."""
    if settings.mail.host is None:
        yield Finding(Level.OK, "none is set: the report is not mailed")
        return
    greet(settings.mail.model_copy(update={"timeout_seconds": min(settings.mail.timeout_seconds, TIMEOUT_S)}))
    yield Finding(Level.OK, f"{settings.mail.host}, port {settings.mail.port} answers and accepts the login")


def webhook(settings: NightlySettings) -> Iterator[Finding]:
    """Check that the host of the webhook answers; nothing is posted."""
    if settings.webhook.url is None:
        yield Finding(Level.OK, "none is set: the figures are not posted")
        return
    if settings.webhook.secret_file is not None:
        read_secret(settings.webhook.secret_file, "the secret of the webhook")
    place = place_of(settings.webhook.url)
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), min(settings.webhook.timeout_seconds, TIMEOUT_S)).close()
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        yield Finding(Level.FAILED, f"{place} gives no answer ({why}); check url in [webhook]", by_settings=False)
        return
    yield Finding(Level.OK, f"{place} answers")


def certificate_end(file: Path, key: Path) -> datetime:
    """Return when a certificate ends.

    `ssl` exposes dates only for verified peers, hence a handshake in memory with a client that trusts this certificate.

    Raises
    ------
    ConfigError : the certificate cannot be read, does not fit its key, or has ended
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        server.load_cert_chain(file, key)
        client.load_verify_locations(file)
        found = _shown_certificate(server, client)
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), UTC)
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"expected a certificate in force at {file}, found otherwise: {error.verify_message}; renew it"
        ) from error
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(
            f"expected a certificate and its key in {file} and {key.name}, found them unreadable or not belonging "
            "together; put the right ones there"
        ) from error


def _shown_certificate(server: ssl.SSLContext, client: ssl.SSLContext) -> dict[str, object]:
    """Return the certificate that the client gets from the server; both are in this process."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for each in (asking, answering):
            try:
                each.do_handshake()
                done.add(each)
            except ssl.SSLWantReadError:
                continue
    return dict(asking.getpeercert() or {})


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as opened:
        # As servers do: remains of ended connections do not count.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except PermissionError as error:
            raise ConfigError(
                f"expected a port that this user may open, found {port} is not; choose one from 1024 on in [receive]"
            ) from error
        except OSError as error:
            if isinstance(error, socket.gaierror) or "assign" in (error.strerror or ""):
                raise ConfigError(
                    f"expected an address of this machine as host in [receive], found {host!r}; change it"
                ) from error
            return False
    return True


def _reached(address: str, title: str, timeout_s: float) -> Finding:
    target, wait = parse_target(address), min(timeout_s, TIMEOUT_S)
    try:
        if isinstance(target, Entity):
            from sparcc_pipeline.dicom.network.cstore import echo

            socket.create_connection((target.host, target.port), wait).close()
            echo(target, title, wait)
        else:
            from sparcc_pipeline.dicom.network.stow import reach

            reach(target, wait)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        return Finding(
            Level.FAILED, f"{target} gives no answer ({why}); check host, port and network", by_settings=False
        )
    except SparccError as error:
        return Finding(Level.FAILED, str(error), by_settings=isinstance(error, ConfigError))
    return Finding(Level.OK, f"{target} answers {title}")
