"""The structural form on T1: read, lock, correct, adjudicate and export, with its own ranges."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sparcc_pipeline.app.reader.audit.verification import verify_all
from sparcc_pipeline.app.reader.readings.assignments import assign, cases, readers
from sparcc_pipeline.app.reader.readings.export import export_readings
from sparcc_pipeline.app.reader.structural.cases import with_t1
from sparcc_pipeline.app.reader.structural.content import STRUCTURAL, STRUCTURAL_ITEMS
from sparcc_pipeline.app.reader.tables import ASSIGNMENTS, USERS

from ..conftest import PASSWORD, Browser, World, open_copy


@pytest.fixture
def world(tmp_path: Path, prepared: Path) -> Iterator[World]:
    """A page on which two readers have the structural form of every case, with T1 or without."""
    world = open_copy(prepared, tmp_path / "page")
    with world.database.writing() as work:
        every = [case.id for case in cases(work.connection, training=False)]
        for row in readers(work.connection, "reader"):
            assign(work, row, every, world.settings.reading, kind=STRUCTURAL, by="dee")
    yield world
    world.database.engine.dispose()


def codes(world: World, name: str, kind: str = STRUCTURAL) -> dict[int, str]:
    """Return the codes of a user's structural cases, by case, in reading order."""
    query = select(ASSIGNMENTS.c.case_id, ASSIGNMENTS.c.code).join(USERS, USERS.c.id == ASSIGNMENTS.c.user_id)
    with world.database.reading() as connection:
        chosen = query.where(USERS.c.name == name, ASSIGNMENTS.c.kind == kind).order_by(ASSIGNMENTS.c.position)
        return {row.case_id: row.code for row in connection.execute(chosen)}


def read(browser: Browser, code: str, **points: int) -> dict[str, Any]:
    """Fill in a structural case, the first so many points of each lesion at every time point; return its state."""
    reading = browser.case(code)["reading"]
    for visit in reading["content"]["visits"].values():
        visit["image_quality"] = "good"
        left = dict(points)
        for joint in visit["joints"]:
            joint["read"] = True
            for item in STRUCTURAL_ITEMS:
                lesion = item.split("_")[0]
                if left.get(lesion, 0) > 0:
                    joint[item] = 1
                    left[lesion] -= 1
    body = {"revision": reading["revision"], "content": reading["content"]}
    saved = browser.script("PUT", f"/api/cases/{code}/reading", body)
    assert saved.status_code == 200, saved.text
    return dict(saved.json())


def lock_all(world: World, name: str, points: dict[int, dict[str, int]] | None = None) -> None:
    browser = world.browser(name)
    for case, code in codes(world, name).items():
        state = read(browser, code, **(points or {}).get(case, {}))
        assert browser.lock(code, state["revision"]).status_code == 200


def test_the_four_totals_have_their_ranges(world: World) -> None:
    ann = world.browser("ann")
    code = next(iter(codes(world, "ann").values()))
    case = ann.case(code)
    assert case["mode"] == "structural" and len(case["reading"]["content"]["visits"]["A"]["joints"]) == 10
    totals = read(ann, code, fat=99, erosion=99, backfill=99, ankylosis=99)["totals"]["A"]
    assert [totals[name] for name in ("fat", "erosion", "backfill", "ankylosis")] == [40, 40, 20, 20]
    assert totals["evaluable_maximum"] == 120


def test_a_structural_reading_is_locked_signed_and_corrected_like_any_other(world: World) -> None:
    ann = world.browser("ann")
    code = next(iter(codes(world, "ann").values()))
    state = ann.case(code)["reading"]
    incomplete = ann.lock(code, state["revision"])
    assert incomplete.status_code == 422 and len(incomplete.json()["missing"]) >= 11
    state = read(ann, code, erosion=3)
    assert ann.lock(code, state["revision"], "wrong").json()["error"]["code"] == "wrong_password"
    assert ann.lock(code, state["revision"]).status_code == 200
    changed = ann.script("PUT", f"/api/cases/{code}/reading", {"revision": 1, "content": state["content"]})
    assert changed.json()["error"]["code"] == "locked"
    assert ann.case(code)["second_opinion"] == "off"
    assert ann.script("POST", f"/api/cases/{code}/correction", {"reason": "the wrong side"}).status_code == 200
    assert ann.case(code)["reading"]["version"] == 2
    assert verify_all(world.database).sound


def test_each_form_refuses_the_content_of_the_other(world: World) -> None:
    ann = world.browser("ann")
    structural, inflammation = next(iter(codes(world, "ann").values())), ann.first_case()
    for code, other in ((structural, inflammation), (inflammation, structural)):
        body = {"revision": 0, "content": ann.case(other)["reading"]["content"]}
        assert ann.script("PUT", f"/api/cases/{code}/reading", body).status_code == 422


@pytest.mark.parametrize("lesion", ["fat", "erosion", "backfill", "ankylosis"])
def test_a_third_reads_where_one_lesion_differs_by_more_than_its_limit(world: World, lesion: str) -> None:
    limit = getattr(world.settings.structural, f"limit_{lesion}")
    lock_all(world, "ann", {1: {lesion: limit}, 2: {lesion: limit + 1}})
    lock_all(world, "ben")
    third = codes(world, "cem", "structural_third")
    assert list(third) == [2]
    cem = world.browser("cem")
    case = cem.case(third[2])
    assert case["mode"] == "structural_third" and case["reading"]["totals"]["A"]["fat"] == 0
    state = read(cem, third[2], **{lesion: 2})
    assert cem.lock(third[2], state["revision"]).status_code == 200


def test_structural_readings_are_exported_apart(world: World, tmp_path: Path) -> None:
    lock_all(world, "ann", {1: {"fat": 5, "ankylosis": 2}})
    lock_all(world, "ben", {1: {"fat": 4}})
    export_readings(world.database, world.settings, tmp_path / "out", "a test", None, force=False)
    rows = list(csv.DictReader((tmp_path / "out" / "structural.csv").read_text().splitlines()))
    assert len(rows) == 10
    mine = [row for row in rows if row["participant"] == "P001"]
    assert {(row["reader"], row["fat"], row["ankylosis"]) for row in mine} == {("R0", "5", "2"), ("R1", "4", "0")}
    items = list(csv.DictReader((tmp_path / "out" / "structural_items.csv").read_text().splitlines()))
    assert len(items) == 10 * 10 * len(STRUCTURAL_ITEMS)
    assert (tmp_path / "out" / "readings.csv").read_text().count("\n") == 1, "no reading of inflammation"


def test_cases_without_t1_are_left_out(world: World) -> None:
    """Give the first case T1; the others have none."""
    with world.database.reading() as connection:
        every = [case.id for case in cases(connection, training=False)]
        assert with_t1(connection, world.site.store, every) == []
        for file in world.database.folder.glob("images/*/view.json"):
            view = json.loads(file.read_text())
            view["series"]["t1"] = view["series"]["stir"]
            file.write_text(json.dumps(view))
        assert with_t1(connection, world.site.store, every) == every


def test_the_lists_of_cases_are_apart(world: World) -> None:
    page = world.browser("ann").get("/worklist").text
    assert "Structural lesions on T1" in page
    for code in codes(world, "ann").values():
        assert code in page
    assert PASSWORD not in page
