"""`sparcc evaluate --retest`, `--registration` and `--stress`: the installed model on real scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from sparcc_pipeline.app.study import installation
from sparcc_pipeline.app.study.config import load_config
from sparcc_pipeline.app.study.files import make_folder, write_text
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.training.measure.plots import retest_svg, stress_svg
from sparcc_pipeline.training.measure.registration import load_pairs, measure_registration, registration_markdown
from sparcc_pipeline.training.measure.retest import load_scans, retest
from sparcc_pipeline.training.measure.retest_report import retest_markdown
from sparcc_pipeline.training.measure.stress import RowStore, chosen, stress
from sparcc_pipeline.training.measure.stress_report import stress_csv, stress_markdown


def run_retest(data: Path, folder: Path, seed: int, repeats: int) -> None:
    """Score second scans made from the real ones; `folder` gets retest.json, retest.md and a Bland-Altman plot.

    Raises
    ------
    InputError : the data is not there
    ModelError : no usable model
    OutputError : the files cannot be written
    """
    result = retest(load_scans(data), installation.load_installed_segmenter(load_config()), repeats, seed, _say)
    text = retest_markdown(result)
    _write(folder, "retest", result, text)
    write_text(folder / "retest.svg", retest_svg(result))
    typer.echo(text)


def run_registration(data: Path, folder: Path, seed: int, repeats: int) -> None:
    """Register real pairs, and known motions on top of them; `folder` gets registration.json and registration.md.

    Raises
    ------
    InputError : the data is not there
    ModelError : no usable model
    OutputError : the files cannot be written
    """
    result = measure_registration(
        load_pairs(data), installation.load_installed_segmenter(load_config()), repeats, seed, _say
    )
    text = registration_markdown(result)
    _write(folder, "registration", result, text)
    typer.echo(text)


def run_stress(data: Path, folder: Path, seed: int, people: list[str], only: list[str]) -> None:
    """Distort the real scans; `folder` gets stress.json, stress.csv, stress.md and stress.svg, and goes on.

    `people` and `only` pick scans and distortions; all where they are empty. Rows of an earlier run with the same
    model, version and seed are kept.

    Raises
    ------
    ConfigError : no such person or distortion
    InputError : the data is not there
    ModelError : no usable model
    OutputError : the files cannot be written
    """
    distortions = chosen(only)
    scans = load_scans(data)
    unknown = sorted(set(people) - set(scans))
    if unknown:
        raise ConfigError(f"expected --people among {', '.join(scans)}, found {', '.join(unknown)}; change it")
    segmenter = installation.load_installed_segmenter(load_config())
    make_folder(folder, "figures")
    store = RowStore(folder / "stress.jsonl", segmenter.provenance["sha256"], seed)
    picked = {name: scan for name, scan in scans.items() if not people or name in people}
    result = stress(picked, segmenter, distortions, seed, _say, store)
    text = stress_markdown(result)
    _write(folder, "stress", result, text)
    write_text(folder / "stress.csv", stress_csv(result))
    write_text(folder / "stress.svg", stress_svg(result))
    typer.echo(text)


def _write(folder: Path, name: str, result: dict[str, Any], text: str) -> None:
    make_folder(folder, "figures")
    write_text(folder / f"{name}.json", json.dumps(result, indent=2) + "\n")
    write_text(folder / f"{name}.md", text)


def _say(line: str) -> None:
    typer.echo(line, err=True)
