"""Examples in docstrings: every one runs, and every published rule and instrument has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import types
from collections.abc import Iterator

import pytest

import sparcc_pipeline

PACKAGES = ("sparcc", "trial", "simulation")

RULES = {
    "orientation": ("signed_tilt_degrees",),
    "rigid": ("RigidTransform.apply",),
    "volume": ("Geometry.to_mm",),
    "sparcc.follow_up.alignment": ("require_plausible",),
    "sparcc.follow_up.change": ("ScoreChange", "probability_of_change"),
    "sparcc.depth": ("depth_point", "edema_depth_mm"),
    "sparcc.edema": ("edema_points",),
    "sparcc.intensity": ("intensity_point", "measure_reference_signal"),
    "sparcc.joint": ("find_joint_slice",),
    "sparcc.joint_height": ("scored_levels",),
    "sparcc.joint_line": ("find_joint_line", "line_normals"),
    "sparcc.score": ("SparccScore",),
    "sparcc.slices": ("choose_six_slices", "find_transitional_slice", "first_of_six", "first_in_stack"),
    "sparcc.uncertainty": ("score_likelihood",),
    "trial.agreement.icc": ("icc_of_one",),
    "trial.agreement.kappa": ("cohen_kappa", "kappa_of_table", "pabak", "weighted_kappa"),
    "trial.agreement.measures": (
        "bootstrap",
        "limits_of_agreement",
        "smallest_detectable_change",
        "within_subject_sd",
    ),
    "trial.agreement.summary": ("quadrant_agreement",),
    "trial.eligibility": ("eligibility",),
    "trial.instruments": (
        "asas_hi",
        "asdas_crp",
        "asdas_esr",
        "asqol",
        "basdai",
        "basfi",
    ),
    "trial.nsaid": ("nsaid_index",),
    "trial.reading": ("counted_score",),
    "trial.remission": (
        "clinical_half",
        "dual_target",
        "imaging_half",
        "probability_below",
        "target_status",
    ),
    "trial.course.answers": ("all_of", "any_of"),
    "trial.course.confirmation": ("confirmed_target", "sustained_target"),
    "trial.course.flare": ("flare",),
    "trial.course.lesions": ("new_or_worsened",),
    "trial.schedule": ("step_criterion", "timing"),
    "trial.states": ("asdas_improvement", "disease_activity", "health_state"),
    "trial.crp": ("crp_below_detection", "crp_in_mg_l"),
    "trial.cut_off": ("exact", "below", "at_least"),
    "trial.summary": ("distribution",),
    "simulation.power": ("ancova",),
}
"""Rules that must have an example, by module: a function, a class, or a method after its class."""


def _modules() -> Iterator[str]:
    """The modules with a rule, and every module of the packages of the pure core."""
    yield from (name for name in RULES if "." not in name)
    prefix = f"{sparcc_pipeline.__name__}."
    for package in PACKAGES:
        for found in pkgutil.walk_packages(_module(package).__path__, f"{prefix}{package}."):
            if not found.ispkg:
                yield found.name.removeprefix(prefix)


def _module(name: str) -> types.ModuleType:
    return importlib.import_module(f"{sparcc_pipeline.__name__}.{name}")


@pytest.mark.parametrize("name", sorted(_modules()))
def test_the_examples_of_a_module_run(name: str) -> None:
    assert doctest.testmod(_module(name)).failed == 0


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in RULES.items() for rule in rules])
def test_a_rule_has_an_example(name: str, rule: str) -> None:
    module = _module(name)
    examples = {test.name: test.examples for test in doctest.DocTestFinder().find(module)}
    assert examples.get(f"{module.__name__}.{rule}"), f"expected an example (>>>) in the docstring of {name}.{rule}"


def test_every_module_of_the_list_is_run() -> None:
    assert set(RULES) <= set(_modules())


def test_a_wrong_example_fails(capsys: pytest.CaptureFixture[str]) -> None:
    planted = types.ModuleType("planted", ">>> 1 + 1\n3")
    assert doctest.testmod(planted).failed == 1
    assert "Expected:\n    3\nGot:\n    2" in capsys.readouterr().out
