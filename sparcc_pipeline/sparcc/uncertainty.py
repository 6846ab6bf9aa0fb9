"""How sure a score is: the probability of each point, the distribution of the total, the chance of remission.

The points that a reader would give are taken to follow from the margins (`margins.py`) by a logistic regression with
one random intercept a reading: a reader, or the scanner and the network, is a little more or less generous over the
whole study. Its numbers are measured on people whom the networks never saw (`training/fit/calibrate.py`) and belong to
the model. Given the intercept the points are independent, so the total is a Poisson-binomial sum, and the distribution
is its mean over the intercept (Gauss-Hermite quadrature). Nothing is drawn at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.margins import JointSliceMargins
from sparcc_pipeline.volume import FloatArray

MRI_REMISSION_BELOW: Final = 2
"""SPARCC below this is remission on MRI. Source: clinical reference section 3 (RAPID-axSpA, rmdopen 3/1/e000430)."""

INTERVAL: Final = 0.90

QUADRATURE_POINTS: Final = 21


@dataclass(frozen=True)
class Logistic:
    """Log odds of a point = `intercept` + `slope` x margin."""

    intercept: float
    slope: float


@dataclass(frozen=True)
class Calibration:
    """What a model knows of its own certainty: one line a kind of item, and the spread from reading to reading.

    `reading_sd` is the standard deviation of the random intercept, in log odds.
    """

    edema: Logistic
    intense: Logistic
    deep: Logistic
    reading_sd: float

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """The calibration that `asdict` made plain."""
        lines = {kind: Logistic(**content[kind]) for kind in ("edema", "intense", "deep")}
        return cls(**lines, reading_sd=float(content["reading_sd"]))


@dataclass(frozen=True)
class JointSliceLikelihood:
    """Probability of each of the six points of one joint-slice; None where the item is not evaluable."""

    slice: int
    side: Side
    edema: Mapping[Quadrant, float | None]
    intense: float | None
    deep: float | None


@dataclass(frozen=True, eq=False)
class ScoreLikelihood:
    """How sure a score is.

    Parameters
    ----------
    joints : the twelve joint-slices of the score
    total : (evaluable items + 1,) probability of each total
    """

    joints: tuple[JointSliceLikelihood, ...]
    total: FloatArray

    @property
    def expected(self) -> float:
        """Mean of the distribution of the total."""
        return float(self.total @ np.arange(len(self.total)))

    @property
    def interval_90(self) -> tuple[int, int]:
        """The totals between which a reader's total lies with at least 90 %, with at most 5 % on either side."""
        cumulative = np.cumsum(self.total)
        tail = (1 - INTERVAL) / 2
        return int(np.searchsorted(cumulative, tail)), int(np.searchsorted(cumulative, 1 - tail - 1e-12))

    @property
    def probability_remission(self) -> float:
        """Probability of a total below MRI_REMISSION_BELOW."""
        return float(min(self.total[:MRI_REMISSION_BELOW].sum(), 1.0))


def score_likelihood(margins: Sequence[JointSliceMargins], calibration: Calibration) -> ScoreLikelihood:
    """The distribution of the total, and of each point, that follows from the margins of a score."""
    offsets, weights = reading_offsets(calibration.reading_sd)

    def mean(margin: float | None, line: Logistic) -> float | None:
        return None if margin is None else float(weights @ expit(line.intercept + line.slope * margin + offsets))

    joints = tuple(
        JointSliceLikelihood(
            joint.slice,
            joint.side,
            {quadrant: mean(margin, calibration.edema) for quadrant, margin in joint.edema.items()},
            mean(joint.intense, calibration.intense),
            mean(joint.deep, calibration.deep),
        )
        for joint in margins
    )
    log_odds = np.array([line.intercept + line.slope * margin for margin, line in _items(margins, calibration)])
    total = np.zeros(len(log_odds) + 1)
    for offset, weight in zip(offsets, weights, strict=True):
        total += weight * _sum_of_points(expit(log_odds + offset))
    total.setflags(write=False)
    return ScoreLikelihood(joints, total)


def reading_offsets(reading_sd: float) -> tuple[FloatArray, FloatArray]:
    """(points,) values of the random intercept and their weights, which sum to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE_POINTS)
    return reading_sd * nodes, weights / weights.sum()


def _items(margins: Iterable[JointSliceMargins], calibration: Calibration) -> Iterable[tuple[float, Logistic]]:
    """Margin and line of each evaluable item."""
    for joint in margins:
        yield from ((margin, calibration.edema) for margin in joint.edema.values() if margin is not None)
        if joint.intense is not None:
            yield joint.intense, calibration.intense
        if joint.deep is not None:
            yield joint.deep, calibration.deep


def _sum_of_points(probability: FloatArray) -> FloatArray:
    """(n + 1,) distribution of the sum of n independent points (Poisson-binomial)."""
    total = np.zeros(len(probability) + 1)
    total[0] = 1.0
    for each in probability:
        total[1:] = total[1:] * (1 - each) + total[:-1] * each
        total[0] *= 1 - each
    return total
