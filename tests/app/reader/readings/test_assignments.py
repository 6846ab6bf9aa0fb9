"""Assignments: order and repeats, calibration, adjudication."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from sparcc_pipeline.app.reader.readings.adjudication import differ
from sparcc_pipeline.app.reader.readings.assignments import assign
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, USERS
from sparcc_pipeline.app.study.protocol_file import load_protocol

from ..conftest import CODE, Browser, Opener, World

UPPER_LEFT = [("A", number, "left", "upper_iliac") for number in range(1, 7)]


def open_case(browser: Browser, page: str) -> str | None:
    """Return the code of the open case on a page."""
    for code in re.findall(CODE, browser.get(page).text):
        answer = browser.get(f"/api/cases/{code}")
        if answer.status_code == 200 and answer.json()["reading"]["state"] == "open":
            return str(code)
    return None


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_every_reader_has_another_order_and_repeats_come_after(world: World, share: float) -> None:
    settings = world.settings.reading.model_copy(update={"repeat_share": share, "second_opinion": "off"})
    many = range(100, 160)
    with world.database.writing() as work:
        connection = work.connection
        connection.execute(text("DELETE FROM reader_assignments"))
        for case in many:
            connection.execute(text(f"INSERT INTO reader_cases VALUES ({case}, 'P{case}', false, 1)"))
            connection.execute(
                text(f"INSERT INTO reader_visits (case_id, visit, images) VALUES ({case}, 'W0', 'i{case}')")
            )
            connection.execute(
                text(f"INSERT INTO reader_visits (case_id, visit, images) VALUES ({case}, 'W1', 'j{case}')")
            )
        users = {row.name: row for row in connection.execute(select(USERS))}
        assert assign(work, users["ann"], many, settings, by="dee") == 60
        assert assign(work, users["ben"], many, settings, by="dee") == 60
        assert assign(work, users["ann"], many, settings, by="dee") == 0, "a second time gives nothing twice"
        rows = list(connection.execute(select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.position)))
    orders, codes = {}, [row.code for row in rows]
    for name in ("ann", "ben"):
        mine = [row for row in rows if row.user_id == users[name].id]
        order = orders[name] = [row.case_id for row in mine if row.repeat == 1]
        assert sorted(order) == list(many) and order != sorted(order)
        repeats = [row.case_id for row in mine if row.repeat == 2]
        assert abs(len(repeats) / 60 - share) < 0.25 and len(set(repeats)) == len(repeats)
        place = {(row.case_id, row.repeat): number for number, row in enumerate(mine)}
        assert all(place[case, 2] - place[case, 1] >= 3 for case in repeats)
        assert 0 < sum(json.loads(row.visit_order)[0] % 2 for row in mine) < len(mine)
    assert orders["ann"] != orders["ben"] and len(set(codes)) == len(codes)


def test_a_passed_training_set_opens_the_real_cases(opened: Opener) -> None:
    world = opened(calibration={"required": True, "visits": 3, "icc": 0.8})
    ann = world.browser("ann")
    assert ann.get("/calibration").status_code == 200
    with world.database.reading() as connection:
        query = text(
            "SELECT a.code, v.known FROM reader_assignments a JOIN reader_visits v ON v.case_id = a.case_id "
            "WHERE a.kind = 'training'"
        )
        known = {row.code: json.loads(row.known) for row in connection.execute(query)}
    seen = []
    while (code := open_case(ann, "/calibration")) is not None:
        assert ann.get(f"/api/cases/{code}/feedback").json()["visits"] == {}
        points = [place for place, value in known[code].items() if value]
        wanted = [("A", int(place.split(".")[0]) - 3, *place.split(".")[1:]) for place in points]
        ann.read_and_lock(code, wanted)
        feedback = ann.get(f"/api/cases/{code}/feedback").json()
        assert feedback["visits"]["A"]["differences"] == []
        assert feedback["visits"]["A"]["total"] == feedback["visits"]["A"]["known_total"] == len(points)
        seen.append(feedback["agreement"])
    assert [each["visits"] for each in seen] == [1, 2, 3, 3] and seen[-1]["passed"] and seen[-1]["icc"] == 1.0
    assert open_case(ann, "/worklist") is not None
    assert ann.form("/calibration/repeat").status_code == 409


def test_a_reader_who_does_not_pass_reads_the_set_again_with_other_codes(opened: Opener) -> None:
    world = opened(calibration={"required": True, "visits": 3, "icc": 0.8})
    ann = world.browser("ann")
    codes, found, number = set(), [], 6
    ann.get("/calibration")
    while (code := open_case(ann, "/calibration")) is not None:
        codes.add(code)
        ann.read_and_lock(code, UPPER_LEFT[:number])
        number = 6 - number
        feedback = ann.get(f"/api/cases/{code}/feedback").json()
        found += feedback["visits"]["A"]["differences"]
    assert feedback["agreement"]["passed"] is False and found
    assert open_case(ann, "/worklist") is None
    assert ann.form("/calibration/repeat").status_code == 303
    again = open_case(ann, "/calibration")
    assert again is not None and again not in codes


def code_of(world: World, name: str, participant: str) -> str:
    query = text(
        "SELECT a.code FROM reader_assignments a JOIN reader_users u ON u.id = a.user_id JOIN reader_cases c "
        "ON c.id = a.case_id WHERE u.name = :name AND c.participant = :participant"
    )
    with world.database.reading() as connection:
        return str(connection.execute(query, {"name": name, "participant": participant}).scalar_one())


def test_a_case_on_which_readers_differ_goes_to_a_third_who_sees_neither(world: World) -> None:
    ann, ben, cem = (world.browser(name) for name in ("ann", "ben", "cem"))
    points = {code_of(world, "ann", "P003"): UPPER_LEFT}
    for browser in (ann, ben):
        while (code := open_case(browser, "/worklist")) is not None:
            browser.read_and_lock(code, points.get(code, []))

    code = open_case(cem, "/worklist")
    assert code is not None and len(re.findall(CODE, cem.get("/worklist").text.replace(code, "", 0))) >= 1
    case = cem.case(code)
    assert (case["mode"], case["second_opinion"], case["reading"]["kind"]) == ("adjudication", "off", "adjudication")
    assert all(not joint["read"] for joint in case["reading"]["content"]["visits"]["A"]["joints"])
    with world.database.reading() as connection:
        given = (
            connection.execute(
                text(
                    "SELECT c.participant FROM reader_assignments a JOIN reader_cases c ON c.id = a.case_id "
                    "WHERE a.kind = 'adjudication'"
                )
            )
            .scalars()
            .all()
        )
    assert given == ["P003"]
    cem.read_and_lock(code, UPPER_LEFT)
    assert cem.get(f"/case/{code}/second-opinion").status_code == 403
    page = world.browser("dee").get("/coordinator").text
    assert "P003" in page and "cem" in page


def test_the_coordinator_assigns_an_adjudicator_only_if_one_is_needed(world: World) -> None:
    dee = world.browser("dee")
    assert dee.form("/coordinator/adjudicator", case="1", adjudicator="cem").status_code == 422
    assert dee.form("/coordinator/assign", reader="cem").status_code == 422
    assert dee.form("/coordinator/assign", reader="ann", case="999").status_code == 422


PROTOCOL = load_protocol()


@pytest.mark.parametrize(
    ("first", "second", "needed"),
    [
        ({"W0": 10, "W12": 10}, {"W0": 13, "W12": 13}, False),
        ({"W0": 10}, {"W0": 14}, True),
        ({"W0": 10, "W12": 8}, {"W0": 12, "W12": 6}, True),  # changes of -2 and -6
        ({"W0": 1}, {"W0": 2}, True),  # remission: yes and no
        ({"W0": 2}, {"W0": 3}, True),  # the same, as far as the protocol leaves "under 2" or "up to 2" open
        ({"W0": 0}, {"W0": 1}, False),
        ({"W0": None}, {"W0": 20}, False),
        ({"W12": 10, "W24": 8}, {"W12": 12, "W24": 6}, False),  # no baseline here: no change
    ],
)
def test_when_a_third_reader_is_needed(
    first: dict[str, int | None], second: dict[str, int | None], needed: bool
) -> None:
    assert differ(first, second, PROTOCOL) is differ(second, first, PROTOCOL) is needed


@given(st.dictionaries(st.sampled_from(["W0", "W12", "W24"]), st.one_of(st.none(), st.integers(0, 72))))
def test_a_reading_never_differs_from_itself(totals: dict[str, int | None]) -> None:
    assert not differ(totals, totals, PROTOCOL)
