"""The web application: all routes behind one gate, strict headers, errors without their cause.

Contents: `make_app`.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from sparcc_pipeline import __version__
from sparcc_pipeline.app.reader.database import Clock, open_reader_database
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.access import GUEST_COOKIE, LONGEST_BODY, new_guest
from sparcc_pipeline.app.reader.web.api_routes import api_routes
from sparcc_pipeline.app.reader.web.monitor_routes import monitor_routes
from sparcc_pipeline.app.reader.web.night_routes import Desk, night_routes
from sparcc_pipeline.app.reader.web.office_routes import office_routes
from sparcc_pipeline.app.reader.web.page_routes import page_routes
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.reader.web.site import Site, language_of
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.faults import place_of
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.errors import SparccError
from sparcc_pipeline.message import Message

log = logging.getLogger("sparcc.reader")

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""Headers of every answer; a static file may replace `Cache-Control`."""

_TOO_LARGE: Final = Refusal(413, "invalid", Message("the request is too large"))
_FAILED: Final = Refusal(500, "server", Message("the server failed; saved entries are not lost, try again"))


def make_app(settings: ReaderSettings, clock: Clock = utc_now, night: Desk | None = None) -> FastAPI:
    """Return the reading page as an application.

    Parameters
    ----------
    night : the night whose morning coordinators and sites see; None: there is none

    Raises
    ------
    ConfigError : a setting or the protocol is not valid
    OutputError : store folder or database cannot be written
    """
    database = open_reader_database(settings, clock)
    site = Site(settings, database, load_protocol(settings.protocol_file), has_night=night is not None)
    app = FastAPI(
        title="SPARCC reading page",
        version=__version__,
        # The OpenAPI description is for tests and is not served.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(site.gate.check)],
    )
    app.state.site = site
    app.include_router(page_routes(site))
    app.include_router(office_routes(site))
    app.include_router(monitor_routes(site))
    app.include_router(api_routes(site))
    app.include_router(night_routes(site, night))
    _add_error_handlers(app, site)
    app.add_middleware(Guard, site=site)
    return app


class Guard:
    """Adds headers and the guest cookie, refuses bodies without a length, and hides the cause of errors."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        known = request.cookies.get(GUEST_COOKIE)
        request.state.guest = known or new_guest()
        started = False

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(MutableHeaders(scope=message), request, new=known is None)
            await send(message)

        if not _has_valid_length(request):
            await _json(request, _TOO_LARGE)(scope, receive, send_guarded)
            return
        try:
            await self._app(scope, receive, send_guarded)
        except Exception as error:
            # Type and place only: the message may hold user input or a reading.
            log.error("request failed: %s at %s:%s", type(error).__name__, *place_of(error))
            if not started:
                await _refused(request, _FAILED, self._site)(scope, receive, send_guarded)

    def _add_headers(self, headers: MutableHeaders, request: Request, *, new: bool) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self._site.settings.server.https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if new and not request.url.path.startswith(("/static/", "/api/")):
            cookie = Response()
            cookie.set_cookie(GUEST_COOKIE, request.state.guest, **self._site.cookie)
            headers.append("Set-Cookie", cookie.headers["set-cookie"])


def _has_valid_length(request: Request) -> bool:
    """Return True if the request declares the length of its body, and the length is allowed."""
    length = request.headers.get("content-length", "0" if request.method in ("GET", "HEAD") else "")
    return length.isdigit() and int(length) <= LONGEST_BODY


def _add_error_handlers(app: FastAPI, site: Site) -> None:
    """Answer every error in the language of the user, without its cause."""

    def answer(request: Request, error: Refusal) -> Response:
        return _refused(request, error, site)

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, _: RequestValidationError) -> Response:
        return answer(request, refusal.invalid())

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        found = refusal.not_found() if error.status_code == 404 else refusal.invalid()
        found.status = error.status_code
        return answer(request, found)

    @app.exception_handler(SparccError)
    async def own_error(request: Request, error: SparccError) -> Response:
        log.error("%s: %s", type(error).__name__, error)
        return answer(request, _FAILED)


def _refused(request: Request, error: Refusal, site: Site) -> Response:
    """Return a refusal in the form that a page or a script expects."""
    if request.url.path.startswith("/api/"):
        return _json(request, error)
    if request.method == "GET" and error.code == "sign_in":
        return RedirectResponse("/login", 303)
    user = getattr(request.state, "user", None)
    if request.method == "GET" and user is not None and user.must_change and error.status == 403:
        return RedirectResponse("/password", 303)
    return site.page(request, "error.html", error.status, status=error.status, error=error.message)


def _json(request: Request, error: Refusal) -> JSONResponse:
    sentence = language_of(request).sentence(error.message)
    return JSONResponse({"error": {"code": error.code, "message": sentence}, **error.extra}, error.status)
