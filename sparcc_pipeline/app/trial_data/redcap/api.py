"""Read a REDCap project by its API. Nothing here can write: every request exports.

Contents: `RedcapProject`, `read_token`. Source: [RedcapApi].
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sparcc_pipeline.app.study.files import fault_of
from sparcc_pipeline.errors import ConfigError, InputError

TIMEOUT_S: Final = 60.0
WAITS_S: Final = (2.0, 10.0, 30.0)
"""Waits before a request is sent again after a busy server or a broken connection."""

_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{32}")
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_EXPORTS: Final = frozenset({"version", "metadata", "record"})
"""Contents that are read; a request for another one is refused here."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, because they would send the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: no redirect."""
        return


def read_token(file: Path) -> str:
    """Return the token of a project from a file that only its owner can read.

    Raises
    ------
    ConfigError : the file cannot be read, can be read by others, or holds no token
    """
    try:
        text = file.read_text(encoding="ascii").strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        why = fault_of(error) if isinstance(error, OSError) else "other characters"
        raise ConfigError(f"expected a REDCap token in {file}, found {why}; write the token into it") from error
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ConfigError(
            f"expected a file that only its owner can read at {file}, found more rights; chmod 600 {file}"
        )
    if not _TOKEN.fullmatch(text):
        raise ConfigError(
            f"expected one project token of 32 letters and digits in {file}, found {len(text)} characters; copy it "
            "from the page API of the REDCap project"
        )
    return text


class RedcapProject:
    """One project of a REDCap server.

    Parameters
    ----------
    url : address of the API, https://HOST/.../api/
    wait : waits for this number of seconds; tests replace it

    Raises
    ------
    ConfigError : the address is not one of a server with TLS
    """

    def __init__(self, url: str, token: str, wait: Callable[[float], None] = time.sleep) -> None:
        parts = urllib.parse.urlsplit(url)
        if not parts.hostname or parts.scheme not in ("https", "http") or parts.username:
            raise ConfigError(f"expected the address of a REDCap API, https://HOST/api/, found {url!r}; correct it")
        if parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise ConfigError(f"expected https for a server on the network, found {url!r}; the token would be readable")
        self.url, self._token, self._wait = url, token, wait
        # A proxy of the environment would see a token that is sent to this computer.
        proxies = [urllib.request.ProxyHandler({})] if parts.hostname in _LOCAL else []
        self._opener = urllib.request.build_opener(_NoRedirect, *proxies)

    def version(self) -> str:
        """Return the version of the server."""
        return self._post("version", "text").decode("ascii", "replace").strip()

    def fields(self) -> list[str]:
        """Return the names of the fields, that of the record first."""
        return [str(row["field_name"]) for row in self._rows("metadata", {})]

    def records(self, identifier: str) -> list[str]:
        """Return the names of all records, each once, in the order of the server.

        Parameters
        ----------
        identifier : field with the name of the record
        """
        rows = self._rows("record", {"type": "flat", "fields[0]": identifier})
        return list(dict.fromkeys(str(row[identifier]) for row in rows))

    def rows_of(self, records: Sequence[str], forms: Sequence[str]) -> list[dict[str, Any]]:
        """Return all rows of some records: raw values, with the data access group.

        Parameters
        ----------
        forms : names of the forms; empty for all
        """
        chosen = {f"records[{n}]": name for n, name in enumerate(records)}
        chosen |= {f"forms[{n}]": name for n, name in enumerate(forms)}
        options = {"type": "flat", "rawOrLabel": "raw", "exportDataAccessGroups": "true"}
        return self._rows("record", {**options, **chosen})

    def _rows(self, content: str, more: Mapping[str, str]) -> list[dict[str, Any]]:
        try:
            rows = json.loads(self._post(content, "json", more))
        except ValueError as error:
            raise InputError(f"expected JSON from {self.url}, found something else; check the address") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"expected a list of rows from {self.url}, found something else; check the address")
        return rows

    def _post(self, content: str, form: str, more: Mapping[str, str] | None = None) -> bytes:
        """Send one request, again after a wait if the server is busy."""
        if content not in _EXPORTS:
            raise ValueError(f"expected one of {sorted(_EXPORTS)}, found {content}")
        asked = {"token": self._token, "content": content, "action": "export", "format": form, "returnFormat": "json"}
        body = urllib.parse.urlencode({**asked, **(more or {})}).encode("ascii")
        for wait in (*WAITS_S, None):
            request = urllib.request.Request(self.url, body, {"User-Agent": "sparcc-pipeline"})
            try:
                with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                    found: bytes = answer.read()
                    return found
            except urllib.error.HTTPError as error:
                if error.code not in _BUSY or wait is None:
                    raise self._refused(error) from error
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                if wait is None:
                    raise InputError(
                        f"expected an answer of {self.url}, found none after {len(WAITS_S) + 1} attempts; check "
                        "address and network, and give the same command again: it continues"
                    ) from error
            self._wait(wait)
        raise AssertionError("the last attempt returns or raises")

    def _refused(self, error: urllib.error.HTTPError) -> InputError:
        """Return the error of a refusal; the server's own words are not shown, because they can repeat the token."""
        hint = {
            400: "check the names of the forms",
            401: "check token and rights",
            403: "check token and rights: the user needs API Export",
            404: "check the address; it ends in /api/",
        }.get(error.code, "give the same command again later: it continues")
        return InputError(f"expected an export from {self.url}, found HTTP status {error.code}; {hint}")
