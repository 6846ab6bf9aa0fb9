"""`sparcc validate`: compare the machine with readings of the site's own studies. Only typer is imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparcc_pipeline.app.cli.options import (
    ConfigOption,
    EngineOption,
    ForceOption,
    LanguageOption,
    PdfOption,
    ResultFolderOption,
    settings_from,
)
from sparcc_pipeline.errors import ConfigError

validate_app = typer.Typer(
    name="validate",
    help="Compare the machine with readings of your own studies. Research use only.",
    rich_markup_mode=None,
    invoke_without_command=True,
)

StudiesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--studies",
        metavar="FILE",
        help="List of studies (columns participant, visit, path, perhaps site); may be repeated.",
        readable=False,
    ),
]
ReadingsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--readings",
        metavar="FILE",
        help="Table of totals or of items, or folder of a reader export; may be repeated.",
        readable=False,
    ),
]
ScoresOption = Annotated[
    Path | None,
    typer.Option(
        "--scores",
        metavar="DIR",
        help="Folder for the scores of studies that have none. An interrupted scoring in it is resumed.",
        readable=False,
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Number of processes that score; by default one for each core.")
]


@validate_app.callback()
def validate(
    context: typer.Context,
    studies: StudiesOption = None,
    readings: ReadingsOption = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the results.", readable=False)] = None,
    scores: ScoresOption = None,
    workers: WorkersOption = None,
    protocol: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Protocol file with the cut-offs.", readable=False)
    ] = None,
    pdf: PdfOption = False,
    force: ForceOption = False,
    config: ConfigOption = None,
    engine: EngineOption = None,
    lang: LanguageOption = None,
) -> None:
    """Compare the machine with readings of your own studies.

    DIR gets report.html (for this site only), queries.csv, and validation.json: aggregates that may be passed on.
    """
    if context.invoked_subcommand is not None:
        return
    if not studies or not readings or out is None:
        raise ConfigError("expected --studies, --readings and --out, found not all of them; see sparcc validate --help")
    from sparcc_pipeline.app.batch import cluster
    from sparcc_pipeline.app.validation.run import ValidationRequest, run_validate

    settings, size = settings_from(config, engine, lang), cluster.local_workers(workers, None)
    request = ValidationRequest(studies, readings, scores)
    run_validate(request, protocol, out, settings, lambda: cluster.local_cluster(*size), pdf=pdf, force=force)


@validate_app.command()
def merge(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="validation.json of each site.", readable=False)
    ],
    out: ResultFolderOption,
    pdf: PdfOption = False,
    force: ForceOption = False,
    lang: LanguageOption = None,
) -> None:
    """Put the aggregates of several sites into one table, with random effects over the sites."""
    from sparcc_pipeline.app.validation.run import run_merge

    run_merge(files, out, settings_from(None, None, lang), pdf=pdf, force=force)
