"""What all routes of one reading page share: its parts, how a template is filled, how an answer looks."""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from sparcc_pipeline.app.reader.accounts.users import Accounts, Role, User
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
from sparcc_pipeline.app.reader.readings.calibration import Training
from sparcc_pipeline.app.reader.readings.reading import Readings, is_begun
from sparcc_pipeline.app.reader.readings.second_opinion import SecondOpinions
from sparcc_pipeline.app.reader.settings import ReaderSettings
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.access import Gate
from sparcc_pipeline.app.reader.web.script_words import script_words
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.trial.protocol.definition import Protocol

LANGUAGE_COOKIE: Final = "sparcc_language"
_STATIC: Final = files("sparcc_pipeline.app.reader.web") / "static"


class Site:
    """The parts of one reading page."""

    def __init__(self, settings: ReaderSettings, database: ReaderDatabase, protocol: Protocol) -> None:
        self.settings, self.database, self.protocol = settings, database, protocol
        self.store = PictureStore(database.folder)
        self.accounts = Accounts(database, settings.session)
        self.readings = Readings(database, self.store)
        self.opinions = SecondOpinions(database, self.store, settings.reading.second_opinion)
        self.training = Training(database, settings)
        self.gate = Gate(self.accounts, database.key)
        self.cookie: dict[str, Any] = {
            "httponly": True, "samesite": "strict", "secure": settings.server.https, "path": "/",
        }  # fmt: skip

    def own_case(self, user: User, code: str) -> Assignment:
        """A user's own case, if it is its turn.

        Raises
        ------
        Refusal : not there, another's, or not yet
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
        """A template, filled."""
        words = words_of(request)
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
    """Kinds of cases that a user reads."""
    return (PRIMARY, TRAINING) if user.role is Role.READER else (ADJUDICATION, TRAINING)


def signed_in(request: Request) -> User:
    """The user of a request that passed the gate."""
    user: User = request.state.user
    return user


def user_of(request: Request, *, optional: bool) -> User | None:
    """The user of a request, if there is one."""
    user: User | None = getattr(request.state, "user", None)
    if user is None and not optional:
        raise refusal.sign_in()
    return user


def words_of(request: Request) -> Language:
    """The language of a request: the user's, or that of the cookie before sign-in."""
    user = user_of(request, optional=True)
    chosen = user.language if user is not None else request.cookies.get(LANGUAGE_COOKIE, "")
    code: LanguageCode = "zh" if chosen == "zh" else "en"
    return language(code)


def static_url(name: str) -> str:
    """The address of a static file."""
    return f"/static/{name}"


def local_path(path: str) -> str | None:
    """`path` if it is one of this site, never another one."""
    own = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if own else None


def static_file(name: str) -> Path | None:
    """A static file by its name; None where there is none."""
    known = {file.name: file for file in _STATIC.iterdir() if file.is_file()}
    return Path(str(known[name])) if name in known else None
