"""`sparcc validate` and `sparcc validate merge`: read, score, compare, write.

Contents: `ValidationRequest`, `load_material`, `run_validate`, `run_merge`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import typer

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.pages import template
from sparcc_pipeline.app.report.pdf import pdf_from, require_pdf
from sparcc_pipeline.app.report.pictures.fonts import REPORT_FONT
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Column, ColumnKind, Table, csv_text
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.data_tables import query_table
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.run import print_queries
from sparcc_pipeline.app.validation.aggregate import aggregate
from sparcc_pipeline.app.validation.figures.validation import Validation, findings, validate
from sparcc_pipeline.app.validation.material.pairing import Material, pair_material
from sparcc_pipeline.app.validation.material.readings import read_reading_tables
from sparcc_pipeline.app.validation.material.scores import read_scored_studies
from sparcc_pipeline.app.validation.material.scoring import Workers, score_folders
from sparcc_pipeline.app.validation.material.studies import read_studies
from sparcc_pipeline.app.validation.merging import Merged, merged, merged_rows, read_site_figures
from sparcc_pipeline.app.validation.validation_report.page import ReportFacts, number_of, report_page
from sparcc_pipeline.trial.agreement.pairs import PairKind

MAIN_FILE: Final = "validation.json"
MERGED_FILE: Final = "merged.json"
MERGED_SCHEMA: Final = "sparcc-validation-merged/1"

VALIDATION_RESULT: Final = ResultKind(
    MAIN_FILE, "sparcc-validation/", re.compile(r"validation\.json|report\.(html|pdf)|queries\.csv")
)
MERGED_RESULT: Final = ResultKind(
    MERGED_FILE, "sparcc-validation-merged/", re.compile(r"merged\.(json|csv)|report\.(html|pdf)")
)

_N: Final = ColumnKind.NUMBER
MERGED_COLUMNS: Final = (
    Column("figure", "figure"),
    Column("site", "name of the site's file, or all"),
    Column("people", "people of the site", ColumnKind.WHOLE),
    Column("value", "value", _N),
    Column("low", "lower end of the 95 % interval", _N),
    Column("high", "upper end", _N),
    Column("between_sd", "standard deviation between sites; ICC and kappa after Fisher's transform", _N),
    Column("i_squared", "share of the variation that is between sites", _N),
)


@dataclass(frozen=True)
class ValidationRequest:
    """The input of a validation.

    Parameters
    ----------
    studies, readings : lists of studies; tables of readings, or folders of exports
    scores : folder in which studies without a score are scored; None if all have one
    """

    studies: Sequence[Path]
    readings: Sequence[Path]
    scores: Path | None = None


def load_material(
    request: ValidationRequest, config: PipelineConfig, workers: Workers, report: Callable[[str], None]
) -> Material:
    """Return scored studies with their readings; studies without a score are scored first.

    Raises
    ------
    InputError : a table cannot be read
    ConfigError : a study has no score, and no folder for scores is given
    OutputError, ModelError : see `score_folders`
    """
    queries = Queries()
    tables = read_reading_tables(request.readings, queries)
    rows = read_studies(request.studies, queries)
    folders = score_folders(rows, request.scores, config, workers, report, queries)
    return pair_material(read_scored_studies(folders, queries), tables, queries)


def run_validate(
    request: ValidationRequest,
    protocol_file: Path | None,
    out: Path,
    config: PipelineConfig,
    workers: Workers,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """Write the local report, the queries, and the aggregates that may leave the site.

    Raises
    ------
    SparccError : see `load_material`; too few studies; the result cannot be written
    """
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    material = load_material(request, config, workers, lambda line: typer.echo(line, err=True))
    print_queries(material.queries)
    result = validate(material, protocol)
    facts = ReportFacts(utc_text(utc_now()), _hashes([*request.studies, *request.readings]))
    words = language(config.lang)
    with ResultFolder(out, force=force, kind=VALIDATION_RESULT) as folder:
        write_text(folder.path / "report.html", report_page(result, facts, words))
        if pdf:
            write_bytes(folder.path / "report.pdf", pdf_from(report_page(result, facts, words, REPORT_FONT.as_uri())))
        write_text(folder.path / "queries.csv", csv_text(query_table(material.queries, words)))
        write_text(folder.path / MAIN_FILE, json_text(aggregate(result)))
        folder.publish()
    for line in _summary(result):
        typer.echo(line)
    typer.echo(f"Report (for this site only): {out / ('report.pdf' if pdf else 'report.html')}")
    typer.echo(f"Aggregates (may be passed on): {out / MAIN_FILE}")


def _summary(result: Validation) -> list[str]:
    lines = [f"{result.studies} studies of {result.people} people, {len(result.material.readers)} readers"]
    for name, kind in (("machine and readers", PairKind.MACHINE), ("reader and reader", PairKind.BETWEEN)):
        row = result.pooled(kind)
        icc = None if row is None or row.found is None else number_of(row.found.icc_agreement, 2)
        if row is not None and icc is not None:
            lines.append(f"{name}: ICC(2,1) {icc}, mean absolute difference {row.mean_absolute:.1f}")
    return [*lines, *(f"finding: {each}" for each in findings(result))]


def _hashes(sources: Sequence[Path]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file; those of a folder by its tables."""
    files = [file for source in sources for file in (sorted(source.glob("*.csv")) if source.is_dir() else [source])]
    return [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def run_merge(files: Sequence[Path], out: Path, config: PipelineConfig, *, pdf: bool, force: bool) -> None:
    """Write the figures of several sites as one table, with random effects.

    Raises
    ------
    InputError : see `read_site_figures`
    OutputError : the result cannot be written
    """
    if pdf:
        require_pdf()
    found, words = merged(read_site_figures(files)), language(config.lang)
    made = utc_text(utc_now())
    with ResultFolder(out, force=force, kind=MERGED_RESULT) as folder:
        content = _merged_content(found, made)
        write_text(folder.path / "report.html", template("validation_merged.html", words).render(**content))
        if pdf:
            page = template("validation_merged.html", words, REPORT_FONT.as_uri()).render(**content)
            write_bytes(folder.path / "report.pdf", pdf_from(page))
        rows = merged_rows(found)
        write_text(folder.path / "merged.csv", csv_text(Table(MERGED_COLUMNS, rows)))
        main = {"schema": MERGED_SCHEMA, "research_use_only": True, "sites": len(found.sites), "figures": rows}
        write_text(folder.path / MERGED_FILE, json_text(main))
        folder.publish()
    if not found.one_model:
        typer.echo("warning: the sites were scored by different models or overlays; see the report", err=True)
    typer.echo(f"{len(found.sites)} sites, {found.people} people")
    typer.echo(f"Report: {out / ('report.pdf' if pdf else 'report.html')}")


def _merged_content(found: Merged, made: str) -> dict[str, Any]:
    figures = [
        {
            "name": figure.name,
            "sites": [number_of(each, 2) for each in figure.sites],
            "pooled": None if figure.pooled is None else number_of(figure.pooled.mean, 2),
            "between": None if figure.pooled is None else f"{figure.pooled.between_sd:.2f}",
            "share": None if figure.pooled is None else f"{100 * figure.pooled.i_squared:.0f} %",
        }
        for figure in found.figures
    ]
    return {"found": found, "figures": figures, "created_at": made}
