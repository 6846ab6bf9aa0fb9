"""Write all files of a change into one folder."""

from __future__ import annotations

from pathlib import Path

from sparcc_pipeline.app.report.change_report import change_html
from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.outputs import run_toml
from sparcc_pipeline.app.report.pictures.change import draw_change
from sparcc_pipeline.app.report.whose import whose
from sparcc_pipeline.app.results.change_document import change_csv
from sparcc_pipeline.app.results.change_types import ChangeDocument
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import CHANGE_FILE
from sparcc_pipeline.app.study.compare import Compared, Comparison
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.app.study.provenance import Run


def write_change(
    comparison: Comparison,
    document: ChangeDocument,
    run: Run,
    folder: Path,
    *,
    same_person: bool,
    label: str | None = None,
) -> None:
    """Write all files of a change into an empty folder.

    Parameters
    ----------
    label : text of the user that the page shows; no other file holds it

    Raises
    ------
    OutputError : a file cannot be written
    """
    words = language(run.config.lang)
    visits = [comparison.baseline, *(each.visit for each in comparison.follow_ups if isinstance(each, Compared))]
    shown_as = {visit.name: whose(visit.segmented.study, run.config, label) for visit in visits}
    write_text(folder / "change.html", change_html(document, draw_change(comparison, words), words, shown_as))
    write_text(folder / "change.csv", change_csv(document))
    write_text(folder / "run.toml", run_toml(document.provenance, run, same_person=same_person))
    write_text(folder / CHANGE_FILE, json_text(document))
