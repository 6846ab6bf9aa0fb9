"""Agreement of changes beside that of totals; intervals that know that visits of a participant are not independent."""

from __future__ import annotations

import numpy as np
import pytest

from sparcc_pipeline.trial.agreement.measures import bootstrap, clustered_limits, limits_of_agreement
from sparcc_pipeline.trial.agreement.pairs import Measure, PairKind, readers_changed, reading_pairs
from sparcc_pipeline.trial.agreement.summary import quadrant_agreement, total_agreement
from sparcc_pipeline.trial.reading import Adjudication, MachineScore, Reading
from sparcc_pipeline.trial.records import TrialData

RULE = Adjudication(3.4)


def _clustered(generator: np.random.Generator) -> tuple[list[float], list[str]]:
    """Differences with mean 0 of 25 participants with eight visits: most of the error belongs to the participant."""
    own = np.repeat(generator.normal(0, 2, 25), 8)
    return (own + generator.normal(0, 1, 200)).tolist(), [f"P{n // 8}" for n in range(200)]


def test_intervals_of_clustered_differences_cover_the_truth() -> None:
    generator = np.random.default_rng(4)
    known, naive = 0, 0
    for _ in range(60):
        differences, names = _clustered(generator)
        low, high = clustered_limits(differences, names, 1).mean_interval or (1.0, -1.0)
        known += low <= 0 <= high
        low, high = limits_of_agreement(differences).mean_interval or (1.0, -1.0)
        naive += low <= 0 <= high

    assert naive < 40, "the example is clustered"
    assert known >= 51


def test_total_agreement_uses_the_clustered_intervals() -> None:
    differences, names = _clustered(np.random.default_rng(1))
    truth = np.arange(200.0)
    found = total_agreement(truth.tolist(), (truth + differences).tolist(), names, 7)

    assert found is not None
    assert found.bland_altman.mean_interval == pytest.approx(clustered_limits(differences, names, 7).mean_interval)


def test_one_participant_has_no_interval() -> None:
    found = total_agreement([1.0, 5, 9, 4], [2.0, 5, 7, 4], ["P1"] * 4, 1)
    quadrants = quadrant_agreement([1, 0, 1, 0], [1, 0, 0, 0], ["P1"] * 4, 1)

    assert found is not None and quadrants is not None and quadrants.kappa is not None
    assert found.bland_altman.mean_interval is None and found.bland_altman.upper_interval is None
    for estimate in (found.icc_agreement, found.icc_consistency, found.weighted, found.sdc, quadrants.kappa):
        assert estimate is not None and estimate.low is None and estimate.high is None
    assert bootstrap(lambda rows: [float(rows.size)], ["P1", "P1"], 1) == [None]


def _read(participant: str, visit: str, *totals: tuple[str, float]) -> list[Reading]:
    return [Reading(participant, visit, reader, total, locked=True) for reader, total in totals]


DATA = TrialData(
    (),
    (),
    (
        *_read("P1", "W0", ("R1", 10), ("R2", 12)),
        *_read("P1", "W12", ("R1", 4), ("R2", 5)),
        *_read("P2", "W0", ("R1", 8), ("R2", 8)),
        *_read("P2", "W12", ("R1", 6), ("R3", 7)),
        *_read("P2", "W24", ("R1", 1), ("R2", 2)),
    ),
    (
        MachineScore("P1", "W0", 9),
        MachineScore("P1", "W12", 3),
        MachineScore("P2", "W0", 8),
        MachineScore("P2", "W12", 1),
    ),
)


def test_changes_are_of_the_same_readers_at_both_visits() -> None:
    changes = [each for each in reading_pairs(DATA, RULE, "W0") if each.measure is Measure.CHANGE]

    between, machine = changes
    assert (between.kind, between.first_name, between.second_name) == (PairKind.BETWEEN, "R1", "R2")
    assert (between.first, between.second, between.participants) == ((-6, -7), (-7, -6), ("P1", "P2"))
    assert (machine.first, machine.second, machine.participants) == ((-6.5,), (-6.0,), ("P1",))


def test_participants_read_by_different_pairs_are_named() -> None:
    assert readers_changed(DATA) == ("P2",)


def test_without_a_baseline_only_totals_are_compared() -> None:
    assert {each.measure for each in reading_pairs(DATA, RULE)} == {Measure.STATUS}


def test_the_detectable_change_from_changes_is_that_from_totals_where_errors_are_independent() -> None:
    generator = np.random.default_rng(0)
    errors = np.round(generator.normal(0, 2, (4, 4000)))
    names = [f"P{n % 40}" for n in range(4000)]
    status = total_agreement(errors[0].tolist(), errors[1].tolist(), names, 1)
    change = total_agreement(
        (errors[0] - errors[2]).tolist(), (errors[1] - errors[3]).tolist(), names, 1, of_change=True
    )

    assert status is not None and change is not None
    assert status.sdc.value == pytest.approx(1.96 * 2**0.5 * (4 + 1 / 12) ** 0.5, rel=0.04)
    assert change.sdc.value == pytest.approx(status.sdc.value, rel=0.04)
    assert status.sdc_of_two.value == pytest.approx(status.sdc.value / 2**0.5)
