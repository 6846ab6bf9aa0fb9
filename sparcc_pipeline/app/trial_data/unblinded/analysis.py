"""`sparcc trial analysis` and `sparcc trial shells`: the estimands of the protocol, estimated, or as empty tables.

Contents: `run_analysis`, `run_shells`. The arms come from the allocation, or, for a trial run of the programs, from a
random number: a dummy allocation opens no file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import typer

from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.report.pdf import require_pdf
from sparcc_pipeline.app.results.score_document import json_text
from sparcc_pipeline.app.results.store import ResultFolder, ResultKind
from sparcc_pipeline.app.results.tables import Table, csv_text, parquet_bytes
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.config import LanguageCode
from sparcc_pipeline.app.study.files import write_bytes, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.trial_data.analysis.content import analysis_sections
from sparcc_pipeline.app.trial_data.analysis.fits import require_statsmodels
from sparcc_pipeline.app.trial_data.analysis.outcome import EstimandResult
from sparcc_pipeline.app.trial_data.analysis.results import analyse
from sparcc_pipeline.app.trial_data.analysis.tables import analysis_tables
from sparcc_pipeline.app.trial_data.read.sources import TrialSources, load_trial
from sparcc_pipeline.app.trial_data.run import facts, print_queries
from sparcc_pipeline.app.trial_data.sections import SectionPage, write_page
from sparcc_pipeline.app.trial_data.trial_report.content import Unblinded
from sparcc_pipeline.app.trial_data.unblinded.report import with_allocation
from sparcc_pipeline.app.trial_data.unblinded.run import UNBLINDED
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.estimand.analysis_set import Facts
from sparcc_pipeline.trial.protocol.analysis import EventKind, Strategy
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.summary import Courses, courses, is_followed

SCHEMA: Final = "sparcc-trial-analysis/1"
MAIN_FILE: Final = "analysis.json"
PAGE: Final = "analysis"

ANALYSIS_RESULT: Final = ResultKind(
    MAIN_FILE,
    "sparcc-trial-analysis/",
    re.compile(r"analysis\.(json|html|pdf)|(estimates|tipping|analysed)\.(csv|parquet)"),
)
"""The folder of an analysis or of its table shells."""

DUMMY: Final = "DUMMY ALLOCATION: the arms are random, no result means anything"


@dataclass(frozen=True)
class Arms:
    """Where the arms come from: an allocation with dose steps, or the seed of a dummy allocation."""

    allocation: Path | None = None
    dosing: Path | None = None
    dummy_seed: int | None = None


def run_analysis(
    sources: TrialSources,
    protocol_file: Path | None,
    arms: Arms,
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    """Estimate every estimand of the protocol and write page, tables and `analysis.json`.

    Raises
    ------
    ConfigError : the protocol has no analysis or leaves a choice unset, or a needed package is missing
    SparccError : a file cannot be read or written
    """
    require_statsmodels()
    if pdf:
        require_pdf()
    protocol = load_protocol(protocol_file)
    plan = protocol.plan
    protocol.require("dual_clinical", "dual_imaging")
    _require_dosing(protocol, arms)
    loaded = load_trial(sources, protocol)
    if arms.allocation is None:
        seed = arms.dummy_seed or 0
        of = courses(assess_trial(loaded.data, protocol))
        unblinded = Unblinded(_dummy(of, protocol, seed), {})
    else:
        protocol.require("first_step", "observation_weeks", "second_step", "low_disease_activity")
        loaded, unblinded = with_allocation(loaded, protocol, arms.allocation, arms.dosing)
        of = courses(assess_trial(loaded.data, protocol))
    results = analyse(of, Facts(unblinded.arms, unblinded.steps), unblinded.without_data, protocol)
    run = facts(loaded, protocol, "analysis")
    is_dummy = arms.allocation is None
    document = {
        **run,
        "unblinded": not is_dummy,
        "dummy_allocation_seed": arms.dummy_seed if is_dummy else None,
        "test_arm": plan.test_arm,
        "estimands": [_document(each) for each in results],
    }
    typer.echo(DUMMY if is_dummy else UNBLINDED)
    words = language(code)
    banner = (
        words.say("DUMMY ALLOCATION: the arms are random. No result means anything.")
        if is_dummy
        else words.say("UNBLINDED: shows results by arm. Not for readers and assessors.")
    )
    page = SectionPage(
        f"{words.say('Analysis')} {protocol.registry}",
        banner,
        analysis_sections(results, protocol, words),
        protocol.file,
        loaded.inputs,
        run["created_at"],
    )
    _publish(page, document, analysis_tables(results), out, code, pdf=pdf, force=force)
    for each in results:
        typer.echo(_line(each, protocol))
    print_queries(loaded.data.queries)
    typer.echo(f"Analysis: {out / (PAGE + ('.pdf' if pdf else '.html'))}")


def run_shells(protocol_file: Path | None, out: Path, code: LanguageCode, *, pdf: bool, force: bool) -> None:
    """Write the tables of the analysis without numbers, for the statistical analysis plan. No data are read.

    Raises
    ------
    ConfigError : the protocol has no analysis, or the libraries that draw a PDF are missing
    OutputError : the folder holds other files, or cannot be written
    """
    if pdf:
        require_pdf()
    protocol, words, created_at = load_protocol(protocol_file), language(code), utc_text(utc_now())
    page = SectionPage(
        f"{words.say('Table shells of the analysis')} {protocol.registry}",
        words.say("Table shells: no data, no allocation. xx stands for a number."),
        analysis_sections(None, protocol, words),
        protocol.file,
        (),
        created_at,
    )
    document = {"command": "shells", "created_at": created_at, "protocol": {"file": protocol.file}}
    _publish(page, document, {}, out, code, pdf=pdf, force=force)
    typer.echo(f"Table shells: {out / (PAGE + ('.pdf' if pdf else '.html'))}")


def _publish(
    page: SectionPage,
    document: dict[str, Any],
    tables: dict[str, Table],
    out: Path,
    code: LanguageCode,
    *,
    pdf: bool,
    force: bool,
) -> None:
    with ResultFolder(out, force=force, kind=ANALYSIS_RESULT) as result:
        for name, table in tables.items():
            write_text(result.path / f"{name}.csv", csv_text(table))
            write_bytes(result.path / f"{name}.parquet", parquet_bytes(table))
        write_page(page, result.path, PAGE, language(code), pdf=pdf)
        write_text(result.path / MAIN_FILE, json_text({"schema": SCHEMA, "research_use_only": True, **document}))
        result.publish()


def _require_dosing(protocol: Protocol, arms: Arms) -> None:
    """Refuse an analysis that needs to know when the dose changed back, without the dose steps."""
    needed = [
        each.name
        for each in protocol.plan.estimands
        if each.strategies[EventKind.DOSE_CHANGE_BACK] is not Strategy.TREATMENT_POLICY
    ]
    if needed and arms.allocation is not None and arms.dosing is None:
        raise typer.BadParameter(f"--dosing is needed: the estimand {needed[0]} depends on when the dose changed back")


def _dummy(of: Courses, protocol: Protocol, seed: int) -> dict[str, str]:
    """Return random arms, in the ratio of the protocol, of everyone with a record after the baseline."""
    names = [name for name, course in of.items() if is_followed(course)]
    share = np.array([arm.participants for arm in protocol.arms], float)
    counts = np.round(np.cumsum(share / share.sum()) * len(names)).astype(int)
    labels = np.repeat([arm.name for arm in protocol.arms], np.diff([0, *counts]))
    return dict(zip(names, np.random.default_rng(seed).permutation(labels).tolist(), strict=True))


def _document(result: EstimandResult) -> dict[str, Any]:
    estimand = result.estimand
    return {
        "name": estimand.name,
        "variable": estimand.variable.value,
        "visit": estimand.visit,
        "role": estimand.role.value,
        "population": estimand.population.value,
        "strategies": {kind.value: strategy.value for kind, strategy in estimand.strategies.items()},
        "model": estimand.model.value,
        "summary": estimand.summary.value,
        "hypothesis": estimand.hypothesis.value,
        "margin": estimand.margin,
        "participants": [vars(each) for each in result.counts],
        "primary": _estimate(result.primary),
        "complete_cases": _estimate(result.complete_cases),
        "adjusted_p": result.adjusted_p,
        "tips_at": result.tips_at,
        "note": result.note,
    }


def _estimate(found: Any) -> dict[str, Any] | None:
    if found is None:
        return None
    return {**vars(found), "freedom": None if np.isinf(found.freedom) else found.freedom}


def _line(result: EstimandResult, protocol: Protocol) -> str:
    found, estimand = result.primary, result.estimand
    if found is None:
        return f"{estimand.name}: not estimable: {result.note}"
    adjusted = "" if result.adjusted_p is None else f", adjusted p {result.adjusted_p:.4f}"
    return (
        f"{estimand.name} ({estimand.visit}, n {found.analysed[0]} + {found.analysed[1]}): {estimand.summary.value} "
        f"{found.estimate:.3f} ({100 * (1 - protocol.plan.alpha):g} % interval {found.low:.3f} to {found.high:.3f}), "
        f"p {found.p:.4f}{adjusted}"
    )
