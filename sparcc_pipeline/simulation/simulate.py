"""A simulated trial from assumptions and a seed: screening, sites, visits, doses, dropout, images.

The result is `TrialData`, as if read from the files of a trial, so the same code assesses it. Eligibility and the steps
of the taper arm are decided by the functions that also report them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import Assumptions, Conduct
from sparcc_pipeline.simulation.clinic import Answers
from sparcc_pipeline.simulation.images import Bits, Floats, Points
from sparcc_pipeline.simulation.people import People, allocate, enrol
from sparcc_pipeline.simulation.readings import Imaging
from sparcc_pipeline.simulation.steering import CONTROL, PROTOCOL_RULE, TAPER, Doses, Steering
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.definition import PlannedVisit, Protocol
from sparcc_pipeline.trial.reading import MachineScore, Reading, counted_score
from sparcc_pipeline.trial.records import ClinicalVisit, Participant, TrialData

__all__ = ["CONTROL", "TAPER", "SimulatedTrial", "Values", "simulate_trial"]

SCREENED_A_PLACE: Final = 4
"""Largest number of people screened for each place in the trial."""


END_REASONS: Final = ("lost_to_follow_up", "withdrew_consent", "adverse_event")
"""Reasons of simulated participants who leave, equally often."""


@dataclass(frozen=True, eq=False)
class Values:
    """Values of every randomised participant and visit, (participants, visits) each.

    Parameters
    ----------
    asdas, basdai : as recorded; NaN where missing
    sparcc : the score that counts; NaN where missing
    asdas_answered, basdai_answered : as answered, also at visits that were missed or come after the participant left
    asdas_true, basdai_true : without the errors of items and of CRP
    here : True until the participant leaves
    attended : True where the visit took place
    """

    asdas: Floats
    basdai: Floats
    sparcc: Floats
    asdas_answered: Floats
    basdai_answered: Floats
    asdas_true: Floats
    basdai_true: Floats
    here: Bits
    attended: Bits


@dataclass(frozen=True, eq=False)
class SimulatedTrial:
    """A simulated trial and its truth.

    Parameters
    ----------
    data : records of the trial; nothing in them shows the arm
    arms : arm of each randomised participant
    steps : (participant, visit) -> step of the dose from that visit on, 0 for the full dose
    first_steps : (participants,) column of the visit of the first step, -1 without one
    randomised : randomised participants, in the order of the rows of `truth`
    truth : (participants, visits) int, SPARCC without error
    imaged : (participants, visits) bool, True where MRI was done
    points : points of each reader and the machine, by name
    true_points : points without error
    """

    data: TrialData
    arms: Mapping[str, str]
    steps: Mapping[tuple[str, str], int]
    first_steps: np.ndarray
    randomised: tuple[str, ...]
    truth: np.ndarray
    imaged: np.ndarray
    points: Mapping[str, Points]
    true_points: Points
    values: Values


def simulate_trial(
    protocol: Protocol, assumptions: Assumptions, seed: int, rule: Steering = PROTOCOL_RULE
) -> SimulatedTrial:
    """Return one simulated trial; the same seed gives the same trial.

    Parameters
    ----------
    rule : the rule for the steps of the taper arm, by default the protocol's

    Raises
    ------
    ConfigError : a choice of the protocol is unset, or too few of the people screened are eligible to fill the trial
    """
    if assumptions.to_calibrate:
        raise ConfigError(f"expected calibrated assumptions, found {sorted(assumptions.to_calibrate)} without a value")
    generator = np.random.default_rng(seed)
    people = People(protocol, assumptions, protocol.participants * SCREENED_A_PLACE, generator)
    chosen, screened = enrol(people, protocol, protocol.participants)
    names = [people.participants[i].participant for i in chosen]
    arms = allocate(names, [people.participants[i].site or "" for i in chosen], protocol, generator)
    course = _Course(people, chosen, arms, protocol, assumptions, generator, rule)
    for before, planned in zip(protocol.visits, protocol.visits[1:], strict=False):
        course.next_visit(before, planned)
    # People who were screened and not randomised have a baseline only.
    rest = [i for i in screened if i not in set(chosen)]
    gone = {names[n] for n in np.flatnonzero(~course.values["here"][-1])}
    why = {name: str(generator.choice(END_REASONS)) for name in sorted(gone)}
    data = TrialData(
        participants=[_with_end(people.participants[i], why) for i in screened],
        visits=[*(people.baseline[i] for i in rest), *course.visits],
        readings=[r for readings in (*(people.readings[i] for i in rest), *course.readings) for r in readings],
        scores=[s for s in (*(people.scores[i] for i in rest), *course.scores) if s is not None],
    )
    imaging = course.imaging
    return SimulatedTrial(
        data,
        arms,
        course.doses.steps,
        course.doses.first_steps,
        tuple(names),
        imaging.truth.totals,
        np.stack(course.imaged, axis=1),
        imaging.points,
        imaging.truth,
        Values(**{name: np.stack(columns, axis=1) for name, columns in course.values.items()}),
    )


def _with_end(participant: Participant, why: Mapping[str, str]) -> Participant:
    return replace(participant, end_reason=why.get(participant.participant))


class _Course:
    """The visits of the randomised participants, one after the other."""

    def __init__(
        self,
        people: People,
        chosen: Sequence[int],
        arms: Mapping[str, str],
        protocol: Protocol,
        assumptions: Assumptions,
        generator: np.random.Generator,
        rule: Steering,
    ) -> None:
        self._people, self._chosen, self._names = people, list(chosen), list(arms)
        self._protocol, self._assumptions, self._generator = protocol, assumptions, generator
        self.doses = Doses(self._names, arms, protocol, rule)
        self.imaging: Imaging = people.imaging.of(chosen)
        self.visits = [people.baseline[i] for i in chosen]
        self.readings = [people.readings[i] for i in chosen]
        self.scores = [people.scores[i] for i in chosen]
        self.imaged = [np.ones(len(self._names), dtype=bool)]
        self.values: dict[str, list[np.ndarray]] = {name: [] for name in Values.__dataclass_fields__}
        self._response, self._here = np.zeros(len(self._names)), np.ones(len(self._names), dtype=bool)
        answers = people.answers.of(self._chosen)
        self._last_seen = answers.asdas_crp
        true = people.clinic.without_error(people.clinical[self._chosen])
        self._keep(self.visits, self.readings, self.scores, answers, true, self._here)

    def next_visit(self, before: PlannedVisit, planned: PlannedVisit) -> None:
        """Simulate the next planned visit: response to the dose, dropout, answers, images, dose."""
        a, c, conduct = self._assumptions.activity, self._assumptions.clinical, self._assumptions.conduct
        people, rows, g = self._people, self._chosen, self._generator
        kept = 0.5 ** ((planned.week - before.week) / a.half_time_weeks)
        self._response = kept * self._response + (1 - kept) * dose_effect(self.doses.shares, a.half_effect_dose)
        noise = g.standard_normal((2, len(rows)))
        level = people.activity[rows] - people.effect[rows] * self._response + a.visit_sd * noise[0]
        state = people.clinical[rows] - people.clinical_effect[rows] * self._response + c.visit_sd * noise[1]
        answers = people.clinic.answers(state)
        made = people.clinic.visits(self._names, planned.visit, planned.day, state, answers, complete=False)
        self._here = self._here & ~leaves(self._here, self._last_seen, answers.asdas_crp, conduct, g)
        seen = self._here & (g.random(len(rows)) >= conduct.missed_visit)
        imaged = seen & planned.mri & (g.random(len(rows)) >= conduct.missed_mri)
        self.imaging.add(level)
        readings, scores = self.imaging.read(self._names, planned.visit, imaged, self._protocol)
        self.imaged.append(imaged)
        self.visits += [made[n] for n in np.flatnonzero(seen)]
        self.readings += readings
        self.scores += scores
        self._keep(made, readings, scores, answers, people.clinic.without_error(state), seen)

    def _keep(
        self,
        made: Sequence[ClinicalVisit],
        readings: Sequence[Sequence[Reading]],
        scores: Sequence[MachineScore | None],
        answers: Answers,
        true: tuple[Floats, Floats],
        seen: Bits,
    ) -> None:
        """Keep the values of a visit and decide on the dose."""
        protocol = self._protocol
        results = [instrument_results(visit, protocol) for visit in made]
        form = protocol.instruments.asdas_form.instrument
        asdas = np.array([_number(each[form].value) for each in results])
        recorded = np.array([_number(each[Instrument.BASDAI].value) for each in results])
        rules, adjudication = protocol.imaging.counts, protocol.adjudication
        counted = [counted_score(r, s, rules, adjudication).value for r, s in zip(readings, scores, strict=True)]
        columns = {
            "asdas": np.where(seen, asdas, np.nan),
            "basdai": np.where(seen, recorded, np.nan),
            "sparcc": np.array([_number(value) for value in counted]),
            "asdas_answered": answers.asdas_crp,
            "basdai_answered": answers.basdai_score,
            "asdas_true": true[0],
            "basdai_true": true[1],
            "here": self._here,
            "attended": seen,
        }
        for name, column in columns.items():
            self.values[name].append(column)
        self.doses.record(columns["asdas"], columns["sparcc"], seen)
        self._last_seen = np.where(seen, columns["asdas_answered"], self._last_seen)


def dose_effect(dose: Floats, half: float) -> Floats:
    """Return the share of the effect of the full dose (hyperbolic, 1 at the full dose)."""
    return np.asarray(dose / (dose + half) * (1 + half))


def leaves(here: Bits, last: Floats, now: Floats, conduct: Conduct, generator: np.random.Generator) -> Bits:
    """Return who leaves before this visit; on average the assumed share of those still in the trial.

    Parameters
    ----------
    here : (participants,) bool, still in the trial
    last, now : (participants,) ASDAS of the last visit that took place, and of this one, seen or not
    """
    odds = conduct.dropout_seen * (last - last.mean()) + conduct.dropout_unseen * (now - now.mean())
    chance = _with_mean(odds, here, conduct.dropout_a_visit)
    return np.asarray(generator.random(len(here)) < chance)


def _with_mean(odds: Floats, here: Bits, mean: float) -> Floats:
    """Probabilities of these log odds, shifted so that their mean over `here` is `mean`."""
    if not 0 < mean < 1 or not here.any() or not odds.any():
        return np.full(len(odds), mean)
    low, high = -60.0, 60.0
    for _ in range(60):
        middle = (low + high) / 2
        below = float((1 / (1 + np.exp(-(odds[here] + middle)))).mean()) < mean
        low, high = (middle, high) if below else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(odds + low))))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
