"""Write all files of a scored study into one folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import tomli_w

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.app.report.dicom_results import write_dicom_results
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.report.pdf import pdf_from
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.app.report.pictures.layers import draw_layers
from sparcc_pipeline.app.report.pictures.overlay import draw_overlays, draw_thumbnails, png, view_of
from sparcc_pipeline.app.report.score_report import ReportPictures, SeriesText, report_html
from sparcc_pipeline.app.report.whose import Whose, whose
from sparcc_pipeline.app.results.extras import Extras
from sparcc_pipeline.app.results.score_document import csv_text, json_text
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.files import SCORE_FILE, write_bytes, write_text
from sparcc_pipeline.app.study.provenance import Provenance, Run, installed_versions
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.imaging.nifti import write_nifti
from sparcc_pipeline.volume import sacroiliac_bones, slice_number

NO_EXTRAS: Final = Extras()


def write_outputs(
    scored: Scored,
    document: ScoreDocument,
    run: Run,
    folder: Path,
    extras: Extras = NO_EXTRAS,
    label: str | None = None,
) -> None:
    """Write score, table, pictures, report, settings and `study.npz`, and the extras.

    Parameters
    ----------
    document : content of `score.json`
    folder : an empty folder (see `store.ResultFolder`)
    label : text of the user that the pages show; no other file holds it

    Raises
    ------
    ConfigError : the libraries that draw a PDF are missing
    OutputError : a file cannot be written
    """
    shown_as = whose(scored.study, run.config, label)
    drawn = draw_overlays(scored, language(run.config.lang))
    # Compression releases the GIL, so it runs in parallel.
    with ThreadPoolExecutor(run.config.threads) as pool:
        saved = pool.submit(save_study, scored, folder / STUDY_FILE)
        overlays = list(pool.map(png, drawn))
        for index, picture in zip(scored.score.slices.indices, overlays, strict=True):
            write_bytes(folder / "overlay" / f"slice_{slice_number(index):02d}.png", picture)
        encapsulated = extras.dicom and run.config.dicom_pdf
        wanted = extras.pdf or encapsulated
        pdf = _write_report(scored, document, shown_as, language(run.config.lang), folder, pdf=wanted)
        if extras.pdf and pdf is not None:
            write_bytes(folder / "report.pdf", pdf)
        write_text(folder / "score.csv", csv_text(document))
        write_text(folder / "run.toml", run_toml(document.provenance, run, **asdict(extras)))
        if extras.nifti:
            _write_maps(scored, folder)
        if extras.dicom:
            write_dicom_results(scored, document, run, folder, pdf if encapsulated else None)
        saved.result()
    write_text(folder / SCORE_FILE, json_text(document))


def run_toml(made: Provenance, run: Run, **flags: bool) -> str:
    """Return settings, arguments, hashes and versions as TOML; no path, because a path may hold a patient's name.

    Parameters
    ----------
    flags : arguments of the command beyond the request
    """
    inputs = {} if made.input is None else {"input_sha256": made.input.sha256}
    arguments = {name: value for name, value in run.scoring_settings.items() if name != "engine" and value is not None}
    if run.request.slices is not None:
        arguments["slices"] = "-".join(str(slice_number(index)) for index in run.request.slices)
    content = {
        "run": {"created_at": made.created_at, "research_use_only": True},
        "settings": run.config.model_dump(),
        "arguments": {**arguments, **flags},
        "hashes": {"settings_sha256": made.settings_sha256, **inputs},
        "model": None if made.model is None else asdict(made.model),
        "versions": {made.software.name: made.software.version, **installed_versions()},
    }
    return tomli_w.dumps(content)


def _write_report(
    scored: Scored, document: ScoreDocument, shown_as: Whose, words: Language, folder: Path, *, pdf: bool
) -> bytes | None:
    """Write `report.html`; with `pdf`, return it as PDF from the same template."""
    study = scored.study
    series = SeriesText(study.stir.series.facts, study.chosen_because, study.passed_over, shown_as)
    width, height = view_of(scored).size
    thumbnails = [png(picture) for picture in draw_thumbnails(scored)]
    pictures = ReportPictures(thumbnails, draw_layers(scored), width / height)
    write_text(folder / "report.html", report_html(document, series, pictures, words))
    return pdf_from(report_html(document, series, pictures, words, font_url=REPORT_FONT.as_uri())) if pdf else None


def _write_maps(scored: Scored, folder: Path) -> None:
    """Write `anatomy.nii.gz` (1 sacrum, 2 right ilium, 3 left ilium), `edema.nii.gz`, `edema_probability.nii.gz`."""
    tissue, stir = scored.tissue, scored.study.stir
    shown = sacroiliac_bones(tissue.anatomy)
    write_nifti(np.where(shown, tissue.anatomy, np.uint8(AnatomyLabel.BACKGROUND)), stir, folder / "anatomy.nii.gz")
    write_nifti(tissue.edema, stir, folder / "edema.nii.gz")
    write_nifti(tissue.edema_probability, stir, folder / "edema_probability.nii.gz")
