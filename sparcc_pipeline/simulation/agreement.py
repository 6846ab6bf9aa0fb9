"""Agreement in a simulated trial: totals and quadrants of readers, of one reader twice, and of the machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np

from sparcc_pipeline.simulation.readings import AGAIN, MACHINE, READERS
from sparcc_pipeline.simulation.simulate import SimulatedTrial
from sparcc_pipeline.trial.agreement.summary import quadrant_agreement, total_agreement

PAIRS: Final = (
    ("reader against reader", *READERS),
    ("reader against the same reader again", READERS[0], AGAIN),
    ("machine against reader", READERS[0], MACHINE),
)
"""Pairs that are compared: name, first, second."""


def simulated_agreement(trial: SimulatedTrial, seed: int) -> list[dict[str, Any]]:
    """Return the agreement figures of the three pairs, one dictionary a pair."""
    rows = []
    who = np.repeat(np.array(trial.randomised)[:, None], trial.imaged.shape[1], axis=1)[trial.imaged]
    for name, a, b in PAIRS:
        first, second = (trial.points[each].totals[trial.imaged] for each in (a, b))
        totals = total_agreement(first.tolist(), second.tolist(), who.tolist(), seed)
        edema = [trial.points[each].edema[trial.imaged].reshape(len(who), -1) for each in (a, b)]
        people = np.repeat(who, edema[0].shape[1])
        quadrants = quadrant_agreement(
            edema[0].astype(int).ravel().tolist(), edema[1].astype(int).ravel().tolist(), people.tolist(), seed
        )
        rows.append(
            {
                "pair": name,
                "totals": None if totals is None else asdict(totals),
                "quadrants": None if quadrants is None else asdict(quadrants),
            }
        )
    return rows
