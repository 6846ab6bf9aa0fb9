"""The report of a follow-up: every visit on every slice, the document's numbers, nothing that runs or calls."""

from __future__ import annotations

import base64
import html as html_text
import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sparcc_pipeline.app.report.change_report import change_html
from sparcc_pipeline.app.report.language import ENGLISH, Language, language
from sparcc_pipeline.app.report.pictures.alignment import ILIUM, SQUARE_MM
from sparcc_pipeline.app.report.pictures.change import ChangePictures, draw_change
from sparcc_pipeline.app.report.pictures.overlay import (
    EDEMA,
    FOOTER_PIXELS,
    HEADER_PIXELS,
    JOINT_LINE,
    LEFT_JOINT_LINE,
    PIXELS_PER_MM,
)
from sparcc_pipeline.app.report.pictures.sheet import EMPTY
from sparcc_pipeline.app.results.change_document import change_document
from sparcc_pipeline.app.results.change_types import ChangeDocument
from sparcc_pipeline.app.study.compare import Compared, Comparison, NotCompared, visit_name
from sparcc_pipeline.app.study.images import Request, Study
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored, Segmented, score_slices, segment_study, six_slices
from sparcc_pipeline.app.study.visits import Visit
from sparcc_pipeline.errors import RegistrationError
from sparcc_pipeline.imaging.alignment.follow_up import Alignment
from sparcc_pipeline.imaging.alignment.movement import SliceMovement
from sparcc_pipeline.imaging.alignment.registration import Registration
from sparcc_pipeline.message import Message
from sparcc_pipeline.rigid import RigidTransform
from sparcc_pipeline.sparcc.follow_up.alignment import AlignmentQuality, MatchedSlice, match_six_slices
from sparcc_pipeline.sparcc.follow_up.change import score_change
from sparcc_pipeline.volume import BoolArray, TissueMaps, Volume

from ..conftest import EDEMA as EDEMA_SIGNAL
from ..conftest import MARROW, SPACING_MM, KnownSegmenter, make_stir, make_tissue
from ..documents import as_dict, as_document

LOST_IN_FRONT = 1
"""The follow-up's stack begins this many slices later, so its slice 5 shows what slice 6 showed at baseline."""

MOVED_PIXELS = 10
"""At follow-up the patient is this many columns farther to the left."""

MOVED = RigidTransform(translation_mm=(MOVED_PIXELS * SPACING_MM[2], 0.0, 0.0))

Picture = NDArray[np.uint8]


def _segmented(stir: Volume, tissue: TissueMaps) -> Segmented:
    return segment_study(Study(stir, files=3), KnownSegmenter(tissue))


def _visit(name: str, segmented: Segmented) -> Visit:
    return Visit(
        name,
        segmented,
        None,
        SliceMovement((0.4, 0.2, 1.3), (4, 5, 6)),
        None,
        Message("the study has no semicoronal T1-weighted series"),
    )


@cache
def _baseline() -> Scored:
    segmented = _segmented(make_stir(), make_tissue())
    return score_slices(segmented, six_slices(segmented, Request()))


@cache
def _follow_up_study() -> Segmented:
    """Baseline slice 5 has healed (right upper iliac, deep: -2); slice 6 has a new lesion (left upper sacral: +1)."""
    stir, tissue = make_stir(), make_tissue()
    signal, edema = stir.signal.copy(), tissue.edema_probability.copy()
    signal[5][tissue.edema[5]], edema[5] = MARROW, 0.0
    signal[6, 32:42, 95:100], edema[6, 32:42, 95:100] = EDEMA_SIGNAL, 0.9
    geometry = tissue.geometry
    behind = np.array(geometry.directions[0]) * SPACING_MM[0] * LOST_IN_FRONT
    x, y, z = (np.array(geometry.origin_mm) + behind).tolist()
    count, rows, columns = geometry.shape
    later = replace(geometry, shape=(count - LOST_IN_FRONT, rows, columns), origin_mm=(x, y, z))

    def seen(array: NDArray[Any]) -> NDArray[Any]:
        return np.roll(array, MOVED_PIXELS, axis=2)[LOST_IN_FRONT:]

    return _segmented(
        Volume(seen(signal), later, stir.series),
        TissueMaps(
            geometry=later,
            anatomy=seen(tissue.anatomy),
            edema_probability=seen(edema),
            edema_threshold=tissue.edema_threshold,
            vessel=seen(tissue.vessel),
            ligamentous=tissue.ligamentous[LOST_IN_FRONT:],
        ),
    )


def _compared(
    baseline: Scored, segmented: Segmented, name: str, transform: RigidTransform = MOVED, missed: int | None = None
) -> Compared:
    """As `compare_studies` makes it, but with a known motion; the baseline slice at place `missed` is not shown."""
    geometry = segmented.study.stir.geometry
    found = match_six_slices(baseline.score.slices, baseline.joints, geometry, transform)
    matched = tuple(
        MatchedSlice(each.baseline, None, 0.0, 4.2, 4.2) if place == missed else each
        for place, each in enumerate(found.matched)
    )
    scored = score_slices(segmented, found.slices)
    return Compared(
        visit=_visit(name, segmented),
        scored=scored,
        alignment=Alignment(Registration(transform, 0.71, 0.23), AlignmentQuality(1.234, 0.915)),
        matched=replace(found, matched=matched),
        change=score_change(baseline.score, scored.score, matched),
        days=84,
        warnings=(Message("lossy compression"),),
    )


def _comparison(*, missed: int | None = None, follow_ups: int = 1) -> Comparison:
    baseline, study = _baseline(), _follow_up_study()
    compared = [_compared(baseline, study, f"Follow-up {i + 1}", missed=missed) for i in range(follow_ups)]
    return Comparison(_visit("Baseline", baseline), baseline, tuple(compared))


def _document(comparison: Comparison, run_at: Callable[[Request], Run]) -> dict[str, Any]:
    return as_dict(change_document(comparison, run_at(Request())))


@pytest.fixture
def document(run_at: Callable[[Request], Run]) -> dict[str, Any]:
    return _document(_comparison(), run_at)


def test_the_smallest_detectable_change_is_that_of_the_model(run_at: Callable[[Request], Run]) -> None:
    comparison = _comparison()
    for own, limit in (({}, 6.4), ({"smallest_detectable_change": "1.0"}, 1.0)):
        scored = replace(comparison.scored, model={**comparison.scored.model, **own})
        document = _document(replace(comparison, scored=scored), run_at)
        change = document["follow_ups"][0]["change"]

        assert document["limits"]["detectable"] == limit
        assert change["detectable"] is (abs(change["total"]) >= limit)


def _page(document: dict[str, Any], words: Language = ENGLISH) -> str:
    compared = sum(each["status"] == "compared" for each in document["follow_ups"])
    change = as_document(ChangeDocument, document)
    return change_html(change, ChangePictures((b"row",) * 6, ((b"squares", b"edges"),) * compared), words)


def _words(page: str) -> str:
    """What a reader reads."""
    text = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return " ".join(html_text.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def _cells(page: str) -> list[list[tuple[str, ...]]]:
    """Kind, change and scores of each item, a row of twelve a slice."""
    cells = re.findall(r'<td class="(?:edge )?(better|worse|zero|na)"[^>]*><span>(.*?)</span><i>(.*?)</i></td>', page)
    found = [tuple(html_text.unescape(text) for text in cell) for cell in cells]
    return [found[start : start + 12] for start in range(0, len(found), 12)]


def _pixels(png: bytes) -> Picture:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _panels(row: bytes, columns: int) -> list[Picture]:
    """The panels of a row of one line; the legend below it fills two lines."""
    picture = _pixels(row)[HEADER_PIXELS : -2 * FOOTER_PIXELS]
    edges = np.linspace(0, picture.shape[1], columns + 1).astype(int)
    return [picture[:, start:end] for start, end in zip(edges, edges[1:], strict=False)]


def _where(picture: Picture, colour: str, within: int = 30) -> BoolArray:
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return np.asarray(np.abs(picture.astype(int) - wanted).max(axis=2) <= within)


def _joint_columns(picture: Picture) -> tuple[int, int]:
    """Columns of the right and of the left joint line."""
    drawn = _where(picture, JOINT_LINE) | _where(picture, LEFT_JOINT_LINE)
    columns = np.flatnonzero(drawn.sum(axis=0) > 60)
    return int(columns.min()), int(columns.max())


# Pictures


@pytest.mark.parametrize("follow_ups", [1, 2])
def test_each_baseline_slice_has_a_row_with_every_visit(follow_ups: int) -> None:
    rows = draw_change(_comparison(follow_ups=follow_ups)).rows

    assert len(rows) == 6
    for row in rows:
        panels = _panels(row, 1 + follow_ups)
        places = [_joint_columns(panel) for panel in panels]
        # The follow-up's patient lies elsewhere; the panel goes with the joints, and its scale is the baseline's.
        assert all(np.abs(np.subtract(place, places[0])).max() <= 8 for place in places[1:]), places


def test_many_visits_are_wrapped_and_stay_legible() -> None:
    two, five = (_pixels(draw_change(_comparison(follow_ups=n)).rows[0]) for n in (1, 4))

    assert five.shape[1] <= 1540
    assert five.shape[1] / 3 > two.shape[1] / 2 * 0.7
    assert _where(five[-FOOTER_PIXELS - 300 : -FOOTER_PIXELS], JOINT_LINE).any(), "the last line shows a visit"


def test_a_lesion_is_on_the_patients_side_and_at_its_visit_only() -> None:
    rows = draw_change(_comparison()).rows
    healed, new = _panels(rows[1], 2), _panels(rows[2], 2)
    edema = [[_where(panel, EDEMA) for panel in panels] for panels in (healed, new)]

    assert not edema[0][1].any(), "healed at follow-up"
    assert not edema[1][0].any(), "not yet there at baseline"
    for mask, left in ((edema[0][0], True), (edema[1][1], False)):
        assert bool(np.nonzero(mask)[1].mean() < mask.shape[1] / 2) is left


def test_a_slice_that_is_not_shown_is_an_empty_panel() -> None:
    rows = draw_change(_comparison(missed=5)).rows
    baseline, follow_up = _panels(rows[5], 2)

    assert _where(baseline, JOINT_LINE).any()
    assert not _where(follow_up, JOINT_LINE).any()
    assert _where(follow_up, EMPTY, 0).mean() > 0.8
    assert (follow_up[:, 20:-20] > 200).any(), "the reason is written there"
    assert not _where(_panels(rows[4], 2)[1], EMPTY, 0).mean() > 0.1


def test_the_outlines_lie_where_the_transform_puts_them() -> None:
    baseline, study = _baseline(), _follow_up_study()
    right, wrong = (
        draw_change(
            Comparison(_visit("Baseline", baseline), baseline, (_compared(baseline, study, "Follow-up 1", motion),))
        )
        for motion in (MOVED, RigidTransform())
    )
    panel = _panels(right.rows[1], 2)[0]
    aligned, not_aligned = (_pixels(p.alignment[0][1])[HEADER_PIXELS:][: panel.shape[0]] for p in (right, wrong))
    moved = MOVED_PIXELS * SPACING_MM[2] * PIXELS_PER_MM

    assert _joint_columns(aligned) == pytest.approx(_joint_columns(panel), abs=4)
    assert _joint_columns(not_aligned) == pytest.approx(np.add(_joint_columns(panel), moved), abs=4)
    # The ilia reach 19 columns of the image beyond the joints on both sides.
    beyond = 19 * SPACING_MM[2] * PIXELS_PER_MM
    ilia = np.flatnonzero(_where(aligned, ILIUM).sum(axis=0) > 60)
    assert (ilia.min(), ilia.max()) == pytest.approx(np.add(_joint_columns(panel), (-beyond, beyond)), abs=5)


def test_the_checkerboard_shows_both_visits_in_turn() -> None:
    baseline, study = _baseline(), _follow_up_study()
    signal = np.full(study.study.stir.geometry.shape, MARROW, dtype=np.float32)
    signal[:, -3:] = 0.0  # black, so that marrow is a dark gray
    gray = replace(study, study=replace(study.study, stir=replace(study.study.stir, signal=signal)))
    follow_up = _compared(baseline, study, "Follow-up 1")
    follow_up = replace(follow_up, scored=replace(follow_up.scored, study=gray.study))
    pictures = draw_change(Comparison(_visit("Baseline", baseline), baseline, (follow_up,)))
    board = _pixels(pictures.alignment[0][0])[HEADER_PIXELS:, :, 0]

    middle = SQUARE_MM * PIXELS_PER_MM / 2
    above_the_bones = [int(board[int(middle), int(middle * (2 * square + 1))]) for square in range(4)]
    assert [value > 40 for value in above_the_bones] == [False, True, False, True]


def test_only_compared_follow_ups_have_pictures() -> None:
    comparison = _comparison()
    refused = NotCompared("Follow-up 2", RegistrationError("no"))
    pictures = draw_change(replace(comparison, follow_ups=(refused, *comparison.follow_ups)))
    alone = draw_change(replace(comparison, follow_ups=(refused,)))

    assert len(pictures.alignment) == 1
    assert (len(alone.rows), alone.alignment) == (6, ())


# Page


def test_the_answer_is_there(document: dict[str, Any]) -> None:
    words = _words(_page(document))

    for expected in (
        "Follow-up 1 84 days after the baseline SPARCC, of 72 4 → 3 Change −1 No change that this method can detect.",
        "Research use only. Not for diagnosis or treatment.",
        "known 1.0 (onnx)",
        "Baseline 1.3 mm not known: the study has no semicoronal T1-weighted series",
    ):
        assert expected in words, expected
    assert words.count("Research use only") == 2


@pytest.mark.parametrize(
    ("total", "important", "detectable", "direction", "expected"),
    [
        (
            3,
            True,
            False,
            "worse",
            "Change +3 No change that this method can detect. Two scans of an unchanged person",
        ),
        (
            -4,
            True,
            True,
            "better",
            "Change −4 better Smallest detectable change of the machine (6.4): reached "
            "Smallest important change (2.5): reached "
            "Probability that the change is real: not known, this model gives no uncertainty",
        ),
        (0, False, False, "unchanged", "Change 0 No change that this method can detect."),
    ],
)
def test_the_sign_of_the_change(
    document: dict[str, Any], total: int, important: bool, detectable: bool, direction: str, expected: str
) -> None:
    document["follow_ups"][0]["change"] |= {
        "total": total,
        "important": important,
        "detectable": detectable,
        "direction": direction,
    }

    assert expected in _words(_page(document))


@pytest.mark.parametrize(("probability", "expected"), [(0.874, "real: 87 %"), (0.9999, "real: > 99 %")])
def test_the_probability_is_reported_if_there_is_one(
    document: dict[str, Any], probability: float, expected: str
) -> None:
    document["follow_ups"][0]["change"] |= {"probability": probability, "detectable": True}

    assert expected in _words(_page(document))


def test_the_grid_holds_every_change_in_its_place(document: dict[str, Any]) -> None:
    rows = _cells(_page(document))
    none, one = ("zero", "0", "0→0"), ("zero", "0", "1→1")
    better, worse = ("better", "−1", "1→0"), ("worse", "+1", "0→1")

    assert len(rows) == 6
    # Right: iliac upper, iliac lower, sacral upper, sacral lower, intense, deep; left: sacral before iliac.
    assert rows[1] == [better, *[none] * 4, better, *[none] * 6]
    assert rows[2] == [*[none] * 6, worse, *[none] * 5]
    assert rows[3] == [*[none] * 7, one, *[none] * 2, one, none]
    assert rows[0] == rows[4] == rows[5] == [none] * 12


def test_each_row_names_both_slices_and_its_sum(document: dict[str, Any]) -> None:
    words = _words(_page(document))

    assert re.search(r"Slice 6 → 5 −1 1→0 .* 0→0 −2 Slice 7 → 6", words)
    assert re.search(r"Slice 10 → 9, posterior .* Sum −1 0 0 0 0 −1 \+1 0 0 0 0 0 −1 ", words)


def test_what_is_not_evaluable_is_no_0(run_at: Callable[[Request], Run]) -> None:
    page = _page(_document(_comparison(missed=1), run_at))
    rows = _cells(page)

    assert [cell[:2] for cell in rows[1]] == [("na", "–")] * 12
    assert rows[1][0][2] == "1→–"
    assert re.search(r"Slice 6 not shown (– [01]→– ){12}– Slice 7", _words(page)), "nor is the sum of the row"
    assert "Item by item, over the 60 of 72 evaluable at both visits: +1" in _words(page)


def test_items_that_do_not_add_up_to_the_total_are_reported(document: dict[str, Any]) -> None:
    assert "Item by item" not in _page(document)
    # Of other spacings one slice may match two, or none: no item is missing and yet the sums differ.
    document["follow_ups"][0]["change"]["common_total"] = 2

    assert "Item by item, over the 72 of 72 evaluable at both visits: +2" in _words(_page(document))


def test_the_missing_overlap_is_reported(run_at: Callable[[Request], Run]) -> None:
    document = _document(_comparison(missed=1), run_at)
    words = _words(_page(document))

    assert "Baseline slice 5 slice 4: 4.0 mm Baseline slice 6 not shown Baseline slice 7 slice 6: 4.0 mm" in words


def test_the_alignment_is_shown_with_its_limits(document: dict[str, Any]) -> None:
    words = _words(_page(document))

    for expected in (
        "Distance of the joint lines, mm at most 3.0 1.2",
        "(Dice) at least 0.80 0.92",
        "Mutual information before → after, nats must not fall 0.23 → 0.71",
        "Shift of the joints left, mm +12.0",
        "Turn of the patient, degrees at most 30 0.0",
        "Tilt of the slices against the baseline's, degrees at most 15 ",
    ):
        assert expected in words, expected


def test_totals_and_parts_are_those_of_the_document(document: dict[str, Any]) -> None:
    words = _words(_page(document))

    assert "Baseline 4 2 1 1 72 Follow-up 1 3 2 1 0 (−1) 72 −1" in words


def test_a_follow_up_that_was_not_compared_keeps_its_reason(run_at: Callable[[Request], Run]) -> None:
    comparison = _comparison()
    refused = NotCompared("Follow-up 2", RegistrationError("expected <b>one</b> person & found two"))
    page = _page(_document(replace(comparison, follow_ups=(*comparison.follow_ups, refused)), run_at))

    assert "Expected &lt;b&gt;one&lt;/b&gt; person &amp; found two." in page
    assert (
        "Follow-up 2 not compared No change is reported: the follow-up could not be aligned with the baseline."
        in _words(page)
    )
    assert len(_cells(page)) == 6


def test_a_comparison_without_any_change_can_be_reported(run_at: Callable[[Request], Run]) -> None:
    refused = NotCompared("Follow-up 1", RegistrationError("no"))
    page = _page(_document(replace(_comparison(), follow_ups=(refused,)), run_at))

    assert "Follow-up 1 not compared" in _words(page)
    assert "Can the alignment be believed?" not in page


def _moved(visit: str) -> Message:
    return Message("{visit}: {warning}", visit=visit, warning=Message("slices <b>moved</b>"))


def test_each_warning_is_there_once_with_its_visits(document: dict[str, Any]) -> None:
    document["baseline"]["warnings"] = [_moved("baseline"), "lossy compression"]
    document["follow_ups"][0]["score"]["warnings"] = ["lossy compression", _moved("follow-up 1")]
    page = _page(document)

    assert page.count("Lossy compression.") == 1
    assert "<li>Baseline, follow-up 1: Lossy compression.</li>" in page
    assert "<li>Baseline, follow-up 1: Slices &lt;b&gt;moved&lt;/b&gt;.</li>" in page


def test_unknown_days_and_movement_are_no_0(document: dict[str, Any]) -> None:
    document["follow_ups"][0]["days"] = None
    document["baseline"]["movement"]["largest_mm"] = None
    words = _words(_page(document))

    assert "days since baseline not known" in words
    assert "Baseline could not be measured" in words


def test_the_movement_to_t1_is_shown(document: dict[str, Any]) -> None:
    document["baseline"]["t1"] = {
        "series_uid": "1.2.3",
        "same_frame_of_reference": False,
        "moved_mm": 2.345,
        "angle_degrees": 0.71,
    }

    assert "Baseline 1.3 mm 2.3 mm, turned 0.7°; not in one frame of reference" in _words(_page(document))


def test_the_file_stands_alone_and_shows_no_date(document: dict[str, Any]) -> None:
    page = _page(document)
    sources = re.findall(r'src="([^"]*)"', page)

    pictures = [b"row"] * 6 + [b"squares", b"edges"]
    assert sources == ["data:image/png;base64," + base64.b64encode(png).decode() for png in pictures]
    for forbidden in ("http", "<script", "<link", "<iframe", "href=", "url(", "@import", "2026-"):
        assert forbidden not in page, forbidden


def test_the_chinese_page_has_no_english_left(document: dict[str, Any], run_at: Callable[[Request], Run]) -> None:
    document["follow_ups"].append(
        _document(
            replace(_comparison(), follow_ups=(NotCompared(visit_name(2), RegistrationError("expected sides")),)),
            run_at,
        )["follow_ups"][0]
    )
    document["baseline"]["warnings"] = [
        Message(
            "{visit}: {warning}",
            visit="baseline",
            warning=Message(
                "STIR and T1 do not share a frame of reference: do not read a place on T1 from its place on STIR"
            ),
        )
    ]
    document["baseline"]["name"], document["follow_ups"][0]["name"] = visit_name(0), visit_name(1)
    document["follow_ups"][0]["warnings"] = [
        Message("{blank} of {slices} slices are blank: check the export", blank=1, slices=14)
    ]
    page = _page(document, language("zh"))
    quoted = '<span lang="en">Expected sides.</span>'
    text = page.replace(quoted, "") + " ".join(re.findall(r'(?:alt|title|aria-label)="([^"]*)"', page))
    names = {
        *("SPARCC", "STIR", "MRI", "Dice", "nat", "mm", "Maksymowych", "doi", "art"),
        *("known", "onnx", "sparcc", "pipeline"),
    }

    assert quoted in page, "the words of an error are those of change.json"
    assert "随访 2 未比较 无法给出变化：无法与基线配准。" in _words(page)
    assert "<li>基线：STIR 与 T1 不在同一参考坐标系：请勿以 STIR 上的位置直接对应 T1。</li>" in page
    assert "基线 1.3 mm 不明：该检查无斜冠状位 T1 加权序列" in _words(page)
    assert set(re.findall(r"[A-Za-z]{2,}", re.sub(r"[0-9a-f]{64}", "", _words(text)))) <= names


def test_pictures_have_words_of_the_language() -> None:
    english, chinese = (draw_change(_comparison(), language(code)).rows[0] for code in ("en", "zh"))

    # The legend may need fewer lines in one language.
    assert _pixels(english).shape[1] == _pixels(chinese).shape[1]
    assert not np.array_equal(_pixels(english)[:HEADER_PIXELS], _pixels(chinese)[:HEADER_PIXELS])
    inside = slice(HEADER_PIXELS + 60, min(_pixels(each).shape[0] for each in (english, chinese)) - 120)
    assert np.array_equal(_pixels(english)[inside], _pixels(chinese)[inside])
