"""A simulated trial from assumptions and a seed: screening, sites, visits, doses, dropout, images.

The result is `TrialData`, as if read from the files of a trial, so the same code assesses it. Eligibility and the steps
of the taper arm are decided by the functions that also report them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.clinic import Clinic, screening
from sparcc_pipeline.simulation.images import Floats, Points, draw_thresholds
from sparcc_pipeline.simulation.readings import Imaging
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.eligibility import EntryState, eligibility
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import counted_score
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, TrialData
from sparcc_pipeline.trial.schedule import Criterion, step_criterion

TAPER: Final = "taper"
CONTROL: Final = "control"

RELATIVE_DOSE: Final[Mapping[object, float]] = {
    "5_mg_every_other_day": 5 / 15 / 2,
    "15_mg_every_other_day": 1 / 2,
    "15_mg_every_third_day": 1 / 3,
}
"""Mean daily dose of each step, as a share of 15 mg daily."""

SCREENED_A_PLACE: Final = 4
"""Largest number of people screened for each place in the trial."""


@dataclass(frozen=True, eq=False)
class SimulatedTrial:
    """A simulated trial and its truth.

    Parameters
    ----------
    data : records of the trial; nothing in them shows the arm
    arms : arm of each randomised participant
    steps : (participant, visit) -> step of the dose from that visit on, 0 for the full dose
    randomised : randomised participants, in the order of the rows of `truth`
    truth : (participants, visits) int, SPARCC without error
    imaged : (participants, visits) bool, True where MRI was done
    points : points of each reader and the machine, by name
    """

    data: TrialData
    arms: Mapping[str, str]
    steps: Mapping[tuple[str, str], int]
    randomised: tuple[str, ...]
    truth: np.ndarray
    imaged: np.ndarray
    points: Mapping[str, Points]


def simulate_trial(protocol: Protocol, assumptions: Assumptions, seed: int) -> SimulatedTrial:
    """Return one simulated trial; the same seed gives the same trial.

    Raises
    ------
    ConfigError : a choice of the protocol is unset, or too few of the people screened are eligible to fill the trial
    """
    generator = np.random.default_rng(seed)
    places = protocol.participants
    people = _People(protocol, assumptions, places * SCREENED_A_PLACE, generator)
    chosen, screened = _enrol(people, protocol, places)
    names = [people.participants[i].participant for i in chosen]
    arms = _allocate(names, [people.participants[i].site or "" for i in chosen], protocol, generator)
    visits, steps, level = _follow(people, chosen, arms, protocol, assumptions, generator)
    attended = np.array([[(name, v.visit) in visits for v in protocol.visits] for name in names])
    has_mri = np.array([v.mri for v in protocol.visits])
    imaged = attended & has_mri & (generator.random(attended.shape) >= assumptions.conduct.missed_mri)
    imaged[:, 0] = True
    imaging = people.imaging.of(chosen, level)
    readings, scores = imaging.read(names, [v.visit for v in protocol.visits], imaged, protocol)
    # People who were screened and not randomised have a baseline only.
    rest = [i for i in screened if i not in set(chosen)]
    data = TrialData(
        participants=[people.participants[i] for i in screened],
        visits=[*(people.baseline[i] for i in rest), *visits.values()],
        readings=[*(r for i in rest for r in people.readings[i]), *readings],
        scores=[*(people.machine[i] for i in rest), *scores],
    )
    return SimulatedTrial(data, arms, steps, tuple(names), imaging.truth.totals, imaged, imaging.points)


class _People:
    """People who can be screened: latent activity, thresholds, screening, baseline visit and its images."""

    def __init__(
        self, protocol: Protocol, assumptions: Assumptions, count: int, generator: np.random.Generator
    ) -> None:
        a, c, conduct = assumptions.activity, assumptions.clinical, assumptions.conduct
        together = c.imaging_correlation
        both = generator.multivariate_normal([0, 0], [[1, together], [together, 1]], size=count)
        effect = generator.multivariate_normal([0, 0], [[1, together], [together, 1]], size=count)
        self.activity: Floats = a.baseline_mean + a.baseline_sd * both[:, 0]
        self.clinical: Floats = both[:, 1]
        self.effect: Floats = np.maximum(a.effect_mean + a.effect_sd * effect[:, 0], 0)
        self.clinical_effect: Floats = np.maximum(c.effect_mean + c.effect_sd * effect[:, 1], 0)
        sites = generator.choice(len(conduct.site_shares), size=count, p=conduct.site_shares)
        names = [f"P{n:03d}" for n in range(1, count + 1)]
        self.participants = [
            Participant(name, f"S{site + 1}", screening(c, generator)) for name, site in zip(names, sites, strict=True)
        ]
        self.clinic = Clinic(assumptions, generator)
        first = protocol.baseline.visit
        self.baseline = self.clinic.visits(names, first, 0, self.clinical, complete=True)
        thresholds = draw_thresholds(count, a, generator)
        self.imaging = Imaging(thresholds, self.activity[:, None], assumptions, generator)
        readings, scores = self.imaging.read(names, [first], np.ones((count, 1), dtype=bool), protocol)
        self.readings = {i: [r for r in readings if r.participant == name] for i, name in enumerate(names)}
        self.machine = dict(enumerate(scores))


def _enrol(people: _People, protocol: Protocol, places: int) -> tuple[list[int], list[int]]:
    """Indices of the people randomised, and of all people screened until the places are filled."""
    chosen: list[int] = []
    for i, participant in enumerate(people.participants):
        score = counted_score(people.readings[i], people.machine[i], protocol.imaging.counts, protocol.adjudication)
        visit = people.baseline[i]
        basdai = instrument_results(visit, protocol)[Instrument.BASDAI]
        entry = eligibility(participant, basdai, visit.patient_global, score, people.machine[i], protocol)
        if entry.state is EntryState.MET:
            chosen.append(i)
        if len(chosen) == places:
            return chosen, list(range(i + 1))
    raise ConfigError(
        f"expected {places} eligible participants among {len(people.participants)} simulated ones, found "
        f"{len(chosen)}; change the assumptions under [activity] and [clinical]"
    )


def _allocate(
    names: Sequence[str], sites: Sequence[str], protocol: Protocol, generator: np.random.Generator
) -> dict[str, str]:
    """Arm of each participant: permuted blocks within each site, in the ratio of the planned participants."""
    planned = {arm.name: arm.participants for arm in protocol.arms}
    part = int(np.gcd.reduce(list(planned.values())))
    block = [name for name, count in planned.items() for _ in range(count // part)]
    arms: dict[str, str] = {}
    for site in sorted(set(sites)):
        mine = [name for name, where in zip(names, sites, strict=True) if where == site]
        order = [block[k] for _ in range(-(-len(mine) // len(block))) for k in generator.permutation(len(block))]
        arms |= dict(zip(mine, order, strict=False))
    return {name: arms[name] for name in names}


def _follow(
    people: _People,
    chosen: Sequence[int],
    arms: Mapping[str, str],
    protocol: Protocol,
    assumptions: Assumptions,
    generator: np.random.Generator,
) -> tuple[dict[tuple[str, str], ClinicalVisit], dict[tuple[str, str], int], Floats]:
    """The visits that took place, the step of the dose from each visit on, and the activity (participants, visits)."""
    a, c, conduct = assumptions.activity, assumptions.clinical, assumptions.conduct
    names = list(arms)
    first = protocol.baseline.visit
    visits = {(name, first): people.baseline[i] for name, i in zip(names, chosen, strict=True)}
    course = _Course(names, arms, protocol)
    course.record(first, visits)
    level = [people.activity[chosen]]
    response, here = np.zeros(len(names)), np.ones(len(names), dtype=bool)
    for before, planned in zip(protocol.visits, protocol.visits[1:], strict=False):
        kept = 0.5 ** ((planned.week - before.week) / a.half_time_weeks)
        response = kept * response + (1 - kept) * _dose_effect(course.dose, a.half_effect_dose)
        noise = generator.standard_normal((2, len(names)))
        level.append(people.activity[chosen] - people.effect[chosen] * response + a.visit_sd * noise[0])
        state = people.clinical[chosen] - people.clinical_effect[chosen] * response + c.visit_sd * noise[1]
        made = people.clinic.visits(names, planned.visit, planned.day, state, complete=False)
        here &= generator.random(len(names)) >= conduct.dropout_a_visit
        seen = here & (generator.random(len(names)) >= conduct.missed_visit)
        visits |= {(name, planned.visit): made[n] for n, name in enumerate(names) if seen[n]}
        course.record(planned.visit, visits)
    return visits, course.steps, np.stack(level, axis=1)


def _dose_effect(dose: Floats, half: float) -> Floats:
    """Share of the effect of the full dose (hyperbolic, 1 at the full dose)."""
    return np.asarray(dose / (dose + half) * (1 + half))


class _Course:
    """The dose of each participant from visit to visit, by the protocol's criterion on the recorded data."""

    def __init__(self, names: Sequence[str], arms: Mapping[str, str], protocol: Protocol) -> None:
        self._names, self._protocol = names, protocol
        self._tapering = [arms[name] == TAPER for name in names]
        self._step, self._since = [0] * len(names), [0] * len(names)
        self._asdas: list[dict[str, float | None]] = [{} for _ in names]
        self.steps: dict[tuple[str, str], int] = {}

    @property
    def dose(self) -> Floats:
        """(participants,) dose as a share of the full dose."""
        choices = self._protocol.choices
        shares = [1.0, RELATIVE_DOSE[choices["first_step"]], RELATIVE_DOSE[choices["second_step"]]]
        return np.array([shares[step] for step in self._step])

    def record(self, visit: str, visits: Mapping[tuple[str, str], ClinicalVisit]) -> None:
        """Record the data of a visit, and step the dose down where the protocol's criterion is met."""
        week = next(each.week for each in self._protocol.visits if each.visit == visit)
        for n, name in enumerate(self._names):
            found = visits.get((name, visit))
            if found is not None:
                form = self._protocol.instruments.asdas_form.instrument
                self._asdas[n][visit] = instrument_results(found, self._protocol)[form].value
                if self._tapering[n] and self._step[n] < 2 and self._due(n, visit):
                    self._step[n] += 1
                    self._since[n] = week
                self.steps[name, visit] = self._step[n]

    def _due(self, n: int, visit: str) -> bool:
        criterion = step_criterion(self._protocol, self._step[n] + 1, self._since[n], self._asdas[n])
        decided = criterion.visits and criterion.visits[-1] == visit
        return bool(decided) and criterion.state is Criterion.MET
