"""`sparcc model retest`, `registration` and `stress`: measure the installed model on real scans."""

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
    """Score simulated second scans; write retest.json, retest.md and a Bland-Altman plot into `folder`.

    Raises
    ------
    InputError : the data is missing
    ModelError : no usable model
    OutputError : the files cannot be written
    """
    result = retest(load_scans(data), installation.load_installed_segmenter(load_config()), repeats, seed, _print_line)
    text = retest_markdown(result)
    _write(folder, "retest", result, text)
    write_text(folder / "retest.svg", retest_svg(result))
    typer.echo(text)


def run_registration(data: Path, folder: Path, seed: int, repeats: int) -> None:
    """Register real pairs, with and without known motions; write registration.json and registration.md into `folder`.

    Raises
    ------
    InputError : the data is missing
    ModelError : no usable model
    OutputError : the files cannot be written
    """
    result = measure_registration(
        load_pairs(data), installation.load_installed_segmenter(load_config()), repeats, seed, _print_line
    )
    text = registration_markdown(result)
    _write(folder, "registration", result, text)
    typer.echo(text)


def run_stress(data: Path, folder: Path, seed: int, people: list[str], only: list[str]) -> None:
    """Score distorted scans; write stress.json, stress.csv, stress.md and stress.svg into `folder`.

    `people` and `only` select scans and distortions, all if empty. Rows of an earlier run with the same model, version
    and seed are used again.

    Raises
    ------
    ConfigError : no such person or distortion
    InputError : the data is missing
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
    result = stress(picked, segmenter, distortions, seed, _print_line, store)
    text = stress_markdown(result)
    _write(folder, "stress", result, text)
    write_text(folder / "stress.csv", stress_csv(result))
    write_text(folder / "stress.svg", stress_svg(result))
    typer.echo(text)


def _write(folder: Path, name: str, result: dict[str, Any], text: str) -> None:
    make_folder(folder, "figures")
    write_text(folder / f"{name}.json", json.dumps(result, indent=2) + "\n")
    write_text(folder / f"{name}.md", text)


def _print_line(line: str) -> None:
    typer.echo(line, err=True)
