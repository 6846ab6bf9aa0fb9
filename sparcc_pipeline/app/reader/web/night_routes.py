"""Routes of the morning: what waits in the night and why, and the decisions of a coordinator; a site sees its own.

Contents: `Desk`, `night_routes`. Nothing here shows a score: the pages of this server stay blind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel

from sparcc_pipeline.app.reader.accounts.roles import Role, User
from sparcc_pipeline.app.reader.readings.content import NO_NUL
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.reader.web.site import Site, language_of, signed_in
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

Number = Annotated[int, Form(ge=1, le=2**31 - 1)]
StudyOrUpload = Annotated[str, Form(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Reason = Annotated[str, Form(max_length=200, pattern=NO_NUL)]

Identity = tuple[str, str, str]
"""Patient identifier, accession number and study date."""


class Desk(Protocol):
    """The night as this page needs it; a decision that does not fit raises ConfigError."""

    @property
    def shows_identity(self) -> bool: ...
    def site_of(self, user: str) -> str | None: ...
    def newest(self, site: str | None) -> int: ...
    def view(self, words: Language, site: str | None) -> Mapping[str, Any]: ...
    def release(self, study: str, reason: str, by: str) -> None: ...
    def reject(self, study: int, reason: str, by: str) -> None: ...
    def retry(self, study: int, by: str) -> None: ...
    def supersede(self, old: int, new: int, by: str) -> None: ...
    def whose(self, study: int) -> list[Identity]: ...


class Newest(BaseModel):
    """A number that changes whenever something happens in the night."""

    newest: int


def night_routes(site: Site, night: Desk | None) -> APIRouter:
    """Return the routes; without a night their addresses do not exist."""
    router = APIRouter(default_response_class=HTMLResponse)

    def desk() -> Desk:
        if night is None:
            raise refusal.not_found()
        return night

    _pages(router, site, desk)
    _decisions(router, site, desk)
    _whose(router, site, desk)
    return router


def _pages(router: APIRouter, site: Site, desk: Callable[[], Desk]) -> None:
    @router.get("/night")
    def morning(request: Request) -> Response:
        return _page(site, desk(), request)

    @router.get("/api/night", response_class=JSONResponse)
    def newest(request: Request) -> Newest:
        found = desk()
        return Newest(newest=found.newest(_scope(found, signed_in(request))))


def _scope(desk: Desk, user: User) -> str | None:
    """Return the only site that a user may see; None for a coordinator, who sees all.

    Raises
    ------
    Refusal : the user is of a site, but no site of the night names the account
    """
    if user.role is Role.COORDINATOR:
        return None
    code = desk.site_of(user.name) if user.role is Role.SITE else None
    if code is None:
        raise Refusal(403, "forbidden", Message("no site names your account: ask the coordinator to add it"))
    return code


def _page(site: Site, desk: Desk, request: Request, status: int = 200, **more: Any) -> Response:
    user = signed_in(request)
    scope = _scope(desk, user)
    view = desk.view(language_of(request), scope)
    decides = user.role is Role.COORDINATOR
    shown = {
        "path": "/night",
        "whose": None,
        "may_ask_whose": decides and desk.shows_identity,
        "decides": decides,
        **view,
        **more,
    }
    return site.page(request, "night.html", status, **shown)


def _decisions(router: APIRouter, site: Site, desk: Callable[[], Desk]) -> None:
    def decide(request: Request, action: str, study: str, reason: str, work: Callable[[str], None]) -> Response:
        """Do and record a decision, and return to the page."""
        user = signed_in(request)
        try:
            work(user.name)
        except ConfigError:
            return _page(site, desk(), request, 409, error=_NOT_NOW)
        with site.database.writing() as recording:
            recording.record(user.name, f"night_{action}", study, reason=reason)
        return RedirectResponse("/night", 303)

    @router.post("/night/release")
    def release(request: Request, study: StudyOrUpload, reason: Reason) -> Response:
        why = _needed(reason)
        return decide(request, "release", study, why, lambda by: desk().release(study, why, by))

    @router.post("/night/reject")
    def reject(request: Request, study: Number, reason: Reason) -> Response:
        why = _needed(reason)
        return decide(request, "reject", str(study), why, lambda by: desk().reject(study, why, by))

    @router.post("/night/retry")
    def retry(request: Request, study: Number) -> Response:
        return decide(request, "retry", str(study), "", lambda by: desk().retry(study, by))

    @router.post("/night/supersede")
    def supersede(request: Request, old: Number, new: Number) -> Response:
        return decide(request, "supersede", f"{old} {new}", "", lambda by: desk().supersede(old, new, by))


def _whose(router: APIRouter, site: Site, desk: Callable[[], Desk]) -> None:
    @router.post("/night/whose")
    def whose(request: Request, study: Number) -> Response:
        user, found = signed_in(request), desk()
        if not found.shows_identity:
            raise refusal.forbidden()
        # Recorded first: no identity is shown without an entry.
        with site.database.writing() as recording:
            recording.record(user.name, "night_whose", str(study))
        try:
            rows = found.whose(study)
        except ConfigError:
            return _page(site, found, request, 409, error=_NOT_NOW)
        return _page(site, found, request, whose={"study": str(study), "rows": rows})


def _needed(reason: str) -> str:
    if not reason.strip():
        raise refusal.invalid()
    return reason.strip()


_NOT_NOW = Message("this decision does not fit the study as it is now, and nothing was changed")
