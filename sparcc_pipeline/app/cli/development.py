"""`sparcc phantom` and `sparcc benchmark`: synthetic studies, and the speed of this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import JsonOption, ResultFolderOption


class StyleName(StrEnum):
    """The vendors whose headers a phantom can imitate."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"


def phantom(
    out: ResultFolderOption,
    seed: Annotated[int, typer.Option(help="Seed of the random phantom.")] = 0,
    lesions: Annotated[int | None, typer.Option(min=0, max=40, help="Number of lesions to try to place.")] = None,
    spacing: Annotated[float | None, typer.Option(min=2.0, max=6.0, help="Distance between slices in mm.")] = None,
    pixel: Annotated[float | None, typer.Option(min=0.3, max=1.2, help="Pixel size in mm.")] = None,
    tilt: Annotated[
        float | None, typer.Option(min=0.0, max=60.0, help="Tilt from the coronal plane in degrees.")
    ] = None,
    style: Annotated[StyleName, typer.Option(help="Vendor whose headers are imitated.")] = StyleName.SIEMENS,
    enhanced: Annotated[bool, typer.Option("--enhanced", help="Write one multi-frame file.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="Number the images from the other end.")] = False,
) -> None:
    """Write a synthetic study with a known score, for tests only."""
    from sparcc_pipeline.app.development.phantom import run_phantom
    from sparcc_pipeline.training.data.phantom_spec import random_spec

    spec = random_spec(seed, lesions=lesions, slice_spacing_mm=spacing, pixel_mm=pixel, tilt_degrees=tilt)
    run_phantom(spec, out, style=style.value, enhanced=enhanced, reverse=reverse)


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
