"""All files of a scored study, written into one folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from sparcc_pipeline.anatomy import AnatomyLabel
from sparcc_pipeline.app.report.dicom_results import write_dicom_results
from sparcc_pipeline.app.report.language import Language, language
from sparcc_pipeline.app.report.pdf import pdf_from
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.app.report.pictures.overlay import draw_overlays, draw_thumbnails, png
from sparcc_pipeline.app.report.score_report import ReportPictures, SeriesText, report_html
from sparcc_pipeline.app.results.score_document import csv_text, json_text
from sparcc_pipeline.app.study.files import SCORE_FILE, write_bytes, write_text
from sparcc_pipeline.app.study.provenance import Run, installed_versions
from sparcc_pipeline.app.study.saved_study import STUDY_FILE, save_study
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.imaging.nifti import write_nifti
from sparcc_pipeline.volume import sacroiliac_bones


def write_outputs(
    scored: Scored,
    document: dict[str, Any],
    run: Run,
    folder: Path,
    *,
    nifti: bool,
    pdf: bool = False,
    dicom: bool = False,
) -> None:
    """Write score, table, pictures, report, settings, what a comparison needs; if asked for, maps and DICOM results.

    Parameters
    ----------
    document : content of `score.json`
    folder : an empty folder (see `store.ResultFolder`)
    nifti : also the anatomy and edema maps in the geometry of the source
    pdf : also the report as PDF
    dicom : also the DICOM results; the study must have been read with its headers

    Raises
    ------
    ConfigError : the libraries that draw a PDF are missing
    OutputError : a file cannot be written
    """
    drawn = draw_overlays(scored, language(run.config.lang))
    # What is compressed needs no Python meanwhile: it goes on beside the rest.
    with ThreadPoolExecutor(run.config.threads) as pool:
        saved = pool.submit(save_study, scored, folder / STUDY_FILE)
        overlays = list(pool.map(png, drawn))
        for index, picture in zip(scored.score.slices.indices, overlays, strict=True):
            write_bytes(folder / "overlay" / f"slice_{index:02d}.png", picture)
        _write_report(scored, document, overlays, language(run.config.lang), folder, pdf=pdf)
        write_text(folder / "score.csv", csv_text(document))
        write_text(folder / "run.toml", run_toml(document, run, nifti=nifti, pdf=pdf, dicom=dicom))
        if nifti:
            _write_maps(scored, folder)
        if dicom:
            write_dicom_results(scored, document, run, drawn, folder)
        saved.result()
    write_text(folder / SCORE_FILE, json_text(document))


def run_toml(document: dict[str, Any], run: Run, **flags: bool) -> str:
    """The resolved settings, the arguments, hashes and versions; no path, for a path may hold a patient's name.

    `flags` are arguments of the command beyond the request.
    """
    made = document["provenance"]
    inputs = {} if made["input"] is None else {"input_sha256": made["input"]["sha256"]}
    arguments = {name: value for name, value in run.scoring_settings.items() if name != "engine" and value is not None}
    content = {
        "run": {"created_at": made["created_at"], "research_use_only": True},
        "settings": run.config.model_dump(),
        "arguments": {**arguments, **flags},
        "hashes": {"settings_sha256": made["settings_sha256"], **inputs},
        "model": made["model"],
        "versions": {made["software"]["name"]: made["software"]["version"], **installed_versions()},
    }
    return tomli_w.dumps(content)


def _write_report(
    scored: Scored, document: dict[str, Any], overlays: list[bytes], words: Language, folder: Path, *, pdf: bool
) -> None:
    """`report.html`, and `report.pdf` if asked for, from one template."""
    study = scored.study
    series = SeriesText(study.stir.series.facts, study.chosen_because, study.passed_over)
    pictures = ReportPictures([png(picture) for picture in draw_thumbnails(scored)], overlays)
    write_text(folder / "report.html", report_html(document, series, pictures, words))
    if pdf:
        page = report_html(document, series, pictures, words, font_url=REPORT_FONT.as_uri())
        write_bytes(folder / "report.pdf", pdf_from(page))


def _write_maps(scored: Scored, folder: Path) -> None:
    """`anatomy.nii.gz` (1 sacrum, 2 right ilium, 3 left ilium), `edema.nii.gz`, `edema_probability.nii.gz`."""
    tissue, stir = scored.tissue, scored.study.stir
    shown = sacroiliac_bones(tissue.anatomy)
    write_nifti(np.where(shown, tissue.anatomy, np.uint8(AnatomyLabel.BACKGROUND)), stir, folder / "anatomy.nii.gz")
    write_nifti(tissue.edema, stir, folder / "edema.nii.gz")
    write_nifti(tissue.edema_probability, stir, folder / "edema_probability.nii.gz")
