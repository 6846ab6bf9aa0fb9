"""People of a simulated trial: latent activity, screening, entry, allocation.

Contents: `People`, `enrol`, `allocate`. Eligibility is decided by the function that also reports it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.clinic import Clinic, screening
from sparcc_pipeline.simulation.images import Floats, draw_thresholds
from sparcc_pipeline.simulation.readings import Imaging
from sparcc_pipeline.trial.assessment import instrument_results
from sparcc_pipeline.trial.eligibility import EntryState, eligibility
from sparcc_pipeline.trial.instruments import Instrument
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.reading import counted_score
from sparcc_pipeline.trial.records import Participant


class Latent:
    """Activity and effect of the full dose of people, on MRI and clinical; both pairs are correlated.

    All are (people,). `activity` and `effect` are on the scale of the thresholds of quadrants.
    """

    def __init__(self, count: int, assumptions: Assumptions, generator: np.random.Generator) -> None:
        together = assumptions.clinical.imaging_correlation
        covariance = [[1, together], [together, 1]]
        self._level, self._response = (generator.multivariate_normal([0, 0], covariance, size=count) for _ in range(2))
        self.clinical: Floats = self._level[:, 1]

    def activity(self, assumptions: Assumptions) -> Floats:
        """Activity on MRI at entry."""
        a = assumptions.activity
        return np.asarray(a.baseline_mean + a.baseline_sd * self._level[:, 0])

    def effect(self, assumptions: Assumptions) -> Floats:
        """Fall of the activity on MRI on the full dose."""
        a = assumptions.activity
        return np.maximum(a.effect_mean + a.effect_sd * self._response[:, 0], 0)

    def clinical_effect(self, assumptions: Assumptions) -> Floats:
        """Fall of the clinical activity on the full dose."""
        c = assumptions.clinical
        return np.maximum(c.effect_mean + c.effect_sd * self._response[:, 1], 0)


class People:
    """People who can be screened: latent activity, thresholds, screening, baseline visit and its images."""

    def __init__(
        self, protocol: Protocol, assumptions: Assumptions, count: int, generator: np.random.Generator
    ) -> None:
        latent = Latent(count, assumptions, generator)
        self.activity, self.clinical = latent.activity(assumptions), latent.clinical
        self.effect, self.clinical_effect = latent.effect(assumptions), latent.clinical_effect(assumptions)
        shares = assumptions.conduct.site_shares
        sites = generator.choice(len(shares), size=count, p=shares)
        names = [f"P{n:03d}" for n in range(1, count + 1)]
        self.participants = [
            Participant(name, f"S{site + 1}", screening(assumptions.clinical, generator))
            for name, site in zip(names, sites, strict=True)
        ]
        self.clinic = Clinic(assumptions, generator)
        first = protocol.baseline.visit
        self.answers = self.clinic.answers(self.clinical)
        self.baseline = self.clinic.visits(names, first, 0, self.clinical, self.answers, complete=True)
        self.imaging = Imaging(draw_thresholds(count, assumptions.activity, generator), assumptions, generator)
        self.imaging.add(self.activity)
        self.readings, self.scores = self.imaging.read(names, first, np.ones(count, dtype=bool), protocol)


def enrol(people: People, protocol: Protocol, places: int) -> tuple[list[int], list[int]]:
    """Return the indices of the people randomised, and of all people screened until the places are filled.

    Raises
    ------
    ConfigError : too few of the people are eligible
    """
    chosen: list[int] = []
    for i, participant in enumerate(people.participants):
        score = counted_score(people.readings[i], people.scores[i], protocol.imaging.counts, protocol.adjudication)
        visit = people.baseline[i]
        basdai = instrument_results(visit, protocol)[Instrument.BASDAI]
        entry = eligibility(participant, basdai, visit.patient_global, score, people.scores[i], protocol)
        if entry.state is EntryState.MET:
            chosen.append(i)
        if len(chosen) == places:
            return chosen, list(range(i + 1))
    raise ConfigError(
        f"expected {places} eligible participants among {len(people.participants)} simulated ones, found "
        f"{len(chosen)}; change the assumptions under [activity] and [clinical]"
    )


def allocate(
    names: Sequence[str], sites: Sequence[str], protocol: Protocol, generator: np.random.Generator
) -> dict[str, str]:
    """Return the arm of each participant: permuted blocks within each site, in the ratio of the protocol."""
    planned = {arm.name: arm.participants for arm in protocol.arms}
    part = int(np.gcd.reduce(list(planned.values())))
    block = [name for name, count in planned.items() for _ in range(count // part)]
    arms: dict[str, str] = {}
    for site in sorted(set(sites)):
        mine = [name for name, where in zip(names, sites, strict=True) if where == site]
        order = [block[k] for _ in range(-(-len(mine) // len(block))) for k in generator.permutation(len(block))]
        arms |= dict(zip(mine, order, strict=False))
    return {name: arms[name] for name in names}
