"""Pages of all users and of readers: sign-in, password, language, list of cases, case, second opinion, calibration.

Contents: `page_routes`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.readings.assignments import ADJUDICATION, PRIMARY, TRAINING, assignments_of
from sparcc_pipeline.app.reader.readings.content import NO_NUL
from sparcc_pipeline.app.reader.readings.stored import newest
from sparcc_pipeline.app.reader.readings.worklist import worklist
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL, STRUCTURAL_THIRD
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.access import SESSION_COOKIE
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.app.reader.web.site import LANGUAGE_COOKIE, Site, local_path, signed_in, static_file, user_of
from sparcc_pipeline.message import Message

FIRST_PAGE = {
    Role.READER: "/worklist",
    Role.ADJUDICATOR: "/worklist",
    Role.COORDINATOR: "/coordinator",
    Role.ADMINISTRATOR: "/users",
    Role.AUDITOR: "/audit",
    Role.SITE: "/night",
}
"""First page of each role."""

ShortText = Annotated[str, Form(max_length=200, pattern=NO_NUL)]

Code = Annotated[str, Path(max_length=200, pattern=NO_NUL)]


def address_of(request: Request) -> str:
    """Return the network address of a request; behind a proxy, the one that the proxy reports."""
    return request.client.host if request.client is not None else ""


def page_routes(site: Site) -> APIRouter:
    """Return the routes; each answers with a page."""
    router = APIRouter(default_response_class=HTMLResponse)
    _all_users(router, site)
    _account(router, site)
    _cases(router, site)
    _calibration(router, site)
    return router


def _all_users(router: APIRouter, site: Site) -> None:
    @router.get("/")
    def first_page(request: Request) -> Response:
        user = user_of(request, optional=True)
        return RedirectResponse("/login" if user is None else FIRST_PAGE[user.role], 303)

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        file = static_file(name)
        if file is None:
            raise refusal.not_found()
        # Cached, but checked each time: a new version of the program must never run with an old script.
        return FileResponse(file, headers={"Cache-Control": "no-cache"})

    @router.get("/login")
    def login(
        request: Request,
        next: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
        changed: Literal["", "yes"] = "",
    ) -> Response:
        notice = Message("your password was changed: sign in with the new one") if changed else None
        return site.page(request, "login.html", next=local_path(next) or "", notice=notice)

    @router.post("/login")
    def sign_in(request: Request, name: ShortText, password: ShortText, next: ShortText = "") -> Response:
        try:
            token = site.accounts.sign_in(name.strip(), password, address_of(request))
        except Refusal as refused:
            return site.page(request, "login.html", refused.status, error=refused.message, next=local_path(next) or "")
        response = RedirectResponse(local_path(next) or "/", 303)
        response.set_cookie(SESSION_COOKIE, token, **site.cookie)
        return response

    @router.post("/language")
    def language(
        request: Request,
        language: Annotated[Literal["en", "zh"], Form()],
        back: Annotated[str, Form(max_length=200, pattern=NO_NUL)] = "/",
    ) -> Response:
        user = user_of(request, optional=True)
        if user is not None:
            site.accounts.set_language(user, language)
        response = RedirectResponse(local_path(back) or "/", 303)
        response.set_cookie(LANGUAGE_COOKIE, language, **site.cookie)
        return response


def _account(router: APIRouter, site: Site) -> None:
    @router.post("/logout")
    def logout(request: Request) -> Response:
        site.accounts.sign_out(request.cookies.get(SESSION_COOKIE, ""), signed_in(request))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    def password_page(request: Request, status: int = 200, error: str | None = None) -> Response:
        user = signed_in(request)
        return site.page(
            request,
            "password.html",
            status,
            error=error,
            forced=user.must_change,
            shortest=site.accounts.shortest_password,
        )

    @router.get("/password")
    def password(request: Request) -> Response:
        return password_page(request)

    @router.post("/password")
    def change_password(request: Request, old: ShortText, new: ShortText, again: ShortText) -> Response:
        try:
            if new != again:
                raise refusal.passwords_differ()
            site.accounts.change_password(signed_in(request), old, new)
        except Refusal as refused:
            return password_page(request, refused.status, refused.message)
        response = RedirectResponse("/login?changed=yes", 303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response


def _cases(router: APIRouter, site: Site) -> None:
    @router.get("/worklist")
    def reading_list(request: Request) -> Response:
        user = signed_in(request)
        kind = PRIMARY if user.role is Role.READER else ADJUDICATION
        with site.database.reading() as connection:
            needed = site.settings.calibration.required and user.role is Role.READER
            passed = site.training.is_open(connection, user)
            rows = worklist(site, connection, user, kind, closed=needed and not passed)
            structural = worklist(site, connection, user, STRUCTURAL, STRUCTURAL_THIRD)
        calibration = "not_needed" if not needed else "passed" if passed else "needed"
        done = sum(row.state == "locked" for row in rows)
        shown = {"cases": rows, "structural": structural, "done": done, "total": len(rows)}
        return site.page(request, "worklist.html", calibration=calibration, **shown)

    @router.get("/case/{code}")
    def case(request: Request, code: Code) -> Response:
        assignment = site.own_case(signed_in(request), code)
        with site.database.reading() as connection:
            row = newest(connection, assignment)
        return site.page(
            request, "case.html", code=assignment.code, mode=assignment.kind, state="open" if row is None else row.state
        )

    @router.get("/case/{code}/second-opinion")
    def second_opinion(request: Request, code: Code) -> Response:
        assignment = site.own_case(signed_in(request), code)
        with site.database.reading() as connection:
            state = site.opinions.state(connection, assignment)
        if state in ("off", "later"):
            raise refusal.not_found()
        return site.page(request, "second_opinion.html", code=assignment.code, state=state)


def _calibration(router: APIRouter, site: Site) -> None:
    @router.get("/calibration")
    def calibration(request: Request) -> Response:
        user = signed_in(request)
        site.training.give(user)
        with site.database.reading() as connection:
            rounds = [each.repeat for each in assignments_of(connection, user.id, TRAINING)]
            rows = worklist(site, connection, user, TRAINING)
            agreement = site.training.agreement(connection, user)
            can_repeat = site.training.can_repeat(connection, user)
        return site.page(
            request,
            "calibration.html",
            cases=rows,
            agreement=agreement,
            round=max(rounds, default=1),
            can_repeat=can_repeat,
        )

    @router.post("/calibration/repeat")
    def repeat(request: Request) -> Response:
        site.training.repeat(signed_in(request))
        return RedirectResponse("/calibration", 303)
