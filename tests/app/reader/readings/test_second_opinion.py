"""The second opinion after lock, and the revised reading."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select, update

from sparcc_pipeline.app.reader.tables import ASSIGNMENTS

from ..conftest import PASSWORD, Browser, Opener, World

LESION = [("A", 1, "right", "upper_iliac")]


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
    points = {(j["slice_index"], j["joint"]): j for j in machine["joints"]}
    first = opinion["primary"]["content"]["visits"]["A"]["first"]
    for each in machine["differences"]:
        assert each["slice_index"] == first + each["slice"] - 1
        assert points[each["slice_index"], each["joint"]][each["item"]] == each["machine"] != each["reading"]
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
    """Return the open case, after a request for each code on the list."""
    for code in re.findall(r"\b[A-Z2-9]{5}-[A-Z2-9]{5}\b", browser.get("/worklist").text):
        answer = browser.get(f"/api/cases/{code}")
        if answer.status_code == 200 and answer.json()["reading"]["state"] == "open":
            return str(code)
    return None


def test_no_reading_changes_after_the_second_opinion_of_its_repeat(opened: Opener) -> None:
    """The repeat shows the same images: after its second opinion the first reading is no longer blind either."""
    world = opened(reading={"second_opinion": "all"})
    _repeat_everything(world)
    ann = world.browser("ann")
    while (following := _open_case(ann)) is not None:
        ann.read_and_lock(following)
    first, repeat = _codes_of_one_case(world)
    assert ann.case(first)["may_correct"] and ann.case(repeat)["may_correct"]
    assert ann.script("POST", f"/api/cases/{repeat}/second-opinion").status_code == 200

    assert not ann.case(first)["may_correct"]
    refused = ann.script("POST", f"/api/cases/{first}/correction", {"reason": "I remember"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "locked")
    assert ann.case(first)["reading"]["version"] == 1


def test_the_second_opinion_waits_for_the_repeat_of_the_same_images(world: World) -> None:
    """`second_opinion = "each"` came after cases with repeats were assigned."""
    _repeat_everything(world)
    first, repeat = _codes_of_one_case(world)
    ann = world.browser("ann")
    while ann.get(f"/api/cases/{first}").status_code != 200:
        ann.read_and_lock(str(_open_case(ann)))
    ann.read_and_lock(first)
    assert ann.script("POST", f"/api/cases/{first}/second-opinion").json()["error"]["code"] == "later"
    while ann.get(f"/api/cases/{repeat}").status_code != 200:
        ann.read_and_lock(str(_open_case(ann)))
    ann.read_and_lock(repeat)
    assert ann.script("POST", f"/api/cases/{first}/second-opinion").status_code == 200


def test_an_open_correction_cannot_be_saved_once_the_machine_was_seen(world: World) -> None:
    ann = world.browser("ann")
    code = ann.first_case()
    ann.read_and_lock(code)
    opened = ann.script("POST", f"/api/cases/{code}/correction", {"reason": "the wrong side"}).json()
    with world.database.engine.begin() as connection:
        connection.execute(update(ASSIGNMENTS).where(ASSIGNMENTS.c.code == code).values(second_opinion_at="now"))
    body = {"revision": opened["revision"], "content": opened["content"]}
    assert ann.script("PUT", f"/api/cases/{code}/reading", body).json()["error"]["code"] == "locked"
    assert ann.lock(code, opened["revision"]).json()["error"]["code"] == "locked"


def _repeat_everything(world: World) -> None:
    """Give every case of Ann a second time."""
    with world.database.writing() as work:
        for row in work.connection.execute(select(ASSIGNMENTS).where(ASSIGNMENTS.c.user_id == 1)).all():
            again = {"id": None, "code": f"ZZZZZ-ZZZZ{row.case_id + 1}", "repeat": 2, "position": row.position + 1}
            work.connection.execute(ASSIGNMENTS.insert().values({**row._mapping, **again}))


def _codes_of_one_case(world: World) -> tuple[str, str]:
    with world.database.reading() as connection:
        mine = select(ASSIGNMENTS.c.code).where(ASSIGNMENTS.c.user_id == 1, ASSIGNMENTS.c.case_id == 1)
        first, repeat = connection.execute(mine.order_by(ASSIGNMENTS.c.repeat)).scalars()
        return first, repeat
