"""What breaks in the middle of a reading loses nothing: browser, server, network, session. And the other language."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")
from playwright.sync_api import Browser, Error, Playwright, Route, expect

from sparcc_pipeline.app.reader.accounts.roles import Role
from sparcc_pipeline.app.report.language import language

from ..conftest import USERS
from .browsing import ARGUMENTS, CHROMIUM, Reader, Served

POINTS = ((1, "right", "upper_iliac"), (1, "right", "intense"), (3, "left", "lower_sacral"))


def enter(reader: Reader) -> None:
    for at in POINTS:
        reader.cell(*at).click()


def test_a_killed_browser_loses_nothing(engine: Playwright, served: Served) -> None:
    name = served.new_user()
    browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
    reader = Reader.signed_in(browser, served, name)
    code = reader.open_next()
    enter(reader)
    reader.saved()
    # No farewell: the page is not asked to save, it has to have done so.
    with contextlib.suppress(Error):
        browser.new_browser_cdp_session().send("Browser.crash")

    again = engine.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
    reader = Reader.signed_in(again, served, name)
    assert reader.open_next() == code
    expect(reader.cell(3, "left", "lower_sacral")).to_have_text("1")
    assert reader.points() == set(POINTS)
    again.close()


def test_a_killed_server_loses_nothing_and_the_page_says_so(reader: Reader, served: Served) -> None:
    reader.open_next()
    reader.cell(*POINTS[0]).click()
    reader.saved()
    served.kill()
    for at in POINTS[1:]:
        reader.cell(*at).click()
    expect(reader.page.locator("#saved")).to_have_attribute("data-state", "offline")
    expect(reader.page.locator("#trouble")).to_contain_text("kept in this browser")
    served.start()
    reader.saved()
    expect(reader.page.locator("#trouble")).to_be_hidden()
    assert reader.points() == set(POINTS)


def test_what_the_server_never_got_comes_back_with_the_page(reader: Reader) -> None:
    """The line is cut, the page is closed, and another day it is opened again."""
    page = reader.page
    code = reader.open_next()
    page.route("**/reading", lambda route: route.abort())
    enter(reader)
    expect(page.locator("#saved")).to_have_attribute("data-state", "offline")
    page.close(run_before_unload=False)

    reader.page = page.context.new_page()
    reader.page.goto(f"/case/{code}")
    reader.wait()
    expect(reader.page.locator("#mention")).to_contain_text("restored")
    reader.saved()
    assert reader.points() == set(POINTS)


def test_a_page_that_cannot_load_says_so_and_tries_again(reader: Reader) -> None:
    page = reader.page
    cut = re.compile(r"/api/cases/[^/]+$")
    page.route(cut, lambda route: route.abort())
    page.goto("/worklist")
    page.click(".progress a.button")
    expect(page.locator("#trouble")).to_contain_text("cannot be reached")
    page.unroute(cut)
    reader.wait()
    expect(page.locator("#trouble")).to_be_hidden()


def test_an_answer_that_was_lost_is_no_conflict(reader: Reader) -> None:
    """The server saved, and the line broke before it could say so."""
    reader.open_next()
    lost: list[Route] = []

    def lose_one(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route)
        route.fetch()
        route.abort()

    reader.page.route("**/reading", lose_one)
    enter(reader)
    reader.saved()
    assert reader.points() == set(POINTS)


def test_a_slow_network_is_waited_for(reader: Reader) -> None:
    page = reader.page

    def delay(route: Route) -> None:
        time.sleep(0.3)
        route.continue_()

    page.route(re.compile(r"/reading$"), delay)
    reader.open_next()
    enter(reader)
    expect(page.locator("#saved")).to_have_attribute("data-state", "saving")
    expect(page.locator("#total")).to_have_text("3")  # the page does not wait for the server
    reader.saved()
    assert reader.points() == set(POINTS)


def test_who_was_signed_out_comes_back_to_the_same_case(reader: Reader, served: Served) -> None:
    page = reader.page
    code = reader.open_next()
    kept: Any = page.context.cookies()
    page.context.clear_cookies()
    enter(reader)
    expect(page.locator("#saved")).to_have_attribute("data-state", "signed_out")
    page.context.add_cookies(kept)
    page.goto(f"/case/{code}")
    reader.wait()
    reader.saved()
    assert reader.points() == set(POINTS)


ENGLISH = {english for english, said in language("zh").catalogue.items() if english != said}
LATIN = re.compile(r"[A-Za-z]{3,}")
KNOWN = re.compile(
    r"SPARCC|STIR|ASAS|MRI|ICC|English|CSV|PDF|Ctrl|Shift|PgUp|PgDn|Esc|user\d+|USER\d+|[A-Z0-9]{5}-[A-Z0-9]{5}"
    rf"|\b({'|'.join(USERS)})\b"
)
"""Abbreviations, keys, names and codes, which are the same in every language."""

SEEN = """() => {
    const words = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const { parentElement, textContent } = walker.currentNode;
        if (!parentElement.closest("script, code, [translate=no]")) words.push(textContent.trim());
    }
    for (const name of ["aria-label", "title", "placeholder", "alt"])
        for (const element of document.querySelectorAll(`[${name}]`)) words.push(element.getAttribute(name));
    return words.filter((text) => text !== "");
}"""


def no_english(reader: Reader) -> None:
    seen = reader.page.evaluate(SEEN)
    assert seen
    assert [text for text in seen if text in ENGLISH or LATIN.search(KNOWN.sub("", text))] == []


def test_the_chinese_pages_have_no_english_left(browser: Browser, served: Served) -> None:
    reader = Reader.signed_in(browser, served, served.new_user())
    page = reader.page
    page.click(".languages button")
    for path in ("/worklist", "/calibration", "/password"):
        page.goto(path)
        no_english(reader)
    reader.open_next()
    no_english(reader)
    reader.keys.press("?")
    no_english(reader)
    reader.keys.press("Escape")
    reader.cell(1, "right", "upper_iliac").click(button="right")
    no_english(reader)
    reader.keys.press("1")
    page.click("#lock")
    no_english(reader)
    page.click("dialog button")
    reader.read_and_lock()
    page.goto("/worklist")
    page.click('a[href$="/second-opinion"]')
    no_english(reader)
    page.click("#open")
    reader.wait()
    page.click("#revise")
    reader.cell(1, "right", "upper_iliac").click()
    no_english(reader)


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.ADMINISTRATOR])
def test_the_chinese_office_has_no_english_left(browser: Browser, served: Served, role: Role) -> None:
    office = Reader.signed_in(browser, served, served.new_user(role))
    office.page.click(".languages button")
    no_english(office)
