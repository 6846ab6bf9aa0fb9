"""The dose of each participant of a simulated trial, from visit to visit, by a rule on the recorded data.

Contents: `Steering`, `RULES`, `Doses`. The protocol's own rule is decided by the function that also reports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.simulation.images import Floats
from sparcc_pipeline.trial.course.answers import Answer, all_of
from sparcc_pipeline.trial.course.confirmation import Halves, confirmed_target
from sparcc_pipeline.trial.protocol.choices import ClinicalDefinition
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.over_time import Confirmation
from sparcc_pipeline.trial.remission import clinical_half, imaging_half
from sparcc_pipeline.trial.schedule import Criterion, step_criterion

TAPER: Final = "taper"
CONTROL: Final = "control"

RELATIVE_DOSE: Final[Mapping[object, float]] = {
    "5_mg_every_other_day": 5 / 15 / 2,
    "15_mg_every_other_day": 1 / 2,
    "15_mg_every_third_day": 1 / 3,
}
"""Mean daily dose of each step, as a share of 15 mg daily."""

STEPS: Final = 2
"""Steps of the taper arm."""


@dataclass(frozen=True)
class Steering:
    """A rule for the steps of the taper arm.

    Parameters
    ----------
    dual : True if a step needs both halves of the target, False for low disease activity alone
    confirmation : condition under which both halves count as met
    any_visit : True if the first step is possible at every visit from the end of the full dose on; False for the
        protocol's rule, which asks at that visit alone
    """

    name: str
    dual: bool
    confirmation: Confirmation = Confirmation.SINGLE_VISIT
    any_visit: bool = True


PROTOCOL_RULE: Final = Steering("low activity, first possible visit only", dual=False, any_visit=False)
RULES: Final = (
    PROTOCOL_RULE,
    Steering("low activity, at any visit", dual=False),
    Steering("dual target, one visit", dual=True),
    Steering("dual target, two visits", dual=True, confirmation=Confirmation.TWO_VISITS),
    Steering("dual target, second scan", dual=True, confirmation=Confirmation.SECOND_SCAN),
)
"""Rules that a simulation compares, the protocol's own first."""


class Doses:
    """The dose step of each participant, visit by visit.

    `first_steps` holds the column of the visit of each first step, -1 without one.
    """

    def __init__(self, names: Sequence[str], arms: Mapping[str, str], protocol: Protocol, rule: Steering) -> None:
        self._names, self._protocol, self._rule = names, protocol, rule
        self._tapering = [arms[name] == TAPER for name in names]
        self._step, self._since = [0] * len(names), [0] * len(names)
        self._asdas: list[dict[str, float | None]] = [{} for _ in names]
        self._halves: list[list[Halves]] = [[] for _ in names]
        self._visits = 0
        self.steps: dict[tuple[str, str], int] = {}
        self.first_steps = np.full(len(names), -1)

    @property
    def shares(self) -> Floats:
        """(participants,) dose as a share of the full dose."""
        choices = self._protocol.choices
        shares = [1.0, RELATIVE_DOSE[choices["first_step"]], RELATIVE_DOSE[choices["second_step"]]]
        return np.array([shares[step] for step in self._step])

    def record(self, asdas: Floats, sparcc: Floats, attended: np.ndarray) -> None:
        """Record the data of the next visit, and step the dose down where the rule allows it.

        Parameters
        ----------
        asdas, sparcc : (participants,), NaN where missing
        attended : (participants,) bool
        """
        planned = self._protocol.visits[self._visits]
        for n, name in enumerate(self._names):
            value = None if np.isnan(asdas[n]) else float(asdas[n])
            score = None if np.isnan(sparcc[n]) else float(sparcc[n])
            self._halves[n].append(self._halves_of(value, score, planned.mri))
            if not attended[n]:
                continue
            self._asdas[n][planned.visit] = value
            if self._tapering[n] and self._step[n] < STEPS and self._due(n):
                self._step[n] += 1
                self._since[n] = planned.week
                if self._step[n] == 1:
                    self.first_steps[n] = self._visits
            self.steps[name, planned.visit] = self._step[n]
        self._visits += 1

    def _halves_of(self, asdas: float | None, sparcc: float | None, scan_planned: bool) -> Halves:
        protocol = self._protocol
        clinical = clinical_half(asdas, self.clinical_definition, protocol.target).met
        return Halves(clinical, imaging_half(sparcc, protocol.dual_imaging, protocol.target).met, scan_planned)

    @property
    def clinical_definition(self) -> ClinicalDefinition:
        """The clinical half that the rule asks for."""
        return self._protocol.dual_clinical if self._rule.dual else self._protocol.low_disease_activity

    def _due(self, n: int) -> bool:
        """True if the rule allows a step at the newest visit."""
        protocol, planned = self._protocol, self._protocol.visits[self._visits]
        if not self._rule.any_visit:
            criterion = step_criterion(protocol, self._step[n] + 1, self._since[n], self._asdas[n])
            decided = criterion.visits and criterion.visits[-1] == planned.visit
            return bool(decided) and criterion.state is Criterion.MET
        if planned.week < protocol.full_dose_weeks:
            return False
        if self._step[n] == 0:
            return self._met(self._halves[n]) is True
        begun = planned.week - protocol.observation_weeks
        if begun < self._since[n]:
            return False
        seen = [self._at(half) for half, v in zip(self._halves[n], protocol.visits, strict=False) if v.week >= begun]
        return all_of(seen) is True

    def _met(self, halves: Sequence[Halves]) -> Answer:
        return confirmed_target(halves, self._rule.confirmation) if self._rule.dual else halves[-1].clinical

    def _at(self, halves: Halves) -> Answer:
        return halves.met if self._rule.dual else halves.clinical
