"""Attacks: forged forms, planted sessions, guessed passwords, injected text, replays, random requests."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.core.result import Ok

from ..conftest import PASSWORD, Browser, Opener, World

NASTY = [
    "' OR 1=1 --",
    "'; DROP TABLE reader_users; --",
    "ann' --",
    '"><script>alert(1)</script>',
    "{{ 7 * 7 }}",
    "a" * 199,
]

WITH_NUL = "a\x00b"


def test_a_form_without_its_token_or_with_another_one_is_refused(world: World) -> None:
    ann, ben = world.browser("ann"), world.browser("ben")
    code = ann.first_case()
    body = {"revision": 0, "content": ann.case(code)["reading"]["content"]}
    for token in ("", "x" * 43, ben.token, world.browser().token):
        answer = ann.put(f"/api/cases/{code}/reading", json=body, headers={"X-CSRF-Token": token})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "csrf")
        assert ann.post("/logout", data={"csrf": token}).status_code == 403
    assert ann.put(f"/api/cases/{code}/reading", json=body).status_code == 403
    assert ann.case(code)["reading"]["revision"] == 0


def test_a_form_from_another_site_is_refused_even_with_the_token(world: World) -> None:
    ann = world.browser("ann")
    headers = {"X-CSRF-Token": ann.token, "Sec-Fetch-Site": "cross-site"}
    assert ann.post("/logout", headers=headers).status_code == 403
    assert ann.get("/worklist").status_code == 200


def test_signing_in_from_another_site_is_refused(world: World) -> None:
    attacker, victim = world.browser(), world.browser()
    victim.get("/login")
    fields = {"csrf": attacker.token, "name": "ben", "password": PASSWORD}
    assert victim.post("/login", data=fields).status_code == 403


def test_a_planted_session_is_never_used_after_sign_in(world: World) -> None:
    victim = world.browser()
    victim.cookies.set("sparcc_session", "planted", domain="127.0.0.1", path="/")
    victim.sign_in("ann")
    assert victim.get("/worklist").status_code == 200

    attacker = world.browser()
    attacker.cookies.set("sparcc_session", "planted", domain="127.0.0.1", path="/")
    assert attacker.get("/worklist").headers["location"] == "/login"
    first = victim.cookies["sparcc_session"]
    victim.sign_in("ann")
    assert victim.cookies["sparcc_session"] != first


def test_a_session_ends_when_it_is_signed_out_idle_or_old(world: World) -> None:
    ann, thief = world.browser("ann"), world.browser()
    thief.cookies.set("sparcc_session", ann.cookies["sparcc_session"], domain="127.0.0.1", path="/")
    assert ann.form("/logout").status_code == 303
    assert thief.get("/worklist").status_code == 303

    ann = world.browser("ann")
    world.clock.pass_time(minutes=29)
    assert ann.get("/worklist").status_code == 200
    world.clock.pass_time(minutes=31)
    assert ann.get("/worklist").status_code == 303

    ann = world.browser("ann")
    for _ in range(25):
        world.clock.pass_time(minutes=29)
        last = ann.get("/worklist").status_code
    assert last == 303, "twelve hours are the longest"


def test_the_database_holds_no_password_and_no_session_token(world: World) -> None:
    ann = world.browser("ann")
    dump = (world.database.folder / "ledger.sqlite").read_bytes()
    wal = world.database.folder / "ledger.sqlite-wal"
    dump += wal.read_bytes() if wal.exists() else b""
    assert PASSWORD.encode() not in dump and ann.cookies["sparcc_session"].encode() not in dump
    assert b"$argon2id$" in dump


def test_what_is_typed_as_a_name_stays_out_of_the_trail(world: World) -> None:
    world.browser().sign_in("my password, by mistake", "x")
    assert "by mistake" not in world.browser("fay").get("/audit.csv").text


@pytest.mark.parametrize("text", NASTY)
def test_injected_text_is_text(world: World, text: str) -> None:
    assert world.browser().sign_in(text, text).status_code == 401
    auditor = world.browser("fay")
    for parameter in ("who", "action"):
        answer = auditor.get("/audit", params={parameter: text[:32]})
        assert answer.status_code == 200 and "<script>alert" not in answer.text and "49" not in answer.text.split()
    assert world.browser("eva").form("/users", name=text, code=text, role="reader").status_code == 422
    ann = world.browser("ann")
    code = ann.first_case()
    state = ann.read(code)
    for visit in state["content"]["visits"].values():
        visit["comment"] = text
    saved = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 1, "content": state["content"]})
    assert saved.status_code == 200 and saved.json()["content"]["visits"]["A"]["comment"] == text
    for page in (ann.get(f"/case/{code}"), world.browser("fay").get("/audit")):
        assert page.status_code == 200 and "<script>alert" not in page.text


def test_what_a_database_cannot_hold_is_refused(world: World) -> None:
    assert world.browser().sign_in(WITH_NUL, WITH_NUL).status_code == 422
    assert world.browser("fay").get("/audit", params={"who": WITH_NUL}).status_code == 422
    ann = world.browser("ann")
    code = ann.first_case()
    content = ann.case(code)["reading"]["content"]
    for text in (WITH_NUL, "\ud800"):
        content["comment"] = text
        body = json.dumps({"revision": 0, "content": content})
        headers = {"X-CSRF-Token": ann.token, "Content-Type": "application/json"}
        assert ann.put(f"/api/cases/{code}/reading", content=body, headers=headers).status_code == 422


@pytest.mark.parametrize("code", ["AAAAA-AAAAA", "'--", "..%2f..%2fetc", "%00", "A" * 400, "1"])
def test_a_forged_code_opens_nothing(world: World, code: str) -> None:
    ann = world.browser("ann")
    assert ann.get(f"/case/{code}").status_code in (404, 422)
    assert ann.get(f"/api/cases/{code}").status_code in (404, 422)
    assert ann.get(f"/api/cases/{code}/images/A/stir/1").status_code in (404, 422)


@pytest.mark.parametrize("name", ["../server.py", "..%2fserver.py", "%2e%2e/server.py", "nothing.js", "/etc/passwd"])
def test_only_the_static_files_are_served(world: World, name: str) -> None:
    assert world.browser().get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)"])
def test_no_form_leads_to_another_site(world: World, path: str) -> None:
    assert world.browser().form("/language", language="zh", back=path).headers["location"] == "/"
    assert world.browser().form("/login", name="ann", password=PASSWORD, next=path).headers["location"] == "/"


def test_a_replayed_form_does_nothing_twice(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    state = ann.read(code)
    again = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 0, "content": state["content"]})
    assert again.status_code == 409 and again.json()["reading"]["revision"] == 1
    assert ann.lock(code, 1).status_code == 200
    assert ann.lock(code, 1).json()["error"]["code"] == "locked"

    dee = world.browser("dee")
    before = dee.get("/coordinator").text.count("ann")
    assert dee.form("/coordinator/assign", reader="ann").status_code == 303
    assert dee.get("/coordinator").text.count("ann") == before


def test_a_body_without_a_length_is_refused(world: World) -> None:
    ann = world.browser("ann")
    headers = {"X-CSRF-Token": ann.token}
    assert ann.post("/logout", content=b"x" * 1_000_001, headers=headers).status_code == 413
    assert ann.post("/logout", headers=headers | {"Content-Length": "many"}).status_code == 413


def test_behind_tls_cookies_are_sent_over_tls_only(opened: Opener) -> None:
    world = opened(server={"https": True})
    answer = world.browser().get("/login")
    assert "Secure" in answer.headers["set-cookie"] and "max-age" in answer.headers["strict-transport-security"]


def test_random_requests_from_the_description_break_nothing(world: World) -> None:
    """Call every operation of the OpenAPI description, signed in, with valid and invalid data."""
    schema = schemathesis.openapi.from_dict(world.app.openapi())
    browsers = {name: world.browser(name) for name in ("ann", "cem", "dee", "eva", "fay")}
    tokens = {name: browser.token for name, browser in browsers.items()}
    skipped = {"/logout", "/audit.pdf", "/users/database-lock", "/users/active", "/users/reset", "/password", "/login"}
    code, failed = browsers["ann"].first_case(), []

    operations = list(schema.get_all_operations())
    for operation in [each.ok() for each in operations if isinstance(each, Ok)]:
        if operation.path in skipped:
            continue
        name = next((n for n in browsers if _may(browsers[n], tokens[n], operation)), "ann")
        browser, token = browsers[name], tokens[name]

        @hypothesis.settings(
            max_examples=4,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def one(case: Any) -> None:
            if "code" in case.path_parameters:
                case.path_parameters["code"] = code
            sent = case.as_transport_kwargs(base_url="http://127.0.0.1:8470")
            sent["headers"] = {**dict(sent.get("headers") or {}), "X-CSRF-Token": token}  # noqa: B023
            sent.pop("cookies", None)
            answer = browser.request(**sent)  # noqa: B023
            if answer.status_code >= 500:
                failed.append((case.method, case.path, answer.status_code))

        one()
    assert failed == [] and all(isinstance(each, Ok) for each in operations)
    assert world.database.verify().sound


def _may(browser: Browser, token: str, operation: Any) -> bool:
    path = re.sub(r"\{\w+\}", "A", operation.path)
    return browser.request(operation.method.upper(), path, headers={"X-CSRF-Token": token}).status_code not in (
        401,
        403,
    )
