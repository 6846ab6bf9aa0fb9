"""The simulated trial: the same by seed, through the functions of a real one, noise in the amount that is assumed."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions_file import assumptions_from
from sparcc_pipeline.simulation.operating import observe, operating_characteristics
from sparcc_pipeline.simulation.readings import AGAIN, MACHINE
from sparcc_pipeline.simulation.simulate import SimulatedTrial, simulate_trial
from sparcc_pipeline.simulation.steering import CONTROL, TAPER
from sparcc_pipeline.trial.agreement.pairs import PairKind, reading_pairs
from sparcc_pipeline.trial.agreement.summary import total_agreement
from sparcc_pipeline.trial.assessment import assess_trial, entry_of
from sparcc_pipeline.trial.eligibility import EntryState
from sparcc_pipeline.trial.protocol.choices import ImagingDefinition
from sparcc_pipeline.trial.schedule import Criterion, step_criterion
from sparcc_pipeline.trial.summary import courses, entries, flow, in_trial, visit_summaries

from .builders import assumed, assumptions, protocol

SMALL = protocol(16, 8)


@cache
def small(seed: int = 3) -> SimulatedTrial:
    return simulate_trial(SMALL, assumptions(), seed)


def test_the_same_seed_gives_the_same_trial() -> None:
    again, other = simulate_trial(SMALL, assumptions(), 3), simulate_trial(SMALL, assumptions(), 4)

    assert again.data == small().data
    assert again.arms == small().arms and again.steps == small().steps
    assert np.array_equal(again.truth, small().truth)
    assert other.data != small().data


def test_who_is_randomised_is_eligible_by_the_code_that_reports_it() -> None:
    trial = small()
    by_name = {each.participant: each for each in trial.data.participants}

    assert len(trial.randomised) == 24
    for name in trial.randomised:
        assert entry_of(by_name[name], trial.data, SMALL).state is EntryState.MET
    assert len(trial.data.participants) > 24
    assert {"S1", "S2", "S3", "S4", "S5"} >= {each.site for each in trial.data.participants}
    assert sorted(set(trial.arms.values())) == [CONTROL, TAPER]


def test_a_step_follows_only_a_criterion_that_is_met() -> None:
    trial = small()
    asdas: dict[str, dict[str, float | None]] = {}
    for each in assess_trial(trial.data, SMALL):
        asdas.setdefault(each.participant.participant, {})[each.planned.visit] = each.asdas.value
    stepped = 0
    for name, arm in trial.arms.items():
        steps = [trial.steps.get((name, visit.visit)) for visit in SMALL.visits]
        if arm == CONTROL:
            assert set(steps) <= {0, None}
        since = 0
        for before, (visit, step) in zip(steps, zip(SMALL.visits[1:], steps[1:], strict=True), strict=False):
            if before is not None and step is not None and step > before:
                assert step_criterion(SMALL, step, since, asdas[name]).state is Criterion.MET
                since, stepped = visit.week, stepped + 1
    assert stepped > 0


def test_points_and_the_score_of_the_rules_agree() -> None:
    points = small().points["R1"]
    totals = points.totals

    for row, visit in ((0, 0), (3, 2), (5, 7)):
        assert points.score(row, visit).total == totals[row, visit]


def test_without_error_every_reading_is_the_truth() -> None:
    exact = assumptions(
        reader__item_sd=[0, 0, 0, 0, 0],
        reader__case_sd=0,
        reader__severity_sd=0,
        machine__item_sd=0,
        machine__case_sd=0,
        conduct__missed_mri=0,
        conduct__dropout_a_visit=0,
    )
    trial = simulate_trial(SMALL, exact, 1)
    figures = observe(trial, assess_trial(trial.data, SMALL), SMALL)

    for name in ("R1", "R2", AGAIN, MACHINE):
        assert np.array_equal(trial.points[name].totals, trial.truth)
    for flips in operating_characteristics([figures], SMALL.target):
        assert flips.turned == 0 and flips.between_visits == 0


@cache
def _whole() -> SimulatedTrial:
    return simulate_trial(protocol(100, 50), assumptions(), 1)


def test_readers_and_machine_are_as_noisy_as_in_their_sources() -> None:
    """Smallest detectable change: 3.4 of the mean of two readers (SPACE), 6.4 of the machine's second scans."""
    trial = _whole()
    names = np.repeat(np.array(trial.randomised)[:, None], 8, axis=1)[trial.imaged].tolist()

    first, second = (trial.points[name].totals[trial.imaged].tolist() for name in ("R1", "R2"))
    readers = total_agreement(first, second, names, 1)
    error = (trial.points[MACHINE].totals - trial.truth)[trial.imaged]

    assert readers is not None
    assert 3.0 < readers.sdc_of_two.value < 3.8
    assert 5.6 < 1.96 * np.sqrt(2) * error.std() < 7.2


def test_the_mean_of_two_readers_changes_the_half_less_often_than_one() -> None:
    trial = _whole()
    big = protocol(100, 50)
    figures = observe(trial, assess_trial(trial.data, big), big)
    flips = {(f.method, f.definition): f for f in operating_characteristics([figures], big.target)}

    below = ImagingDefinition.BELOW
    assert flips["mean of two readers", below].turned < flips["one reader", below].turned
    assert flips["mean of two readers", below].turned < flips["machine", below].turned
    chances = flips["one reader", below].chance_met
    assert chances[0] > 0.8 > chances[2] and chances[5] < 0.1


def test_counts_of_the_flow_add_up() -> None:
    of = courses(assess_trial(small().data, SMALL))
    entry = entries(of, SMALL)
    found, inside = flow(of, entry), in_trial(of, entry)

    assert found.screened == len(small().data.participants)
    assert found.screened == found.in_trial + found.not_eligible + found.not_known
    assert found.in_trial == found.eligible + found.deviations == len(inside) == 24
    assert found.followed <= found.in_trial
    for summary in visit_summaries(inside, SMALL):
        assert summary.attended + summary.missed + summary.ended == found.in_trial
        assert sum(summary.target.values()) == sum(summary.sources.values()) == found.in_trial
    ended = [summary.ended for summary in visit_summaries(inside, SMALL)]
    assert ended == sorted(ended)


def test_pairs_of_readings_are_of_the_same_images() -> None:
    data = small().data
    pairs = {each.kind: each for each in reading_pairs(data, SMALL.adjudication)}
    both = {
        (r.participant, r.visit) for r in data.readings if r.reader == "R1" and r.repeat == 1 and r.total is not None
    }
    both &= {(r.participant, r.visit) for r in data.readings if r.reader == "R2" and r.total is not None}

    assert len(pairs[PairKind.BETWEEN].first) == len(both)
    assert len(pairs[PairKind.WITHIN].first) == sum(r.repeat == 2 for r in data.readings)
    assert 0 < len(pairs[PairKind.MACHINE].first) <= len(data.scores)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({**assumed(), "schema": "other/1"}, "expected schema"),
        ({**assumed(), "more": {}}, "expected the tables"),
        (assumed(reader__item_sd=-1.0), "reader.item_sd"),
        (assumed(reader__item_sd=[0.2, 0.3]), "as many values as levels"),
        (assumed(expected__reader_levels=[0, 5, 2, 10, 20]), "expected.reader_levels"),
        (assumed(margins__asdas=0.9), "a margin of groups over 0 and under 0.9 at margins.asdas"),
        (assumed(margins__sparcc=2.5), "a margin of groups over 0 and under 2.5 at margins.sparcc"),
        (assumed(margins__asdas=0), "margins.asdas"),
        (assumed(analysis__hierarchy="first_one"), "analysis.hierarchy"),
        (assumed(conduct__dropout_a_visit="calibrated"), "conduct.dropout_a_visit"),
        (assumed(conduct__site_shares=[0.5, 0.4]), "sum 1"),
        (assumed(reader__unknown=1.0), "unknown"),
        (assumed(choices__first_step="20_mg"), "choices.first_step"),
    ],
)
def test_bad_assumptions_are_refused_by_name(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assumptions_from(tables, "test.toml")


def test_every_assumption_has_its_source() -> None:
    found = assumptions()

    assert set(found.values) == set(found.sources)
    tables = assumed()
    tables["reader"]["item_sd"]["source"] = " "
    with pytest.raises(ConfigError, match=r"reader\.item_sd"):
        assumptions_from(tables, "test.toml")


def test_values_are_those_that_the_reports_assess() -> None:
    trial = small()
    figures = observe(trial, assess_trial(trial.data, SMALL), SMALL)

    assert np.array_equal(figures.asdas, trial.values.asdas, equal_nan=True)
    assert np.array_equal(figures.scores["score that counts"], trial.values.sparcc, equal_nan=True)
    assert (~np.isnan(trial.values.asdas_answered)).all()


def test_the_sign_of_all_images_is_that_of_each_score() -> None:
    points = small().points["R1"]

    for row in range(24):
        assert [points.score(row, k).asas_positive for k in range(8)] == points.asas_positive[row].tolist()
