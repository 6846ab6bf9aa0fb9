"""`sparcc send`: send the DICOM results of finished scores to a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def send(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of one score made with --dicom, or a folder of several.", readable=False
        ),
    ],
    to: Annotated[
        str,
        typer.Option(metavar="AET@HOST:PORT|URL", help="The PACS: AET@HOST:PORT for C-STORE, or a URL for DICOMweb."),
    ],
    title: Annotated[
        str, typer.Option("--from", metavar="AET", help="Application entity title of this program.")
    ] = "SPARCC",
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to wait for each answer.")] = 30,
) -> None:
    """Send DICOM results to a PACS and check that they arrived."""
    from sparcc_pipeline.app.results.send import run_send

    run_send(results, to, title, timeout)
