"""Fit how sure the model is: the points that readers gave at each margin, on people that the networks never saw.

The model is a logistic regression with one random intercept for each reading (see `sparcc/uncertainty.py`), fitted by
maximum likelihood. The integral over the intercept is a Gauss-Hermite sum. Weak priors keep the lines finite where
readers gave few points, as for depth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import norm, t

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.sparcc.margins import JointSliceMargins, item_margins
from sparcc_pipeline.sparcc.score import JointSliceScore
from sparcc_pipeline.sparcc.uncertainty import (
    INTERVAL,
    Calibration,
    Logistic,
    ScoreLikelihood,
    ranked_score,
    reading_offsets,
    score_likelihood,
)
from sparcc_pipeline.training.measure.agreement import Prediction, reader_scores, score_on_window
from sparcc_pipeline.trial.reading import LARGEST_TOTAL
from sparcc_pipeline.volume import FloatArray

KINDS: Final = ("edema", "intense", "deep")

PRIOR_SLOPE: Final = (1.0, 0.5)
PRIOR_INTERCEPT: Final = (0.0, 2.0)
PRIOR_LOG_SD: Final = (-0.5, 0.7)
"""Mean and standard deviation: probabilities that need no correction, within a factor of about three."""

PREDICTED: Final = "said"
OBSERVED: Final = "happened"
RELIABILITY_BINS: Final = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@dataclass(frozen=True, eq=False)
class ReadItems:
    """All items of one reading of one person: `kind` (n,) index into KINDS, `margin` (n,), `given` (n,) 0 or 1."""

    kind: np.ndarray
    margin: FloatArray
    given: FloatArray


@lru_cache(maxsize=32)
def margins_of(prediction: Prediction) -> tuple[JointSliceMargins, ...]:
    """Return the margins of the person's six slices at the prediction's threshold."""
    score = score_on_window(prediction)
    return item_margins(prediction.person.stir, prediction.tissue, prediction.joints, score)


@lru_cache(maxsize=32)
def read_items(prediction: Prediction) -> tuple[ReadItems, ...]:
    """Return the points of each reading where the prediction has a margin; one empty reading without edema."""
    margins = margins_of(prediction)
    scores = reader_scores(prediction)
    if prediction.person.readings is None:
        scores = scores[:1]
    return tuple(_pair(margins, score.joints) for score in scores)


def _pair(margins: Sequence[JointSliceMargins], read: Sequence[JointSliceScore]) -> ReadItems:
    rows: list[tuple[int, float, int]] = []
    for found, drawn in zip(margins, read, strict=True):
        pairs = [(0, found.edema[quadrant], drawn.edema[quadrant]) for quadrant in Quadrant]
        pairs += [(1, found.intense, drawn.intense), (2, found.deep, drawn.deep)]
        rows += [(kind, margin, given) for kind, margin, given in pairs if margin is not None and given is not None]
    kind, margin, given = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return ReadItems(kind.astype(int), margin, given)


def fit_calibration(people: Sequence[Sequence[ReadItems]]) -> Calibration:
    """Return the lines and the spread that make the readings of all people most likely.

    The spread is widened to that of a new person. `people` holds the readings of each person.
    """
    readings = [reading for person in people for reading in person]

    def loss(parameters: FloatArray) -> float:
        intercepts, slopes, log_sd = parameters[:3], parameters[3:6], parameters[6]
        offsets, weights = reading_offsets(float(np.exp(log_sd)))
        total = _prior(intercepts, PRIOR_INTERCEPT) + _prior(slopes, PRIOR_SLOPE)
        total += _prior(np.array([log_sd]), PRIOR_LOG_SD)
        for reading in readings:
            log_odds = intercepts[reading.kind] + slopes[reading.kind] * reading.margin
            sign = 2 * reading.given - 1
            each = log_expit(sign[None, :] * (log_odds[None, :] + offsets[:, None])).sum(axis=1)
            total -= float(logsumexp(each, b=weights))
        return total

    start = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, -0.5])
    bounds = [(-6.0, 6.0)] * 3 + [(0.02, 4.0)] * 3 + [(-4.0, 1.5)]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    lines = {kind: Logistic(float(found[i]), float(found[3 + i])) for i, kind in enumerate(KINDS)}
    return Calibration(**lines, reading_sd=float(np.exp(found[6])) * widening_for_a_new_person(len(people)))


def widening_for_a_new_person(people: int) -> float:
    """Return the factor on a spread known from few people, so that the 90 % interval of a new person covers 90 %.

    This is the prediction interval of one more draw from a normal distribution: Student's t with people - 1 degrees of
    freedom, and a mean that is itself estimated. Several readings of one person count as one person. One person shows
    no spread between people, so the factor is that of two.
    """
    people, tail = max(people, 2), (1 + INTERVAL) / 2
    return float(t.ppf(tail, people - 1) / norm.ppf(tail) * np.sqrt(1 + 1 / people))


def _prior(values: FloatArray, prior: tuple[float, float]) -> float:
    mean, sd = prior
    return float((((values - mean) / sd) ** 2).sum() / 2)


def measure_calibration(
    predictions: Mapping[str, Prediction], calibrations: Mapping[str, Calibration]
) -> dict[str, Any]:
    """Return Brier score, reliability, coverage, width and CRPS of each person by the calibration of the others.

    "plain" holds the same of one interval for all: the machine's total plus the differences of the others' totals from
    their readings. The CRPS (continuous ranked probability score) is the mean absolute error of a distribution, in
    points: lower is better. Source: [GneitingRaftery2007].

    Parameters
    ----------
    predictions : with the threshold of each person
    calibrations : by the person left out of the fit
    """
    people: dict[str, Any] = {}
    probability: list[FloatArray] = []
    given: list[FloatArray] = []
    for name, prediction in predictions.items():
        calibration, margins = calibrations[name], margins_of(prediction)
        likelihood = score_likelihood(margins, calibration)
        low, high = likelihood.interval_90
        scores = reader_scores(prediction)
        totals = [score.total for score in (scores if prediction.person.readings is not None else scores[:1])]
        for reading in read_items(prediction):
            edema = reading.kind == 0
            probability.append(_mean_probability(reading.margin[edema], calibration))
            given.append(reading.given[edema])
        people[name] = {
            "expected": likelihood.expected,
            "interval_90": [low, high],
            "probability_remission": likelihood.probability_remission,
            "reader_totals": totals,
            "covered": sum(low <= total <= high for total in totals),
            "crps": float(np.mean([ranked_score(likelihood.total, total) for total in totals])),
            "plain": _plain(name, predictions),
        }
    p, y = np.concatenate(probability), np.concatenate(given)
    return {
        "people": people,
        "totals_covered": sum(each["covered"] for each in people.values()),
        "totals": sum(len(each["reader_totals"]) for each in people.values()),
        "mean_width": fmean(high - low for high, low in (each["interval_90"][::-1] for each in people.values())),
        "crps": fmean(each["crps"] for each in people.values()),
        "plain": _mean_plain(people),
        "brier": float(((p - y) ** 2).mean()),
        "brier_of_the_mean": float(y.mean() * (1 - y.mean())),
        "reliability": reliability(p, y),
    }


def _totals(prediction: Prediction) -> tuple[int, list[int]]:
    """The machine's total on the six slices as read, and those of the readings; 0 where no reader read."""
    readings = [score.total for score in reader_scores(prediction)]
    return score_on_window(prediction).total, readings if prediction.person.readings is not None else [0]


def _plain(name: str, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Interval, coverage and CRPS of one person by the differences of the other people, all equally likely."""
    differences: list[int] = []
    weights: list[float] = []
    for other, prediction in predictions.items():
        if other != name:
            machine, readings = _totals(prediction)
            differences += [reading - machine for reading in readings]
            weights += [1 / len(readings)] * len(readings)
    machine, totals = _totals(predictions[name])
    likely = np.clip(machine + np.array(differences), 0, LARGEST_TOTAL)
    distribution = np.zeros(LARGEST_TOTAL + 1)
    np.add.at(distribution, likely, np.array(weights) / sum(weights))
    low, high = ScoreLikelihood((), distribution).interval_90
    return {
        "interval_90": [low, high],
        "covered": sum(low <= total <= high for total in totals),
        "crps": float(np.mean([ranked_score(distribution, total) for total in totals])),
    }


def _mean_plain(people: Mapping[str, Any]) -> dict[str, float]:
    plain = [each["plain"] for each in people.values()]
    totals = sum(len(each["reader_totals"]) for each in people.values())
    return {
        "mean_width": fmean(each["interval_90"][1] - each["interval_90"][0] for each in plain),
        "covered": sum(each["covered"] for each in plain) / totals,
        "crps": fmean(each["crps"] for each in plain),
    }


def _mean_probability(margin: FloatArray, calibration: Calibration) -> FloatArray:
    """Return the probability of an edema point at each margin, over all readings."""
    offsets, weights = reading_offsets(calibration.reading_sd)
    line = calibration.edema
    return np.asarray(weights @ expit(line.intercept + line.slope * margin[None, :] + offsets[:, None]))


def reliability(probability: FloatArray, given: FloatArray) -> list[dict[str, float]]:
    """Return predicted and observed shares by bin; PREDICTED and OBSERVED are their names in `evaluation.json`."""
    bins = []
    for low, high in zip(RELIABILITY_BINS, RELIABILITY_BINS[1:], strict=False):
        inside = (probability >= low) & ((probability < high) | (high == 1.0))
        if inside.any():
            predicted, observed = float(probability[inside].mean()), float(given[inside].mean())
            shares = {PREDICTED: predicted, OBSERVED: observed}
            bins.append({"from": low, "to": high, "items": int(inside.sum()), **shares})
    return bins
