"""`sparcc model`: train and measure the networks. Only typer is imported here."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import ResultFolderOption, settings_from
from sparcc_pipeline.app.cli.validate import ReadingsOption, ScoresOption, StudiesOption, WorkersOption
from sparcc_pipeline.errors import ConfigError

model_app = typer.Typer(
    name="model",
    help="Train and measure the model, for its developers. Research use only.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class StartName(StrEnum):
    """The weights that a training on own readings starts from."""

    SHIPPED = "shipped"
    NOTHING = "nothing"


DataOption = Annotated[Path, typer.Option(help="Folder with sij_mri/ and pelvic_t1/ (see models/README.md).")]
TrainingOption = Annotated[
    Path, typer.Option("--run", help="Folder of the training. An interrupted training in it is resumed.")
]
FiguresOption = Annotated[Path, typer.Option("--run", help="Folder for the figures.")]
SeedOption = Annotated[int, typer.Option(help="Seed of weights and augmentation.")]
ScansSeedOption = Annotated[int, typer.Option("--seed", help="Seed of the random scans.")]
RepeatsOption = Annotated[int, typer.Option(min=2, max=100, help="Number of random scans of each real one.")]


@model_app.command()
def train(
    run: TrainingOption,
    bundle: Annotated[Path, typer.Option(help="Folder for the model bundle. The command creates it.")],
    version: Annotated[str, typer.Option(help="Version of the model.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder with sij_mri/ and pelvic_t1/ (see models/README.md).")
    ] = None,
    seed: SeedOption = 0,
    studies: StudiesOption = None,
    readings: ReadingsOption = None,
    start: Annotated[
        StartName,
        typer.Option(
            help="With --readings: start the edema network from the shipped weights, or from nothing. "
            "The bones network stays the shipped one."
        ),
    ] = StartName.SHIPPED,
    outline_label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Label of the edema in DICOM Segmentations; may be repeated."),
    ] = None,
    scores: ScoresOption = None,
    workers: WorkersOption = None,
) -> None:
    """Train the networks and write a model bundle.

    With --data: trains one fold for each person left out, measures them, then trains on all people. Takes hours.
    With --studies and --readings: trains the edema network on your own readings, and measures it on people left out.
    """
    if readings and studies:
        from sparcc_pipeline.app.batch import cluster
        from sparcc_pipeline.app.validation.learning.train import SiteTraining, run_site_training
        from sparcc_pipeline.app.validation.run import ValidationRequest

        size = cluster.local_workers(workers, None)
        request = ValidationRequest(studies, readings, scores)
        from_nothing, labels = start is StartName.NOTHING, frozenset(outline_label or [])
        training = SiteTraining(run, bundle, version, seed, from_nothing, labels)
        settings = settings_from(None, None, None)
        run_site_training(request, training, settings, lambda: cluster.local_cluster(*size))
        return
    if data is None:
        raise ConfigError("expected --data, or --studies and --readings, found neither; see sparcc model train --help")
    from sparcc_pipeline.app.development.training import run_train

    run_train(data, run, bundle, version, seed)


@model_app.command()
def evaluate(
    data: DataOption,
    run: TrainingOption,
    seed: SeedOption = 0,
    overlays: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write a picture of each person into this folder. Do not share it."),
    ] = None,
) -> None:
    """Measure the model with one person left out at a time.

    Trains the folds that are missing. Takes hours on two cores.
    """
    from sparcc_pipeline.app.development.training import run_evaluate

    run_evaluate(data, run, seed, overlays)


@model_app.command()
def designs(
    data: DataOption,
    run: TrainingOption,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Train only this design; may be repeated.")
    ] = None,
) -> None:
    """Train and compare other designs of the edema network."""
    from sparcc_pipeline.app.development.training import run_designs

    run_designs(data, run, only or [])


@model_app.command()
def retest(data: DataOption, run: FiguresOption, seed: ScansSeedOption = 0, repeats: RepeatsOption = 10) -> None:
    """Measure how much the score varies between repeated scans."""
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
    people: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Use only this person; may be repeated.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Apply only this change; may be repeated.")
    ] = None,
) -> None:
    """Measure how much other acquisitions change the score."""
    from sparcc_pipeline.app.development.measuring import run_stress

    run_stress(data, run, seed, people or [], only or [])


@model_app.command()
def card(
    bundle: Annotated[
        Path | None,
        typer.Argument(metavar="BUNDLE", help="Folder of a bundle or an overlay; by default the installed bundle."),
    ] = None,
) -> None:
    """Print a model's card.

    Prints version, origin, state of licence and figures, and whether its files are intact.
    """
    from sparcc_pipeline.app.development.card import run_card

    run_card(bundle)


@model_app.command()
def recalibrate(
    studies: StudiesOption,
    readings: ReadingsOption,
    out: ResultFolderOption,
    name: Annotated[str, typer.Option(help="Name of the overlay, for example that of the site.")] = "site",
    version: Annotated[str, typer.Option(help="Version of the overlay.")] = "1",
    scores: ScoresOption = None,
    workers: WorkersOption = None,
) -> None:
    """Fit threshold and calibration to your own readings.

    Writes an overlay of the installed model, only if it helps people left out of the fit.
    """
    from sparcc_pipeline.app.batch import cluster
    from sparcc_pipeline.app.validation.recalibration.write import run_recalibrate
    from sparcc_pipeline.app.validation.run import ValidationRequest

    size = cluster.local_workers(workers, None)
    request = ValidationRequest(studies or [], readings or [], scores)
    settings = settings_from(None, None, None)
    run_recalibrate(request, out, name, version, settings, lambda: cluster.local_cluster(*size))
