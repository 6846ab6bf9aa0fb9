"""A page of numbered sections, each with a table, a picture and notes: analysis, table shells, safety.

Contents: `Section`, `SectionPage`, `section_html`, `write_page`. The contents are at the top; in print each section
begins on a page of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sparcc_pipeline import __version__
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.pdf import pdf_from
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.app.study.files import write_bytes, write_text

PAGE: Final = "trial_sections.html"

ROWS_SHOWN: Final = 30
"""Rows of a listing on the page: a topic fits one printed page. The table as CSV holds all rows."""


@dataclass(frozen=True)
class Section:
    """One topic.

    Parameters
    ----------
    head : headers; empty without a table
    rows : cells as shown, the first one heads its row
    picture : data URL; None without one
    more : number of rows left out here
    """

    key: str
    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    picture: str | None = None
    notes: Sequence[str] = ()
    more: int = 0


@dataclass(frozen=True)
class SectionPage:
    """The whole page.

    Parameters
    ----------
    banner : sentence in a frame under the title, for instance that the page is unblinded; None without one
    inputs : name and SHA-256 of each file read
    created_at : UTC, as "2026-11-24T17:00:00Z"
    """

    title: str
    banner: str | None
    sections: Sequence[Section]
    protocol_file: str
    inputs: Sequence[tuple[str, str]]
    created_at: str


def section_html(page: SectionPage, words: Language, font_url: str | None = None) -> str:
    """Return the page as HTML."""
    return template(PAGE, words, font_url).render(page=page, version=__version__)


def write_page(page: SectionPage, folder: Path, name: str, words: Language, *, pdf: bool) -> None:
    """Write the page as `NAME.html` and, if `pdf` is set, as `NAME.pdf`.

    Raises
    ------
    OutputError : a file cannot be written
    """
    write_text(folder / f"{name}.html", section_html(page, words))
    if pdf:
        write_bytes(folder / f"{name}.pdf", pdf_from(section_html(page, words, REPORT_FONT.as_uri())))


def shortened(section: Section) -> Section:
    """Return the section with the first rows only, and the number of the others."""
    return replace(section, rows=section.rows[:ROWS_SHOWN], more=max(0, len(section.rows) - ROWS_SHOWN))
