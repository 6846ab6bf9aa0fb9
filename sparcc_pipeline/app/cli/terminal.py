"""Help, missing parts and progress on a terminal. Only typer is imported here."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from typer.core import TyperGroup

MAKERS: Final = ("phantom", "model", "benchmark")
"""Commands for developers of the program, listed below the others."""

EXAMPLES: Final = {
    "score": (
        "sparcc score /data/study --out results/one",
        "sparcc score study.zip --out results/two --pdf --label T1-013",
    ),
    "inspect": ("sparcc inspect /data/study",),
    "batch": ("sparcc batch /data/studies --out results/batch",),
    "compare": ("sparcc compare /data/week0 /data/week16 --out results/change",),
    "send": (
        "sparcc send results/one --to ORTHANC@localhost:4242",
        "sparcc send results/one --to https://pacs.example/dicom-web",
    ),
    "receive": ("sparcc receive --config nightly.toml",),
    "doctor": ("sparcc doctor", "sparcc doctor --config nightly.toml"),
    "phantom": ("sparcc phantom --out phantoms/one --seed 3",),
    "benchmark": ("sparcc benchmark --threads 2",),
    "model train": (
        "sparcc model train --data data --run runs/train --bundle models/new --version 2.0.0",
        "sparcc model train --studies studies.csv --readings export --run runs/own --bundle models/own --version 1",
    ),
    "model card": ("sparcc model card", "sparcc model card models/new"),
    "model recalibrate": (
        "sparcc model recalibrate --studies studies.csv --readings export --out overlay --name hospital",
    ),
    "model evaluate": ("sparcc model evaluate --data data --run runs/train",),
    "model designs": ("sparcc model designs --data data --run runs/designs",),
    "model retest": ("sparcc model retest --data data --run runs/retest",),
    "model registration": ("sparcc model registration --data data --run runs/registration",),
    "model stress": ("sparcc model stress --data data --run runs/stress",),
    "nightly run": ("sparcc nightly run --config nightly.toml",),
    "nightly watch": ("sparcc nightly watch --config nightly.toml --receive",),
    "nightly status": ("sparcc nightly status --config nightly.toml",),
    "nightly report": ("sparcc nightly report --config nightly.toml",),
    "nightly whose": ("sparcc nightly whose 12 --config nightly.toml",),
    "nightly retry": ("sparcc nightly retry 12",),
    "nightly release": ('sparcc nightly release 12 --reason "checked with the site" --by Li',),
    "nightly reject": ('sparcc nightly reject 12 --reason "wrong body part" --by Li',),
    "nightly supersede": ("sparcc nightly supersede 12 15",),
    "trial dictionary": ("sparcc trial dictionary > dictionary.toml",),
    "trial import": ("sparcc trial import participants.csv visits.xlsx --out tables",),
    "trial status": ("sparcc trial status visits.csv --scores scores.csv",),
    "trial eligibility": ("sparcc trial eligibility participants.csv visits.csv",),
    "trial steps": ("sparcc trial steps visits.csv --allocation arms.csv --dosing doses.csv",),
    "trial report": ("sparcc trial report visits.csv --scores scores.csv --out report",),
    "trial simulate": ("sparcc trial simulate --out simulation --trials 200",),
    "trial structural": ("sparcc trial structural export/structural.csv",),
    "trial analysis": ("sparcc trial analysis visits.csv --protocol protocol.toml --dummy 1 --out analysis",),
    "trial shells": ("sparcc trial shells --protocol protocol.toml --out shells",),
    "trial safety": ("sparcc trial safety visits.csv --adverse-events events.csv --out safety",),
    "trial export": ("sparcc trial export participants.csv visits.csv --out export",),
    "trial redcap": ("sparcc trial redcap https://redcap.example/api/ --token-file token --out redcap",),
    "trial demo": ("sparcc trial demo --out demo",),
    "trial protocol check": ("sparcc trial protocol check protocol.toml",),
    "validate": ("sparcc validate --studies studies.csv --readings export --scores scores --out validation",),
    "validate merge": ("sparcc validate merge site_1/validation.json site_2/validation.json --out merged",),
    "reader serve": ("sparcc reader serve --config reader.toml",),
    "reader demo": ("sparcc reader demo",),
    "reader import": ("sparcc reader import manifest.csv --config reader.toml",),
    "reader assign": ("sparcc reader assign anna bo --config reader.toml",),
    "reader lock-database": ('sparcc reader lock-database --reason "all cases are read"',),
    "reader export": ("sparcc reader export --out readings --config reader.toml",),
    "reader backup": ("sparcc reader backup backup.tar --config reader.toml",),
    "reader restore": ("sparcc reader restore backup.tar --config reader.toml",),
    "reader user add": ("sparcc reader user add anna --role reader --code R1",),
    "reader user reset": ("sparcc reader user reset anna",),
    "reader audit verify": ("sparcc reader audit verify --config reader.toml",),
    "reader audit export": ("sparcc reader audit export trail.csv --config reader.toml",),
}
"""Examples below the help of each command, by its words after `sparcc`."""


EXTRAS: Final = {
    "fast": ("openvino",),
    "web": ("fastapi", "starlette", "uvicorn", "python_multipart", "multipart", "argon2"),
    "postgres": ("psycopg",),
    "train": ("torch", "monai", "onnx"),
    "trial": ("statsmodels", "pyreadstat"),
}
"""Extras of the distribution, and the modules that each adds."""

UNIX_MODULES: Final = ("fcntl", "resource", "pwd", "grp")
"""Modules of Python that Windows lacks."""


class HelpGroup(TyperGroup):
    """The program itself: commands of users first, those of its makers below, and examples in every help."""

    # typer brings its own copy of click, whose types it does not export.
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command with its examples."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _add_examples(command, cmd_name)
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the two lists of commands."""
        names = self.list_commands(ctx)
        width = max(map(len, names))
        users = [name for name in names if name not in MAKERS]
        for title, members in (("Commands", users), ("Commands for developers", [n for n in names if n in MAKERS])):
            commands = [(name, self.get_command(ctx, name)) for name in members]
            rows = [(f"{name:{width}}", each.get_short_help_str(100)) for name, each in commands if each is not None]
            with formatter.section(title):
                formatter.write_dl(rows)


def _add_examples(command: Any, words: str) -> None:
    """Add the examples of a command, and of all commands of a group, below its help."""
    lines = EXAMPLES.get(words, ())
    if lines and command.epilog is None:
        # A backspace keeps the lines of a paragraph as they are.
        command.epilog = "\b\n" + "\n".join(
            ["Example:" if len(lines) == 1 else "Examples:", *(f"  {x}" for x in lines)]
        )
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            _add_examples(each, f"{words} {name}")


def missing_part(module: str) -> str | None:
    """Return what to do about a module that is not installed; None if no extra and no system explains it."""
    part = module.partition(".")[0]
    for extra, modules in EXTRAS.items():
        if part in modules:
            return (
                f"expected the extra {extra!r} of sparcc-pipeline for this command, found no module {part}; in the "
                f'folder of the program run: pip install ".[{extra}]"'
            )
    if part in UNIX_MODULES:
        return (
            f"expected Linux or macOS for this command (module {part}), found {platform.system()}; use WSL or the "
            "container image"
        )
    return None


@contextmanager
def progress_display() -> Iterator[Callable[[str], None]]:
    """Show the current step on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner

    # `Console.status` would skip steps that are shorter than its refresh interval.
    with Live(console=Console(stderr=True), transient=True) as live:
        yield lambda step: live.update(Spinner("dots", f"{step} ..."), refresh=True)
