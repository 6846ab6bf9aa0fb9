"""`sparcc inspect`: the content of a source, without scoring it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import FatSuppressedOption, JsonOption, request_from


def inspect(
    source: Annotated[Path, typer.Argument(help="Folder, zip, DICOMDIR, DICOM file or NIfTI file.", readable=False)],
    series: Annotated[str | None, typer.Option(metavar="UID", help="Take the series with this UID.")] = None,
    accept_fat_suppressed: FatSuppressedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a source holds, without scoring it.

    Lists studies, series and what is odd. Send the output when a study is refused.
    """
    request = request_from(None, series, accept_fat_suppressed)
    from sparcc_pipeline.app.study.inspection import inspect_source, inspection_text

    found = inspect_source(source, request)
    typer.echo(json.dumps(found.to_plain(), indent=2) if as_json else inspection_text(found))
