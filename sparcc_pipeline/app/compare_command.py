"""`sparcc compare`: a baseline and its follow-ups in, one folder with the change out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from sparcc_pipeline.app.change_document import change_csv, change_document
from sparcc_pipeline.app.change_pictures import draw_change
from sparcc_pipeline.app.change_report import change_html
from sparcc_pipeline.app.compare import Compared, Comparison, NotCompared, compare_studies, of_visit
from sparcc_pipeline.app.config import PipelineConfig
from sparcc_pipeline.app.language import language
from sparcc_pipeline.app.outputs import run_toml
from sparcc_pipeline.app.provenance import Run
from sparcc_pipeline.app.result import json_text
from sparcc_pipeline.app.score_command import load_installed_segmenter, progress_display
from sparcc_pipeline.app.store import CHANGE_FILE, CHANGE_RESULT, ResultFolder, write_text
from sparcc_pipeline.app.study import Request


def run_compare(sources: Sequence[Path], out: Path, request: Request, config: PipelineConfig, *, same_person: bool,
                as_json: bool, force: bool) -> None:  # fmt: skip
    """Compare follow-ups with a baseline, write the folder and say the change on standard output.

    Parameters
    ----------
    sources : baseline first, then at least one follow-up
    same_person : compare although the patient identifiers differ
    as_json : say it as the content of `change.json`
    force : replace an earlier change at `out`

    Raises
    ------
    SparccError : the baseline has no score, no follow-up could be compared (`out` is then left as it was), or some of
        several could not (the others are written)
    """
    run = Run(config, request, created_at=datetime.now(UTC))
    with ResultFolder(out, force=force, kind=CHANGE_RESULT) as folder, progress_display() as progress:
        comparison = compare_studies(
            sources, request, lambda: load_installed_segmenter(config), progress, same_person=same_person
        )
        document = change_document(comparison, run)
        if any(isinstance(each, Compared) for each in comparison.follow_ups):
            progress("Writing the results")
            write_change(comparison, document, run, folder.path, same_person=same_person)
            folder.publish()
            if not as_json:
                typer.echo(summary(document, out))
    if as_json:
        typer.echo(json_text(document), nl=False)
    failed = [each for each in comparison.follow_ups if isinstance(each, NotCompared)]
    if failed:
        raise of_visit(failed[0].name, failed[0].error)


def summary(document: dict[str, Any], out: Path) -> str:
    """A few lines for a person at the terminal."""
    baseline, limits = document["baseline"]["score"]["total"], document["limits"]
    lines = []
    for each in document["follow_ups"]:
        if each["status"] != "compared":
            lines.append(f"{each['name']}: {each['status']}: {each['reason']}")
            continue
        change = each["change"]
        reaches = [f"the smallest {name} change ({limits[name]:g})" for name in limits if change[name]]
        lines.append(
            f"{each['name']}: SPARCC {baseline} -> {each['score']['total']} ({change['total']:+d}, "
            f"{change['direction']}), reaches {' and '.join(reaches) or 'no smallest change'}"
        )
        lines += [f"  Warning: {warning}" for warning in each["warnings"]]
    lines += [f"Warning: {warning}" for warning in document["baseline"]["warnings"]]
    return "\n".join([*lines, f"Report: {out / 'change.html'}", "Research use only."])


def write_change(
    comparison: Comparison, document: dict[str, Any], run: Run, folder: Path, *, same_person: bool
) -> None:
    """The files of a change, into an empty folder.

    Raises
    ------
    OutputError : one cannot be written
    """
    words = language(run.config.lang)
    write_text(folder / "change.html", change_html(document, draw_change(comparison, words), words))
    write_text(folder / "change.csv", change_csv(document))
    write_text(folder / "run.toml", run_toml(document, run, same_person=same_person))
    write_text(folder / CHANGE_FILE, json_text(document))
