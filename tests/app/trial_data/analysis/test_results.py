"""Results of estimands on a trial of known truth, and their parts against formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sparcc_pipeline.app.trial_data.analysis.outcome import EstimandResult
from sparcc_pipeline.app.trial_data.analysis.results import analyse
from sparcc_pipeline.trial.assessment import assess_trial
from sparcc_pipeline.trial.estimand.analysis_set import Facts
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import Participant, TrialData
from sparcc_pipeline.trial.summary import courses

from ....trial.builders import visit
from ....trial.plans import analysis_protocol

SPARCC: dict[str, Any] = {
    "variable": "sparcc",
    "model": "ancova",
    "margin": 2.5,
    "tipping_step": 2.0,
    "tipping_last": 20.0,
}
TARGET: dict[str, Any] = {
    "variable": "dual_target",
    "model": "logistic",
    "summary": "risk_difference",
    "hypothesis": "superiority",
    "margin": None,
    "tipping_step": 0.1,
    "tipping_last": 1.0,
}


def _result(protocol: Protocol, lost: float = 0.0, people: int = 60, seed: int = 1) -> EstimandResult:
    """A trial with SPARCC 12 at baseline and 2 later, half of the people on either side of 2, and some visits lost."""
    generator = np.random.default_rng(seed)
    names = [f"P{number:03d}" for number in range(people)]
    visits, read = [], []
    for name in names:
        base = int(generator.integers(6, 20))
        for week in (0, 12, 24, 36, 48):
            if week and generator.random() < lost:
                continue
            item = float(generator.integers(4, 9)) if week == 0 else float(np.round(generator.uniform(0, 3), 1))
            visits.append(visit(name, f"W{week}", 7 * week, item))
            total = base if week == 0 else int(generator.integers(0, 5))
            read += [Reading(name, f"W{week}", f"R{n}", total, locked=True) for n in (1, 2)]
    data = TrialData([Participant(name, f"S{k // 3 % 3}") for k, name in enumerate(names)], visits, read)
    arms = {name: "control" if k % 3 == 2 else "taper" for k, name in enumerate(names)}
    of = courses(assess_trial(data, protocol))
    return analyse(of, Facts(arms, {}), {"control": 2}, protocol)[0]


def test_without_missing_values_imputation_changes_nothing() -> None:
    found = _result(analysis_protocol(**SPARCC))

    assert found.primary is not None and found.complete_cases is not None
    assert found.primary.estimate == pytest.approx(found.complete_cases.estimate)
    assert found.primary.error == pytest.approx(found.complete_cases.error)
    assert found.primary.imputation_share == pytest.approx(0.0, abs=1e-12) and found.tipping == ()


def test_every_participant_of_the_allocation_is_counted() -> None:
    found = _result(analysis_protocol(**SPARCC), lost=0.25)
    tested, other = found.counts

    assert (tested.randomised, tested.without_data) == (40, 0)
    assert (other.randomised, other.without_data) == (22, 2)
    for each in found.counts:
        assert each.randomised == each.without_data + each.used + each.imputed
    assert found.primary is not None and found.primary.analysed == (40, 20)
    assert found.complete_cases is not None and found.complete_cases.analysed == (tested.used, other.used)


def test_interval_and_p_follow_from_estimate_and_error() -> None:
    found = _result(analysis_protocol(**SPARCC), lost=0.25).primary
    assert found is not None

    reach = stats.t.ppf(0.975, found.freedom) * found.error

    assert (found.low, found.high) == pytest.approx((found.estimate - reach, found.estimate + reach))
    assert found.p == pytest.approx(2 * stats.t.sf((2.5 - found.estimate) / found.error, found.freedom))


def test_non_inferiority_is_shown_if_and_only_if_the_interval_stays_under_the_margin() -> None:
    for margin in (0.2, 0.6, 1.0, 2.5):
        found = _result(analysis_protocol(**{**SPARCC, "margin": margin}), lost=0.2).primary
        assert found is not None
        assert (found.p < 0.05) == (found.high < margin)


def test_superiority_is_shown_if_and_only_if_the_interval_leaves_out_no_effect() -> None:
    for seed in range(6):
        protocol = analysis_protocol(**{**SPARCC, "hypothesis": "superiority", "margin": None})
        found = _result(protocol, seed=seed).primary
        assert found is not None
        assert (found.p < 0.05) == (not found.low < 0 < found.high)


def test_a_shift_moves_the_estimate_by_the_share_that_is_imputed() -> None:
    """The estimate is linear in the answers, so a shift adds the adjusted effect of the imputed places."""
    protocol = analysis_protocol(**SPARCC)
    found = _result(protocol, lost=0.3)
    of, sites = found.of, np.array(found.of.sites)
    values = {variable.value: array for variable, array in of.values.items()}
    imputed = np.isnan(values["sparcc"][:, of.visit]).astype(float) * of.tested
    terms = [np.ones(len(imputed)), of.tested, values["sparcc"][:, 0], sites == "S1", sites == "S2"]
    slope = np.linalg.lstsq(np.column_stack(terms).astype(float), imputed, rcond=None)[0][1]

    start = found.tipping[0].estimate.estimate

    for each in found.tipping:
        assert each.estimate.estimate == pytest.approx(start + each.shift * slope)
    assert found.tips_at is not None and found.tips_at > 0
    assert [t.succeeds for t in found.tipping] == sorted((t.succeeds for t in found.tipping), reverse=True)


def test_the_target_turned_against_the_test_arm_ends_in_the_worst_case() -> None:
    protocol = analysis_protocol(**TARGET)
    found = _result(protocol, lost=0.2, people=120)
    of = found.of
    values = {variable.value: array[:, of.visit] for variable, array in of.values.items()}
    answers = of.met(values["asdas"], values["sparcc"], protocol)
    worst = np.where(np.isnan(answers), np.where(of.tested, 0.0, 1.0), answers)

    last = found.tipping[-1].estimate

    assert found.tipping[-1].shift == 1.0
    assert last.imputation_share == pytest.approx(0.0, abs=1e-9)
    assert last.estimate == pytest.approx(worst[of.tested].mean() - worst[~of.tested].mean(), abs=0.05)
    steps = [each.estimate.estimate for each in found.tipping]
    assert steps == sorted(steps, reverse=True)


def test_the_same_seed_gives_the_same_result_and_another_one_does_not() -> None:
    first, again = (_result(analysis_protocol(**SPARCC), lost=0.2).primary for _ in range(2))

    assert first == again


def test_a_visit_without_values_is_not_estimable_with_a_reason() -> None:
    found = _result(analysis_protocol(**{**SPARCC, "visit": "W72"}))

    assert found.primary is None and found.note == "no value at the visit, or no baseline"
    assert found.adjusted_p == 1.0


def test_the_mixed_model_needs_no_imputation() -> None:
    found = _result(analysis_protocol(variable="sparcc", margin=2.5), lost=0.15)

    assert found.primary is not None and found.primary.imputation_share is None
    assert found.complete_cases is not None
    assert found.primary.estimate == pytest.approx(found.complete_cases.estimate, abs=0.4)
    assert found.tipping[0].estimate.estimate == pytest.approx(found.primary.estimate, abs=0.3)
