"""`sparcc compare`: write the change between a baseline and its follow-ups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import (
    ConfigOption,
    EngineOption,
    FatSuppressedOption,
    ForceOption,
    JsonOption,
    LabelOption,
    LanguageOption,
    ResultFolderOption,
    SlicesOption,
    request_from,
    settings_from,
)
from sparcc_pipeline.app.cli.terminal import progress_display

if TYPE_CHECKING:
    from sparcc_pipeline.app.results.change_types import ChangeDocument, ChangeEntry, Limits


def compare(
    studies: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASELINE FOLLOW_UP...",
            help="The baseline, then its follow-ups: studies, or folders of sparcc score.",
            readable=False,
        ),
    ],
    out: ResultFolderOption,
    slices: SlicesOption = None,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="Compare even if the patient identifiers differ.")
    ] = False,
    accept_fat_suppressed: FatSuppressedOption = False,
    label: LabelOption = None,
    as_json: JsonOption = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    engine: EngineOption = None,
    lang: LanguageOption = None,
) -> None:
    """Compare follow-ups with their baseline, slice by slice.

    DIR gets change.json, change.csv, change.html and run.toml.
    """
    if len(studies) < 2:
        raise typer.BadParameter("expected a baseline and at least one follow-up, found one study")
    request, settings = request_from(slices, None, accept_fat_suppressed), settings_from(config, engine, lang)
    from sparcc_pipeline.app.report.change_outputs import write_change
    from sparcc_pipeline.app.results.change_document import change_document
    from sparcc_pipeline.app.results.score_document import json_text
    from sparcc_pipeline.app.results.store import CHANGE_RESULT, ResultFolder
    from sparcc_pipeline.app.study import installation
    from sparcc_pipeline.app.study.clock import utc_now
    from sparcc_pipeline.app.study.compare import Compared, NotCompared, compare_studies, of_visit
    from sparcc_pipeline.app.study.provenance import Run

    run = Run(settings, request, created_at=utc_now())
    with ResultFolder(out, force=force, kind=CHANGE_RESULT) as folder, progress_display() as progress:
        comparison = compare_studies(
            studies,
            request,
            lambda: installation.load_installed_segmenter(settings),
            progress,
            same_person=same_person,
        )
        document = change_document(comparison, run)
        if any(isinstance(each, Compared) for each in comparison.follow_ups):
            progress("Writing the results")
            write_change(comparison, document, run, folder.path, same_person=same_person, label=label)
            folder.publish()
            if not as_json:
                typer.echo(summary(document, out))
    if as_json:
        typer.echo(json_text(document), nl=False)
    failed = [each for each in comparison.follow_ups if isinstance(each, NotCompared)]
    if failed:
        raise of_visit(failed[0].name, failed[0].error)


def summary(document: ChangeDocument, out: Path) -> str:
    """Return a few lines for the terminal."""
    baseline = document.baseline
    lines = []
    for each in document.follow_ups:
        if each.change is None or each.score is None:
            lines.append(f"{each.name}: {each.status}: {each.reason}")
            continue
        lines.append(
            f"{each.name}: SPARCC {baseline.score.total} -> {each.score.total} ({each.change.total:+d}): "
            f"{_in_words(each.change, document.limits)}"
        )
        lines += [f"  Warning: {warning}" for warning in each.warnings]
    lines += [f"Warning: {warning}" for warning in baseline.warnings]
    return "\n".join([*lines, f"Report: {out / 'change.html'}", "Research use only."])


def _in_words(change: ChangeEntry, limits: Limits) -> str:
    """Return what a change of the machine's score means: nothing, if it is within the error of the machine."""
    if not change.detectable:
        return f"no change that this method can detect (from {limits.detectable:g} points)"
    important = "reaches" if change.important else "does not reach"
    return f"{change.direction}, {important} the smallest important change ({limits.important:g})"
