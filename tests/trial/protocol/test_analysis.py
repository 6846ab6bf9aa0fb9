"""The analysis of a protocol file: complete, without a default, and refused where it contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.trial.protocol.analysis import EventKind, Strategy
from sparcc_pipeline.trial.protocol.mapping import protocol_from

from ..builders import protocol
from ..plans import analysis_content


def test_the_example_of_the_document_is_valid() -> None:
    made = protocol_from(analysis_content(), "test.toml")

    assert [each.name for each in made.plan.primary] == ["asdas_w48", "sparcc_w48"]
    assert made.plan.estimands[2].strategies[EventKind.RESCUE] is Strategy.COMPOSITE
    assert made.sources["analysis.alpha"] and made.sources["estimands.asdas_w48"]


def test_without_the_tables_there_is_no_analysis() -> None:
    made = protocol()

    assert made.analysis is None
    with pytest.raises(ConfigError, match=r"expected the tables \[analysis\] and \[\[estimands\]\]"):
        _ = made.plan


@pytest.mark.parametrize("key", ["rescue", "stop", "dose_change_back", "model", "hypothesis", "population", "source"])
def test_no_key_has_a_default(key: str) -> None:
    content = analysis_content()
    del content["estimands"][0][key]

    with pytest.raises(ConfigError, match=f"expected the key 'estimands\\[0\\].{key}'"):
        protocol_from(content, "test.toml")


@pytest.mark.parametrize("key", ["alpha", "multiplicity", "site_as_covariate", "imputations", "seed", "test_arm"])
def test_no_key_of_the_whole_analysis_has_a_default(key: str) -> None:
    content = analysis_content()
    del content["analysis"][key]

    with pytest.raises(ConfigError, match=f"expected the key 'analysis.{key}'"):
        protocol_from(content, "test.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visit": "W0"}, "expected a planned visit after the baseline"),
        ({"visit": "W50"}, "expected a planned visit after the baseline"),
        ({"model": "logistic"}, "'logistic' for dual_target"),
        ({"summary": "odds_ratio"}, "'difference_of_means' for the model mmrm"),
        ({"rescue": "composite"}, "'composite' for dual_target only"),
        ({"stop": "while_on_treatment"}, "another model than 'mmrm'"),
        ({"stop": "principal_stratum"}, "one of 'treatment_policy'"),
        ({"hypothesis": "superiority"}, "no margin otherwise"),
        ({"margin": 0.0}, "a margin over 0"),
        ({"tipping_step": 5.0}, "at most tipping_last"),
        ({"name": "sparcc_w48"}, "expected each estimand once"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    content = analysis_content()
    content["estimands"][0] |= changes

    with pytest.raises(ConfigError, match=message):
        protocol_from(content, "test.toml")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("multiplicity", "one_primary", "expected analysis.multiplicity"),
        ("multiplicity", "holm", "no order otherwise"),
        ("order", "asdas_w48", "name each primary estimand once"),
        ("order", "asdas_w48 target_w48", "name each primary estimand once"),
        ("test_arm", "placebo", "expected two arms"),
    ],
)
def test_the_procedure_must_fit_the_estimands(key: str, value: str, message: str) -> None:
    content = analysis_content()
    content["analysis"][key]["value"] = value

    with pytest.raises(ConfigError, match=message):
        protocol_from(content, "test.toml")
