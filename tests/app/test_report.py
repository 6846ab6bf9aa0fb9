"""The report: one file, complete, without anything that runs, calls or identifies."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.provenance import Run
from sparcc_pipeline.app.report import SeriesText, report_html
from sparcc_pipeline.app.result import score_document
from sparcc_pipeline.app.study import Request, Scored

PNG = b"\x89PNG stand-in"


class _Page(HTMLParser):
    """Tags, attributes, the words, and the grid's cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self._in_cell = False
        self.feed(html)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_cell = self._in_cell or (
            tag == "td" and bool(re.search(r"\b(one|zero|na)\b", dict(attrs).get("class") or ""))
        )
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"] or data.strip() == "":
            self.words += f" {data}"
        if self._in_cell and data.strip():
            self.cells.append(data.strip())


@pytest.fixture
def document(scored: Scored, run_at: Callable[[Request], Run]) -> dict[str, Any]:
    return score_document(scored, run_at(Request()))


def _render(document: dict[str, Any], **changes: Any) -> str:
    series = SeriesText({"kind": "STIR", "echo_time_ms": 38.0}, ("the only STIR series",), ())
    return report_html(document, replace(series, **changes), [PNG] * 6)


def test_the_answer_is_there(document: dict[str, Any]) -> None:
    words = _Page(_render(document)).words

    for expected in (
        "SPARCC 4 of 72", "Edema 2 of 48", "Intensity 1 of 12", "Depth 1 of 12", "Reachable 72 of 72",
        "MRI by ASAS negative", "Research use only", "900, median of the presacral vessels", "TE 38 ms",
        "known 1.0 (onnx)", document["provenance"]["input"]["sha256"], document["series_uid"], "the only STIR series",
        "4 to 9, counted from 0 at the most anterior slice; together 24 mm",
    ):  # fmt: skip
        assert expected in words, expected


def test_the_grid_holds_every_item_in_its_place(document: dict[str, Any]) -> None:
    cells = _Page(_render(document)).cells
    rows = [cells[start : start + 12] for start in range(0, 72, 12)]

    assert len(cells) == 72
    # Right: iliac upper, iliac lower, sacral upper, sacral lower, intense, deep; left: sacral before iliac.
    assert rows[1] == ["1", "0", "0", "0", "0", "1"] + ["0"] * 6
    assert rows[3] == ["0"] * 6 + ["0", "1", "0", "0", "1", "0"]
    assert sum(cell == "1" for cell in cells) == 4


def test_what_is_not_evaluable_is_no_0(document: dict[str, Any]) -> None:
    document["joints"][0]["edema"]["lower_iliac"] = None
    document["joints"][0]["depth_mm"] = None
    page = _Page(_render(document))

    assert page.cells[1] == "–"
    assert "1 of 72 items could not be evaluated" in page.words


def test_warnings_come_before_the_grid(document: dict[str, Any]) -> None:
    document["warnings"] = ["lossy compression", "9 <b>slices</b>"]
    html = _render(document)

    assert html.index("Lossy compression.") < html.index('class="grid"')
    assert "9 &lt;b&gt;slices&lt;/b&gt;." in html


def test_without_warnings_there_is_no_box(document: dict[str, Any]) -> None:
    assert 'class="warnings"' not in _render(document)


def test_a_missing_reference_is_said(document: dict[str, Any]) -> None:
    document["reference_signal"] = None

    assert "Could not be measured: intensity is not evaluable" in _render(document)


def test_the_user_s_choice_of_slices_and_other_series_are_said(document: dict[str, Any]) -> None:
    document["chosen_by"] = "user"
    words = _Page(_render(document, passed_over=("series 4: T1",))).words

    assert "Chosen by the user" in words
    assert "Not taken: series 4: T1" in words


def test_the_file_stands_alone(document: dict[str, Any]) -> None:
    page = _Page(_render(document))
    names = [tag for tag, _ in page.tags]
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]

    assert not {"script", "link", "iframe", "object"} & set(names)
    assert not any(attributes.get("href") for _, attributes in page.tags)
    assert sources == ["data:image/png;base64," + base64.b64encode(PNG).decode()] * 6
    assert "url(" not in _render(document)
    assert "@import" not in _render(document)


def test_a_nifti_source_without_uids_can_be_reported(document: dict[str, Any]) -> None:
    document["study_uid"] = document["series_uid"] = None

    assert "none (NIfTI)" in _render(document)


def test_every_picture_has_its_words(document: dict[str, Any], tmp_path: Path) -> None:
    texts = [attributes["alt"] or "" for tag, attributes in _Page(_render(document)).tags if tag == "img"]

    assert [text.split(":")[0] for text in texts] == [f"Slice {index}" for index in range(4, 10)]
