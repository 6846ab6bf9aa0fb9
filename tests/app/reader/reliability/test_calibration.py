"""Calibration: feedback for each item while a training case is read, and the agreement of totals and changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from ..conftest import CODE, SETTINGS, Opener, World, build, make_studies

WHO = [("U1", "W0"), ("U1", "W12"), ("U2", "W0"), ("U2", "W12"), ("U3", "W0"), ("U3", "W12")]
KNOWN = {WHO[0]: 0, WHO[1]: 4, WHO[2]: 3, WHO[3]: 3, WHO[4]: 5, WHO[5]: 1}
"""Known totals: edema of the left upper ilium on so many slices; changes of 4, 0 and -4."""


@pytest.fixture(scope="module")
def two_visits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A training set of three people at two time points, and its known items."""
    folder = tmp_path_factory.mktemp("changes")
    manifest = make_studies(folder, WHO)
    lines = ["participant,visit,slice_index,joint,item,value"]
    for (participant, visit), total in KNOWN.items():
        lines.append(f"{participant},{visit},3,right,upper_iliac,0")
        lines += [f"{participant},{visit},{3 + k},left,upper_iliac,1" for k in range(total)]
    known = folder / "known.csv"
    known.write_text("\n".join(lines) + "\n")
    return manifest, known


@pytest.fixture
def world(tmp_path: Path, manifest: Path, two_visits: tuple[Path, Path]) -> Iterator[World]:
    """A page with this training set, which every reader must pass."""
    few = manifest.parent / "calibration.csv"
    few.write_text("\n".join(manifest.read_text().splitlines()[:2]))
    world = build(tmp_path, few, two_visits, SETTINGS.replace("required = false", "required = true"))
    yield world
    world.database.engine.dispose()


def known_points(world: World, code: str) -> dict[str, int]:
    """Return the known total of each label of a training case."""
    with world.database.reading() as connection:
        row = connection.execute(
            text("SELECT visit_order FROM reader_assignments WHERE code = :code"), {"code": code}
        ).one()
        rows = connection.execute(
            text("SELECT v.id, v.visit, c.participant FROM reader_visits v JOIN reader_cases c ON c.id = v.case_id")
        )
        who = {each.id: (each.participant, each.visit) for each in rows}
    order = [int(number) for number in re.findall(r"\d+", row.visit_order)]
    return {label: KNOWN[who[visit]] for label, visit in zip("AB", order, strict=True)}


def training_codes(world: World, name: str) -> list[str]:
    page = world.browser(name).get("/calibration").text
    return list(dict.fromkeys(re.findall(CODE, page)))


def test_a_slice_is_judged_when_it_is_marked_as_read_and_then_final(opened: Opener) -> None:
    world = opened()
    ann = world.browser("ann")
    code = str(re.search(CODE, ann.get("/calibration").text)[0])  # type: ignore[index]
    reading = ann.case(code)["reading"]
    content = reading["content"]
    first, left = content["visits"]["A"]["joints"][:2]
    first["read"] = left["read"] = True
    first["upper_iliac"] = 1
    path = f"/api/cases/{code}/reading"
    saved = ann.script("PUT", path, {"revision": 0, "content": content})
    assert saved.status_code == 200, saved.text

    visit = ann.get(f"/api/cases/{code}/feedback").json()["visits"]["A"]
    assert visit["judged"] == [1] and visit["known_total"] is None
    places = {(each["slice"], each["joint"], each["item"]) for each in visit["differences"]}
    assert (1, "right", "upper_iliac") in places and {number for number, *_ in places} == {1}

    for change in ({"upper_iliac": 0}, {"read": False}):
        again = ann.case(code)["reading"]["content"]
        again["visits"]["A"]["joints"][0] |= change
        refused = ann.script("PUT", path, {"revision": 1, "content": again})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "final")
    moved = ann.case(code)["reading"]["content"]
    moved["visits"]["A"]["first"] += 1
    assert ann.script("PUT", path, {"revision": 1, "content": moved}).status_code == 409
    onward = ann.case(code)["reading"]["content"]
    onward["visits"]["A"]["joints"][4]["upper_iliac"] = 1
    assert ann.script("PUT", path, {"revision": 1, "content": onward}).status_code == 200


def test_a_case_of_the_trial_has_no_feedback(opened: Opener) -> None:
    ann = opened().browser("ann")
    code = ann.first_case()
    ann.read(code)
    assert ann.get(f"/api/cases/{code}/feedback").status_code == 409


def test_totals_and_changes_must_both_agree(world: World) -> None:
    """A reader who is right in totals over all, but not in the changes, does not pass; one who is right passes."""
    for name, wrong in (("ann", 0), ("ben", 2)):
        browser = world.browser(name)
        browser.get("/calibration")
        for code in training_codes(world, name):
            points = []
            for number, (label, total) in enumerate(sorted(known_points(world, code).items())):
                read = min(max(total + (wrong if number else -wrong), 0), 6)
                points += [(label, 1 + k, "left", "upper_iliac") for k in range(read)]
            state = browser.read(code, points)
            live = browser.get(f"/api/cases/{code}/feedback").json()["agreement"]
            assert live["visits"] >= 2, "the open case counts already"
            assert browser.lock(code, state["revision"]).status_code == 200
        agreement = browser.get(f"/api/cases/{code}/feedback").json()["agreement"]
        assert agreement["changes"] == 3 and agreement["pass_mark_change"] == 0.7
        if name == "ann":
            assert (agreement["icc"], agreement["icc_change"], agreement["passed"]) == (1.0, 1.0, True)
        else:
            assert agreement["icc_change"] < 0.7 and agreement["passed"] is False
        assert ("To the calibration" in browser.get("/worklist").text) == (name == "ben")


def test_a_training_set_without_changes_asks_for_none(opened: Opener) -> None:
    ann = opened().browser("ann")
    code = str(re.search(CODE, ann.get("/calibration").text)[0])  # type: ignore[index]
    ann.read_and_lock(code)
    assert ann.get(f"/api/cases/{code}/feedback").json()["agreement"]["pass_mark_change"] is None
