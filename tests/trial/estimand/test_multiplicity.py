"""Adjusted p values, against the published example and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from sparcc_pipeline.trial.estimand.multiplicity import adjusted, holm, in_order
from sparcc_pipeline.trial.protocol.mapping import protocol_from

from ..plans import analysis_content


def test_holm_is_that_of_statsmodels() -> None:
    generator = np.random.default_rng(1)
    for _ in range(30):
        p = generator.random(generator.integers(1, 7)).tolist()
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_a_test_in_order_cannot_succeed_after_one_that_fails() -> None:
    assert in_order([0.2, 0.001]) == [0.2, 0.2]
    assert in_order([0.001, 0.2]) == [0.001, 0.2]


def test_the_order_is_that_of_the_protocol_and_an_estimand_without_p_stops_it() -> None:
    content = analysis_content()
    content["analysis"]["order"]["value"] = "sparcc_w48 asdas_w48"
    plan = protocol_from(content, "test.toml").plan

    assert adjusted({"asdas_w48": 0.001, "sparcc_w48": 0.04}, plan) == {"sparcc_w48": 0.04, "asdas_w48": 0.04}
    assert adjusted({"asdas_w48": 0.001}, plan) == {"sparcc_w48": 1.0, "asdas_w48": 1.0}
