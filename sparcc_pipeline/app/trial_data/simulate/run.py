"""`sparcc trial simulate` and `sparcc trial demo`: simulate trials from assumptions and a seed.

A simulated trial runs through the same code as a real one.

Contents: `run_simulate`, `run_demo`.
"""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import SCORE_RESULT, ResultFolder, ResultKind
from sparcc_pipeline.app.study.clock import utc_now
from sparcc_pipeline.app.study.config import LanguageCode, read_toml
from sparcc_pipeline.app.study.files import write_text
from sparcc_pipeline.app.study.protocol_file import SHIPPED_PROTOCOL
from sparcc_pipeline.app.study.resources import config_file
from sparcc_pipeline.app.trial_data.read.sources import TrialSources
from sparcc_pipeline.app.trial_data.simulate import files
from sparcc_pipeline.app.trial_data.simulate.choice_plots import flare_plot, rule_plot
from sparcc_pipeline.app.trial_data.simulate.phantom_scores import PhantomStudy, score_phantoms
from sparcc_pipeline.app.trial_data.simulate.simulation_report import chance_plot, simulation_markdown, wrong_plot
from sparcc_pipeline.app.trial_data.simulate.trials import simulate_all, simulation_document
from sparcc_pipeline.app.trial_data.trial_report.command import run_report
from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.assumptions_file import assumptions_from
from sparcc_pipeline.simulation.calibration.calibrate import calibrated
from sparcc_pipeline.simulation.items import simulated_items
from sparcc_pipeline.simulation.simulate import SimulatedTrial, simulate_trial
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from

ASSUMPTIONS: Final = Path("simulation.toml")
MAIN_FILE: Final = "simulation.json"
DATA: Final = "data"
"""Folder of the files of the first simulated trial."""

SIMULATION_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-simulation-result/",
    re.compile(
        r"simulation\.(json|md)|(chance_met|wrong_calls|taper_rules|flares)\.svg|data(/((participants|visits|readings|reading_items|scores|allocation|dosing)\.csv"
        rf"|protocol\.toml|scores(/P\d+(/W\d+(/({SCORE_RESULT.names.pattern}))?)?)?))?"
    ),
)

DEMO_SCORED: Final = 2
"""Number of participants in the demonstration with drawn and scored studies; each study takes a second."""

DEMO_ARMS: Final = {"taper": 20, "control": 10}
"""Participants of the demonstration: few, but enough for every part of the report."""


def run_simulate(
    out: Path, seed: int, trials: int, assumptions_file: Path | None, protocol_file: Path | None, *, force: bool
) -> None:
    """Simulate trials; write simulation.md, simulation.json, four plots and the files of the first trial.

    Raises
    ------
    ConfigError : assumptions or protocol are not valid, or the trials contradict the assumptions
    OutputError : the folder holds other files, or cannot be written
    """
    assumptions = load_assumptions(assumptions_file)
    content = _protocol_content(protocol_file, assumptions)
    protocol = protocol_from(content, "protocol.toml")
    with ResultFolder(out, force=force, kind=SIMULATION_RESULT) as result:
        if assumptions.to_calibrate:
            typer.echo(f"calibrating {', '.join(sorted(assumptions.to_calibrate))}", err=True)
            assumptions = calibrated(assumptions, protocol)
        seeds = [seed + number for number in range(trials)]
        typer.echo(f"{trials} trials of {protocol.participants} participants, seeds {seeds[0]}-{seeds[-1]}", err=True)
        first = simulate_trial(protocol, assumptions, seed)
        trials_done = simulate_all(seeds, protocol, assumptions, partial(_progress, len(seeds)))
        document = simulation_document(trials_done, first, seed, protocol, assumptions)
        text = simulation_markdown(document)
        write_text(result.path / "simulation.md", text)
        write_text(result.path / "chance_met.svg", chance_plot(document))
        write_text(result.path / "wrong_calls.svg", wrong_plot(document))
        write_text(result.path / "taper_rules.svg", rule_plot(document))
        write_text(result.path / "flares.svg", flare_plot(document))
        write_text(result.path / MAIN_FILE, json_text(document))
        (result.path / DATA).mkdir()
        files.write_trial_files(first, protocol, content, result.path / DATA)
        result.publish()
    typer.echo(text)
    typer.echo(f"Results: {out}")


def _progress(trials: int, done: int) -> None:
    """Print the number of finished trials, ten times in all."""
    if done % max(1, trials // 10) == 0:
        typer.echo(f"{done} of {trials} trials", err=True)


def run_demo(out: Path, seed: int, code: LanguageCode, *, pdf: bool, show: bool) -> None:
    """Write a small simulated trial to DIR/data, draw and score some of its studies, write its report to DIR/report.

    Parameters
    ----------
    show : open the report if there is a screen

    Raises
    ------
    SparccError : the folder is not empty, or cannot be written
    """
    assumptions = load_assumptions(None)
    content = _protocol_content(None, assumptions, DEMO_ARMS)
    protocol = protocol_from(content, "protocol.toml")
    with ResultFolder(out / DATA, force=False, kind=SIMULATION_RESULT) as result:
        trial = simulate_trial(protocol, assumptions, seed)
        files.write_trial_files(trial, protocol, content, result.path)
        scored = _score_some(trial, protocol, result.path / files.SCORE_FOLDERS, code)
        result.publish()
    data = out / DATA
    sources = TrialSources(
        [data / files.PARTICIPANTS, data / files.VISITS],
        data / files.SCORES,
        [data / files.READINGS],
        [data / files.ITEMS],
    )
    typer.echo(
        f"All participants are simulated. {scored} studies of {', '.join(trial.randomised[:DEMO_SCORED])} "
        f"are phantoms, drawn and scored: {data / files.SCORE_FOLDERS}"
    )
    run_report(sources, data / files.PROTOCOL, out / "report", code, pdf=pdf, force=False)
    if show and has_screen():
        webbrowser.open((out / "report" / ("report.pdf" if pdf else "report.html")).resolve().as_uri())


def has_screen() -> bool:
    """Return False on Linux without a display, where a text browser would take over the terminal."""
    return not sys.platform.startswith("linux") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))


def _score_some(trial: SimulatedTrial, protocol: Protocol, folder: Path, code: LanguageCode) -> int:
    """Draw and score the studies of the first participants, replacing simulated scores; return their number."""
    studies = [
        PhantomStudy(folder / each.participant / each.visit, each.points, number)
        for number, each in enumerate(simulated_items(trial, protocol))
        if each.reader is None and each.participant in trial.randomised[:DEMO_SCORED]
    ]
    score_phantoms(studies, utc_now(), code)
    return len(studies)


def load_assumptions(file: Path | None) -> Assumptions:
    """Return the assumptions of a file, or the installed ones.

    Raises
    ------
    ConfigError : the file is missing, not TOML, or not valid
    """
    source = config_file(ASSUMPTIONS) if file is None else file
    return assumptions_from(read_toml(source), source.name)


def _protocol_content(
    file: Path | None, assumptions: Assumptions, arms: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Return the protocol's content, with open choices filled in from the assumptions."""
    content = read_toml(config_file(SHIPPED_PROTOCOL) if file is None else file)
    assumed = {
        key: {"value": value, "source": f"simulation: {assumptions.sources[f'choices.{key}']}"}
        for key, value in assumptions.choices.items()
    }
    content["choices"] = {**assumed, **content.get("choices", {})}
    for arm in content.get("arms", []):
        arm["participants"] = (arms or {}).get(arm.get("name"), arm.get("participants"))
    return content
