"""`sparcc doctor`: check that the installation is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.terminal import EXTRAS
from sparcc_pipeline.errors import ConfigError, OutputError, SparccError


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Settings file of sparcc nightly (TOML): also check what the night needs.",
            readable=False,
        ),
    ] = None,
) -> None:
    """Check that the installation works.

    Checks version, dependencies, settings, model and its hash, and temporary files. With --config also identity
    folder, disk, inboxes, manifests, database, clock, ports, PACS and mail.
    """
    from sparcc_pipeline import __version__
    from sparcc_pipeline.app.study.provenance import PACKAGE, installed_versions

    found = installed_versions()
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("dependencies", lambda: _dependencies(found)),
        ("settings", _settings),
        ("model", _model),
        ("writing", _writing),
    )
    failed: list[SparccError] = []
    good: list[str] = []
    typer.echo(f"{PACKAGE} {__version__}")
    for name, check in checks:
        try:
            good.append(f"{name:12} ok: {check()}")
        except SparccError as error:
            failed.append(error)
            typer.echo(f"{name:12} FAILED: {error}")
    for line in good:
        typer.echo(line)
    if config is not None:
        from sparcc_pipeline.app.nightly.doctor.checks import run_night_doctor

        try:
            run_night_doctor(config)
        except SparccError as error:
            failed.append(error)
    _show_extras()
    _show_versions(found)
    if failed:
        raise failed[0]


def _show_extras() -> None:
    """Print which extras are installed, and the command that installs each of the others."""
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules[:1] if find_spec(module) is None]
        state = f'not installed; if you need it: pip install ".[{extra}]"' if missing else "installed"
        typer.echo(f"extra {extra:9} {state}")


def _show_versions(found: dict[str, str]) -> None:
    """Print the versions of the dependencies on one line."""
    from sparcc_pipeline.app.study.provenance import DEPENDENCIES, FAST_ENGINE, REFERENCE_ENGINE

    names = [name for name in ("python", *DEPENDENCIES, *FAST_ENGINE, *REFERENCE_ENGINE) if name in found]
    typer.echo("versions     " + ", ".join(f"{name} {found[name]}" for name in names))


def _dependencies(found: dict[str, str]) -> str:
    from sparcc_pipeline.app.study.provenance import DEPENDENCIES, PACKAGE

    missing = [name for name in DEPENDENCIES if name not in found]
    if missing:
        raise ConfigError(f"expected {', '.join(missing)}, found none installed; install {PACKAGE} again")
    return "all of the core are installed"


def _settings() -> str:
    from sparcc_pipeline.app.study.config import load_config

    config = load_config()
    return ", ".join(f"{name} {value}" for name, value in config.model_dump().items())


def _model() -> str:
    from sparcc_pipeline.app.study import installation
    from sparcc_pipeline.app.study.config import load_config

    model = installation.load_installed_segmenter(load_config()).provenance
    return f"{model['name']} {model['version']}, {model['engine']}, sha256 {model['sha256'][:12]} as published"


def _writing() -> str:
    try:
        with tempfile.TemporaryDirectory(prefix="sparcc-") as folder:
            (Path(folder) / "test").write_bytes(b"sparcc")
    except OSError as error:
        raise OutputError(
            f"expected a temporary folder that can be written, found {error.strerror}; set TMPDIR to one"
        ) from error
    return f"temporary files in {tempfile.gettempdir()}"
