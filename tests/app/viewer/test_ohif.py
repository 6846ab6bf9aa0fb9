"""What OHIF shows of every DICOM result, from classic and enhanced images. `scripts/viewer` runs these tests.

Pictures of what was shown are kept in `build/viewer/`.
"""

from __future__ import annotations

import base64
from itertools import combinations

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.report.pictures.cover import draw_cover
from sparcc_pipeline.app.results.score_types import score_from_json
from sparcc_pipeline.dicom.output.seg import COLORS, ILIUM_COLORS

from .conftest import Shown
from .ohif import Text

pytestmark = pytest.mark.viewer

TOTAL = "SPARCC sacroiliac inflammation score: 4.00 {points}"
"""The total of the study as OHIF writes it: meaning, value, unit."""

LESION_SLICE = 5
"""The first slice with two points, 0-based."""


def lit(picture: NDArray[np.uint8]) -> float:
    """Return the share of pixels that are not black."""
    return float((picture.max(axis=2) > 40).mean())


def share_of(picture: NDArray[np.uint8], color: str) -> float:
    """Return the share of pixels with the hue of a color, which OHIF mixes with the image below."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)
    centered = picture - picture.mean(axis=2, keepdims=True)
    wanted -= wanted.mean()
    strength = np.linalg.norm(centered, axis=2)
    alike = (centered @ wanted) / (np.linalg.norm(wanted) * np.maximum(strength, 1e-9))
    return float(((alike > 0.97) & (strength > 30)).mean())


def test_the_list_of_series_names_every_object(shown: Shown) -> None:
    viewer = shown.open("SPARCC pictures")

    names = {name.removesuffix(" (research only)") for name in viewer.series()}
    assert names >= {
        *("OT SPARCC pictures", "SEG SPARCC bones", "SR SPARCC score", "SR SPARCC volumes", "SR SPARCC reading"),
        "DOC SPARCC report",
    }


def test_the_segmentation_shows_bones_and_edema_by_name(shown: Shown) -> None:
    viewer = shown.open("SPARCC bones")
    viewer.page.get_by_role("button", name="Yes").click()
    viewer.page.locator("[data-cy=panelSegmentation-btn]").click()

    for name in ("Sacrum", "Right ilium", "Left ilium", "Bone marrow edema"):
        viewer.page.get_by_text(name, exact=True).wait_for()
    viewer.scroll_to(shown.place_of(LESION_SLICE))
    picture = viewer.picture("segmentation")
    assert lit(picture) > 0.1
    for color in (COLORS["sacrum"], *ILIUM_COLORS.values()):
        assert share_of(picture, color) > 0.01, color
    # Edema over bone is the only yellow.
    yellow = (picture[..., :2].min(axis=2).astype(int) - picture[..., 2]) > 20
    assert yellow.mean() > 0.001
    columns = [_middle_column(picture, ILIUM_COLORS[side]) for side in (Side.RIGHT, Side.LEFT)]
    assert columns[0] < columns[1], "the patient's right is on the left"


def _middle_column(picture: NDArray[np.uint8], color: str) -> float:
    halves = [share_of(half, color) for half in np.array_split(picture, 16, axis=1)]
    return float(np.average(np.arange(16), weights=halves))


@pytest.mark.parametrize(("series", "outlines"), [("SPARCC score", 8), ("SPARCC reading", 2)])
def test_a_report_opens_on_its_slice_with_the_total_and_all_outlines(shown: Shown, series: str, outlines: int) -> None:
    viewer = shown.open(series)

    picture = viewer.picture(series.removeprefix("SPARCC "))
    texts = viewer.texts()
    assert lit(picture) > 0.1
    assert viewer.slice_shown() == shown.place_of(LESION_SLICE)
    assert [text.lines[0] for text in texts].count(TOTAL) == 1
    joints = [text for text in texts if text.lines[0].startswith("SPARCC points: ")]
    assert len(joints) == 2 and len(texts) == 3
    assert "SPARCC points: 2.00 {points}" in [text.lines[0] for text in joints]
    assert viewer.outlines().count() == outlines
    _require_apart(texts)


def _require_apart(texts: list[Text]) -> None:
    for one, other in combinations(texts, 2):
        assert not one.overlaps(other), (one, other)


def test_volumes_open_with_the_outline_of_a_segment(shown: Shown) -> None:
    viewer = shown.open("SPARCC volumes")

    picture = viewer.picture("volumes")
    assert lit(picture) > 0.1
    texts = viewer.texts()
    assert len(texts) == 1 == viewer.outlines().count()
    assert texts[0].lines == ("Volume: 187200.00 mm3",)


def test_the_cover_is_first_and_its_total_can_be_read(shown: Shown) -> None:
    viewer = shown.open("SPARCC pictures")
    document = score_from_json((shown.written.folder / "score.json").read_bytes())
    assert document.total == 4

    picture = viewer.picture("cover")

    assert viewer.slice_shown() == "1/7"
    # The picture is square and fills the height of the viewport.
    height, width, _ = picture.shape
    left = (width - height) // 2
    gray = picture[:, left : left + height].mean(axis=2)
    alike = {}
    for total in (1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 40, 44):
        other = draw_cover(_with_total(document, total)).convert("L").resize((height, height), Image.Resampling.BOX)
        alike[total] = _alike(gray, np.asarray(other, dtype=float))
    assert max(alike, key=lambda total: alike[total]) == 4 and alike[4] > 0.8, alike


def _with_total(document: object, total: int) -> object:
    """Return the document with another total, which its own check would refuse."""
    import copy

    other = copy.copy(document)
    object.__setattr__(other, "total", total)
    return other


def _alike(shown: NDArray[np.float64], drawn: NDArray[np.float64]) -> float:
    """Return the correlation of both pictures where the total is."""
    rows, columns = (slice(int(len(drawn) * a), int(len(drawn) * b)) for a, b in ((0.12, 0.22), (0.03, 0.3)))
    return float(np.corrcoef(shown[rows, columns].ravel(), drawn[rows, columns].ravel())[0, 1])


def test_the_report_opens_as_a_document(shown: Shown) -> None:
    viewer = shown.open("SPARCC report")

    picture = viewer.picture("report")
    content = viewer.page.evaluate(
        """async () => {
            const shown = document.querySelector('object[type="application/pdf"]');
            const bytes = new Uint8Array(await (await fetch(shown.data)).arrayBuffer());
            return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
        }"""
    )
    stored = pydicom.dcmread(shown.written.folder / "report.pdf.dcm")
    assert base64.b64decode(content).startswith(stored.EncapsulatedDocument[: stored.EncapsulatedDocumentLength])
    assert (picture.min(axis=2) > 240).mean() > 0.2, "a white page"
