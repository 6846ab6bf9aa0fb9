"""The figures of the morning report by HTTP POST, for a chat group or a monitoring system. No post stops a night.

A post holds counts by site: no participant, no study, no sentence of an error, in which a path may stand.
"""

from __future__ import annotations

import hmac
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from sparcc_pipeline import __version__
from sparcc_pipeline.app.nightly.morning.mail import read_secret
from sparcc_pipeline.app.nightly.settings_tables import WebhookSettings
from sparcc_pipeline.errors import OutputError

SIGNATURE_HEADER: Final = "X-SPARCC-Signature"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the address in the settings is the only one that gets the figures."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post_figures(settings: WebhookSettings, figures: Mapping[str, Any], line: str) -> None:
    """Post the figures, or their one line, in the form of the settings; do nothing without a URL.

    Raises
    ------
    ConfigError : the secret cannot be read
    OutputError : no connection, an untrusted certificate, or another answer than 2xx; another try may succeed
    """
    if settings.url is None:
        return
    bodies: dict[str, Any] = {
        "figures": figures,
        "text": {"text": line},
        "msgtype": {"msgtype": "text", "text": {"content": line}},
    }
    body = json.dumps(bodies[settings.form], ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": f"sparcc-pipeline/{__version__}"}
    if settings.secret_file is not None:
        secret = read_secret(settings.secret_file, "the secret of the webhook")
        headers[SIGNATURE_HEADER] = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
    request = urllib.request.Request(settings.url, body, headers, method="POST")
    context = ssl.create_default_context(cafile=settings.ca_file)
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=settings.timeout_seconds):
            return
    except (OSError, HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise OutputError(
            f"expected the webhook at {place_of(settings.url)} to take the figures, found {_fault(error)}; check "
            "[webhook] in the settings: the report is in its folder"
        ) from error


def place_of(url: str) -> str:
    """Return host and port of a URL: its path is often a secret."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _fault(error: Exception) -> str:
    """Return the fault without the answer's own text."""
    match error:
        case urllib.error.HTTPError():
            return f"status {error.code}"
        case urllib.error.URLError(reason=ssl.SSLError()):
            return "a certificate that is not trusted, or no TLS there"
        case urllib.error.URLError(reason=TimeoutError()) | TimeoutError():
            return "no answer in time"
        case urllib.error.URLError(reason=OSError() as reason) if reason.strerror:
            return reason.strerror.lower()
        case _:
            return "no connection"
