"""Guessed passwords: separate counters for sign-in and signature, limits for a flood, and a trail that stays small."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from argon2 import PasswordHasher

from sparcc_pipeline.app.reader.accounts.roles import Role, User
from sparcc_pipeline.app.reader.web.refusal import Refusal

from ..conftest import PASSWORD, World


def test_wrong_passwords_lock_an_account_and_all_give_the_same_message(world: World) -> None:
    words = set()
    for name, password in [("ann", "wrong"), ("unknown", "wrong"), ("ann", PASSWORD + "x")]:
        answer = world.browser().sign_in(name, password)
        assert answer.status_code == 401
        words.add(re.search(r'role="alert">([^<]*)<', answer.text)[1])  # type: ignore[index]
    for _ in range(3):
        world.browser().sign_in("ann", "wrong")
    answer = world.browser().sign_in("ann")
    words.add(re.search(r'role="alert">([^<]*)<', answer.text)[1])  # type: ignore[index]
    assert answer.status_code == 401 and len(words) == 1, "locked out, and the words are the same"
    world.clock.pass_time(minutes=16)
    assert world.browser().sign_in("ann").status_code == 303


def test_failed_sign_ins_do_not_end_the_session_of_the_user(world: World) -> None:
    ann = world.browser("ann")
    for _ in range(6):
        world.browser().sign_in("ann", "wrong")
    assert ann.get("/worklist").status_code == 200


def test_guessing_the_signature_ends_the_session(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    revision = ann.read(code)["revision"]
    token = ann.token
    for _ in range(5):
        body = {"revision": revision, "password": "guess"}
        answer = ann.post(f"/api/cases/{code}/lock", json=body, headers={"X-CSRF-Token": token})
        assert answer.json()["error"]["code"] == "wrong_password"
    assert ann.get("/worklist").status_code == 303
    world.clock.pass_time(minutes=16)
    assert world.browser("ann").case(code)["reading"]["state"] == "open"


def test_wrong_passwords_of_a_stranger_leave_the_signature_alone(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    revision = ann.read(code)["revision"]
    for _ in range(12):
        world.browser().sign_in("ann", "wrong")
    assert ann.lock(code, revision).status_code == 200


def test_wrong_passwords_of_one_address_do_not_lock_the_account_for_others(world: World) -> None:
    accounts = world.site.accounts
    for _ in range(30):
        with pytest.raises(Refusal):
            accounts.sign_in("ann", "wrong", "10.0.0.66")
    assert accounts.sign_in("ann", PASSWORD, "10.0.0.1")
    with pytest.raises(Refusal):
        accounts.sign_in("ann", PASSWORD, "10.0.0.66")


def test_an_attack_from_many_addresses_locks_the_account(world: World) -> None:
    accounts = world.site.accounts
    for number in range(25):
        with pytest.raises(Refusal):
            accounts.sign_in("ann", "wrong", f"10.0.1.{number}")
    with pytest.raises(Refusal):
        accounts.sign_in("ann", PASSWORD, "10.0.0.1")
    assert "locked out" in world.browser("eva").get("/users").text
    world.clock.pass_time(minutes=16)
    assert accounts.sign_in("ann", PASSWORD, "10.0.0.1")


def test_a_flood_of_sign_ins_leaves_the_trail_small(world: World) -> None:
    before = world.database.verify().entries
    for _ in range(100):
        world.browser().sign_in("ann", "wrong")
        world.browser().sign_in("nobody-here", "wrong")
    assert world.database.verify().entries <= before + 1


def test_a_flood_of_sign_ins_is_refused_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one password takes long, a dozen callers wait; all others hear so, and a signature has its own place."""
    slow, accounts = threading.Event(), world.site.accounts
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: slow.wait(20) and None)

    def guest(number: int) -> str:
        try:
            return accounts.sign_in("unknown", "wrong", f"10.0.2.{number}")
        except Refusal as refused:
            return refused.code

    with ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(guest, number) for number in range(60)]
        done, waiting = wait(answers, timeout=10)
        monkeypatch.setattr(PasswordHasher, "verify", lambda *_: True)
        assert len(waiting) <= 13 and {each.result() for each in done} == {"too_many"}
        user = User(1, "ann", "R0", Role.READER, False, "en", "")
        accounts.require_password(user, PASSWORD)
        slow.set()
