"""`sparcc train` and `sparcc evaluate`: the model from the readers' data, and how good it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from sparcc_pipeline.training.fit.run import Told, TrainingRun

EVALUATION_FILE: Final = "evaluation.json"
EVALUATION_SCHEMA: Final = "sparcc-evaluation/2"
STEPS_BETWEEN_LINES: Final = 100


def run_evaluate(data: Path, folder: Path, seed: int, overlays: Path | None = None) -> None:
    """Measure the leave-one-person-out figures into `folder`, training the folds that it does not hold yet.

    What `--stress` and `sparcc benchmark` left in `folder` stands beside them. `overlays` gets a picture of everybody;
    these are people's scans and may not be passed on.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is not there
    ConfigError : `folder` holds a run of another plan
    UnscorableError : too few people could be scored
    OutputError : the figures or the pictures cannot be written
    """
    with _training_run(data, folder, seed) as run:
        from sparcc_pipeline.app.development.evaluation_pictures import write_picture
        from sparcc_pipeline.training.measure.evaluate import evaluate
        from sparcc_pipeline.training.measure.evaluation_goals import goals_elsewhere
        from sparcc_pipeline.training.measure.evaluation_report import evaluation_markdown

        seen = None if overlays is None else partial(write_picture, overlays)
        result = {
            "schema": EVALUATION_SCHEMA,
            "date": utc_now().date().isoformat(),
            "software": __version__,
            "command": f"sparcc evaluate --data DATA --run RUN --seed {seed}",
            **evaluate(run, lambda line: typer.echo(line, err=True), seen),
            "elsewhere": [asdict(goal) for goal in goals_elsewhere(folder)],
        }
        write_text(folder / EVALUATION_FILE, json.dumps(result, indent=2) + "\n")
        write_text(folder / "evaluation.md", evaluation_markdown(result))
        typer.echo(evaluation_markdown(result))


def run_train(data: Path, folder: Path, bundle: Path, version: str, seed: int) -> None:
    """From the data to the bundle: train the folds, measure them, train on everybody; what `folder` holds is kept.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is not there
    ConfigError : `folder` holds a run of another plan
    OutputError : the bundle's folder exists
    """
    with _needs_torch():
        from sparcc_pipeline.training.fit.export import export_bundle, require_new
    require_new(bundle)
    evaluation = _evaluation(folder)
    if evaluation.get("schema") != EVALUATION_SCHEMA:
        run_evaluate(data, folder, seed)
        evaluation = _evaluation(folder)
    with _training_run(data, folder, seed) as run:
        export_bundle(run, evaluation, bundle.name, version, bundle)
    typer.echo(f"Model bundle: {bundle}")


def _evaluation(folder: Path) -> dict[str, Any]:
    """The figures that `folder` holds; empty where there are none."""
    measured = folder / EVALUATION_FILE
    content: dict[str, Any] = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else {}
    return content


def run_designs(data: Path, folder: Path, only: list[str]) -> None:
    """Compare the designs of the edema network; `folder` gets designs.json and designs.md, and keeps the networks.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is not there
    ConfigError : no design of that name, or `folder` holds networks of another plan
    """
    with _needs_torch():
        from sparcc_pipeline.training.fit.designs import DESIGNS, compare_designs, designs_markdown
    unknown = [name for name in only if name not in DESIGNS]
    if unknown:
        raise ConfigError(f"expected --only to name designs among {', '.join(DESIGNS)}; found {', '.join(unknown)}")
    with _told() as told:
        rows = compare_designs(folder, data, only or list(DESIGNS), told)
    write_text(folder / "designs.json", json.dumps(rows, indent=2) + "\n")
    write_text(folder / "designs.md", designs_markdown(rows))
    typer.echo(designs_markdown(rows))


@contextmanager
def _training_run(data: Path, folder: Path, seed: int) -> Iterator[TrainingRun]:
    """The run in `folder`; a line or a bar tells how far each network is."""
    with _needs_torch():
        from sparcc_pipeline.training.fit.run import TrainingPlan, TrainingRun
    with _told() as told:
        yield TrainingRun(folder, data, TrainingPlan(seed=seed), told)


@contextmanager
def _needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ModelError(
            f"expected torch and MONAI for training, found no module {missing.name}; install 'sparcc-pipeline[train]'"
        ) from missing


@contextmanager
def _told() -> Iterator[Told]:
    """What is told (network, step, steps, loss): a bar a network on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _say_now_and_then
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        known: dict[str, TaskID] = {}

        def told(name: str, step: int, steps: int, loss: float) -> None:
            if name not in known:
                known[name] = bars.add_task(name, total=steps, loss=loss)
            bars.update(known[name], completed=step, loss=loss)

        yield told


def _say_now_and_then(name: str, step: int, steps: int, loss: float) -> None:
    if step % STEPS_BETWEEN_LINES == 0 or step == steps:
        typer.echo(f"{name}: step {step} of {steps}, loss {loss:.3f}", err=True)
