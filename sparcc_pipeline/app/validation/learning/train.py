"""`sparcc model train --readings`: train the edema network on a site's own readings, measure it on people left out.

Contents: `SiteTraining`, `run_site_training`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import typer

from sparcc_pipeline import __version__
from sparcc_pipeline.app.report.language import language
from sparcc_pipeline.app.study.clock import utc_now, utc_text
from sparcc_pipeline.app.study.config import PipelineConfig
from sparcc_pipeline.app.study.files import make_folder, write_text
from sparcc_pipeline.app.study.protocol_file import load_protocol
from sparcc_pipeline.app.study.resources import model_bundle
from sparcc_pipeline.app.trial_data.read.queries import Queries
from sparcc_pipeline.app.trial_data.run import print_queries
from sparcc_pipeline.app.validation.figures.agreement import MEAN_OF_READERS
from sparcc_pipeline.app.validation.figures.validation import Validation, validate
from sparcc_pipeline.app.validation.learning.site_studies import load_site_studies, rescored
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scoring import Workers
from sparcc_pipeline.app.validation.run import ValidationRequest, load_material
from sparcc_pipeline.app.validation.validation_report.page import ReportFacts, report_page
from sparcc_pipeline.errors import ConfigError, ModelError, UnscorableError
from sparcc_pipeline.imaging.model.bundle import Bundle
from sparcc_pipeline.trial.agreement.pairs import PairKind

if TYPE_CHECKING:
    from sparcc_pipeline.training.data.site_samples import SiteStudy
    from sparcc_pipeline.training.fit.site import SitePlan
    from sparcc_pipeline.training.fit.site_run import Members

FEWEST_PEOPLE: Final = 20
"""Fewest people with readings: twelve to learn from, four to stop by, four to measure (decision of this project)."""

EVALUATION_SCHEMA: Final = "sparcc-site-evaluation/1"
SHARE_KEPT: Final = 0.2
"""Share of the people by whom the training stops, and share of those who measure it."""


@dataclass(frozen=True)
class SiteTraining:
    """The request of a training.

    Parameters
    ----------
    run : folder of the training; an interrupted training in it is resumed
    bundle : new folder for the bundle
    from_nothing : start with random weights instead of those of the installed model
    outline_labels : labels of the segments of edema in DICOM Segmentations; without any the code decides
    """

    run: Path
    bundle: Path
    version: str
    seed: int = 0
    from_nothing: bool = False
    outline_labels: frozenset[str] = frozenset()


def run_site_training(
    request: ValidationRequest,
    training: SiteTraining,
    config: PipelineConfig,
    workers: Workers,
    plan: SitePlan | None = None,
) -> None:
    """Train, measure on people left out, and write the bundle and the report.

    Raises
    ------
    ModelError : torch and MONAI are not installed
    UnscorableError : too few people
    ConfigError : the folder holds a training on other readings, or with another plan
    OutputError : the bundle's folder exists, or a file cannot be written
    """
    try:
        from sparcc_pipeline.training.fit.export import require_new
        from sparcc_pipeline.training.fit.site import SitePlan
        from sparcc_pipeline.training.fit.site_export import edema_members
        from sparcc_pipeline.training.fit.site_run import train_members
    except ModuleNotFoundError as missing:
        raise ModelError(
            f"expected torch and MONAI for training, found no module {missing.name}; install 'sparcc-pipeline[train]'"
        ) from missing
    require_new(training.bundle)
    plan, base = plan or SitePlan(), Bundle.open(model_bundle())
    material = load_material(request, config, workers, _print)
    queries = Queries(material.queries)
    studies = load_site_studies(material, queries, training.outline_labels)
    print_queries(queries)
    train, stop, measure = split_people([study.person for study in studies], training.seed)
    _keep_plan(training, plan, base, studies)
    start = edema_members(base, from_nothing=training.from_nothing, seed=training.seed)
    people = (train, stop)
    members = train_members(studies, people, start, base.edema_inputs, plan, training.seed, training.run, _print)
    before, after = _measured(material, measure, base, training, members)
    evaluation = _evaluation(before, after, (len(train), len(stop), len(measure)))
    _write_bundle(base, members, evaluation, training, len(studies))
    words = language(config.lang)
    write_text(training.run / "report.html", report_page(after, ReportFacts(utc_text(utc_now()), ()), words))
    for goal in evaluation["goals"]:
        value = "not measured" if goal["value"] is None else f"{goal['value']:.3f}"
        typer.echo(f"{goal['name']}: {value} (goal {goal['goal']})")
    typer.echo(f"Report on {len(measure)} people left out (for this site only): {training.run / 'report.html'}")
    typer.echo(f'Model bundle: {training.bundle}. To use it, write model = "{training.bundle}" in the settings.')


def split_people(people: Sequence[str], seed: int) -> tuple[list[str], list[str], list[str]]:
    """Return the people to learn from, those by whom the training stops, and those who measure it.

    Raises
    ------
    UnscorableError : fewer than FEWEST_PEOPLE
    """
    names = sorted(set(people))
    if len(names) < FEWEST_PEOPLE:
        raise UnscorableError(
            f"expected readings of at least {FEWEST_PEOPLE} people for training, found {len(names)}; with fewer use "
            "`sparcc model recalibrate`"
        )
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    kept = round(SHARE_KEPT * len(names))
    return order[2 * kept :], order[:kept], order[kept : 2 * kept]


def _keep_plan(training: SiteTraining, plan: SitePlan, base: Bundle, studies: Sequence[SiteStudy]) -> None:
    """Write the plan of a training beside its networks; refuse to mix networks of two."""
    digest = {
        "people": sorted({study.person for study in studies}),
        "points": sum(float(np.nansum(share)) for study in studies for share in study.share.values()),
        "outlines": sum(study.outline is not None for study in studies),
    }
    start = None if training.from_nothing else base.sha256
    content = json.loads(json.dumps({"plan": asdict(plan), "seed": training.seed, "start": start, "readings": digest}))
    file = training.run / "site_plan.json"
    if file.exists():
        if json.loads(file.read_text(encoding="utf-8")) != content:
            raise ConfigError(
                f"expected the training in {training.run} to have these readings and this plan, found others; choose "
                "a new folder for --run"
            )
        return
    make_folder(training.run, "training")
    write_text(file, json.dumps(content, indent=2) + "\n")


def _measured(
    material: Material, people: Sequence[str], base: Bundle, training: SiteTraining, members: Members
) -> tuple[Validation, Validation]:
    """Return the figures of people left out with the network before the training, and after it."""
    from sparcc_pipeline.training.fit.site_export import edema_members
    from sparcc_pipeline.training.fit.site_run import network_of

    left_out = material.of({key for key in material.by_study if key.participant in set(people)})
    start = edema_members(base, from_nothing=training.from_nothing, seed=training.seed)
    protocol, found = load_protocol(None), []
    for networks in (start, members):
        scored = rescored(left_out, network_of(networks), base.edema_threshold, base.edema_inputs)
        found.append(validate(scored, protocol))
    return found[0], found[1]


def _evaluation(before: Validation, after: Validation, people: tuple[int, int, int]) -> dict[str, Any]:
    goals = []
    for name, larger in (("quadrant kappa", True), ("mean absolute difference of totals", False)):
        old, new = _figure(before, larger=larger), _figure(after, larger=larger)
        known = old is not None and new is not None
        reached = None if old is None or new is None else (new > old if larger else new < old)
        sign = ">" if larger else "<"
        goal = f"{sign} {old:.3f}, before the training" if known else "not measured before"
        goals.append({"name": f"{name}, people left out", "value": new, "goal": goal, "reached": reached, "note": ""})
    return {
        "schema": EVALUATION_SCHEMA,
        "date": utc_now().date().isoformat(),
        "software": __version__,
        "people": dict(zip(("trained_on", "stopped_by", "left_out"), people, strict=True)),
        "goals": goals,
    }


def _figure(found: Validation, *, larger: bool) -> float | None:
    """Return the quadrant kappa of machine and readers, or the difference from the mean of the readers."""
    if larger:
        row = next((each for each in found.items if each.item == "edema" and each.pairs.kind is PairKind.MACHINE), None)
        return None if row is None or row.found is None or row.found.kappa is None else row.found.kappa.value
    totals = (each for each in found.totals if each.pairs.first_name == MEAN_OF_READERS)
    return next((each.mean_absolute for each in totals), None)


def _write_bundle(
    base: Bundle, members: Members, evaluation: dict[str, Any], training: SiteTraining, studies: int
) -> None:
    from sparcc_pipeline.training.fit.site_export import export_site_bundle

    people = evaluation["people"]
    start = "random weights" if training.from_nothing else f"{base.name} {base.version}"
    learned = (
        f"edema: {studies} studies of a site, {people['trained_on']} people to learn from, {people['stopped_by']} to "
        f"stop by, {people['left_out']} left out, starting from {start}; bones: {base.metadata.get('data')}"
    )
    name = f"{base.name}_site"
    export_site_bundle(base, members, evaluation, learned, name, training.version, training.bundle)


def _print(line: str) -> None:
    typer.echo(line, err=True)
