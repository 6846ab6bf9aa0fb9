"""Pages of coordinator, administrator and auditor, who do not read.

Contents: `office_routes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.reader.audit import files as audit_files
from sparcc_pipeline.app.reader.audit.trail import stamp
from sparcc_pipeline.app.reader.audit.verification import verify_tables
from sparcc_pipeline.app.reader.database import lock_database
from sparcc_pipeline.app.reader.readings import adjudication
from sparcc_pipeline.app.reader.readings.assignments import assign, cases, readers
from sparcc_pipeline.app.reader.readings.content import NO_NUL
from sparcc_pipeline.app.reader.readings.coordination import case_progress, reader_progress
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.site import Site, signed_in
from sparcc_pipeline.app.report.pdf import pdf_from
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

ShortText = Annotated[str, Form(max_length=200, pattern=NO_NUL)]
Name = Annotated[str, Form(max_length=32, pattern=NO_NUL)]
Names = Annotated[list[Name], Form()]
CaseId = Annotated[int, Form(ge=1, le=2**31 - 1)]
Cases = Annotated[list[CaseId] | None, Form()]
PageNumber = Annotated[int, Query(ge=1, le=10**6)]
FilterText = Annotated[str, Query(max_length=32, pattern=NO_NUL)]


def office_routes(site: Site) -> APIRouter:
    """Return the routes of the office pages; each answers with a page or a file."""
    router = APIRouter(default_response_class=HTMLResponse)
    _coordinator(router, site)
    _users(router, site)
    _database_lock(router, site)
    _audit_page(router, site)
    _audit_files(router, site)
    return router


def _coordinator(router: APIRouter, site: Site) -> None:
    @router.get("/coordinator")
    def coordinator(request: Request) -> Response:
        with site.database.reading() as connection:
            return site.page(
                request,
                "coordinator.html",
                dead_end=site.training.is_dead_end(connection),
                cases=case_progress(connection, site.protocol),
                readers=[row.name for row in readers(connection, Role.READER)],
                adjudicators=[row.name for row in readers(connection, Role.ADJUDICATOR)],
                progress=reader_progress(connection),
                database_locked=site.database.is_locked(connection),
            )

    @router.post("/coordinator/assign")
    def assign_cases(request: Request, reader: Names, case: Cases = None) -> Response:
        user = signed_in(request)
        with site.database.writing() as work:
            known = {row.name: row for row in readers(work.connection, Role.READER)}
            every = {row.id for row in cases(work.connection, training=False)}
            are_known = set(reader) <= set(known) and set(case or ()) <= every
            if not are_known or site.database.is_locked(work.connection):
                raise refusal.invalid()
            for name in sorted(set(reader)):
                assign(work, known[name], sorted(case or every), site.settings.reading, by=user.name)
        return RedirectResponse("/coordinator", 303)

    @router.post("/coordinator/adjudicator")
    def give_adjudicator(request: Request, case: CaseId, adjudicator: Name) -> Response:
        user = signed_in(request)
        with site.database.writing() as work:
            known = {row.name: row for row in readers(work.connection, Role.ADJUDICATOR)}
            needed = adjudication.is_needed(work.connection, case, site.protocol)
            if adjudicator not in known or not needed or site.database.is_locked(work.connection):
                raise refusal.invalid()
            adjudication.give(work, case, known[adjudicator], site.settings.reading, by=user.name)
        return RedirectResponse("/coordinator", 303)


def _users_page(site: Site, request: Request, status: int = 200, **context: Any) -> Response:
    with site.database.reading() as connection:
        locked = site.database.is_locked(connection)
    shown = [
        {
            "name": row.name,
            "code": row.code,
            "role": row.role,
            "active": row.active,
            "must_change": row.must_change,
            "locked_out": site.accounts.is_locked_out(row),
        }
        for row in site.accounts.all_users()
    ]
    roles = [role.value for role in Role]
    everything = {"users": shown, "roles": roles, "database_locked": locked, "one_time": None}
    return site.page(request, "users.html", status, **(everything | context))


def _users(router: APIRouter, site: Site) -> None:
    @router.get("/users")
    def users(request: Request) -> Response:
        return _users_page(site, request)

    @router.post("/users")
    def add(request: Request, name: ShortText, code: ShortText, role: Annotated[Role, Form()]) -> Response:
        try:
            password = site.accounts.add(name.strip(), code.strip(), role, by=signed_in(request).name)
        except ConfigError:
            wrong = Message("expected a new name (small letters and digits) and a new code (letters and digits)")
            return _users_page(site, request, 422, error=wrong)
        return _users_page(site, request, one_time={"name": name.strip(), "password": password})

    @router.post("/users/reset")
    def reset(request: Request, name: Name) -> Response:
        password = site.accounts.reset(name, by=signed_in(request).name)
        return _users_page(site, request, one_time={"name": name, "password": password})

    @router.post("/users/active")
    def active(request: Request, name: Name, active: Annotated[Literal["0", "1"], Form()]) -> Response:
        site.accounts.set_active(name, active == "1", by=signed_in(request).name)
        return RedirectResponse("/users", 303)


def _database_lock(router: APIRouter, site: Site) -> None:
    @router.post("/users/database-lock")
    def database_lock(request: Request, password: ShortText, reason: ShortText) -> Response:
        user = signed_in(request)
        site.accounts.require_password(user, password)
        if not reason.strip():
            raise refusal.invalid()
        with site.database.writing() as work:
            if not lock_database(work, user.name, reason.strip()):
                raise refusal.locked()
        return RedirectResponse("/users", 303)


def _audit_page(router: APIRouter, site: Site) -> None:
    @router.get("/audit")
    def audit(request: Request, page: PageNumber = 1, who: FilterText = "", action: FilterText = "") -> Response:
        verdict = verify_tables(site.database)
        with site.database.reading() as connection:
            rows, pages = audit_files.entries(connection, page, who, action)
            actions = audit_files.actions(connection)
        shown = {"entries": rows, "page": page, "pages": pages, "who": who, "action": action, "actions": actions}
        return site.page(request, "audit.html", verdict=verdict, **shown)


def _audit_files(router: APIRouter, site: Site) -> None:
    @router.get("/audit.csv")
    def audit_csv() -> Response:
        with site.database.reading() as connection:
            text = "".join(audit_files.csv_of(connection))
        return _download(text, "text/csv; charset=utf-8", "audit.csv")

    @router.get("/audit.pdf")
    def audit_pdf(request: Request) -> Response:
        verdict = verify_tables(site.database)
        with site.database.reading() as connection:
            rows = audit_files.without_saves(connection)
        shown = {"entries": rows, "font_url": REPORT_FONT.as_uri(), "made_at": stamp(site.database.clock())}
        page = site.page(request, "audit_pdf.html", verdict=verdict, **shown)
        return _download(pdf_from(bytes(page.body).decode()), "application/pdf", "audit.pdf")


def _download(content: str | bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    return Response(content, media_type=media_type, headers=headers)
