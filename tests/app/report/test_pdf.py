"""The PDF: page one first, the program's own font in it, the same bytes from the same result, nothing of a person."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PageObject, PdfReader
from pypdf.generic import DictionaryObject

from sparcc_pipeline.app.report import pdf
from sparcc_pipeline.app.report.outputs import write_outputs
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.score_document import score_document
from sparcc_pipeline.app.results.store import ResultFolder
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.files import SCORE_FILE
from sparcc_pipeline.app.study.images import Request
from sparcc_pipeline.app.study.provenance import Run
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.errors import ConfigError, SparccError


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    try:
        pdf.require_pdf()
    except SparccError as error:
        pytest.skip(str(error))


def _written(scored: Scored, run: Run, folder: Path, lang: str) -> Path:
    """The files of one result, with the report in this language."""
    folder.mkdir()
    config = load_config().model_copy(update={"lang": lang})
    run = Run(config, run.request, run.created_at)
    write_outputs(scored, score_document(scored, run), run, folder, Extras(pdf=True))
    return folder


def _fonts(page: PageObject) -> list[str]:
    """Names of the embedded fonts, without the letters that mark a subset."""
    resources = page["/Resources"].get_object()
    assert isinstance(resources, DictionaryObject)
    fonts = resources["/Font"].get_object()
    assert isinstance(fonts, DictionaryObject)
    found = [font.get_object() for font in fonts.values()]
    return [str(font["/BaseFont"]).split("+")[-1] for font in found if isinstance(font, DictionaryObject)]


@pytest.mark.parametrize(
    ("lang", "title", "texts", "later"),
    [
        ("en", "SPARCC 4 of 72", ("Research use only. Not for diagnosis or treatment.", "2 points"), "Points by slice"),
        ("zh", "SPARCC 4 / 72", ("仅供研究使用，不得用于诊断或治疗。", "骨髓水肿", "2 分"), "各层面得分"),
    ],
)
def test_page_one_is_the_answer_and_every_page_shows_research_use(
    scored: Scored,
    run_at: Callable[[Request], Run],
    tmp_path: Path,
    lang: str,
    title: str,
    texts: tuple[str, ...],
    later: str,
) -> None:
    written = _written(scored, run_at(Request()), tmp_path / "out", lang)
    content = (written / "report.pdf").read_bytes()
    reader = PdfReader(io.BytesIO(content))
    pages = [page.extract_text() for page in reader.pages]
    fonts = {name for page in reader.pages for name in _fonts(page)}

    assert reader.metadata is not None
    assert reader.metadata.title == title
    assert reader.metadata.author is None
    assert reader.metadata.creation_date is not None
    assert reader.metadata.creation_date.isoformat() == "2026-03-01T10:00:00+00:00"
    assert 3 <= len(pages) <= 6
    for words in texts:
        assert words in pages[0], words
    drawn = reader.pages[0].get_contents()
    assert drawn is not None and drawn.get_data().count(b" Do") == 6, "a thumbnail of each slice"
    assert later not in pages[0] and any(later in page for page in pages[1:])
    for number, page in enumerate(pages, start=1):
        assert texts[0] in page
        assert f"{number} / {len(pages)}" in page
    assert fonts and all(font.startswith("Report") for font in fonts), fonts
    assert b"P0042" not in content and "P0042" not in "".join(pages)


def test_the_same_result_gives_the_same_bytes(scored: Scored, run_at: Callable[[Request], Run], tmp_path: Path) -> None:
    first, second = (_written(scored, run_at(Request()), tmp_path / name, "zh") for name in ("a", "b"))

    assert (first / "report.pdf").read_bytes() == (second / "report.pdf").read_bytes()


def test_a_result_with_a_pdf_can_be_replaced(scored: Scored, run_at: Callable[[Request], Run], tmp_path: Path) -> None:
    written = _written(scored, run_at(Request()), tmp_path / "out", "en")

    with ResultFolder(written, force=True) as folder:
        (folder.path / SCORE_FILE).write_text((written / SCORE_FILE).read_text())
        folder.publish()

    assert not (written / "report.pdf").exists(), "nothing of the earlier result is left"


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise OSError("cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr("builtins.__import__", missing)

    with pytest.raises(ConfigError, match="apt-get install libpango-1.0-0 libpangoft2-1.0-0"):
        pdf.require_pdf()
