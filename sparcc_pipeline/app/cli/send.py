"""`sparcc send`: the DICOM results of one or many finished scores to a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def send(
    results: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a score made with --dicom, or of many.", readable=False)
    ],
    to: Annotated[
        str, typer.Option(metavar="AET@HOST:PORT|URL", help="PACS: C-STORE to AET@HOST:PORT, or DICOMweb at a URL.")
    ],
    title: Annotated[str, typer.Option("--from", metavar="AET", help="Our own application entity title.")] = "SPARCC",
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to wait for each answer.")] = 30,
) -> None:
    """Send the DICOM results in DIR to a PACS and verify that they arrived."""
    from sparcc_pipeline.app.results.send import run_send

    run_send(results, to, title, timeout)
