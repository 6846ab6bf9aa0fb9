"""Access rights: every route with every role, and without a user."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute

from sparcc_pipeline.app.reader.web import office_routes

from ..conftest import USERS, Browser, Opener, World

ALL = {"guest", "reader", "adjudicator", "coordinator", "administrator", "auditor", "site"}
IN = ALL - {"guest"}
READING = {"reader", "adjudicator"}

ALLOWED: dict[tuple[str, str], set[str]] = {
    ("GET", "/"): ALL,
    ("GET", "/login"): ALL,
    ("POST", "/login"): ALL,
    ("POST", "/language"): ALL,
    ("GET", "/static/{name}"): ALL,
    ("POST", "/logout"): IN,
    ("GET", "/password"): IN,
    ("POST", "/password"): IN,
    ("GET", "/worklist"): READING,
    ("GET", "/case/{code}"): READING,
    ("GET", "/case/{code}/second-opinion"): {"reader"},
    ("GET", "/calibration"): READING,
    ("POST", "/calibration/repeat"): READING,
    ("GET", "/coordinator"): {"coordinator"},
    ("GET", "/coordinator/readers"): {"coordinator"},
    ("POST", "/coordinator/assign"): {"coordinator"},
    ("POST", "/coordinator/adjudicator"): {"coordinator"},
    ("GET", "/night"): {"coordinator", "site"},
    ("GET", "/api/night"): {"coordinator", "site"},
    ("POST", "/night/release"): {"coordinator"},
    ("POST", "/night/reject"): {"coordinator"},
    ("POST", "/night/retry"): {"coordinator"},
    ("POST", "/night/supersede"): {"coordinator"},
    ("POST", "/night/whose"): {"coordinator"},
    ("GET", "/users"): {"administrator"},
    ("POST", "/users"): {"administrator"},
    ("POST", "/users/reset"): {"administrator"},
    ("POST", "/users/active"): {"administrator"},
    ("POST", "/users/database-lock"): {"administrator"},
    ("GET", "/audit"): {"auditor"},
    ("GET", "/audit.csv"): {"auditor"},
    ("GET", "/audit.pdf"): {"auditor"},
    ("GET", "/api/cases/{code}"): READING,
    ("GET", "/api/cases/{code}/images/{label}/{series}/{slice_index}"): READING,
    ("PUT", "/api/cases/{code}/reading"): READING,
    ("POST", "/api/cases/{code}/lock"): READING,
    ("POST", "/api/cases/{code}/correction"): READING,
    ("GET", "/api/cases/{code}/feedback"): READING,
    ("GET", "/api/cases/{code}/second-opinion"): {"reader"},
    ("POST", "/api/cases/{code}/second-opinion"): {"reader"},
    ("GET", "/api/cases/{code}/overlay/{label}/{slice_index}"): {"reader"},
    ("PUT", "/api/cases/{code}/revision"): {"reader"},
    ("POST", "/api/cases/{code}/revision/lock"): {"reader"},
}
"""A second, independent copy of the intended rights."""

PARTS = {"code": "AAAAA-AAAAA", "label": "A", "series": "stir", "slice_index": "4", "name": "style.css"}


def routes(world: World) -> Iterator[tuple[str, str]]:
    for route in world.app.routes:
        # Starlette's own kinds of routes (mounts, web sockets) would be no APIRoute: there must be none.
        for each in route.effective_candidates() if hasattr(route, "effective_candidates") else [route]:
            each = getattr(each, "original_route", each)
            assert isinstance(each, APIRoute), each
            yield from ((method, each.path) for method in each.methods or ())


def call(browser: Browser, token: str, method: str, path: str) -> int | str:
    """Return the status of a request with a valid token, or "login" if it is redirected to the sign-in."""
    address = re.sub(r"\{(\w+)\}", lambda part: PARTS[part[1]], path)
    answer = browser.request(method, address, headers={"X-CSRF-Token": token})
    return "login" if answer.headers.get("location") == "/login" and path != "/" else answer.status_code


def test_every_route_has_an_entry_and_every_entry_a_route(world: World) -> None:
    assert {(method, path) for method, path in routes(world)} == set(ALLOWED)


def test_each_role_may_call_its_own_routes_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_routes, "pdf_from", lambda page: b"%PDF-")  # drawing it takes seconds
    wrong = []
    for name, role in [("", "guest"), *((name, role.value) for name, role in USERS.items() if name != "ben")]:
        browser = world.browser(name or None)
        token = browser.token
        # The sign-out comes last.
        for (method, path), allowed in sorted(ALLOWED.items(), key=lambda entry: entry[0][1] == "/logout"):
            status = call(browser, token, method, path)
            refused = status in (401, "login") if role == "guest" else status == 403
            if refused == (role in allowed) and not (path == "/logout" and status == "login"):
                wrong.append((role, method, path, status))
    assert wrong == []


def test_a_case_of_another_reader_is_not_found(world: World) -> None:
    ann, ben = world.browser("ann"), world.browser("ben")
    code, token = ann.first_case(), ben.token
    ann.read_and_lock(code)

    for method, path in [key for key in ALLOWED if "{code}" in key[1]]:
        other = ben.request(method, path.format(**(PARTS | {"code": code})), headers={"X-CSRF-Token": token})
        none = ben.request(method, path.format(**PARTS), headers={"X-CSRF-Token": token})
        # The answer for another's case is the one for no case at all, to the byte but for the address.
        assert other.status_code in (404, 422)
        assert other.status_code == none.status_code
        assert other.text.replace(code, "") == none.text.replace(PARTS["code"], "")


def test_cases_are_opened_in_their_order_only(world: World) -> None:
    ann = world.browser("ann")
    page = ann.get("/worklist").text
    codes = re.findall(r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b", page)
    first = ann.first_case()
    waiting = next(code for code in codes if code != first)

    assert ann.get(f"/api/cases/{waiting}").status_code == 404
    ann.read_and_lock(first)
    assert ann.first_case() in codes


def test_a_first_password_opens_nothing_but_its_change(world: World) -> None:
    password = world.site.accounts.reset("ann")
    ann = world.browser()
    assert ann.sign_in("ann", password).status_code == 303

    assert ann.get("/worklist").headers["location"] == "/password"
    assert ann.get("/api/cases/AAAAA-AAAAA").status_code == 403
    new = "another long password"
    assert ann.form("/password", old=password, new=new, again=new).headers["location"] == "/login?changed=yes"
    assert "your password was changed: sign in with the new one" in ann.get("/login?changed=yes").text.lower()
    assert ann.get("/worklist").status_code == 303
    assert ann.sign_in("ann", new).status_code == 303
    assert ann.get("/worklist").status_code == 200


def test_the_real_cases_are_closed_before_calibration(opened: Opener) -> None:
    world = opened(calibration={"required": True, "visits": 3, "icc": 0.8})
    with world.database.reading() as connection:
        code = next(iter(connection.exec_driver_sql("SELECT code FROM reader_assignments ORDER BY position"))).code
    ann = world.browser("ann")

    assert f"/case/{code}" not in ann.get("/worklist").text
    assert ann.get(f"/api/cases/{code}").status_code == 404
