"""Routes for the script of the page: a case and its images, save, lock, correct, second opinion.

Contents: `api_routes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, StrictInt
from sqlalchemy import Row

from sparcc_pipeline.app.reader.cases.levels import Levels
from sparcc_pipeline.app.reader.readings.adjudication import give_to_least_busy
from sparcc_pipeline.app.reader.readings.assignments import PRIMARY, Assignment
from sparcc_pipeline.app.reader.readings.content import NO_NUL, QUALITIES, REASONS, Comment, Content, Model
from sparcc_pipeline.app.reader.readings.stored import earlier_versions, image_folders, visits_of
from sparcc_pipeline.app.reader.readings.views import (
    CaseView,
    FeedbackView,
    ReadingState,
    ReasonedChange,
    SecondOpinionView,
    VisitView,
)
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL, StructuralContent
from sparcc_pipeline.app.reader.structural.third import give_third
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.site import Site, signed_in

Code = Annotated[str, Path(max_length=16, pattern=NO_NUL)]
LabelPath = Annotated[str, Path(pattern=r"^[A-H]$")]
SliceIndex = Annotated[int, Path(ge=0, le=9999)]
Revision = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]
Password = Annotated[str, Field(max_length=200, pattern=NO_NUL)]

_BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


class Save(Model):
    """A reading to save, and the revision that it is based on."""

    revision: Revision
    content: Content | StructuralContent


class SaveRevision(Model):
    """A revised reading to save, with a reason for each changed point."""

    revision: Revision
    content: Content
    reasons: Annotated[list[ReasonedChange], Field(max_length=1000)]


class Signature(Model):
    """The password again, and the signed revision."""

    revision: Revision
    password: Password


class Correction(Model):
    """The reason for the correction of a locked reading."""

    reason: Comment


def api_routes(site: Site) -> APIRouter:
    """Return the routes of the script; each answers with JSON or pixels."""
    router = APIRouter(prefix="/api/cases/{code}", responses=_ERRORS)

    def own(request: Request, code: str) -> Assignment:
        return site.own_case(signed_in(request), code)

    _images(router, site, own)
    _reading(router, site, own)
    _second_opinion(router, site, own)
    return router


_REFUSED = {"content": {"application/json": {"schema": {"type": "object", "required": ["error"]}}}}
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: _REFUSED | {"description": "not signed in"},
    403: _REFUSED | {"description": "not for this role, or not from this page"},
    404: _REFUSED | {"description": "not found"},
    409: _REFUSED | {"description": "locked, not open yet, or saved elsewhere"},
    413: _REFUSED | {"description": "too large"},
    422: _REFUSED | {"description": "not valid, or not complete"},
}

Own = Callable[[Request, str], Assignment]


def _images(router: APIRouter, site: Site, own: Own) -> None:
    @router.get("")
    def case(request: Request, code: Code) -> CaseView:
        assignment = own(request, code)
        with site.database.reading() as connection:
            rows = visits_of(connection, assignment)
            earlier = earlier_versions(connection, assignment)
            second_opinion = site.opinions.state(connection, assignment)
        reading = site.readings.state(assignment)
        assert reading is not None
        return CaseView.model_validate(
            {
                "code": assignment.code,
                "mode": assignment.kind,
                "second_opinion": second_opinion,
                "may_correct": site.readings.may_correct(assignment),
                "visits": _visits(site, rows),
                "reading": reading,
                "earlier": earlier,
                "reasons": REASONS,
                "qualities": QUALITIES,
            }
        )

    @router.get("/images/{label}/{series}/{slice_index}", response_class=Response, responses=_BYTES)
    def image(
        request: Request, code: Code, label: LabelPath, series: Literal["stir", "t1"], slice_index: SliceIndex
    ) -> Response:
        assignment = own(request, code)
        with site.database.reading() as connection:
            folder = image_folders(connection, assignment).get(label)
        content = None if folder is None else site.store.image(folder, series, slice_index)
        if content is None:
            raise refusal.not_found()
        return _gzipped(content)


def _visits(site: Site, rows: Mapping[str, Row[Any]]) -> list[VisitView]:
    """Return the images of every time point, each with the slices at which its reading opens."""
    levels = Levels(rows, {label: site.store.view(row.images) for label, row in rows.items()})
    first, matrices = levels.first_slices, levels.matrices
    return [
        VisitView(
            **{**dict(view), "proposed_first": first[label]},
            label=label,
            proposed=bool(view.joints),
            level=matrices[label],
        )
        for label, view in levels.views.items()
    ]


def _reading(router: APIRouter, site: Site, own: Own) -> None:
    @router.put("/reading")
    def save(request: Request, code: Code, body: Save) -> ReadingState:
        return site.readings.save(signed_in(request), own(request, code), body.revision, body.content)

    @router.post("/lock")
    def lock(request: Request, code: Code, body: Signature) -> ReadingState:
        user, assignment = signed_in(request), own(request, code)
        site.accounts.require_password(user, body.password)
        locked = site.readings.lock(user, assignment, body.revision)
        if assignment.kind == STRUCTURAL:
            with site.database.writing() as work:
                give_third(work, assignment.case_id, site.settings.structural, site.settings.reading)
        if assignment.kind == PRIMARY:
            with site.database.writing() as work:
                give_to_least_busy(work, assignment.case_id, site.protocol, site.settings.reading)
        return locked

    @router.post("/correction")
    def correct(request: Request, code: Code, body: Correction) -> ReadingState:
        return site.readings.correct(signed_in(request), own(request, code), body.reason)

    @router.get("/feedback")
    def feedback(request: Request, code: Code) -> FeedbackView:
        return site.training.feedback(signed_in(request), own(request, code))


def _second_opinion(router: APIRouter, site: Site, own: Own) -> None:
    @router.get("/second-opinion")
    def second_opinion(request: Request, code: Code) -> SecondOpinionView:
        return site.opinions.view(own(request, code))

    @router.post("/second-opinion")
    def open_second_opinion(request: Request, code: Code) -> SecondOpinionView:
        site.opinions.open(signed_in(request), own(request, code))
        return site.opinions.view(own(request, code))

    @router.get("/overlay/{label}/{slice_index}", response_class=Response, responses=_BYTES)
    def overlay(request: Request, code: Code, label: LabelPath, slice_index: SliceIndex) -> Response:
        return _gzipped(site.opinions.overlay(own(request, code), label, slice_index))

    @router.put("/revision")
    def save_revision(request: Request, code: Code, body: SaveRevision) -> ReadingState:
        user, assignment = signed_in(request), own(request, code)
        return site.readings.save_revision(user, assignment, body.revision, body.content, body.reasons)

    @router.post("/revision/lock")
    def lock_revision(request: Request, code: Code, body: Signature) -> ReadingState:
        user, assignment = signed_in(request), own(request, code)
        site.accounts.require_password(user, body.password)
        return site.readings.lock_revision(user, assignment, body.revision)


def _gzipped(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream", headers={"Content-Encoding": "gzip"})
