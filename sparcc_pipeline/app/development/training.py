"""`sparcc model train` and `sparcc model evaluate`: train the model on the readers' data, and measure it."""

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
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from sparcc_pipeline.training.fit.run import OnStep, TrainingRun

EVALUATION_FILE: Final = "evaluation.json"
EVALUATION_SCHEMA: Final = "sparcc-evaluation/2"
STEPS_BETWEEN_LINES: Final = 100


def run_evaluate(data: Path, folder: Path, seed: int, overlays: Path | None = None) -> None:
    """Write the leave-one-person-out figures into `folder`; train the folds that it does not hold yet.

    The figures include those that `--stress` and `sparcc benchmark` wrote to `folder`. `overlays` gets pictures of each
    person; they are people's scans and must not be passed on.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is absent
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
            "command": f"sparcc model evaluate --data DATA --run RUN --seed {seed}",
            **evaluate(run, lambda line: typer.echo(line, err=True), seen),
            "elsewhere": [asdict(goal) for goal in goals_elsewhere(folder)],
        }
        write_text(folder / EVALUATION_FILE, json.dumps(result, indent=2) + "\n")
        write_text(folder / "evaluation.md", evaluation_markdown(result))
        typer.echo(evaluation_markdown(result))


def run_train(data: Path, folder: Path, bundle: Path, version: str, seed: int) -> None:
    """Train the folds, measure them, train on all people, write the bundle; networks in `folder` are kept.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is absent
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
    """Return the figures in `folder`, or an empty dict."""
    measured = folder / EVALUATION_FILE
    content: dict[str, Any] = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else {}
    return content


def run_designs(data: Path, folder: Path, only: list[str]) -> None:
    """Compare the designs of the edema network; write designs.json and designs.md into `folder`, beside the networks.

    The designs are compared in labelled bones, and in those that the installed model finds with T1 and on STIR alone.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    InputError : the data is absent
    ConfigError : there is no design of that name, or `folder` holds networks of another plan
    """
    with _needs_torch():
        from sparcc_pipeline.imaging.segmentation import load_segmenter
        from sparcc_pipeline.training.fit.designs import DESIGNS, compare_designs, designs_markdown
    unknown = [name for name in only if name not in DESIGNS]
    if unknown:
        raise ConfigError(f"expected --only to name designs among {', '.join(DESIGNS)}; found {', '.join(unknown)}")
    segmenter = load_segmenter(model_bundle())
    with _progress() as on_step:
        rows = compare_designs(folder, data, only or list(DESIGNS), on_step, segmenter)
    write_text(folder / "designs.json", json.dumps(rows, indent=2) + "\n")
    write_text(folder / "designs.md", designs_markdown(rows))
    typer.echo(designs_markdown(rows))


@contextmanager
def _training_run(data: Path, folder: Path, seed: int) -> Iterator[TrainingRun]:
    """Yield the run in `folder`; a line or a bar shows the progress of each network."""
    with _needs_torch():
        from sparcc_pipeline.training.fit.run import TrainingPlan, TrainingRun
    with _progress() as on_step:
        yield TrainingRun(folder, data, TrainingPlan(seed=seed), on_step)


@contextmanager
def _needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ModelError(
            f"expected torch and MONAI for training, found no module {missing.name}; install 'sparcc-pipeline[train]'"
        ) from missing


@contextmanager
def _progress() -> Iterator[OnStep]:
    """Yield a function that shows progress: on a terminal a bar for each network, else a line every 100 steps."""
    if not sys.stderr.isatty():
        yield _print_line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        known: dict[str, TaskID] = {}

        def on_step(name: str, step: int, steps: int, loss: float) -> None:
            if name not in known:
                known[name] = bars.add_task(name, total=steps, loss=loss)
            bars.update(known[name], completed=step, loss=loss)

        yield on_step


def _print_line(name: str, step: int, steps: int, loss: float) -> None:
    if step % STEPS_BETWEEN_LINES == 0 or step == steps:
        typer.echo(f"{name}: step {step} of {steps}, loss {loss:.3f}", err=True)
