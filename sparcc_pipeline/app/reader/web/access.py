"""Access rights: one table of all routes and their roles. A route that is not in the table is refused to all users.

Contents: `ACCESS`, `Gate`. Every request passes `Gate.check`: session, role and, for a request that writes, a token
that other sites cannot know.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sparcc_pipeline.app.reader.accounts.roles import READING_ROLES, Role, User
from sparcc_pipeline.app.reader.accounts.users import Accounts
from sparcc_pipeline.app.reader.web import refusal
from sparcc_pipeline.app.reader.web.refusal import Refusal
from sparcc_pipeline.message import Message

SESSION_COOKIE: Final = "sparcc_session"
GUEST_COOKIE: Final = "sparcc_guest"
"""A random value for the token of forms before sign-in; it is never a session."""

ALL: Final = frozenset({"guest", *Role})
SIGNED_IN: Final = frozenset(Role)
_READING: Final = frozenset(READING_ROLES)
_NIGHT: Final = frozenset({Role.COORDINATOR, Role.SITE})

ACCESS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("GET", "/"): ALL,
    ("GET", "/login"): ALL,
    ("POST", "/login"): ALL,
    ("POST", "/language"): ALL,
    ("GET", "/static/{name}"): ALL,
    ("POST", "/logout"): SIGNED_IN,
    ("GET", "/password"): SIGNED_IN,
    ("POST", "/password"): SIGNED_IN,
    ("GET", "/worklist"): _READING,
    ("GET", "/case/{code}"): _READING,
    ("GET", "/case/{code}/second-opinion"): frozenset({Role.READER}),
    ("GET", "/calibration"): _READING,
    ("POST", "/calibration/repeat"): _READING,
    ("GET", "/coordinator"): frozenset({Role.COORDINATOR}),
    ("GET", "/coordinator/readers"): frozenset({Role.COORDINATOR}),
    ("POST", "/coordinator/assign"): frozenset({Role.COORDINATOR}),
    ("POST", "/coordinator/adjudicator"): frozenset({Role.COORDINATOR}),
    ("GET", "/night"): _NIGHT,
    ("GET", "/api/night"): _NIGHT,
    ("POST", "/night/release"): frozenset({Role.COORDINATOR}),
    ("POST", "/night/reject"): frozenset({Role.COORDINATOR}),
    ("POST", "/night/retry"): frozenset({Role.COORDINATOR}),
    ("POST", "/night/supersede"): frozenset({Role.COORDINATOR}),
    ("POST", "/night/whose"): frozenset({Role.COORDINATOR}),
    ("GET", "/users"): frozenset({Role.ADMINISTRATOR}),
    ("POST", "/users"): frozenset({Role.ADMINISTRATOR}),
    ("POST", "/users/reset"): frozenset({Role.ADMINISTRATOR}),
    ("POST", "/users/active"): frozenset({Role.ADMINISTRATOR}),
    ("POST", "/users/database-lock"): frozenset({Role.ADMINISTRATOR}),
    ("GET", "/audit"): frozenset({Role.AUDITOR}),
    ("GET", "/audit.csv"): frozenset({Role.AUDITOR}),
    ("GET", "/audit.pdf"): frozenset({Role.AUDITOR}),
    ("GET", "/api/cases/{code}"): _READING,
    ("GET", "/api/cases/{code}/images/{label}/{series}/{slice_index}"): _READING,
    ("PUT", "/api/cases/{code}/reading"): _READING,
    ("POST", "/api/cases/{code}/lock"): _READING,
    ("POST", "/api/cases/{code}/correction"): _READING,
    ("GET", "/api/cases/{code}/feedback"): _READING,
    ("GET", "/api/cases/{code}/second-opinion"): frozenset({Role.READER}),
    ("POST", "/api/cases/{code}/second-opinion"): frozenset({Role.READER}),
    ("GET", "/api/cases/{code}/overlay/{label}/{slice_index}"): frozenset({Role.READER}),
    ("PUT", "/api/cases/{code}/revision"): frozenset({Role.READER}),
    ("POST", "/api/cases/{code}/revision/lock"): frozenset({Role.READER}),
}
"""Roles by method and path; "guest" stands for a request without a signed-in user."""

WHILE_PASSWORD_IS_OLD: Final = frozenset({"/", "/password", "/logout", "/login", "/language", "/static/{name}"})
"""Paths that a user may call before changing a first password, which the administrator has seen."""

ASKED_BY_ITSELF: Final = frozenset({"/api/night"})
"""Paths that a page asks without its user: they keep no session alive."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})
LONGEST_BODY: Final = 1_000_000


class Gate:
    """Checks every request before its route runs."""

    def __init__(self, accounts: Accounts, key: bytes) -> None:
        self._accounts, self._key = accounts, key

    async def check(self, request: Request) -> None:
        """Accept a request and set `request.state.user`, or refuse it.

        Raises
        ------
        Refusal : not signed in, wrong role, request of another site, or the password must be changed first
        """
        path = getattr(request.scope.get("route"), "path", "")
        allowed = ACCESS.get((request.method, path), frozenset())
        by_user = path not in ASKED_BY_ITSELF
        user: User | None = await run_in_threadpool(
            self._accounts.user_of, request.cookies.get(SESSION_COOKIE), by_user=by_user
        )
        request.state.user = user
        if user is None and "guest" not in allowed:
            raise refusal.sign_in()
        if user is not None and user.role not in allowed:
            raise refusal.forbidden()
        if user is not None and user.must_change and path not in WHILE_PASSWORD_IS_OLD:
            raise Refusal(403, "forbidden", Message("change the password first"))
        if request.method not in _SAFE:
            await self._require_own_page(request)

    def csrf_of(self, request: Request) -> str:
        """Return the token that forms and scripts of this session must send."""
        user: User | None = getattr(request.state, "user", None)
        return user.csrf if user is not None else self._guest_token(request.state.guest)

    async def _require_own_page(self, request: Request) -> None:
        given = request.headers.get("x-csrf-token")
        if given is None and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            given = str((await request.form()).get("csrf", ""))
        site = request.headers.get("sec-fetch-site", "same-origin")
        right = given is not None and hmac.compare_digest(given.encode(), self.csrf_of(request).encode())
        if not right or site not in _OWN_SITE:
            raise Refusal(403, "csrf", Message("this form has expired: load the page again"))

    def _guest_token(self, guest: str) -> str:
        return hmac.new(self._key, f"guest/{guest}".encode(), "sha256").hexdigest()


def new_guest() -> str:
    """Return a random value for `GUEST_COOKIE`."""
    return secrets.token_urlsafe(24)
