"""`sparcc model`: train the networks and measure them. Only typer is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

model_app = typer.Typer(
    name="model",
    help="Train the model and measure it, for its developers. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

DataOption = Annotated[Path, typer.Option(help="Folder with sij_mri/ and pelvic_t1/ (see models/README.md).")]
TrainingOption = Annotated[
    Path, typer.Option("--run", help="Folder of the training; an interrupted one is resumed there.")
]
FiguresOption = Annotated[Path, typer.Option("--run", help="Folder for the figures.")]
SeedOption = Annotated[int, typer.Option(help="Seed of weights and augmentation.")]
ScansSeedOption = Annotated[int, typer.Option("--seed", help="Seed of the random scans.")]
RepeatsOption = Annotated[int, typer.Option(min=2, max=100, help="Random scans of each real one.")]


@model_app.command()
def train(
    data: DataOption,
    run: TrainingOption,
    bundle: Annotated[Path, typer.Option(help="Folder for the model bundle; created by this command.")],
    version: Annotated[str, typer.Option(help="Version of the model.")],
    seed: SeedOption = 0,
) -> None:
    """Make a model bundle from the data: folds, figures, training on everybody (hours on two cores)."""
    from sparcc_pipeline.app.development.training import run_train

    run_train(data, run, bundle, version, seed)


@model_app.command()
def evaluate(
    data: DataOption,
    run: TrainingOption,
    seed: SeedOption = 0,
    overlays: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Also a picture of everybody: never to be passed on.")
    ] = None,
) -> None:
    """Measure the model with one person left out at a time; trains missing folds (hours on two cores)."""
    from sparcc_pipeline.app.development.training import run_evaluate

    run_evaluate(data, run, seed, overlays)


@model_app.command()
def designs(
    data: DataOption,
    run: TrainingOption,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these designs.")] = None,
) -> None:
    """Train and compare other designs of the edema network."""
    from sparcc_pipeline.app.development.training import run_designs

    run_designs(data, run, only or [])


@model_app.command()
def retest(data: DataOption, run: FiguresOption, seed: ScansSeedOption = 0, repeats: RepeatsOption = 10) -> None:
    """Measure how far the installed model repeats itself on second scans of the same person."""
    from sparcc_pipeline.app.development.measuring import run_retest

    run_retest(data, run, seed, repeats)


@model_app.command()
def registration(data: DataOption, run: FiguresOption, seed: ScansSeedOption = 0, repeats: RepeatsOption = 10) -> None:
    """Measure how well follow-ups are aligned with their baseline."""
    from sparcc_pipeline.app.development.measuring import run_registration

    run_registration(data, run, seed, repeats)


@model_app.command()
def stress(
    data: DataOption,
    run: FiguresOption,
    seed: ScansSeedOption = 0,
    people: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these people.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these changes.")] = None,
) -> None:
    """Measure how far other acquisitions of the same scan move the score."""
    from sparcc_pipeline.app.development.measuring import run_stress

    run_stress(data, run, seed, people or [], only or [])
