"""The pages in a browser: accessible in light and dark and on a phone, and a report whose slices open large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sparcc_pipeline.app.batch.index import Origin, index_html
from sparcc_pipeline.app.nightly.morning.page import morning_page
from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.report.whose import Whose
from sparcc_pipeline.app.results.rows import BatchRow
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Segmented, score_slices, six_slices
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import find_joints

from ..accessibility import axe_script, chromium, serious_findings
from ..conftest import make_stir, make_tissue
from ..nightly.morning.morning_builders import busy_morning
from . import test_change_report as change_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS = [
    BatchRow(study="study-1", status="scored", total=13, edema=9, intensity=1, depth=3, evaluable_maximum=72),
    BatchRow(study="study-2", status="rejected", reason="expected STIR, found T1; send STIR", reason_kind="NotStir"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    return axe_script(tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module", params=["en", "zh"])
def pages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page in one language."""
    folder, code = tmp_path_factory.mktemp("pages"), request.param
    run = Run(load_config().model_copy(update={"lang": code}), Request(), datetime(2026, 12, 1, tzinfo=UTC))
    stir, tissue = make_stir(), make_tissue()
    placed = replace(stir.geometry, frame_of_reference_uid="1.2.3")
    stir = replace(stir, geometry=placed, series=replace(stir.series, acquired="2026-03-01T10:00:00"))
    tissue = replace(tissue, geometry=placed)
    study = change_pages._baseline().study
    joints = find_joints(tissue.anatomy, tissue.geometry)
    segmented = Segmented(replace(study, stir=stir, t1=stir), tissue, joints, change_pages._baseline().model)
    scored = score_slices(segmented, six_slices(segmented, Request()))
    write_outputs(scored, score_document(scored, run), run, folder, label="T1-0042")
    comparison = change_pages._comparison()
    document = change_pages._document(comparison, lambda request: replace(run, request=request))
    origins = {
        "study-1": Origin(
            ("/data/one",),
            Whose(date="2026-03-01", series=Message("series {number} ({kind})", number="3", kind="STIR")),
        )
    }
    texts = {
        "change": change_pages._page(document, language(code)),
        "batch": index_html(ROWS, {"scored": 1, "rejected": 1}, 0, run, origins),
        "morning": morning_page(busy_morning(), language(code), {}),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in ("report", *texts)}


def _open(browser: Browser, file: Path, width: int = 1280, **settings: Any) -> Page:
    page = browser.new_context(viewport={"width": width, "height": 900}, **settings).new_page()
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("name", ["report", "change", "batch", "morning"])
def test_axe_finds_nothing_serious(browser: Browser, axe: str, pages: dict[str, Path], name: str) -> None:
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        page = _open(browser, pages[name], width, color_scheme=scheme)
        assert serious_findings(page, axe) == [], (scheme, width)
        page.context.close()


@pytest.mark.parametrize("name", ["report", "change", "batch", "morning"])
def test_a_phone_shows_every_page_at_its_own_width(browser: Browser, pages: dict[str, Path], name: str) -> None:
    page = _open(browser, pages[name], width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def test_a_click_on_a_cell_opens_its_slice_with_keys_for_the_rest(browser: Browser, pages: dict[str, Path]) -> None:
    page = _open(browser, pages["report"])
    dialog, marks = page.locator("#viewer"), page.locator('[data-view="stir"] img')
    page.locator('td[data-slice="2"][data-item="deep"]').first.click()

    assert dialog.is_visible()
    assert "7" in page.locator("#viewer-title").inner_text()
    assert page.locator('[data-view="stir"] .ring').is_visible()
    assert page.locator("[data-t1]").is_visible()
    page.keyboard.press("o")
    assert marks.evaluate("each => each.style.visibility") == "hidden"
    page.keyboard.press("t")
    assert page.locator("[data-t1]").is_hidden()
    page.keyboard.press("+")
    assert "scale(1.4)" in page.locator('[data-view="stir"]').evaluate("each => each.style.transform")
    page.keyboard.press("ArrowRight")
    assert "8" in page.locator("#viewer-title").inner_text()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    page.context.close()


def test_without_scripts_a_slice_is_reached_by_its_link(browser: Browser, pages: dict[str, Path]) -> None:
    page = _open(browser, pages["report"], java_script_enabled=False)
    page.locator(".thumbnails a").nth(1).click()

    assert page.url.endswith("#slice-6")
    assert page.locator("#viewer").is_hidden()
    assert page.locator("#slice-6 img").first.is_visible()
    page.context.close()


def test_the_report_is_one_file_of_a_few_megabytes(pages: dict[str, Path]) -> None:
    assert pages["report"].stat().st_size < 5_000_000
