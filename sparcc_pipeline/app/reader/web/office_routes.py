"""Pages of those who do not read: coordinator, administrator, auditor."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import update

from sparcc_pipeline.app.reader.accounts.users import Role
from sparcc_pipeline.app.reader.audit import files as audit_files
from sparcc_pipeline.app.reader.audit.trail import stamp
from sparcc_pipeline.app.reader.readings import adjudication
from sparcc_pipeline.app.reader.readings.assignments import assign, cases, readers
from sparcc_pipeline.app.reader.readings.content import NO_NUL
from sparcc_pipeline.app.reader.readings.coordination import case_progress, reader_progress
from sparcc_pipeline.app.reader.tables import STATE
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.site import Site, signed_in
from sparcc_pipeline.app.report.pdf import pdf_from
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.message import Message

ShortText = Annotated[str, Form(max_length=200, pattern=NO_NUL)]
Name = Annotated[str, Form(max_length=32, pattern=NO_NUL)]
CaseId = Annotated[int, Form(ge=1, le=2**31 - 1)]


def office_routes(site: Site) -> APIRouter:
    """The routes, all of which answer with a page or a file."""
    router = APIRouter(default_response_class=HTMLResponse)
    _coordinator(router, site)
    _administrator(router, site)
    _auditor(router, site)
    return router


def _coordinator(router: APIRouter, site: Site) -> None:
    @router.get("/coordinator")
    def coordinator(request: Request) -> Response:
        with site.database.reading() as connection:
            return site.page(
                request,
                "coordinator.html",
                cases=case_progress(connection, site.protocol),
                readers=[row.name for row in readers(connection, Role.READER)],
                adjudicators=[row.name for row in readers(connection, Role.ADJUDICATOR)],
                progress=reader_progress(connection),
                database_locked=site.database.is_locked(connection),
            )

    @router.post("/coordinator/assign")
    def assign_cases(
        request: Request, reader: Annotated[list[Name], Form()], case: Annotated[list[CaseId], Form()] = []
    ) -> Response:  # noqa: B006
        user = signed_in(request)
        with site.database.writing() as work:
            known = {row.name: row for row in readers(work.connection, Role.READER)}
            every = {row.id for row in cases(work.connection, training=False)}
            if not set(reader) <= set(known) or not set(case) <= every or site.database.is_locked(work.connection):
                raise refusal.invalid()
            for name in sorted(set(reader)):
                assign(work, known[name], sorted(set(case) or every), site.settings.reading, by=user.name)
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


def _administrator(router: APIRouter, site: Site) -> None:
    def users_page(request: Request, status: int = 200, **context: Any) -> Response:
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
        everything = {
            "users": shown,
            "roles": [role.value for role in Role],
            "database_locked": locked,
            "one_time": None,
        }
        return site.page(request, "users.html", status, **(everything | context))

    @router.get("/users")
    def users(request: Request) -> Response:
        return users_page(request)

    @router.post("/users")
    def add(request: Request, name: ShortText, code: ShortText, role: Annotated[Role, Form()]) -> Response:
        try:
            password = site.accounts.add(name.strip(), code.strip(), role, by=signed_in(request).name)
        except ConfigError:
            wrong = Message("expected a new name (small letters and digits) and a new code (letters and digits)")
            return users_page(request, 422, error=wrong)
        return users_page(request, one_time={"name": name.strip(), "password": password})

    @router.post("/users/reset")
    def reset(request: Request, name: Name) -> Response:
        password = site.accounts.reset(name, by=signed_in(request).name)
        return users_page(request, one_time={"name": name, "password": password})

    @router.post("/users/active")
    def active(request: Request, name: Name, active: Annotated[Literal["0", "1"], Form()]) -> Response:
        site.accounts.set_active(name, active == "1", by=signed_in(request).name)
        return RedirectResponse("/users", 303)

    @router.post("/users/database-lock")
    def database_lock(request: Request, password: ShortText, reason: ShortText) -> Response:
        user = signed_in(request)
        site.accounts.require_password(user, password)
        if not reason.strip():
            raise refusal.invalid()
        with site.database.writing() as work:
            if site.database.is_locked(work.connection):
                raise refusal.locked()
            work.connection.execute(update(STATE).values(database_locked_at=work.now))
            work.record(user.name, "lock_database", "database", reason=reason.strip())
        return RedirectResponse("/users", 303)


def _auditor(router: APIRouter, site: Site) -> None:
    @router.get("/audit")
    def audit(
        request: Request,
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
        who: Annotated[str, Query(max_length=32, pattern=NO_NUL)] = "",
        action: Annotated[str, Query(max_length=32, pattern=NO_NUL)] = "",
    ) -> Response:
        verdict = site.database.verify()
        with site.database.reading() as connection:
            rows, pages = audit_files.entries(connection, page, who, action)
            actions = audit_files.actions(connection)
        return site.page(
            request,
            "audit.html",
            entries=rows,
            page=page,
            pages=pages,
            who=who,
            action=action,
            actions=actions,
            verdict=verdict,
        )

    @router.get("/audit.csv")
    def audit_csv() -> Response:
        with site.database.reading() as connection:
            text = "".join(audit_files.csv_of(connection))
        return Response(
            text,
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": "attachment; filename=audit.csv"},
        )

    @router.get("/audit.pdf")
    def audit_pdf(request: Request) -> Response:
        verdict = site.database.verify()
        with site.database.reading() as connection:
            rows = audit_files.without_saves(connection)
        page = site.page(
            request,
            "audit_pdf.html",
            entries=rows,
            verdict=verdict,
            font_url=REPORT_FONT.as_uri(),
            made_at=stamp(site.database.clock()),
        )
        return Response(
            pdf_from(bytes(page.body).decode()),
            media_type="application/pdf",
            headers={"Content-Disposition": "attachment; filename=audit.pdf"},
        )
