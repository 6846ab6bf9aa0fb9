"""The report: one file, complete, without anything that runs, calls or identifies."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparcc_pipeline.app.report.language import ENGLISH, Language, language
from sparcc_pipeline.app.report.pictures.layers import SliceLayers
from sparcc_pipeline.app.report.score_report import ReportPictures, SeriesText, report_html
from sparcc_pipeline.app.report.whose import Whose
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message

from ..documents import as_dict, as_document

THUMBNAIL, IMAGE, MARKS, T1 = (b"\x89PNG stand-in " + name for name in (b"small", b"image", b"marks", b"T1"))
LAYERS = SliceLayers(IMAGE, MARKS, T1, {"left": {"deep": (40.0, 60.0)}})


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


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
        if self._open[-1:] not in (["style"], ["script"]) or data.strip() == "":
            self.words += f" {data}"
        if self._in_cell and data.strip():
            self.cells.append(data.strip())


@pytest.fixture
def document(scored: Scored, run_at: Callable[[Request], Run]) -> dict[str, Any]:
    return as_dict(score_document(scored, run_at(Request())))


def _render(document: dict[str, Any], words: Language = ENGLISH, font_url: str | None = None, **changes: Any) -> str:
    series = SeriesText({"kind": "STIR", "echo_time_ms": 38.0}, (Message("the only {kind} series", kind="STIR"),), ())
    score = as_document(ScoreDocument, document)
    return report_html(
        score, replace(series, **changes), ReportPictures([THUMBNAIL] * 6, [LAYERS] * 6, 1.5), words, font_url
    )


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
        "MRI by ASAS negative",
        "Research use only",
        "900, median of the presacral vessels",
        "TE 38 ms",
        "known 1.0 (onnx)",
        document["provenance"]["input"]["sha256"],
        document["series_uid"],
        "the only STIR series",
        "5 to 10 (slice 1 is the most anterior one); together 24 mm",
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
    assert "Not scored: series 4: T1" in words


def test_the_file_stands_alone(document: dict[str, Any]) -> None:
    page = _Page(_render(document))
    names = [tag for tag, _ in page.tags]
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]

    assert not {"link", "iframe", "object"} & set(names)
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in page.tags)
    assert not any(attributes.get("src") for tag, attributes in page.tags if tag == "script")
    assert sources == [_data(each) for each in [THUMBNAIL] * 6 + [MARKS, T1] * 6]
    assert re.findall(r"url\((.*?)\)", _render(document)) == [f'"{_data(IMAGE)}"'] * 6
    assert "@import" not in _render(document)


def test_a_nifti_source_without_uids_can_be_reported(document: dict[str, Any]) -> None:
    document["study_uid"] = document["series_uid"] = None

    assert "none (NIfTI)" in _render(document)


def test_every_picture_has_its_words(document: dict[str, Any], tmp_path: Path) -> None:
    texts = [attributes["alt"] or "" for tag, attributes in _Page(_render(document)).tags if tag == "img"]

    numbers = [f"Slice {number}" for number in range(5, 11)]
    assert [text.split(":")[0] for text in texts[:6]] == numbers
    assert [text.split(":")[0] for text in texts[6:18]] == [number for number in numbers for _ in range(2)]


def test_the_pdf_has_no_script_and_no_large_view(document: dict[str, Any]) -> None:
    names = {tag for tag, _ in _Page(_render(document, font_url="file:///font.otf")).tags}

    assert not {"script", "dialog"} & names


def test_a_click_on_an_item_knows_its_slice_and_its_place(document: dict[str, Any]) -> None:
    html = _render(document)
    stored = json.loads(html.split('id="slices">')[1].split("</script>")[0])

    assert [each["id"] for each in stored] == [f"slice-{number}" for number in range(5, 11)]
    assert stored[1]["places"]["left"]["deep"] == [40.0, 60.0]
    assert len(stored[0]["items"]) == 12
    assert 'data-slice="1" data-side="right" data-item="upper_iliac"' in html
    assert all(f'id="slice-{number}"' in html for number in range(5, 11))


def test_whose_images_is_on_the_page_and_in_the_margin_of_every_printed_one(document: dict[str, Any]) -> None:
    html = _render(document, whose=Whose(label='T1 "2"', date="2026-03-01"))

    assert 'T1 "2" images of 2026-03-01' in _Page(html).words
    assert '@top-right { content: "T1\\20 \\22 2\\22 ' in html


def test_a_total_outside_its_interval_is_explained(document: dict[str, Any]) -> None:
    document["interval_90"] = [6, 9]

    assert "The measurements give 4 points, a reader would more likely give 6-9" in _page_one(_render(document))
    document["interval_90"] = [2, 7]
    assert "The measurements give" not in _render(document)


# Page one


def test_page_one_holds_the_answer_the_slices_and_the_warnings(document: dict[str, Any]) -> None:
    document["warnings"] = [Message("{blank} of {slices} slices are blank: check the export", blank=1, slices=14)]
    html = _render(document)
    words, tags = _page_one(html), _Page(html[: html.index('class="grid"')]).tags

    for expected in (
        "SPARCC 4 of 72",
        "Edema 2 of 48",
        "Intensity 1 of 12",
        "Depth 1 of 12",
        "1 of 14 slices are blank: check the export.",
    ):
        assert expected in words, expected
    thumbnails = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert thumbnails == ["data:image/png;base64," + base64.b64encode(THUMBNAIL).decode()] * 6
    for caption in ("Slice 5 0 points", "Slice 6 2 points", "Slice 8 2 points", "Slice 10 0 points"):
        assert caption in words, caption


def test_a_slice_without_anything_evaluable_has_no_points(document: dict[str, Any]) -> None:
    for joint in document["joints"]:
        if joint["slice"] == 0:
            joint |= {"edema": dict.fromkeys(joint["edema"]), "intense": None, "deep": None}

    assert "Slice 5 not evaluable" in _page_one(_render(document))


def test_uncertainty_is_shown_if_there_is_some(document: dict[str, Any]) -> None:
    document |= dict.fromkeys(("interval_90", "expected", "probability_remission"))
    for joint in document["joints"]:
        joint["probability"] = dict.fromkeys(joint["probability"])
    without = _page_one(_render(document))
    document |= {"interval_90": [2, 7], "expected": 4.26, "probability_remission": 0.004}
    words = _page_one(_render(document))

    assert "4; how sure it is, is not known (the model is not calibrated)" in without
    for absent in ("interval", "Expected", "remission", "Look at these first"):
        assert absent not in without, absent
    assert "4, plausibly 2-7" in words
    assert "Expected total" not in words, "no number beside the total that seems to contradict it"
    for expected in ("90 % interval 2–7", "Expected total 4.3", "Chance of MRI remission (under 2) < 1 %"):
        assert expected in _Page(_render(document)).words, expected


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
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in table.split("<tr")[2:]]
    rows = [[word for word in row if "data-" not in word] for row in rows]

    assert rows[0][-6:] == ["6", "left,", "depth", "0", "48", "%"]
    assert rows[1][-8:] == ["6", "right,", "upper", "iliac", "quadrant", "1", "61", "%"]
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
    document["warnings"] = [Message("{blank} of {slices} slices are blank: check the export", blank=1, slices=14)]
    document["joints"][0]["edema"]["lower_iliac"] = None
    html = _render(document, language("zh"), passed_over=(Message("{plane} slices", plane="axial"),))
    page = _Page(re.sub(r"<(style|script)[ >].*?</\1>", "", html, flags=re.DOTALL))
    text = page.words + " ".join(attributes.get("alt") or attributes.get("title") or "" for _, attributes in page.tags)
    names = {
        *("SPARCC", "STIR", "MRI", "ASAS", "UID", "NIfTI", "TE", "TI", "TR", "UTC", "Maksymowych", "doi", "art"),
        *("known", "onnx", "sparcc", "pipeline", "mm", "ms", "InstanceNumber", "Esc", "T1"),
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
        "14 个层面中有 1 个为空白：请检查导出。",
        "层面 5 0 分",
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
