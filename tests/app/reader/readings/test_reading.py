"""A reading from the first save to the revised reading, as the page's script drives it."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from sparcc_pipeline.app.reader.readings.content import (
    ITEMS,
    Content,
    Totals,
    VisitReading,
    blank,
    changes,
    impossible,
    missing,
)

from ..conftest import PASSWORD, Browser, Clock, Opener, World, open_world

LESION = [("A", 1, "right", "upper_iliac")]


def test_a_case_is_read_locked_and_stays(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()

    locked = ann.read_and_lock(code, LESION)

    assert locked["state"] == "locked" and locked["totals"]["A"]["total"] == 1
    body = {"revision": locked["revision"], "content": locked["content"]}
    again = ann.script("PUT", f"/api/cases/{code}/reading", body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "locked")
    assert ann.lock(code, locked["revision"]).json()["error"]["code"] == "locked"
    assert world.database.verify().sound


def test_what_is_not_complete_cannot_be_locked(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    state = ann.read(code)
    visit = state["content"]["visits"]["A"]
    visit |= {"image_quality": None, "asas_positive": None}
    visit["joints"][3]["read"] = False
    visit["joints"][5]["deep"] = None
    visit["joints"][7] |= {"deep": None, "reason": "other"}
    visit["joints"][9]["reason"] = "artefact"
    saved = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 1, "content": state["content"]}).json()

    refused = ann.lock(code, saved["revision"])

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "incomplete")
    lacking = refused.json()["missing"]
    assert [(m["slice"], m["joint"]) for m in lacking if "slice" in m] == [(2, "left"), (3, "left"), (5, "left")]
    assert {m["field"] for m in lacking if "field" in m} == {"asas_positive", "image_quality", "comment"}


@pytest.mark.parametrize("item", ["intense", "deep"])
def test_intense_or_deep_without_edema_is_refused_by_the_server(world: World, item: str) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    content = ann.case(code)["reading"]["content"]
    content["visits"]["A"]["joints"][0][item] = 1

    refused = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 0, "content": content})

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "impossible")
    assert refused.json()["where"] == [{"label": "A", "slice": 1, "joint": "right", "item": item}]
    assert ann.case(code)["reading"]["revision"] == 0


def _without_a_label(content: dict[str, Any]) -> None:
    del content["visits"]["A"]


def _with_another_label(content: dict[str, Any]) -> None:
    content["visits"]["H"] = content["visits"]["A"]


def _beyond_the_stack(content: dict[str, Any]) -> None:
    content["visits"]["A"]["first"] = 9


def _a_point_of_two(content: dict[str, Any]) -> None:
    content["visits"]["A"]["joints"][0]["upper_iliac"] = 2


def _a_true_point(content: dict[str, Any]) -> None:
    content["visits"]["A"]["joints"][0]["upper_iliac"] = True


def _eleven_joints(content: dict[str, Any]) -> None:
    content["visits"]["A"]["joints"].pop()


def _another_field(content: dict[str, Any]) -> None:
    content["visits"]["A"]["machine"] = 7


def _a_long_comment(content: dict[str, Any]) -> None:
    content["comment"] = "x" * 2001


@pytest.mark.parametrize(
    "spoil",
    [
        _without_a_label,
        _with_another_label,
        _beyond_the_stack,
        _a_point_of_two,
        _a_true_point,
        _eleven_joints,
        _another_field,
        _a_long_comment,
    ],
)
def test_what_is_not_of_the_form_is_refused(world: World, spoil: Any) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    content = ann.case(code)["reading"]["content"]
    spoil(content)
    refused = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 0, "content": content})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")


def test_a_stale_window_gets_the_newer_content(world: World) -> None:
    ann = world.browser("ann")
    other = world.browser("ann")
    code = ann.first_case()
    newer = ann.read(code, LESION)

    stale = other.script("PUT", f"/api/cases/{code}/reading", {"revision": 0, "content": newer["content"]})

    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "stale")
    assert stale.json()["reading"] == newer


def test_two_readers_at_once_and_two_windows_of_one_lose_nothing(world: World) -> None:
    """Twenty saves each from four threads: every one is in the trail, in one order, and no revision is given twice."""
    names = ["ann", "ben", "ann", "ben"]
    browsers = [world.browser(name) for name in names]
    codes = [browser.first_case() for browser in browsers]
    answers: list[tuple[str, int]] = []

    def save(browser: Any, code: str) -> None:
        token = browser.token
        for number in range(20):
            reading = browser.case(code)["reading"]
            reading["content"]["comment"] = f"{id(browser)} {number}"
            body = {"revision": reading["revision"], "content": reading["content"]}
            answer = browser.put(f"/api/cases/{code}/reading", json=body, headers={"X-CSRF-Token": token})
            assert answer.status_code in (200, 409), answer.text
            if answer.status_code == 200:
                answers.append((code, answer.json()["revision"]))

    threads = [threading.Thread(target=save, args=pair) for pair in zip(browsers, codes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == len(set(answers)) >= 40
    with world.database.reading() as connection:
        saved = connection.execute(text("SELECT count(*) FROM reader_audit WHERE action = 'save'")).scalar_one()
    assert saved == len(answers) and world.database.verify().sound


def test_nothing_is_lost_when_the_server_stops_between_two_saves(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    before = ann.read(code, LESION)
    session = ann.cookies["sparcc_session"]
    world.database.engine.dispose()

    again = open_world(world.settings, Clock(world.clock.now))
    browser = again.browser()
    browser.cookies.set("sparcc_session", session, domain="127.0.0.1", path="/")

    assert browser.case(code)["reading"] == before
    assert again.database.verify().sound
    again.database.engine.dispose()


def test_a_correction_is_a_new_version_with_its_reason_and_both_stay(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    first = ann.read_and_lock(code, LESION)
    assert ann.script("POST", f"/api/cases/{code}/correction", {"reason": " "}).status_code == 422

    opened = ann.script("POST", f"/api/cases/{code}/correction", {"reason": "wrong side"}).json()
    assert (opened["version"], opened["state"], opened["content"]) == (2, "open", first["content"])
    assert ann.script("POST", f"/api/cases/{code}/second-opinion").json()["error"]["code"] == "later"
    second = ann.read_and_lock(code, [("A", 1, "left", "upper_iliac")])

    assert second["version"] == 2
    earlier = ann.case(code)["earlier"]
    assert [(each["version"], each["reason"]) for each in earlier] == [(1, "wrong side")]
    with world.database.reading() as connection:
        kept = connection.execute(text("SELECT content FROM reader_readings ORDER BY version")).scalars().all()
    assert [Content.model_validate_json(each).model_dump(mode="json") for each in kept] == [
        first["content"],
        second["content"],
    ]


def test_second_opinion_comes_after_lock_and_ends_corrections(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    assert ann.script("GET", f"/api/cases/{code}/second-opinion").json()["error"]["code"] == "not_opened"
    assert ann.script("POST", f"/api/cases/{code}/second-opinion").json()["error"]["code"] == "later"
    assert ann.get(f"/api/cases/{code}/overlay/A/5").status_code == 409
    ann.read_and_lock(code, LESION)
    assert ann.get(f"/api/cases/{code}/overlay/A/5").status_code == 409, "locked, and still not opened"

    opinion = ann.script("POST", f"/api/cases/{code}/second-opinion").json()

    machine = opinion["visits"]["A"]
    doubts = [each["doubt"] for each in machine["differences"] if each["doubt"] is not None]
    assert doubts == sorted(doubts, reverse=True)
    said = {(j["slice_index"], j["joint"]): j for j in machine["joints"]}
    first = opinion["primary"]["content"]["visits"]["A"]["first"]
    for each in machine["differences"]:
        assert each["slice_index"] == first + each["slice"] - 1
        assert said[each["slice_index"], each["joint"]][each["item"]] == each["machine"] != each["reading"]
    assert len(ann.get(f"/api/cases/{code}/overlay/A/5").content) == 110 * 150
    assert (
        ann.script("POST", f"/api/cases/{code}/correction", {"reason": "seen it"}).json()["error"]["code"] == "locked"
    )


def test_a_revised_reading_needs_a_reason_for_each_changed_point_and_changes_nothing_else(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    primary = ann.read_and_lock(code, LESION)
    ann.script("POST", f"/api/cases/{code}/second-opinion")
    content = ann.case(code)["reading"]["content"]
    content["visits"]["A"]["joints"][0]["upper_iliac"] = 0
    body: dict[str, Any] = {"revision": 0, "content": content, "reasons": []}
    saved = ann.script("PUT", f"/api/cases/{code}/revision", body).json()
    refused = ann.script("POST", f"/api/cases/{code}/revision/lock", {"revision": 1, "password": PASSWORD})
    assert refused.json()["missing"] == [{"label": "A", "slice": 1, "joint": "right", "item": "upper_iliac"}]

    body["reasons"] = [{"label": "A", "slice": 1, "joint": "right", "item": "upper_iliac", "reason": "a vessel"}]
    saved = ann.script("PUT", f"/api/cases/{code}/revision", body | {"revision": saved["revision"]}).json()
    signature = {"revision": saved["revision"], "password": PASSWORD}
    locked = ann.script("POST", f"/api/cases/{code}/revision/lock", signature)

    assert locked.status_code == 200 and locked.json()["kind"] == "revised"
    opinion = ann.get(f"/api/cases/{code}/second-opinion").json()
    assert opinion["primary"]["content"] == primary["content"] and opinion["primary"]["totals"]["A"]["total"] == 1
    assert opinion["revised"]["totals"]["A"]["total"] == 0
    assert ann.case(code)["reading"]["content"] == primary["content"]
    moved = ann.case(code)["reading"]["content"]
    moved["visits"]["A"]["first"] += 1
    assert ann.script("PUT", f"/api/cases/{code}/revision", body | {"content": moved}).status_code == 422


def test_the_second_opinion_can_be_off_or_wait_for_all(opened: Opener) -> None:
    off = opened(reading={"second_opinion": "off"}).browser("ann")
    code = off.first_case()
    off.read_and_lock(code)
    assert off.script("POST", f"/api/cases/{code}/second-opinion").status_code == 403

    late = opened(reading={"second_opinion": "all"}).browser("ann")
    first = late.first_case()
    late.read_and_lock(first)
    assert late.script("POST", f"/api/cases/{first}/second-opinion").json()["error"]["code"] == "later"
    while (following := _open_case(late)) is not None:
        late.read_and_lock(following)
    assert late.script("POST", f"/api/cases/{first}/second-opinion").status_code == 200


def _open_case(browser: Browser) -> str | None:
    """The case that is open, by asking for each code on the list."""
    for code in re.findall(r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b", browser.get("/worklist").text):
        answer = browser.get(f"/api/cases/{code}")
        if answer.status_code == 200 and answer.json()["reading"]["state"] == "open":
            return str(code)
    return None


def test_nothing_is_read_after_the_database_is_locked(world: World) -> None:
    ann, eva = world.browser("ann"), world.browser("eva")
    code = ann.first_case()
    state = ann.read(code)
    fields = {"password": PASSWORD, "reason": "last visit done"}
    assert eva.form("/users/database-lock", **fields).status_code == 303
    assert ann.lock(code, state["revision"]).json()["error"]["code"] == "locked"
    body = {"revision": state["revision"], "content": state["content"]}
    assert ann.script("PUT", f"/api/cases/{code}/reading", body).json()["error"]["code"] == "locked"


POINT = st.sampled_from([0, 1, None])


@st.composite
def visits(draw: st.DrawFn) -> VisitReading:
    fresh = blank(draw(st.integers(0, 20)))
    joints = []
    for joint in fresh.joints:
        values = {item: draw(POINT) for item in ITEMS}
        if not any(values[item] == 1 for item in ITEMS[:4]):
            values |= {item: 0 for item in ("intense", "deep") if values[item] == 1}
        joints.append(joint.model_copy(update=values | {"read": True}))
    return fresh.model_copy(update={"joints": tuple(joints)})


@given(visits())
def test_totals_are_those_of_the_core(visit: VisitReading) -> None:
    totals, values = Totals.of(visit), [joint.value(item) for joint in visit.joints for item in ITEMS]
    known = [value for value in values if value is not None]
    assert totals.evaluable_maximum == len(known) and totals.total == (sum(known) if known else None)
    assert totals.edema + totals.intensity + totals.depth == sum(known)
    assert impossible(Content(visits={"A": visit})) == []


@given(visits(), visits())
def test_the_trail_tells_every_change_and_no_other(old: VisitReading, new: VisitReading) -> None:
    before, after = changes(Content(visits={"A": old}), Content(visits={"A": new}))
    points = itertools.product(old.joints, ITEMS)
    changed = {
        f"visits.A.joints.{joint.slice}.{joint.joint}.{item}": (joint.value(item), other.value(item))
        for (joint, item), (other, _) in zip(points, itertools.product(new.joints, ITEMS), strict=True)
        if joint.value(item) != other.value(item)
    }
    told = {name: (before[name], after[name]) for name in before if ".joints." in name}
    assert told == changed and set(before) - set(told) <= {"visits.A.first"}


def test_a_fresh_form_lacks_everything() -> None:
    assert len(missing(Content(visits={"A": blank(3)}))) == 12 + 2
