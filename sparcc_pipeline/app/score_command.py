"""`sparcc score`: one study in, one folder of results out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from sparcc_pipeline.app.config import PipelineConfig, load_config
from sparcc_pipeline.app.outputs import write_outputs
from sparcc_pipeline.app.pdf import require_pdf
from sparcc_pipeline.app.provenance import Run
from sparcc_pipeline.app.resources import model_bundle
from sparcc_pipeline.app.result import json_text, score_document
from sparcc_pipeline.app.store import ResultFolder
from sparcc_pipeline.app.study import CustomSlices, Request, Scored, score_study
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

if TYPE_CHECKING:
    from sparcc_pipeline.imaging.segmentation import Segmenter

_SLICES: Final = re.compile(r"\s*(\d{1,6})\s*-\s*(\d{1,6})\s*")


def run_score(
    source: Path,
    out: Path,
    request: Request,
    config: PipelineConfig,
    *,
    nifti: bool,
    pdf: bool,
    as_json: bool,
    force: bool,
) -> None:
    """Score one study, write its folder and say the result on standard output.

    Parameters
    ----------
    pdf : also the report as PDF
    as_json : say it as the content of `score.json`, also where there is no score
    force : replace an earlier result at `out`

    Raises
    ------
    SparccError : the study has no score, or something else went wrong; `out` is then left as it was
    """
    if pdf:
        require_pdf()
    run = Run(config, request, created_at=datetime.now(UTC))
    with ResultFolder(out, force=force) as folder, progress_display() as progress:
        outcome = score_study(source, request, lambda: load_installed_segmenter(config), progress)
        document = score_document(outcome, run)
        if isinstance(outcome, Scored):
            progress("Writing the results")
            write_outputs(outcome, document, run, folder.path, nifti=nifti, pdf=pdf)
            folder.publish()
    if as_json:
        typer.echo(json_text(document), nl=False)
    if not isinstance(outcome, Scored):
        raise outcome.error
    if not as_json:
        typer.echo(summary(document, out))


def resolve_config(file: Path | None, engine: str | None, lang: str | None = None) -> PipelineConfig:
    """The settings of `file` over those of the installation, and `--engine` and `--lang` over both.

    Raises
    ------
    ConfigError : see `load_config`
    """
    config = load_config(file)
    given = {name: value for name, value in (("engine", engine), ("lang", lang)) if value is not None}
    return PipelineConfig.model_validate({**config.model_dump(), **given})


def load_installed_segmenter(config: PipelineConfig) -> Segmenter:
    """The segmenter of the installation's model bundle.

    Raises
    ------
    ModelError : it is missing, changed, or its engine is not installed
    """
    from sparcc_pipeline.imaging.segmentation import load_segmenter

    return load_segmenter(model_bundle(), engine=config.engine, threads=config.threads)


def parse_slices(text: str) -> CustomSlices:
    """First and last slice of "7-12".

    Raises
    ------
    ConfigError : not two numbers, or not six slices
    """
    match = _SLICES.fullmatch(text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if last - first + 1 != SLICES_SCORED:
        raise ConfigError(
            f"expected --slices as the first and last of {SLICES_SCORED} consecutive slices, for instance 7-12 "
            f"(0-based from the most anterior slice), found {text!r}; change it"
        )
    return first, last


def summary(document: dict[str, Any], out: Path) -> str:
    """A few lines for a person at the terminal."""
    lines = [
        f"SPARCC {document['total']} of 72: edema {document['edema']}, intensity {document['intensity']}, "
        f"depth {document['depth']}; reachable {document['evaluable_maximum']}",
        f"MRI by ASAS: {'positive' if document['asas_positive'] else 'negative'}",
        *(f"Warning: {warning}" for warning in document["warnings"]),
        f"Report: {out / 'report.html'}",
        "Research use only.",
    ]
    return "\n".join(lines)


@contextmanager
def progress_display() -> Iterator[Callable[[str], None]]:
    """Shows the step at work on a terminal (standard error); shows nothing when piped."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    # Each step is drawn when it begins; `Console.status` would leave out those shorter than its next refresh.
    with Live(console=Console(stderr=True), transient=True) as live:
        yield lambda step: live.update(Spinner("dots", f"{step} ..."), refresh=True)
