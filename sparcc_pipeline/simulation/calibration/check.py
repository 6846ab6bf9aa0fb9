"""The check of a simulation: what its trials show against what the assumptions state.

Contents: `Shown`, `shown_by`, `Comparison`, `compared`, `require_consistent`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import CAN_BE_CALIBRATED, Assumptions
from sparcc_pipeline.simulation.calibration.figures import (
    detectable_change,
    detectable_change_of_two,
    level_bands,
    planned_at_week,
    spread_by_level,
)
from sparcc_pipeline.simulation.images import Bits, Floats
from sparcc_pipeline.simulation.readings import MACHINE, READERS
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.simulation.steering import CONTROL
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.remission import imaging_half

SHARE_TOLERANCE: Final = 0.05
TOLERANCE: Final = 0.1
"""Accepted deviations of a share, and of any other figure as a part of it; three standard errors are added."""

STANDARD_ERRORS: Final = 3.0

FEWEST: Final = 20
"""Smallest number of observations of a figure that is compared."""


@dataclass(frozen=True, eq=False)
class Shown:
    """Observations of one trial behind the stated facts, (n,) each.

    Parameters
    ----------
    baseline : true SPARCC at entry
    asdas : ASDAS as answered at the week of `Expected.low_activity`
    remission : the imaging half of the true SPARCC of the control arm at the week of `Expected.imaging_remission`
    truth, first, second, machine : totals of all images: true, of two readers, of the machine
    left : True for those who left, at each visit of those who were there before
    """

    baseline: Floats
    asdas: Floats
    remission: Bits
    truth: Floats
    first: Floats
    second: Floats
    machine: Floats
    left: Bits


@dataclass(frozen=True)
class Comparison:
    """One stated fact beside what the trials show.

    Parameters
    ----------
    n : number of observations
    tolerance : largest accepted difference
    change : what to change if they contradict each other
    """

    key: str
    what: str
    expected: float
    found: float
    n: int
    tolerance: float
    change: str

    @property
    def holds(self) -> bool:
        """True if the trials show the fact, or have too few observations to contradict it."""
        return self.n < FEWEST or abs(self.found - self.expected) <= self.tolerance


def shown_by(trial: SimulatedTrial, protocol: Protocol, assumptions: Assumptions) -> Shown:
    """Return the observations of one trial."""
    expected, images = assumptions.expected, trial.imaged
    control = np.array([trial.arms[name] == CONTROL for name in trial.randomised])
    here = trial.values.here
    later = trial.truth[control, planned_at_week(protocol, expected.imaging_remission_week)]
    totals = {name: trial.points[name].totals[images].astype(float) for name in (*READERS, MACHINE)}
    return Shown(
        baseline=trial.truth[:, 0].astype(float),
        asdas=trial.values.asdas_answered[:, planned_at_week(protocol, expected.low_activity_week)],
        remission=np.array([imaging_half(float(each), protocol.dual_imaging, protocol.target).met for each in later]),
        truth=trial.truth[images].astype(float),
        first=totals[READERS[0]],
        second=totals[READERS[1]],
        machine=totals[MACHINE],
        left=~here[:, 1:][here[:, :-1]],
    )


def compared(trials: Sequence[Shown], protocol: Protocol, assumptions: Assumptions) -> tuple[Comparison, ...]:
    """Return every stated fact beside what all trials show."""
    joined = {name: np.concatenate([getattr(t, name) for t in trials]) for name in Shown.__dataclass_fields__}
    expected = assumptions.expected
    low = joined["asdas"] < protocol.target.asdas_low_below
    week, imaging_week = int(expected.low_activity_week), int(expected.imaging_remission_week)
    found = [
        _mean("expected.baseline_sparcc", "mean true SPARCC at entry", expected.baseline_sparcc, joined["baseline"]),
        _share(
            "expected.low_activity",
            f"share under ASDAS {protocol.target.asdas_low_below:g} at week {week} on the full dose",
            expected.low_activity,
            low,
        ),
        _share(
            "expected.imaging_remission",
            f"share with a true SPARCC that meets the imaging half at week {imaging_week} on the full dose",
            expected.imaging_remission,
            joined["remission"],
        ),
        _share(
            "conduct.dropout_a_visit",
            "share who leave between two visits",
            assumptions.conduct.dropout_a_visit,
            joined["left"],
        ),
    ]
    spread = spread_by_level(joined["truth"], joined["first"] - joined["truth"], expected.reader_levels)
    for (low_end, high_end), wanted, (sd, n) in zip(
        level_bands(expected.reader_levels), expected.reader_sd, spread, strict=True
    ):
        what = f"standard deviation of a reading's error at true totals of {low_end:g}-{high_end:g}"
        found.append(_deviation("expected.reader_sd", what, wanted, sd, n))
    n = joined["truth"].size
    of_two = detectable_change_of_two(joined["first"], joined["second"]) if n > 1 else float("nan")
    machine = detectable_change(joined["machine"] - joined["truth"]) if n > 1 else float("nan")
    what = "smallest detectable change of the mean of two readers"
    found.append(_deviation("expected.reader_sdc_of_two", what, expected.reader_sdc_of_two, of_two, n))
    what = "smallest detectable change of the machine"
    found.append(_deviation("expected.machine_sdc", what, expected.machine_sdc, machine, n))
    return tuple(found)


def require_consistent(found: Sequence[Comparison]) -> None:
    """Raise an error if the trials contradict a stated fact.

    Raises
    ------
    ConfigError : they do; the message names each fact, what was expected and found, and what to change
    """
    wrong = [each for each in found if not each.holds]
    if wrong:
        listed = "; ".join(
            f"{each.key} ({each.what}): expected {each.expected:g} (within {each.tolerance:.2g}), found "
            f"{each.found:.3g}, {each.change}"
            for each in wrong
        )
        raise ConfigError(f"the simulated trials contradict their assumptions: {listed}")


def _share(key: str, what: str, expected: float, values: np.ndarray) -> Comparison:
    error = float(np.sqrt(expected * (1 - expected) / max(1, values.size)))
    found = float(values.mean()) if values.size else float("nan")
    allowed = min(SHARE_TOLERANCE, expected / 2) if key in _STATED else TOLERANCE * expected
    return Comparison(key, what, expected, found, values.size, allowed + STANDARD_ERRORS * error, _change(key))


def _mean(key: str, what: str, expected: float, values: Floats) -> Comparison:
    error = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size > 1 else 0.0
    tolerance = TOLERANCE * expected + STANDARD_ERRORS * error
    return Comparison(key, what, expected, float(values.mean()), values.size, tolerance, _change(key))


def _deviation(key: str, what: str, expected: float, found: float, n: int) -> Comparison:
    # Errors of scores have long tails, and those of one participant depend on each other: twice the normal error.
    error = 2 * expected / float(np.sqrt(2 * max(1, n - 1)))
    return Comparison(key, what, expected, found, n, TOLERANCE * expected + STANDARD_ERRORS * error, _change(key))


_STATED: Final = frozenset(CAN_BE_CALIBRATED.values())


def _change(key: str) -> str:
    parameter = next((name for name, stated in CAN_BE_CALIBRATED.items() if stated == key), None)
    if parameter is not None:
        return f'set {parameter} to "calibrated", or change {key}'
    if key == "expected.reader_sdc_of_two":
        return f'change {key}, or expected.reader_sd with reader.item_sd = "calibrated"'
    return f"change {key}"
