"""Tools that readers expect: undo, cine, figures of the window, regions, keys for answers, layout, touch."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra test)")
from playwright.sync_api import Browser, expect

from .browsing import Reader, Served


def test_entries_are_undone_and_redone(reader: Reader) -> None:
    page, keys = reader.page, reader.keys
    reader.open_next()
    reader.cell(1, "right", "upper_iliac").click()
    reader.cell(3, "left", "lower_sacral").click()
    page.fill("#visit-comment", "a comment of several letters")
    page.locator(".panel").first.focus()
    keys.press("Control+z")
    expect(page.locator("#visit-comment")).to_have_value("")
    keys.press("Control+z")
    expect(reader.cell(3, "left", "lower_sacral")).not_to_have_text("1")
    reader.saved()
    assert reader.points() == {(1, "right", "upper_iliac")}
    keys.press("Control+y")
    reader.saved()
    assert reader.points() == {(1, "right", "upper_iliac"), (3, "left", "lower_sacral")}
    page.click('[data-command="undo"]')
    page.click('[data-command="undo"]')
    page.click('[data-command="undo"]')
    expect(page.locator("#mention")).to_have_text("There is nothing to undo.")
    reader.saved()
    assert reader.points() == set()


def test_cine_runs_through_the_slices_and_stops_at_a_key(reader: Reader) -> None:
    page = reader.page
    reader.open_next()
    slice_now = "window.page.hanging.sliceOf(window.page.hanging.active)"
    panel = page.locator(".panel").first
    before = panel.get_attribute("data-slice")
    reader.keys.press("b")
    expect(panel).not_to_have_attribute("data-slice", str(before))
    reader.keys.press("Escape")
    stopped = page.evaluate(slice_now)
    page.wait_for_timeout(600)
    assert page.evaluate(slice_now) == stopped


def test_a_region_shows_mean_and_area(reader: Reader) -> None:
    """A square of 20 x 20 pixels: the mean of the pixels inside, and the area with the size of a pixel."""
    page = reader.page
    reader.open_next()
    reader.keys.press("r")
    corners = page.evaluate(
        """() => {
            const { activePanel: panel } = window.page.hanging;
            const box = panel.canvas.getBoundingClientRect();
            return [[30, 60], [30, 80], [50, 80], [50, 60]].map((at) => {
                const [x, y] = panel.place(at);
                return [box.x + x / panel.ratio, box.y + y / panel.ratio];
            });
        }"""
    )
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=8)
    page.mouse.up()
    line = page.locator("#regions li").first.inner_text()
    mean, area = (float(text) for text in re.search(r"mean (\d+), (\d+) mm²", line).groups())  # type: ignore[union-attr]
    expected_mean, pixel = page.evaluate(
        """() => {
            const { activePanel: panel } = window.page.hanging;
            const pixels = panel.stack.get(panel.slice);
            let sum = 0;
            for (let row = 31; row < 50; row += 1)
                for (let column = 61; column < 80; column += 1) sum += pixels[row * panel.series.columns + column];
            return [sum / 361, panel.series.spacing_mm[1] * panel.series.spacing_mm[2]];
        }"""
    )
    assert mean == pytest.approx(expected_mean, rel=0.03)
    assert area == pytest.approx(400 * pixel, rel=0.05)
    reader.keys.press("Escape")
    expect(page.locator("#regions li")).to_have_count(0)


def test_asas_and_quality_have_keys(reader: Reader) -> None:
    reader.open_next()
    for key in ("Shift+S", "Shift+A"):
        reader.keys.press(key)
    reader.saved()
    visit = reader.case()["reading"]["content"]["visits"]["A"]
    assert (visit["asas_positive"], visit["image_quality"]) == (True, "adequate")
    for key in ("Shift+S", "Shift+P"):
        reader.keys.press(key)
    reader.saved()
    visit = reader.case()["reading"]["content"]["visits"]["A"]
    assert (visit["asas_positive"], visit["image_quality"]) == (False, "poor")


def test_a_badge_lies_beside_its_quadrant(reader: Reader) -> None:
    """The middle of a quadrant with a point is the image itself: no filled badge covers a lesion."""
    page = reader.page
    reader.open_next()
    colour = """() => {
        const { activePanel: panel, active } = window.page.hanging;
        const joint = active.joints.find((each) => each.slice_index === panel.slice && each.joint === "right");
        const points = joint.quadrants.upper_iliac[0];
        const middle = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
        const [x, y] = panel.place(middle).map(Math.round);
        return [...panel.canvas.getContext("2d").getImageData(x, y, 1, 1).data];
    }"""
    page.wait_for_timeout(300)
    reader.cell(1, "right", "upper_iliac").click()
    page.wait_for_timeout(300)
    red, green, blue, _ = page.evaluate(colour)
    assert red == green == blue, "gray, as the image"


def test_a_time_point_without_t1_fills_its_column(reader: Reader) -> None:
    """Give the first time point a T1 view; the second one, without T1, spans both rows."""
    page = reader.page
    while True:
        reader.open_next()
        if len(reader.case()["visits"]) > 1:
            break
        reader.read_and_lock()

    def with_t1(route):  # type: ignore[no-untyped-def]
        answer = route.fetch()
        case = answer.json()
        first = case["visits"][0]
        first["series"]["t1"] = first["series"]["stir"]
        route.fulfill(response=answer, json=case)

    page.route(f"**/api/cases/{reader.code}", with_t1)
    page.reload()
    reader.wait()
    heights = page.evaluate("window.page.hanging.panels.map((panel) => panel.element.clientHeight)")
    whole = page.evaluate("document.getElementById('hanging').clientHeight")
    assert heights[2] > 0.95 * whole > 1.8 * heights[0]
    page.keyboard.press("t")
    page.keyboard.press("t")  # T1 alone: a time point without T1 still shows its STIR
    assert page.evaluate("window.page.hanging.panels[2].element.isConnected")


def test_text_grows_on_a_screen_of_4k(browser: Browser, served: Served) -> None:
    sizes = {}
    for width, height in ((1280, 800), (1920, 1080), (3840, 2160)):
        reader = Reader.signed_in(browser, served, served.new_user())
        reader.page.set_viewport_size({"width": width, "height": height})
        reader.open_next()
        size = "parseFloat(getComputedStyle(document.querySelector('.points th[title]')).fontSize)"
        sizes[width] = reader.page.evaluate(size)
        reader.page.context.close()
    assert sizes[3840] >= 2 * sizes[1280] >= 2 * 10


def test_a_tablet_is_used_with_fingers(browser: Browser, served: Served) -> None:
    reader = Reader.signed_in(browser, served, served.new_user(), has_touch=True, is_mobile=True)
    page = reader.page
    page.set_viewport_size({"width": 820, "height": 1180})
    reader.open_next()
    page.touchscreen.tap(*reader.place_of("right", "upper_iliac"))
    expect(reader.cell(1, "right", "upper_iliac")).to_have_text("1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 820

    session = page.context.new_cdp_session(page)
    box = page.locator(".panel").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": a, "y": b, "id": k} for k, (a, b) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    before = page.evaluate("window.page.hanging.sliceOf(window.page.hanging.active)")
    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x, y + 8 * step))
    touch("touchEnd")
    assert page.evaluate("window.page.hanging.sliceOf(window.page.hanging.active)") > before

    zoom = page.evaluate("window.page.hanging.zoom")
    touch("touchStart", (x - 20, y), (x + 20, y))
    for step in range(1, 6):
        touch("touchMove", (x - 20 - 8 * step, y), (x + 20 + 8 * step, y))
    touch("touchEnd")
    assert page.evaluate("window.page.hanging.zoom") > 1.5 * zoom
    page.context.close()


def test_the_window_is_shown_in_figures(reader: Reader) -> None:
    page = reader.page
    reader.open_next()
    panel = page.locator(".panel").first
    before = panel.get_attribute("data-window")
    reader.keys.press("Shift+ArrowRight")
    expect(panel).not_to_have_attribute("data-window", str(before))


def test_structural_lesions_are_read_on_the_page(browser: Browser, served: Served) -> None:
    """Five slices; a lesion is chosen, then its points are set in the grid and on the image."""
    name = served.new_user(structural=True)
    reader = Reader.signed_in(browser, served, name)
    page = reader.page
    page.goto("/worklist")
    page.click("table >> nth=1 >> tbody a >> nth=0")
    reader.wait()
    expect(page.locator("tr[data-slice]")).to_have_count(5)
    reader.cell(1, "right", "fat_upper_iliac").click()
    page.mouse.click(*reader.place_of("left", "upper_sacral"))
    page.keyboard.press("Shift+K")
    expect(reader.cell(1, "right", "ankylosis_upper")).to_be_visible()
    page.mouse.click(*reader.place_of("left", "lower_iliac"))
    reader.saved()
    assert reader.points() == {
        (1, "right", "fat_upper_iliac"),
        (1, "left", "fat_upper_sacral"),
        (1, "left", "ankylosis_lower"),
    }
    expect(page.locator("#parts")).to_contain_text("fat 2")
    for label in reader.case()["reading"]["content"]["visits"]:
        page.click(f'#visits [data-label="{label}"]')
        for slice_ in range(1, 6):
            page.locator(f'[data-read="{slice_}"]').click()
        page.click('[data-answer="image_quality good"]')
    reader.saved()
    reader.lock()
    assert reader.case()["reading"]["state"] == "locked"
    page.context.close()
