"""`sparcc score`: score one study into a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcc_pipeline.app.cli.options import (
    ConfigOption,
    DicomOption,
    EngineOption,
    FatSuppressedOption,
    ForceOption,
    JsonOption,
    LabelOption,
    LanguageOption,
    PdfOption,
    ResultFolderOption,
    SlicesOption,
    request_from,
    settings_from,
)
from sparcc_pipeline.app.cli.terminal import progress_display

if TYPE_CHECKING:
    from sparcc_pipeline.app.results.score_types import ScoreDocument
    from sparcc_pipeline.app.study.score import Scored


def score(
    study: Annotated[
        Path, typer.Argument(help="One study: a folder, zip file, DICOMDIR, DICOM file or NIfTI file.", readable=False)
    ],
    out: ResultFolderOption,
    slices: SlicesOption = None,
    series: Annotated[
        str | None, typer.Option(metavar="UID", help="Score the series with this SeriesInstanceUID.")
    ] = None,
    accept_fat_suppressed: FatSuppressedOption = False,
    nifti: Annotated[bool, typer.Option("--nifti", help="Also write the maps of bones and edema as NIfTI.")] = False,
    pdf: PdfOption = False,
    dicom: DicomOption = False,
    label: LabelOption = None,
    as_json: JsonOption = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    engine: EngineOption = None,
    lang: LanguageOption = None,
) -> None:
    """Score one study.

    DIR gets score.json, score.csv, report.html, study.npz, run.toml and the pictures in overlay/.
    """
    request, settings = request_from(slices, series, accept_fat_suppressed), settings_from(config, engine, lang)
    from sparcc_pipeline.app.report import pdf as pdf_pages
    from sparcc_pipeline.app.report.outputs import write_outputs
    from sparcc_pipeline.app.results.extras import Extras
    from sparcc_pipeline.app.results.score_document import json_text, score_document
    from sparcc_pipeline.app.results.store import ResultFolder
    from sparcc_pipeline.app.study import installation
    from sparcc_pipeline.app.study.clock import utc_now
    from sparcc_pipeline.app.study.provenance import Run
    from sparcc_pipeline.app.study.score import Scored, score_study

    if pdf or (dicom and settings.dicom_pdf):
        pdf_pages.require_pdf()
    run = Run(settings, request, created_at=utc_now())
    with ResultFolder(out, force=force) as folder, progress_display() as progress:
        outcome = score_study(
            study, request, lambda: installation.load_installed_segmenter(settings), progress, with_header=dicom
        )
        document = score_document(outcome, run)
        if isinstance(outcome, Scored):
            progress("Writing the results")
            write_outputs(outcome, document, run, folder.path, Extras(nifti=nifti, pdf=pdf, dicom=dicom), label)
            folder.publish()
    if as_json:
        typer.echo(json_text(document), nl=False)
    if not isinstance(outcome, Scored):
        raise outcome.error
    if not as_json:
        typer.echo(summary(document, out))
        for note in _header_notes(outcome):
            typer.echo(f"DICOM results: {note}")


def _header_notes(outcome: Scored) -> tuple[str, ...]:
    """Return notes on the attributes that the DICOM results have and the source lacks."""
    return () if outcome.study.header is None else outcome.study.header.completed


def _chance(probability: float | None) -> str:
    return "" if probability is None else f" (probability for a reader {probability:.2f})"


def summary(document: ScoreDocument, out: Path) -> str:
    """Return a few lines for the terminal."""
    from sparcc_pipeline.app.report.certainty import certainty, certainty_bar, contradiction

    reachable = "" if document.evaluable_maximum == 72 else f"; reachable {document.evaluable_maximum}"
    why = contradiction(document)
    lines = [
        f"SPARCC {certainty(document)}",
        f"{certainty_bar(document)}",
        *([str(why)] if why else []),
        f"Edema {document.edema}, intensity {document.intensity}, depth {document.depth}{reachable}",
        f"MRI by ASAS: {'positive' if document.asas_positive else 'negative'}{_chance(document.asas_probability)}",
        f"Definite active lesion: {'yes' if document.definite_lesion else 'no'}"
        f"{_chance(document.definite_lesion_probability)}",
        *(f"Warning: {warning}" for warning in document.warnings),
        *(f"Note: {note}" for note in document.notes),
        f"Report: {out / 'report.html'}",
        "Research use only.",
    ]
    return "\n".join(lines)
