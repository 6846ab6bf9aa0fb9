"""Cases read in a real browser: by keyboard, by mouse, with the second opinion, by two readers, by an adjudicator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")
from playwright.sync_api import Browser, expect

from sparcc_pipeline.app.reader.accounts.roles import Role

from ..conftest import PASSWORD
from .browsing import Reader, Served


def test_a_case_is_read_and_locked_with_the_keyboard_alone(reader: Reader) -> None:
    page, keys = reader.page, reader.keys
    page.goto("/worklist")
    expect(page.locator(".progress a.button")).to_be_focused()  # the case whose turn it is has the keyboard
    keys.press("Enter")
    reader.wait()
    labels = list(reader.case()["reading"]["content"]["visits"])

    keys.press("g")
    keys.press("Space")  # slice 1, right upper iliac
    for _ in range(4):
        keys.press("ArrowRight")
    keys.press("Space")  # its intensity
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    keys.press("Space")  # depth on slice 2, where there is no edema
    expect(page.locator("#mention")).to_have_text(re.compile("Depth needs edema"))
    keys.press("n")
    keys.press("3")  # an artefact
    keys.press("Home")
    for _ in range(6 * len(labels)):
        keys.press("Enter")
    for label in labels:
        reader.tab_to('#visits [aria-selected="true"]')
        while page.get_attribute('#visits [aria-selected="true"]', "data-label") != label:
            keys.press("ArrowRight" if label > "A" else "ArrowLeft")
        reader.tab_to('[data-answer="asas_positive true"]')
        keys.press("Space")
        reader.tab_to('[data-answer="image_quality adequate"]')
        keys.press("Space")
        if label != labels[-1]:
            page.evaluate("document.activeElement.blur()")
    keys.press("l")
    page.wait_for_selector("dialog input")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("#saved")).to_have_attribute("data-state", "locked")

    case = reader.case()
    assert case["reading"]["state"] == "locked"
    assert reader.points() == {(1, "right", "upper_iliac"), (1, "right", "intense")}
    first = case["reading"]["content"]["visits"]["A"]
    assert (first["asas_positive"], first["image_quality"]) == (True, "adequate")
    second = first["joints"][2]
    assert (second["slice"], second["joint"], second["deep"], second["reason"]) == (2, "right", None, "artefact")
    assert case["reading"]["totals"]["A"]["evaluable_maximum"] == 71


def test_a_case_is_read_with_the_mouse_alone(reader: Reader) -> None:
    page = reader.page
    reader.open_next()
    page.mouse.click(*reader.place_of("left", "lower_sacral"))
    page.mouse.click(*reader.place_of("left", "deep"))
    expect(reader.cell(1, "left", "deep")).to_have_text("1")
    expect(page.locator("#total")).to_have_text("2")
    page.mouse.click(*reader.place_of("left", "lower_sacral"))  # without edema there is no depth
    expect(page.locator("#total")).to_have_text("0")
    page.mouse.click(*reader.place_of("right", "upper_iliac"), button="right")
    page.click("dialog .answers button >> nth=1")
    expect(page.locator("#maximum")).to_contain_text("71")

    panel = page.locator(".panel").first
    panel.hover()
    page.mouse.wheel(0, 120)
    expect(page.locator("tr.looked")).to_have_attribute("data-slice", "2")
    page.mouse.click(*reader.place_of("right", "upper_sacral"))
    for _ in reader.case()["visits"]:
        for _ in range(6):
            page.click("#next")
    reader.saved()

    assert reader.points() == {(2, "right", "upper_sacral")}
    assert all(each["read"] for each in reader.case()["reading"]["content"]["visits"]["A"]["joints"])
    page.click("#lock")
    expect(page.locator("dialog")).to_contain_text("ASAS")  # what is missing is said, and nothing is locked
    page.click("dialog button")
    assert reader.case()["reading"]["state"] == "open"


def test_what_is_seen_before_lock_knows_nothing_of_the_machine(reader: Reader) -> None:
    reader.open_next()
    assert reader.page.request.get(f"/api/cases/{reader.code}/second-opinion").status in (403, 409)
    assert reader.page.goto(f"/case/{reader.code}/second-opinion").status == 404  # type: ignore[union-attr]


def test_the_second_opinion_and_a_revised_reading(reader: Reader) -> None:
    page = reader.page
    code = reader.open_next()
    reader.fill_in((2, "right", "lower_iliac"))
    reader.lock()
    page.click("#opinion")
    page.click("#open")
    reader.wait()
    expect(page.locator("#machine")).to_contain_text("Machine:")
    rows = page.locator("#differences tbody tr")
    lines = [row.inner_text() for row in rows.all()]
    assert any("lower iliac" in line for line in lines)
    rows.nth(len(lines) - 1).click()
    chosen = rows.nth(len(lines) - 1).get_attribute("data-item")
    expect(page.locator("tr.looked")).to_have_attribute("data-slice", str(chosen).split()[0])

    reader.cell(2, "right", "lower_iliac").click()  # refused until a revised reading is begun
    expect(page.locator("#mention")).to_contain_text("revised")
    page.click("#revise")
    reader.cell(2, "right", "lower_iliac").click()
    page.click("#lock")
    expect(page.locator("dialog")).to_contain_text("reason")
    page.click("dialog button")
    page.fill("#changed input", "a vessel, not edema")
    reader.saved()
    page.click("#lock")
    page.fill("dialog input", "not my password")
    page.click("dialog button[type=submit]")
    expect(page.locator("dialog .wrong")).not_to_be_empty()
    page.fill("dialog input", PASSWORD)
    page.click("dialog button[type=submit]")
    expect(page.locator("#saved")).to_have_attribute("data-state", "locked")

    opinion = page.request.get(f"/api/cases/{code}/second-opinion").json()
    assert opinion["revised"]["state"] == "locked"
    assert [each["reason"] for each in opinion["revised"]["reasons"]] == ["a vessel, not edema"]
    assert opinion["primary"]["totals"]["A"]["total"] == 1
    assert opinion["revised"]["totals"]["A"]["total"] == 0


def test_a_locked_reading_is_corrected_as_a_new_version(reader: Reader) -> None:
    page = reader.page
    reader.read_and_lock()
    page.goto("/worklist")
    page.click("tr.locked a >> nth=0")
    reader.wait()
    reader.cell(1, "right", "upper_iliac").click()
    expect(page.locator("#mention")).to_contain_text("locked")
    page.click("#correct")
    page.fill("dialog textarea", "the wrong side")
    page.click("dialog button[type=submit]")
    expect(page.locator("#version")).to_have_text("Version 2")
    reader.wait()
    reader.cell(1, "right", "upper_iliac").click()
    reader.saved()
    assert reader.points() == {(1, "right", "upper_iliac")}
    assert [each["version"] for each in reader.case()["earlier"]] == [1]


def test_two_readers_at_the_same_time_do_not_meet(browser: Browser, served: Served, reader: Reader) -> None:
    other = Reader.signed_in(browser, served, served.new_user())
    mine, theirs = reader.open_next(), other.open_next()
    reader.cell(1, "right", "upper_iliac").click()
    other.cell(4, "left", "lower_sacral").click()
    reader.saved()
    other.saved()

    assert mine != theirs
    assert reader.points() == {(1, "right", "upper_iliac")}
    assert other.points() == {(4, "left", "lower_sacral")}
    assert other.page.request.get(f"/api/cases/{mine}").status == 404
    other.page.context.close()


def test_two_windows_of_one_reader_do_not_overwrite_each_other(reader: Reader) -> None:
    code = reader.open_next()
    second = Reader(reader.page.context.new_page(), reader.address)
    second.page.goto(f"/case/{code}")
    second.wait()
    reader.cell(1, "right", "upper_iliac").click()
    reader.saved()
    second.cell(3, "left", "upper_iliac").click()
    expect(second.page.locator("#saved")).to_have_attribute("data-state", "conflict")
    assert reader.points() == {(1, "right", "upper_iliac")}
    second.page.click("#trouble button >> nth=0")
    expect(second.cell(1, "right", "upper_iliac")).to_have_text("1")


def test_a_moved_window_keeps_what_is_still_in_it(reader: Reader) -> None:
    page = reader.page
    reader.open_next()
    reader.cell(1, "right", "upper_iliac").click()
    reader.cell(3, "left", "upper_iliac").click()
    page.click("#later")
    page.click("dialog .answers button >> nth=0")
    expect(page.locator("#six-note")).to_have_text("moved by +1")
    reader.saved()
    assert reader.points() == {(2, "left", "upper_iliac")}


def test_lengths_are_millimetres(reader: Reader) -> None:
    """By keyboard; the step is one millimetre, on pixels of another size."""
    reader.open_next()
    keys = reader.keys
    reader.page.locator(".panel").first.focus()
    keys.press("x")
    keys.press("m")
    for _ in range(10):
        keys.press("ArrowRight")
    expect(reader.page.locator(".panel").first).to_have_attribute("aria-label", re.compile(r"\b10\.0 mm$"))


def test_the_adjudicator_reads_without_seeing_the_readings(browser: Browser, tmp_path: Path, prepared: Path) -> None:
    served = Served.of(prepared, tmp_path / "page")
    try:
        for name, points in (("ann", ()), ("ben", tuple((k, "right", "upper_iliac") for k in range(1, 7)))):
            reader = Reader.signed_in(browser, served, name)
            for _ in range(3):
                reader.read_and_lock(*points)
            reader.page.context.close()
        office = Reader.signed_in(browser, served, "dee")
        expect(office.page.locator("table.list").last).to_contain_text("cem")
        third = Reader.signed_in(browser, served, "cem")
        third.open_next()
        page = third.page.content()
        assert not any(word in page for word in ("ann", "ben", "P001", "W12"))
        assert third.points() == set()
        third.fill_in((1, "left", "upper_iliac"))
        third.lock()
        assert third.case()["mode"] == "adjudication"
    finally:
        served.kill()


def test_every_role_has_its_page(browser: Browser, served: Served) -> None:
    for role, path in ((Role.COORDINATOR, "/coordinator"), (Role.ADMINISTRATOR, "/users"), (Role.AUDITOR, "/audit")):
        someone = Reader.signed_in(browser, served, served.new_user(role))
        assert someone.page.url == served.address + path
        expect(someone.page.locator("h1")).to_be_visible()
        someone.page.context.close()
