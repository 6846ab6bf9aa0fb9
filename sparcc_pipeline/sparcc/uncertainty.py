"""Uncertainty of a score: the probability of each point, the distribution of the total, the probability of remission.

The model is a logistic regression of the points that a reader gives on the margins (`margins.py`), with one random
intercept for each reading, because a reader (or the scanner and the network) is more or less generous over a whole
study. Its parameters are fitted to people who were not used in training (`training/fit/calibrate.py`) and are part of
the model. Given the intercept the points are independent, so the total has a Poisson-binomial distribution. The result
is the mean of that distribution over the intercept, by Gauss-Hermite quadrature: no random numbers are drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.lesions import (
    POINTS_ONLY,
    EdemaPieces,
    OnSlice,
    Place,
    probability_asas_positive,
    probability_definite_lesion,
)
from sparcc_pipeline.sparcc.margins import JointSliceMargins, item_margins
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.volume import FloatArray, TissueMaps, Volume

MRI_REMISSION_BELOW: Final = 2
"""SPARCC below this is remission on MRI. Source: [RapidAxSpa]."""

INTERVAL: Final = 0.90
"""Probability that the interval of the total holds."""

QUADRATURE_POINTS: Final = 21
"""Values of the random intercept over which the distribution is averaged."""


@dataclass(frozen=True)
class Logistic:
    """A line from margin to log odds: `intercept` + `slope` * margin."""

    intercept: float
    slope: float


@dataclass(frozen=True)
class Calibration:
    """Calibration of a model: one line for each kind of item, and the spread between readings.

    `reading_sd` is the standard deviation of the random intercept, in log odds.
    """

    edema: Logistic
    intense: Logistic
    deep: Logistic
    reading_sd: float

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Calibration:
        """Return the calibration from the dictionary that `asdict` gave."""
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
    """Uncertainty of a score.

    Parameters
    ----------
    joints : the twelve joint-slices of the score
    total : (evaluable items + 1,) probability of each total
    asas_positive, definite_lesion : probability of each sign, see `lesions`
    """

    joints: tuple[JointSliceLikelihood, ...]
    total: FloatArray
    asas_positive: float = 0.0
    definite_lesion: float = 0.0

    @property
    def expected(self) -> float:
        """Mean of the distribution of the total."""
        return float(self.total @ np.arange(len(self.total)))

    @property
    def interval_90(self) -> tuple[int, int]:
        """Lowest and highest total of the interval that leaves at most 5 % on either side."""
        cumulative = np.cumsum(self.total)
        tail = (1 - INTERVAL) / 2
        # The last term keeps rounding of the cumulative sum from moving the upper end by one.
        return int(np.searchsorted(cumulative, tail)), int(np.searchsorted(cumulative, 1 - tail - 1e-12))

    @property
    def probability_remission(self) -> float:
        """Probability of a total below MRI_REMISSION_BELOW."""
        return float(min(self.total[:MRI_REMISSION_BELOW].sum(), 1.0))


def score_likelihood(
    margins: Sequence[JointSliceMargins], calibration: Calibration, pieces: EdemaPieces = POINTS_ONLY
) -> ScoreLikelihood:
    """Return the probability of each point and the distribution of the total, from the margins of a score.

    `pieces` are the pieces of edema of the score, for the probability of an ASAS-positive MRI.

    Examples
    --------
    One joint-slice, with points for two quadrants almost certain (margin 4) and the others almost excluded (-4); a
    line of slope 1 and equally generous readings:

    >>> edema = dict(zip(Quadrant, (4.0, 4.0, -4.0, -4.0), strict=True))
    >>> margins = [JointSliceMargins(0, Side.LEFT, edema, intense=-4.0, deep=-4.0)]
    >>> line = Logistic(intercept=0.0, slope=1.0)
    >>> sure = score_likelihood(margins, Calibration(line, line, line, reading_sd=0.0))
    >>> round(sure.joints[0].edema[Quadrant.UPPER_ILIAC], 3)
    0.982
    >>> round(sure.expected, 2), sure.interval_90, round(sure.probability_remission, 3)
    (2.04, (2, 3), 0.033)

    Readings that differ in generosity widen the interval:

    >>> score_likelihood(margins, Calibration(line, line, line, reading_sd=3.0)).interval_90
    (0, 5)
    """
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
    # A reading moves the log odds of all items together, so the total is computed for each value of the intercept and
    # then averaged; averaging each item first would treat the items as independent and make the interval too narrow.
    log_odds = np.array([line.intercept + line.slope * margin for margin, line in _items(margins, calibration)])
    total = np.zeros(len(log_odds) + 1)
    asas = definite = 0.0
    for offset, weight in zip(offsets, weights, strict=True):
        total += weight * _sum_of_points(expit(log_odds + offset))
        slices = _edema_by_slice(margins, calibration.edema, offset)
        asas += weight * probability_asas_positive(slices, pieces)
        definite += weight * probability_definite_lesion(slices)
    total.setflags(write=False)
    return ScoreLikelihood(joints, total, float(asas), float(definite))


def _edema_by_slice(margins: Sequence[JointSliceMargins], line: Logistic, offset: float) -> list[OnSlice]:
    """The probability of the point of each evaluable quadrant, by slice, for one value of the random intercept."""
    slices: list[dict[Place, float]] = [{} for _ in range(1 + max((joint.slice for joint in margins), default=-1))]
    for joint in margins:
        known = {quadrant: margin for quadrant, margin in joint.edema.items() if margin is not None}
        slices[joint.slice] |= {
            (joint.side, quadrant): float(expit(line.intercept + line.slope * margin + offset))
            for quadrant, margin in known.items()
        }
    return list(slices)


def study_likelihood(
    stir: Volume, tissue: TissueMaps, joints: Joints, score: SparccScore, calibration: Calibration
) -> ScoreLikelihood:
    """Return the likelihood of a score; where the reference of intensity is doubtful, averaged over its values."""
    references = (None,) if score.reference_signal is None else score.reference_signal.possible
    return mean_likelihood(
        [
            score_likelihood(item_margins(stir, tissue, joints, score, each), calibration, score.pieces)
            for each in references
        ]
    )


def mean_likelihood(likelihoods: Sequence[ScoreLikelihood]) -> ScoreLikelihood:
    """Return the mean of likelihoods of one score; they differ in probabilities, not in the items they hold."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    joints = tuple(
        JointSliceLikelihood(
            same[0].slice,
            same[0].side,
            {quadrant: mean([each.edema[quadrant] for each in same]) for quadrant in Quadrant},
            mean([each.intense for each in same]),
            mean([each.deep for each in same]),
        )
        for same in zip(*(each.joints for each in likelihoods), strict=True)
    )
    total = np.mean([each.total for each in likelihoods], axis=0)
    total.setflags(write=False)
    asas, definite = np.mean([(each.asas_positive, each.definite_lesion) for each in likelihoods], axis=0)
    return ScoreLikelihood(joints, total, float(asas), float(definite))


def ranked_score(distribution: FloatArray, total: float) -> float:
    """Return the continuous ranked probability score of a total, 0 for a sure and correct distribution.

    Source: [GneitingRaftery2007].

    Examples
    --------
    >>> ranked_score(np.array([0.0, 1.0, 0.0]), 1), ranked_score(np.array([0.5, 0.5]), 1)
    (0.0, 0.25)
    """
    totals = np.arange(max(len(distribution), int(np.ceil(total)) + 1))
    reached = np.ones(len(totals))
    reached[: len(distribution)] = np.cumsum(distribution)
    return float(((reached - (totals >= total)) ** 2).sum())


def reading_offsets(reading_sd: float) -> tuple[FloatArray, FloatArray]:
    """Return the quadrature points of the random intercept and their weights, which sum to 1; both (points,)."""
    # Nodes for the weight exp(-x^2 / 2): a normal distribution of standard deviation 1, apart from a factor.
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
    # One item at a time: k points after it are k points and a miss, or k - 1 points and a hit.
    for each in probability:
        total[1:] = total[1:] * (1 - each) + total[:-1] * each
        total[0] *= 1 - each
    return total
