"""Simulate many trials and collect their figures; the trials run in processes, one a core.

Contents: `OneTrial`, `simulate_all`, `simulation_document`, `SCHEMA`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from sparcc_pipeline import __version__
from sparcc_pipeline.simulation.agreement import simulated_agreement
from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.calibration.check import Comparison, Shown, compared, require_consistent, shown_by
from sparcc_pipeline.simulation.choices import (
    Counts,
    Steps,
    arms_differ,
    flare_figures,
    rule_figures,
    target_figures,
)
from sparcc_pipeline.simulation.operating import (
    ASDAS,
    METHODS,
    TrialFigures,
    changed_by_rereading,
    observe,
    operating_characteristics,
    whole_values,
)
from sparcc_pipeline.simulation.power import COMPLETE, IMPUTED, WHOLE, Fits, fit_trial, joint_power, power
from sparcc_pipeline.simulation.simulate import SimulatedTrial, simulate_trial
from sparcc_pipeline.simulation.steering import PROTOCOL_RULE, RULES, TAPER
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.protocol.definition import Protocol

SCHEMA: Final = "sparcc-simulation-result/1"

COUNTED: Final = METHODS[2]
"""The score that counts: the primary outcome on images."""


@dataclass(frozen=True, eq=False)
class OneTrial:
    """All figures of one simulated trial.

    Parameters
    ----------
    fits : fits by outcome: each method of SPARCC, and ASDAS
    rules : first steps, and fits of both primary outcomes, by name of the rule for the taper
    """

    figures: TrialFigures
    shown: Shown
    fits: Mapping[str, Fits]
    rules: Mapping[str, tuple[Steps, Fits, Fits]]
    targets: Mapping[str, Counts]
    flares: Mapping[str, Mapping[str, Counts]]


def simulate_all(
    seeds: Sequence[int], protocol: Protocol, assumptions: Assumptions, on_trial: Callable[[int], None]
) -> list[OneTrial]:
    """Simulate every trial; the number of processes changes no figure.

    Parameters
    ----------
    on_trial : called with the number of finished trials

    Raises
    ------
    ConfigError : too few of the people screened are eligible
    """
    one = partial(_simulate_one, protocol, assumptions)
    workers, found = min(len(seeds), os.cpu_count() or 1), []
    if workers == 1:
        return [one(seed) for seed in seeds]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for trial in pool.map(one, seeds):
            found.append(trial)
            on_trial(len(found))
    return found


def _simulate_one(protocol: Protocol, assumptions: Assumptions, seed: int) -> OneTrial:
    trial = simulate_trial(protocol, assumptions, seed)
    figures = observe(trial, assess_trial(trial.data, protocol), protocol)
    generator, count = np.random.default_rng(seed), int(assumptions.analysis.imputations)
    recorded = {**figures.scores, ASDAS: figures.asdas}
    fits = {
        name: fit_trial(values, figures.whole[name], figures.tapering, count, generator)
        for name, values in recorded.items()
    }
    by_protocol = rule_figures(trial, protocol, PROTOCOL_RULE)
    rules: dict[str, tuple[Steps, Fits, Fits]] = {PROTOCOL_RULE.name: (by_protocol, fits[COUNTED], fits[ASDAS])}
    for rule in RULES[1:]:
        under = simulate_trial(protocol, assumptions, seed, rule)
        rules[rule.name] = (rule_figures(under, protocol, rule), *_primary(under, count, generator))
    targets, flares = target_figures(trial, protocol), flare_figures(trial, protocol)
    return OneTrial(figures, shown_by(trial, protocol, assumptions), fits, rules, targets, flares)


def _primary(trial: SimulatedTrial, imputations: int, generator: np.random.Generator) -> tuple[Fits, Fits]:
    """Fits of the score that counts and of ASDAS."""
    tapering, whole = np.array([trial.arms[name] == TAPER for name in trial.randomised]), whole_values(trial)
    pairs = ((trial.values.sparcc, whole[COUNTED]), (trial.values.asdas, whole[ASDAS]))
    sparcc, asdas = (fit_trial(values, all_, tapering, imputations, generator) for values, all_ in pairs)
    return sparcc, asdas


def simulation_document(
    trials: Sequence[OneTrial], first: SimulatedTrial, seed: int, protocol: Protocol, assumptions: Assumptions
) -> dict[str, Any]:
    """Return all figures, ready for JSON.

    Parameters
    ----------
    first : the first trial, for the agreement of readers

    Raises
    ------
    ConfigError : the trials contradict a stated assumption
    """
    checks = compared([trial.shown for trial in trials], protocol, assumptions)
    require_consistent(checks)
    figures, rules = [trial.figures for trial in trials], protocol.target
    flips = operating_characteristics(figures, rules)
    return {
        "schema": SCHEMA,
        "research_use_only": True,
        "software": {"name": "sparcc-pipeline", "version": __version__},
        "seed": seed,
        "trials": len(trials),
        "participants": protocol.participants,
        "protocol": {"registry": protocol.registry, "choices": dict(protocol.choices)},
        "checks": [_check(each) for each in checks],
        "flips": [_plain({**asdict(each), "definition": each.definition.value}) for each in flips],
        "turned_by_reading_again": {
            each.definition.value: changed_by_rereading(figures, each.definition, rules)
            for each in flips[:: len(flips) // 2]
        },
        "power": _powers(trials, assumptions, (IMPUTED,), [*METHODS, ASDAS]),
        "missing_data": _powers(trials, assumptions, (IMPUTED, COMPLETE, WHOLE), [COUNTED, ASDAS]),
        "joint_power": [asdict(each) for each in _joint(trials, assumptions)],
        "hierarchy": assumptions.analysis.hierarchy,
        "taper_rules": [_rule(name, trials, assumptions) for name in trials[0].rules],
        "targets": [_target(name, trials) for name in trials[0].targets],
        "flares": [_flare(name, trials, protocol) for name in trials[0].flares],
        "agreement": simulated_agreement(first, seed),
        "assumptions": {
            key: {"value": value, "source": assumptions.sources[key]} for key, value in assumptions.values.items()
        },
    }


def _check(each: Comparison) -> dict[str, Any]:
    return _plain({**asdict(each), "holds": each.holds})


def _powers(
    trials: Sequence[OneTrial], assumptions: Assumptions, analyses: Sequence[str], outcomes: Sequence[str]
) -> list[dict[str, Any]]:
    margins = assumptions.margins
    return [
        asdict(
            power(
                name if name == ASDAS else f"SPARCC, {name}",
                analysis,
                margins.asdas if name == ASDAS else margins.sparcc,
                [trial.fits[name] for trial in trials],
            )
        )
        for name in outcomes
        for analysis in analyses
    ]


def _joint(trials: Sequence[OneTrial], assumptions: Assumptions) -> Any:
    return joint_power([t.fits[COUNTED] for t in trials], [t.fits[ASDAS] for t in trials], assumptions)


def _rule(name: str, trials: Sequence[OneTrial], assumptions: Assumptions) -> dict[str, Any]:
    """Steps and power under one rule, over all trials."""
    steps, sparcc, asdas = (list(each) for each in zip(*(trial.rules[name] for trial in trials), strict=True))
    people, stepped = sum(each.participants for each in steps), sum(each.stepped for each in steps)
    weeks = [week for each in steps for week in each.weeks]
    joint = {each.hierarchy: each for each in joint_power(sparcc, asdas, assumptions)}
    one = joint["both_required"]
    margins = assumptions.margins
    return {
        "rule": name,
        "stepped": stepped / people,
        "median_week": float(np.median(weeks)) if weeks else None,
        "false_of_steps": sum(each.false for each in steps) / stepped if stepped else None,
        "missed": sum(each.missed for each in steps) / people,
        "sparcc_difference": power("", WHOLE, margins.sparcc, sparcc).difference,
        "asdas_difference": power("", WHOLE, margins.asdas, asdas).difference,
        "sparcc_not_inferior": power("", IMPUTED, margins.sparcc, sparcc).not_inferior,
        "asdas_not_inferior": power("", IMPUTED, margins.asdas, asdas).not_inferior,
        "both_not_inferior": one.both,
    }


def _target(name: str, trials: Sequence[OneTrial]) -> dict[str, Any]:
    total = sum((trial.targets[name] for trial in trials), Counts())
    return {"definition": name, **_shares(total)}


def _flare(name: str, trials: Sequence[OneTrial], protocol: Protocol) -> dict[str, Any]:
    """Flares by one definition: in each arm, and how often the arms differ."""
    arms = [arm.name for arm in protocol.arms]
    by_arm = {arm: sum((trial.flares[name][arm] for trial in trials), Counts()) for arm in arms}
    differ = [arms_differ(*(trial.flares[name][arm] for arm in arms[:2])) for trial in trials]
    everyone = sum(by_arm.values(), Counts())
    return {
        "definition": name,
        "by_arm": {arm: _shares(counts)["called"] for arm, counts in by_arm.items()},
        **_shares(everyone),
        "arms_differ": float(np.mean(differ)),
    }


def _shares(counts: Counts) -> dict[str, float | int | None]:
    return {
        "asked": counts.asked,
        "called": counts.called / counts.asked if counts.asked else None,
        "false_of_called": counts.false / counts.called if counts.called else None,
        "missed_of_true": counts.missed / counts.true if counts.true else None,
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with null for NaN, which marks a figure that does not exist."""

    def known(value: Any) -> Any:
        return None if isinstance(value, float) and value != value else value

    return {
        key: [known(each) for each in value] if isinstance(value, tuple) else known(value) for key, value in row.items()
    }
