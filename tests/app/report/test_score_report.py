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

from sparcc_pipeline.app.report.language import ENGLISH, Language, language
from sparcc_pipeline.app.report.score_report import ReportPictures, SeriesText, report_html
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message

from ..documents import as_dict, as_document

THUMBNAIL, OVERLAY = b"\x89PNG small stand-in", b"\x89PNG stand-in"


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
    return as_dict(score_document(scored, run_at(Request())))


def _render(document: dict[str, Any], words: Language = ENGLISH, **changes: Any) -> str:
    series = SeriesText({"kind": "STIR", "echo_time_ms": 38.0}, (Message("the only {kind} series", kind="STIR"),), ())
    score = as_document(ScoreDocument, document)
    return report_html(score, replace(series, **changes), ReportPictures([THUMBNAIL] * 6, [OVERLAY] * 6), words)


def _page_one(html: str) -> str:
    """The words before the grid."""
    return _Page(html[: html.index('class="grid"')]).words


def test_the_answer_is_there(document: dict[str, Any]) -> None:
    words = _Page(_render(document)).words

    for expected in (
        "SPARCC 4 of 72",
        "Edema 2 of 48",
        "Intensity 1 of 12",
        "Depth 1 of 12",
        "Reachable 72 of 72",
        "MRI by ASAS negative",
        "Research use only",
        "900, median of the presacral vessels",
        "TE 38 ms",
        "known 1.0 (onnx)",
        document["provenance"]["input"]["sha256"],
        document["series_uid"],
        "the only STIR series",
        "4 to 9, counted from 0 at the most anterior slice; together 24 mm",
    ):
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


def test_a_missing_reference_is_reported(document: dict[str, Any]) -> None:
    document["reference_signal"] = None

    assert "Could not be measured: intensity is not evaluable" in _render(document)


def test_the_user_s_choice_of_slices_and_other_series_are_shown(document: dict[str, Any]) -> None:
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
    assert sources == ["data:image/png;base64," + base64.b64encode(p).decode() for p in [THUMBNAIL] * 6 + [OVERLAY] * 6]
    assert "url(" not in _render(document)
    assert "@import" not in _render(document)


def test_a_nifti_source_without_uids_can_be_reported(document: dict[str, Any]) -> None:
    document["study_uid"] = document["series_uid"] = None

    assert "none (NIfTI)" in _render(document)


def test_every_picture_has_its_words(document: dict[str, Any], tmp_path: Path) -> None:
    texts = [attributes["alt"] or "" for tag, attributes in _Page(_render(document)).tags if tag == "img"]

    assert [text.split(":")[0] for text in texts] == [f"Slice {index}" for index in range(4, 10)] * 2


# Page one


def test_page_one_holds_the_answer_the_slices_and_the_warnings(document: dict[str, Any]) -> None:
    document["warnings"] = [Message("{blank} of {slices} slices are blank", blank=1, slices=14)]
    html = _render(document)
    words, tags = _page_one(html), _Page(html[: html.index('class="grid"')]).tags

    for expected in (
        "SPARCC 4 of 72",
        "Edema 2 of 48",
        "Intensity 1 of 12",
        "Depth 1 of 12",
        "1 of 14 slices are blank.",
    ):
        assert expected in words, expected
    thumbnails = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert thumbnails == ["data:image/png;base64," + base64.b64encode(THUMBNAIL).decode()] * 6
    for caption in ("Slice 4 anterior 0 points", "Slice 5 2 points", "Slice 7 2 points", "Slice 9 posterior 0 points"):
        assert caption in words, caption


def test_a_slice_without_anything_evaluable_has_no_points(document: dict[str, Any]) -> None:
    for joint in document["joints"]:
        if joint["slice"] == 0:
            joint |= {"edema": dict.fromkeys(joint["edema"]), "intense": None, "deep": None}

    assert "Slice 4 anterior not evaluable" in _page_one(_render(document))


def test_uncertainty_is_shown_if_there_is_some(document: dict[str, Any]) -> None:
    document |= dict.fromkeys(("interval_90", "expected", "probability_remission"))
    for joint in document["joints"]:
        joint["probability"] = dict.fromkeys(joint["probability"])
    without = _page_one(_render(document))
    document |= {"interval_90": [2, 7], "expected": 4.26, "probability_remission": 0.004}
    words = _page_one(_render(document))

    for absent in ("interval", "Expected", "remission", "Look at these first"):
        assert absent not in without, absent
    for expected in ("90 % interval 2–7", "Expected total 4.3", "Chance of MRI remission (under 2) < 1 %"):
        assert expected in words, expected


def _with_probabilities(document: dict[str, Any], default: float) -> list[dict[str, float | None]]:
    probabilities: list[dict[str, float | None]] = []
    for joint in document["joints"]:
        joint["probability"] = dict.fromkeys((*joint["edema"], "intense", "deep"), default)
        probabilities.append(joint["probability"])
    return probabilities


def test_the_most_doubtful_items_come_first_and_are_few(document: dict[str, Any]) -> None:
    probabilities = _with_probabilities(document, 0.75)
    probabilities[3]["deep"] = 0.48  # left of the second slice
    probabilities[2]["upper_iliac"] = 0.61
    probabilities[0]["lower_iliac"] = 0.5
    document["joints"][0]["edema"]["lower_iliac"] = None  # not evaluable: nothing to look at
    table = _render(document).split('<table class="plain doubtful">')[1].split("</table>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in table.split("<tr>")[2:]]

    assert rows[0] == ["5", "left", "depth", "48", "%", "0"]
    assert rows[1] == ["5", "right", "upper", "iliac", "quadrant", "61", "%", "1"]
    assert len(rows) == 6


def test_without_probabilities_nothing_is_called_certain(document: dict[str, Any]) -> None:
    for joint in document["joints"]:
        joint["probability"] = dict.fromkeys((*joint["edema"], "intense", "deep"))
    html = _render(document)

    assert "doubtful:" not in html and "Look at these first" not in html


def test_a_page_without_doubtful_items_states_that(document: dict[str, Any]) -> None:
    _with_probabilities(document, 0.97)[1]["intense"] = None

    assert "No item is doubtful: every probability of a point is below 20 % or above 80 %." in _page_one(
        _render(document)
    )


# Chinese


def test_the_chinese_page_has_no_english_left(document: dict[str, Any]) -> None:
    document |= {"interval_90": [2, 7], "expected": 4.26, "probability_remission": 0.3}
    _with_probabilities(document, 0.5)
    document["warnings"] = [Message("{blank} of {slices} slices are blank", blank=1, slices=14)]
    document["joints"][0]["edema"]["lower_iliac"] = None
    html = _render(document, language("zh"), passed_over=(Message("{plane} slices", plane="axial"),))
    page = _Page(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL))
    text = page.words + " ".join(attributes.get("alt") or attributes.get("title") or "" for _, attributes in page.tags)
    names = {
        *("SPARCC", "STIR", "MRI", "ASAS", "UID", "NIfTI", "TE", "TI", "TR", "UTC", "Maksymowych", "doi", "art"),
        *("known", "onnx", "sparcc", "pipeline", "mm", "ms"),
    }
    made = document["provenance"]
    hashes = (made["input"]["sha256"], made["settings_sha256"], made["model"]["sha256"])
    for each in hashes:
        text = text.replace(each, "")

    assert '<html lang="zh-Hans">' in html
    assert set(re.findall(r"[A-Za-z]{2,}", text)) <= names
    for expected in (
        "骨髓水肿 2 / 48",
        "仅供研究使用，不得用于诊断或治疗。",
        "14 个层面中有 1 个为空白。",
        "层面 4 前 0 分",
    ):
        assert expected in page.words, expected


def test_every_point_has_its_reason(document: dict[str, Any]) -> None:
    joints = {(joint["slice"], joint["side"]): joint for joint in document["joints"]}
    right, left = joints[1, "right"], joints[3, "left"]
    right["signal_over_marrow"]["upper_iliac"] = 1.873
    left["signal_over_reference"] = 1.094

    section = _render(document).split("Why each point was given")[1].split("</section>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in section.split("<tr>")[2:]]

    assert [row[2] for row in rows] == ["upper iliac quadrant", "depth", "lower sacral quadrant", "intensity"]
    assert rows[0][3:6] == [f"{right['edema_mm2']['upper_iliac']:.0f}", "1.87", ""]
    assert rows[1][6:] == [f"{right['depth_mm']:.1f}", f"{right['height_mm']:.1f}"]
    assert rows[3][3:6] == ["", "", "1.09"]
    assert all(len(row) == 8 for row in rows)
