"""The command `sparcc`. Only typer is imported here; a command imports its modules when it runs.

Exit codes: 0 scored, 2 usage or settings, 3 input rejected, 4 unscorable, 5 model, 6 output.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.cli.batch import batch
from sparcc_pipeline.app.cli.compare import compare
from sparcc_pipeline.app.cli.development import benchmark, phantom
from sparcc_pipeline.app.cli.doctor import doctor
from sparcc_pipeline.app.cli.inspect import inspect
from sparcc_pipeline.app.cli.model import model_app
from sparcc_pipeline.app.cli.nightly import nightly_app, receive
from sparcc_pipeline.app.cli.reader import reader_app
from sparcc_pipeline.app.cli.score import score
from sparcc_pipeline.app.cli.send import send
from sparcc_pipeline.app.cli.statistician import analysis as _analysis  # noqa: F401
from sparcc_pipeline.app.cli.statistician import exchange as _exchange  # noqa: F401
from sparcc_pipeline.app.cli.statistician import monitoring as _monitoring  # noqa: F401
from sparcc_pipeline.app.cli.terminal import HelpGroup, missing_part
from sparcc_pipeline.app.cli.trial import trial_app
from sparcc_pipeline.app.cli.validate import validate_app
from sparcc_pipeline.errors import ConfigError, SparccError

app = typer.Typer(
    name="sparcc",
    help="Score inflammation of the sacroiliac joints on STIR MRI (SPARCC, 0-72). Research use only.",
    cls=HelpGroup,
    epilog="\b\nExamples:\n  sparcc score STUDY --out DIR\n  sparcc score -h (help of a command, with examples)\n"
    "  sparcc --install-completion (Tab completes commands and options in your shell)\n\n"
    "Exit codes: 0 scored, 2 usage or settings, 3 input rejected, 4 unscorable, 5 model, 6 output.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for command in (score, inspect, batch, compare, send, receive, doctor, phantom, benchmark):
    app.command()(command)
for group in (nightly_app, trial_app, reader_app, validate_app, model_app):
    app.add_typer(group)


def main() -> None:
    """Run the command line. A `SparccError` is printed as one sentence and ends with its exit code."""
    try:
        app()
    except SparccError as error:
        sentence = " ".join(str(error).split())
        typer.echo(f"sparcc: error: {sentence}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = missing_part(error.name or "")
        if missing is None:
            raise
        typer.echo(f"sparcc: error: {missing}", err=True)
        sys.exit(ConfigError.exit_code)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sparcc-pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


if __name__ == "__main__":
    main()
