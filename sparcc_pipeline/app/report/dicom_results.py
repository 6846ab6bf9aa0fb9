"""Write the DICOM results of a scored study into its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.pictures.captures import draw_captures
from sparcc_pipeline.app.report.pictures.cover import draw_cover
from sparcc_pipeline.app.report.pictures.overlay import display_window, view_of
from sparcc_pipeline.app.results.score_types import ScoreDocument
from sparcc_pipeline.app.study.files import write_bytes
from sparcc_pipeline.app.study.provenance import Provenance, Run
from sparcc_pipeline.app.study.resources import codes_file
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.errors import ConfigError

if TYPE_CHECKING:
    from sparcc_pipeline.dicom.output.result_header import Origin
    from sparcc_pipeline.dicom.output.results import Result


def write_dicom_results(
    scored: Scored, document: ScoreDocument, run: Run, folder: Path, pdf: bytes | None = None
) -> None:
    """Write segmentation, reports, secondary captures and what the settings ask for.

    Parameters
    ----------
    document : content of `score.json`
    pdf : the report, to encapsulate

    Raises
    ------
    ConfigError : the study was read without its headers, or the table of codes of the installation is damaged
    OutputError : a file cannot be written
    """
    # Importing highdicom takes half a second, which only DICOM results need.
    from sparcc_pipeline.dicom.output.codes import read_codes
    from sparcc_pipeline.dicom.output.results import make_results

    if scored.study.header is None:
        raise ConfigError("expected a study that was read with its DICOM headers, found none; read it again with them")
    result, origin = _result(scored, document, run, pdf), _origin(document.provenance, run)
    codes = read_codes(codes_file().read_text(encoding="utf-8"))
    for file in make_results(scored.study.header, result, origin, codes):
        write_bytes(folder / file.name, file.content)


def _result(scored: Scored, document: ScoreDocument, run: Run, pdf: bytes | None) -> Result:
    from sparcc_pipeline.dicom.output.results import Options, Result
    from sparcc_pipeline.dicom.output.sr_groups import Uncertainty

    words = language(run.config.lang)
    return Result(
        stir=scored.study.stir,
        tissue=scored.tissue,
        joints=scored.joints,
        score=scored.score,
        cover=np.asarray(draw_cover(document, words)),
        pictures=tuple(np.asarray(picture) for picture in draw_captures(scored, words)),
        pixels_per_mm=view_of(scored).pixels_per_mm,
        window=display_window(scored),
        uncertainty=Uncertainty(
            expected=document.expected,
            interval_90=document.interval_90,
            probability_remission=document.probability_remission,
        ),
        options=Options(quadrants=run.config.dicom_quadrants, presentation=run.config.dicom_presentation, pdf=pdf),
    )


def _origin(made: Provenance, run: Run) -> Origin:
    from sparcc_pipeline.dicom.output.result_header import Origin

    if made.model is None or made.input is None:
        raise ConfigError("expected a scored study for DICOM results, found one without a score; score it first")
    return Origin(
        software=made.software.name,
        software_version=made.software.version,
        model=made.model.name,
        model_version=made.model.version,
        model_sha256=made.model.sha256,
        settings_sha256=made.settings_sha256,
        input_sha256=made.input.sha256,
        created_at=run.created_at.astimezone(),
    )
