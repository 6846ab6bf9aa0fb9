"""`sparcc benchmark`: measure how fast this machine scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import JsonOption


def benchmark(
    study: Annotated[
        Path | None,
        typer.Argument(help="Study to measure; by default a synthetic study of usual size.", readable=False),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Processor threads of the engines.")] = 2,
    repeats: Annotated[
        int, typer.Option(min=1, max=100, help="Number of repeated studies; the median is reported.")
    ] = 3,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine scores.

    Report the time of each step, at the first study and at later ones, for each installed engine.
    """
    from sparcc_pipeline.app.development.benchmark import run_benchmark

    run_benchmark(study, threads, repeats, as_json=as_json)
