"""The page of `sparcc trial report`, as HTML and PDF.

Contents: `trial_page`, `TrialReport`, `write_report`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Template

from sparcc_pipeline import __version__
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.pdf import pdf_from, require_pdf
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.app.report.plots import picture
from sparcc_pipeline.app.results.collector import collector_paused
from sparcc_pipeline.app.results.tables import Column, Table, csv_text
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.trial_data.data_tables import query_table
from sparcc_pipeline.app.trial_data.trial_report.consort import set_table
from sparcc_pipeline.app.trial_data.trial_report.content import Unblinded, report_content
from sparcc_pipeline.app.trial_data.trial_report.plots import detectable_change
from sparcc_pipeline.trial.protocol.choices import ImagingDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Counts
from sparcc_pipeline.trial.records import TrialData

PAGE: Final = "trial_report.html"

MISSING: Final = (
    Column("participant", "trial number of the participant"),
    Column("visit", "planned visit that took place"),
    Column("no_value_of", "instrument without a value, or SPARCC"),
    Column("missing_items", "names of missing items, separated by blanks"),
)
"""Columns of `missing.csv`."""


@dataclass(frozen=True)
class TrialReport:
    """The input of a report.

    Parameters
    ----------
    inputs : name and SHA-256 of each file read; never an allocation in a blinded report
    created_at : UTC, as "2026-11-24T17:00:00Z"
    """

    data: TrialData
    protocol: Protocol
    inputs: Sequence[tuple[str, str]]
    created_at: str
    unblinded: Unblinded | None = None


def write_report(report: TrialReport, folder: Path, words: Language, *, pdf: bool) -> None:
    """Write `report.html`, `queries.csv`, `missing.csv`, and if asked for `report.pdf`; unblinded `analysis_sets.csv`.

    Raises
    ------
    ConfigError : the protocol leaves a choice unset, or the libraries that draw a PDF are missing
    OutputError : a file cannot be written
    """
    if pdf:
        require_pdf()
    with collector_paused():
        _write(report, folder, words, pdf=pdf)


def _write(report: TrialReport, folder: Path, words: Language, *, pdf: bool) -> None:
    content = _content(report, words)
    write_text(folder / "report.html", _page(content, template(PAGE, words)))
    write_text(folder / "queries.csv", csv_text(query_table(report.data.queries, words)))
    gaps = [
        {
            "participant": gap.participant,
            "visit": gap.visit,
            "no_value_of": gap.what,
            "missing_items": " ".join(gap.items) or None,
        }
        for gap in content["all_gaps"]
    ]
    write_text(folder / "missing.csv", csv_text(Table(MISSING, gaps)))
    if content["allocation"] is not None:
        write_text(folder / "analysis_sets.csv", csv_text(set_table(content["allocation"]["members"])))
    if pdf:
        write_bytes(folder / "report.pdf", _pdf(content, words))


def trial_page(report: TrialReport, words: Language) -> str:
    """Return the page as HTML. Raises ConfigError if the protocol leaves a choice unset."""
    return _page(_content(report, words), template(PAGE, words))


def _content(report: TrialReport, words: Language) -> dict[str, Any]:
    protocol = report.protocol
    content = report_content(report.data, protocol, words, report.unblinded)
    reading_sd = protocol.imaging.reading_sd
    by_readers = protocol.imaging.counts is Counts.READINGS
    if by_readers:
        note = words.say(
            "90 % interval of SPARCC: from the protocol's standard error of readings, {sd}.", sd=reading_sd
        )
    else:
        note = words.say("90 % interval of SPARCC: the one that the machine states.")
    return content | {
        "created_at": report.created_at,
        "version": __version__,
        "inputs": list(report.inputs),
        "interval_note": note,
        "detectable": detectable_change(protocol),
        "detectable_of": words.say("the mean of two readers") if by_readers else words.say("the machine"),
        "clinical_cut_off": protocol.target.clinical_cut_off(protocol.dual_clinical),
        "imaging_sign": "≤" if protocol.dual_imaging is ImagingDefinition.UP_TO else "<",
    }


def _page(content: dict[str, Any], page: Template) -> str:
    return page.render(**content)


def _with_picture(person: dict[str, Any]) -> dict[str, Any]:
    """Add the timeline as a separate picture in the font of the page; inside the page it takes 1.5 times as long."""
    return {**person, "picture": picture(person["svg"].replace("<svg ", '<svg font-family="Report" ', 1))}


def _pdf(content: dict[str, Any], words: Language) -> bytes:
    """Return the page as PDF, drawn at once: to draw parts in processes and join them takes twice the work."""
    people = [_with_picture(each) for each in content["people"]]
    return pdf_from(_page({**content, "people": people}, template(PAGE, words, REPORT_FONT.as_uri())))
