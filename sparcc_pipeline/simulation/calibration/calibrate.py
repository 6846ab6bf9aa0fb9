"""Calibration of a simulated population: the parameters under which the trials show what the assumptions state.

Each parameter has one stated fact, which rises or falls with it. The calibration measures the fact in a large sample of
simulated people, the same sample for every trial value, and halves an interval until the fact holds.

Contents: `calibrated`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import CAN_BE_CALIBRATED, Assumptions
from sparcc_pipeline.simulation.calibration.figures import (
    detectable_change,
    level_bands,
    planned_at_week,
    spread_by_level,
)
from sparcc_pipeline.simulation.clinic import Clinic
from sparcc_pipeline.simulation.images import Bits, Floats, draw_thresholds, see
from sparcc_pipeline.simulation.people import Latent
from sparcc_pipeline.simulation.readings import reader_item_sd
from sparcc_pipeline.simulation.simulate import dose_effect
from sparcc_pipeline.trial.cut_off import at_least
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.remission import imaging_half

SEED: Final = 20261201
"""Seed of the sample, fixed so that the same assumptions give the same parameters."""

SCREENED: Final = 6000
"""People in the sample; about half of them are eligible."""

PASSES: Final = 2
HALVINGS: Final = 12
ROUNDS: Final = 8
"""Passes over all parameters, halvings of an interval, and corrections of the errors of all levels."""

FIRST_ITEM_SD: Final = 0.3
CLOSE: Final = 0.1
"""Error of an item in the first pass, and the deviation of an error that is close enough, as a share."""

RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "activity.baseline_mean": (-4.0, 3.0),
    "activity.effect_mean": (0.0, 6.0),
    "clinical.effect_mean": (0.0, 10.0),
    "machine.item_sd": (0.0, 1.5),
}
"""Intervals in which a parameter is sought."""


def calibrated(assumptions: Assumptions, protocol: Protocol, screened: int = SCREENED) -> Assumptions:
    """Return the assumptions with every value set that the file leaves to the calibration.

    The errors of readers decide a little on who is eligible, so two passes are made, the first with an error that does
    not depend on the level.

    Parameters
    ----------
    screened : people in the sample

    Raises
    ------
    ConfigError : a stated fact cannot be reached, or names a week without a planned visit
    """
    wanted = [name for name in CAN_BE_CALIBRATED if name in assumptions.to_calibrate]
    if "reader.item_sd" in wanted:
        assumptions = _with(assumptions, "reader.item_sd", (FIRST_ITEM_SD,) * len(assumptions.expected.reader_levels))
    for _ in range(PASSES):
        for name in wanted:
            sample = _Sample(assumptions, protocol, screened)
            value: Any = _single(name, assumptions, sample) if name in RANGES else _item_sds(assumptions, sample)
            assumptions = _with(assumptions, name, value)
    return replace(assumptions, to_calibrate=frozenset())


def _with(assumptions: Assumptions, name: str, value: Any) -> Assumptions:
    group, key = name.split(".")
    changed = replace(getattr(assumptions, group), **{key: value})
    values = {**assumptions.values, name: value}
    return replace(assumptions, **{group: changed}, values=values)


def _single(name: str, assumptions: Assumptions, sample: _Sample) -> float:
    """The value of one parameter for which its fact holds."""
    stated = CAN_BE_CALIBRATED[name]
    wanted = float(str(assumptions.values[stated]))
    fact: Callable[[Assumptions], float] = {
        "activity.baseline_mean": sample.baseline_sparcc,
        "activity.effect_mean": sample.imaging_remission,
        "clinical.effect_mean": sample.low_activity,
        "machine.item_sd": sample.machine_sdc,
    }[name]

    def at(value: float) -> float:
        return fact(_with(assumptions, name, value))

    low, high = RANGES[name]
    least, most = at(low), at(high)
    if not least <= wanted <= most:
        raise ConfigError(
            f"expected {stated} in {least:.3g}-{most:.3g}, which {name} can reach, found {wanted:g}; change {stated}, "
            f"or the other assumptions of [{name.split('.')[0]}]"
        )
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) < wanted else (low, middle)
    return round((low + high) / 2, 3)


class _Sample:
    """A large sample of people, drawn alike for every value of a parameter."""

    def __init__(self, assumptions: Assumptions, protocol: Protocol, count: int) -> None:
        self._protocol = protocol
        g = np.random.default_rng(SEED)
        self._latent = Latent(count, assumptions, g)
        self._thresholds = draw_thresholds(count, assumptions.activity, g)
        self._noise = g.standard_normal((2, count))
        clinic = Clinic(assumptions, np.random.default_rng(SEED + 1))
        answers = clinic.answers(self._latent.clinical)
        limits = protocol.eligibility
        basdai = answers.basdai[:, :4].sum(axis=1) + answers.basdai[:, 4:].mean(axis=1)
        active = np.array([at_least(each / 5, limits.basdai_min) for each in basdai])
        self._eligible: Bits = active & (answers.patient_global >= limits.patient_global_min)
        self._rows: dict[float, np.ndarray] = {}

    def baseline_sparcc(self, assumptions: Assumptions) -> float:
        """Mean true SPARCC at entry."""
        rows, totals = self._randomised(assumptions)
        # At a very low activity there is no eligible person, and no edema.
        return float(totals[rows].mean()) if rows.size else 0.0

    def imaging_remission(self, assumptions: Assumptions) -> float:
        """Share of true SPARCC that meets the imaging half, on the full dose."""
        rows, _ = self._randomised(assumptions)
        totals = self._totals(assumptions, assumptions.expected.imaging_remission_week, rows)
        protocol = self._protocol
        return float(np.mean([imaging_half(float(t), protocol.dual_imaging, protocol.target).met for t in totals]))

    def low_activity(self, assumptions: Assumptions) -> float:
        """Share under the low ASDAS of the protocol, on the full dose."""
        rows, _ = self._randomised(assumptions)
        response = self._response(assumptions, assumptions.expected.low_activity_week)
        fall = self._latent.clinical_effect(assumptions)[rows] * response
        state = self._latent.clinical[rows] - fall + assumptions.clinical.visit_sd * self._noise[1][rows]
        asdas = Clinic(assumptions, np.random.default_rng(SEED + 2)).answers(state).asdas_crp
        return float((asdas < self._protocol.target.asdas_low_below).mean())

    def machine_sdc(self, assumptions: Assumptions) -> float:
        """Smallest detectable change of the machine over all planned visits, on the full dose."""
        machine = assumptions.machine
        g = np.random.default_rng(SEED + 3)
        _, errors = self._errors(assumptions, lambda _: machine.item_sd, machine.case_sd, 0.0, g)
        return detectable_change(errors)

    def reader_spread(self, assumptions: Assumptions) -> list[tuple[float, int]]:
        """Standard deviation of a reading's error at each level, over all planned visits, on the full dose."""
        reader = assumptions.reader
        g = np.random.default_rng(SEED + 5)
        item_sd = partial(reader_item_sd, assumptions=assumptions)
        truth, errors = self._errors(assumptions, item_sd, reader.case_sd, reader.severity_sd, g)
        return spread_by_level(truth, errors, assumptions.expected.reader_levels)

    def _errors(
        self,
        assumptions: Assumptions,
        item_sd: Callable[[np.ndarray], float | Floats],
        case_sd: float,
        severity_sd: float,
        generator: np.random.Generator,
    ) -> tuple[np.ndarray, Floats]:
        """True totals and errors (n,) at all planned visits; each person has a reader of their own."""
        rows, _ = self._randomised(assumptions)
        truths, errors, thresholds = [], [], self._thresholds[rows]
        severity = severity_sd * generator.standard_normal((len(rows), 1))
        for visit in (v for v in self._protocol.visits if v.mri):
            level = self._level(assumptions, float(visit.week), rows)[:, None]
            truth = see(level, thresholds, assumptions.activity, generator).totals
            case = severity + case_sd * generator.standard_normal(level.shape)
            seen = see(level, thresholds, assumptions.activity, generator, item_sd(truth), case)
            truths.append(truth[:, 0])
            errors.append((seen.totals - truth)[:, 0].astype(float))
        return np.concatenate(truths), np.concatenate(errors)

    def _randomised(self, assumptions: Assumptions) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the people who would be eligible, and the true total of everyone at entry."""
        a, level = assumptions.activity, self._latent.activity(assumptions)[:, None]
        truth = see(level, self._thresholds, a, np.random.default_rng(SEED)).totals
        if a.baseline_mean not in self._rows:
            g, by_level = np.random.default_rng(SEED + 4), reader_item_sd(truth, assumptions)
            # The third reader settles the sign where the first two disagree: two of three.
            signs = [see(level, self._thresholds, a, g, by_level).asas_positive[:, 0] for _ in range(3)]
            self._rows[a.baseline_mean] = np.flatnonzero(self._eligible & (np.sum(signs, axis=0) >= 2))
        rows = self._rows[a.baseline_mean]
        return rows, truth[:, 0]

    def _totals(self, assumptions: Assumptions, week: float, rows: np.ndarray) -> np.ndarray:
        level = self._level(assumptions, week, rows)[:, None]
        return see(level, self._thresholds[rows], assumptions.activity, np.random.default_rng(SEED)).totals[:, 0]

    def _level(self, assumptions: Assumptions, week: float, rows: np.ndarray) -> Floats:
        fall = self._latent.effect(assumptions)[rows] * self._response(assumptions, week)
        noise = assumptions.activity.visit_sd * self._noise[0][rows] if week else 0.0
        return np.asarray(self._latent.activity(assumptions)[rows] - fall + noise)

    def _response(self, assumptions: Assumptions, week: float) -> float:
        """Share of the effect of the full dose that is reached at a planned week."""
        planned_at_week(self._protocol, week)
        full = float(dose_effect(np.ones(1), assumptions.activity.half_effect_dose)[0])
        return float(full * (1 - 0.5 ** (week / assumptions.activity.half_time_weeks)))


def _item_sds(assumptions: Assumptions, sample: _Sample) -> tuple[float, ...]:
    """The errors of an item at each level for which the error of a reading is the stated one."""
    wanted, levels = np.array(assumptions.expected.reader_sd), assumptions.expected.reader_levels
    found = np.array(assumptions.reader.item_sd)
    for _ in range(ROUNDS):
        spread = sample.reader_spread(_with(assumptions, "reader.item_sd", tuple(found)))
        ratio = np.array([np.clip(w / s if s > 0 else 2.0, 0.5, 2.0) for w, (s, _) in zip(wanted, spread, strict=True)])
        found = np.clip(found * ratio, 0.001, 3.0)
    far = int(np.argmax(np.abs(ratio - 1)))
    if abs(ratio[far] - 1) > CLOSE:
        low, high = level_bands(levels)[far]
        raise ConfigError(
            f"expected an error of {wanted[far]:g} at true totals of {low:g}-{high:g} (expected.reader_sd), which "
            f"readers can have, found {spread[far][0]:.2f} at best; change it, reader.case_sd or reader.severity_sd"
        )
    return tuple(round(float(each), 4) for each in found)
