"""The cover and the pictures for a PACS: right, within their borders, and of the size of a viewport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import measure

from sparcc_pipeline.app.report.language import ENGLISH, language
from sparcc_pipeline.app.report.pictures import cover as cover_module
from sparcc_pipeline.app.report.pictures.captures import columns_for, draw_captures
from sparcc_pipeline.app.report.pictures.cover import GRID_TOP, MARGIN, SIDE_PIXELS, WARNINGS_TOP, draw_cover
from sparcc_pipeline.app.report.pictures.overlay import EDEMA, FOOTER_PIXELS
from sparcc_pipeline.app.report.pictures.sheet import Cell, sheet
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.message import Message
from sparcc_pipeline.volume import BoolArray


@pytest.fixture
def document(scored: Scored, run_at: Callable[[Request], Run]) -> ScoreDocument:
    return score_document(scored, run_at(Request()))


def colored(picture: Image.Image, color: str = EDEMA) -> BoolArray:
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return np.asarray(np.abs(np.asarray(picture).astype(int) - wanted).max(axis=2) < 30)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, str, float]]:
    """The texts of a cover: x, y, words, x of the end."""
    texts: list[tuple[float, float, str, float]] = []
    true = cover_module.ImageDraw.ImageDraw.text

    def text(self: object, xy: tuple[float, float], words: str, **options: object) -> None:
        left, _, right, _ = self.textbbox(xy, words, font=options["font"], anchor=options["anchor"])  # type: ignore[attr-defined]
        texts.append((left, xy[1], words, right))
        true(self, xy, words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cover_module.ImageDraw.ImageDraw, "text", text)
    return texts


def test_the_cover_answers_what_and_how_sure(
    document: ScoreDocument, written: list[tuple[float, float, str, float]]
) -> None:
    draw_cover(replace(document, interval_90=(3, 9)))
    answer = "positive" if document.asas_positive else "negative"

    words = [text for _, _, text, _ in written]
    assert words[:2] == [
        "SPARCC score of the sacroiliac joints, STIR",
        "Research use only. Not for diagnosis or treatment.",
    ]
    for expected in ("4", "of 72", answer, "4, plausibly 3 to 9 (90 % interval)", "Slice 5", "Slice 10"):
        assert expected in words
    assert any(text.startswith("Model known 1.0 (abababababab), sparcc-pipeline") for text in words)
    assert not any("P0042" in text for text in words)


def test_every_point_is_a_filled_cell_in_its_place(document: ScoreDocument) -> None:
    cells = colored(draw_cover(document))[GRID_TOP:WARNINGS_TOP]

    found = [region for region in measure.regionprops(measure.label(cells)) if region.area > 400]
    assert len(found) == document.total == 4
    rows = sorted(round(region.centroid[0]) for region in found)
    assert rows[0] == pytest.approx(rows[1], abs=2) and rows[2] == pytest.approx(rows[3], abs=2)
    # Slice 5: right upper iliac and depth; slice 7: left lower sacral and intensity.
    right = [region.centroid[1] for region in found if region.centroid[0] < rows[1] + 3]
    assert max(right) < SIDE_PIXELS / 2 + 20


def test_an_uncalibrated_model_is_not_called_sure(
    document: ScoreDocument, written: list[tuple[float, float, str, float]]
) -> None:
    assert document.interval_90 is None

    draw_cover(document)

    assert "The model is not calibrated: how sure the total is, is not known." in [text for _, _, text, _ in written]


@pytest.mark.parametrize("code", ["en", "zh"])
def test_texts_stay_within_the_borders_and_apart_however_many_warnings(
    document: ScoreDocument, written: list[tuple[float, float, str, float]], code: str
) -> None:
    many = tuple(
        f"warning {n} of a long and winding kind, with a remedy at its end: look at the images" for n in range(40)
    )
    full = replace(document, total=72, edema=48, intensity=12, depth=12, interval_90=(60, 72), warnings=many)

    draw_cover(full, language(code))  # type: ignore[arg-type]

    assert all(left >= MARGIN - 2 and right <= SIDE_PIXELS - MARGIN + 2 for left, _, _, right in written)
    assert max(y for _, y, _, _ in written) < SIDE_PIXELS
    lines: dict[float, list[tuple[float, float]]] = {}
    for left, y, _, right in written:
        lines.setdefault(y, []).append((left, right))
    for spans in lines.values():
        ordered = sorted(spans)
        assert all(end <= start for (_, end), (start, _) in zip(ordered, ordered[1:], strict=False))
    shown = sum(text.startswith("- ") for _, _, text, _ in written)
    further = next(text for _, y, text, _ in written if str(40 - shown) in text and y > WARNINGS_TOP)
    assert shown >= 3 and (code != "en" or further == f"Further warnings in the report: {40 - shown}")


def test_pictures_of_slices_fit_a_viewport(scored: Scored) -> None:
    pictures = draw_captures(scored, ENGLISH)

    assert len(pictures) == 6 and len({picture.size for picture in pictures}) == 1
    # The joints of this study are high, so that its panels are side by side.
    assert 0.5 <= pictures[0].width / pictures[0].height <= 2
    edema = colored(pictures[1])[: -2 * FOOTER_PIXELS]
    assert not edema[:, : edema.shape[1] // 2].any(), "the first panel is the plain image"
    assert edema[:, edema.shape[1] // 2 :].any()


def test_a_usual_picture_is_nearly_square() -> None:
    # Both joints of a usual study are about twice as far apart as they are high.
    cell = Cell(Image.new("RGB", (760, 370)), Message("Slice {slice}", slice=1))

    picture = sheet([cell, cell], columns_for((760, 370)), [("#FFFFFF", Message("edema"))], ENGLISH)

    assert 0.75 <= picture.width / picture.height <= 1.34
