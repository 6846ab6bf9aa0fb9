"""Shared parts of all routes: database, readings, accounts, templates, the user and language of a request.

Contents: `Site`, `signed_in`, `user_of`, `words_of`, `utc_now` and helpers for addresses.
"""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from sparcc_pipeline.app.reader.accounts.roles import Role, User
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.cases.picture_store import PictureStore
from sparcc_pipeline.app.reader.database import ReaderDatabase
from sparcc_pipeline.app.reader.readings.assignments import (
    ADJUDICATION,
    PRIMARY,
    TRAINING,
    Assignment,
    find_assignment,
    is_next,
)
from sparcc_pipeline.app.reader.readings.reading import Readings
from sparcc_pipeline.app.reader.readings.second_opinion import SecondOpinions
from sparcc_pipeline.app.reader.readings.stored import is_begun
from sparcc_pipeline.app.reader.reliability.calibration import Training
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL, STRUCTURAL_THIRD
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.access import Gate
from sparcc_pipeline.app.reader.web.script_words import script_words
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.trial.protocol.definition import Protocol

LANGUAGE_COOKIE: Final = "sparcc_language"
_STATIC: Final = files("sparcc_pipeline.app.reader.web") / "static"


class Site:
    """The parts of one reading page.

    Parameters
    ----------
    has_night : the server shows the morning of a night too (`night_routes`)
    """

    def __init__(
        self, settings: ReaderSettings, database: ReaderDatabase, protocol: Protocol, *, has_night: bool = False
    ) -> None:
        self.has_night = has_night
        self.settings, self.database, self.protocol = settings, database, protocol
        self.store = PictureStore(database.folder)
        self.accounts = Accounts(database, settings.session)
        self.readings = Readings(database, self.store)
        self.opinions = SecondOpinions(database, self.store, settings.reading.second_opinion)
        self.training = Training(database, settings)
        self.gate = Gate(self.accounts, database.key)
        self.cookie: dict[str, Any] = {
            "httponly": True,
            "samesite": "strict",
            "secure": settings.server.https,
            "path": "/",
        }

    def own_case(self, user: User, code: str) -> Assignment:
        """Return a user's own case, if it may be opened.

        Raises
        ------
        Refusal : unknown case, another user's case, or not yet open
        """
        with self.database.reading() as connection:
            found = find_assignment(connection, user.id, code)
            if found is None or found.kind not in kinds_of(user):
                raise refusal.not_found()
            if not is_begun(connection, found):
                closed = found.kind == PRIMARY and not self.training.is_open(connection, user)
                if closed or not is_next(connection, found):
                    raise refusal.not_found()
        return found

    def page(self, request: Request, name: str, status: int = 200, /, **context: Any) -> HTMLResponse:
        """Return a page from a template."""
        words = language_of(request)
        everywhere = {
            "_": words.say,
            "sentence": words.sentence,
            "lang": words.code,
            "user": user_of(request, optional=True),
            "csrf": self.gate.csrf_of(request),
            "static": static_url,
            "notice": None,
            "error": None,
            "path": request.url.path,
            "has_night": self.has_night,
            "script_words": script_words(words),
        }
        return HTMLResponse(self._templates.get_template(name).render(everywhere | context), status)

    @cached_property
    def _templates(self) -> Environment:
        return Environment(
            loader=PackageLoader("sparcc_pipeline.app.reader.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )


def kinds_of(user: User) -> tuple[str, ...]:
    """Return the kinds of cases that a user reads."""
    if user.role is Role.READER:
        return PRIMARY, TRAINING, STRUCTURAL
    return ADJUDICATION, TRAINING, STRUCTURAL_THIRD


def signed_in(request: Request) -> User:
    """Return the user of a request that passed the gate."""
    user: User = request.state.user
    return user


def user_of(request: Request, *, optional: bool) -> User | None:
    """Return the user of a request; None for a guest if `optional`."""
    user: User | None = getattr(request.state, "user", None)
    if user is None and not optional:
        raise refusal.sign_in()
    return user


def language_of(request: Request) -> Language:
    """Return the language of the user, or before sign-in the language of the cookie."""
    user = user_of(request, optional=True)
    chosen = user.language if user is not None else request.cookies.get(LANGUAGE_COOKIE, "")
    code: LanguageCode = "zh" if chosen == "zh" else "en"
    return language(code)


def static_url(name: str) -> str:
    """Return the address of a static file."""
    return f"/static/{name}"


def local_path(path: str) -> str | None:
    """Return `path` if it is a path of this site, else None."""
    own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if own else None


def static_file(name: str) -> Path | None:
    """Return a static file by its name; None if there is none."""
    known = {file.name: file for file in _STATIC.iterdir() if file.is_file()}
    return Path(str(known[name])) if name in known else None
