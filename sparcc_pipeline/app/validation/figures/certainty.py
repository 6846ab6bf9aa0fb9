"""How well the machine knows how sure it is: reliability of probabilities, CRPS of totals, coverage of intervals.

Contents: `Certainty`, `certainty_figures`, `margins_of_score`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from scipy.special import expit

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.sparcc.margins import LARGEST_MARGIN, JointSliceMargins
from sparcc_pipeline.sparcc.slices import SLICES_SCORED
from sparcc_pipeline.sparcc.uncertainty import Calibration, Logistic, ranked_score, reading_offsets, score_likelihood
from sparcc_pipeline.training.fit.calibrate import reliability
from sparcc_pipeline.trial.items import ItemPlace, ItemReading
from sparcc_pipeline.volume import FloatArray

_MARGINS: Final = np.linspace(-LARGEST_MARGIN, LARGEST_MARGIN, 801)


@dataclass(frozen=True)
class Certainty:
    """Figures of calibration against every reading that has a study with probabilities.

    Parameters
    ----------
    readings, people : number of readings and people compared
    covered : readings with the total inside the 90 % interval
    crps : mean continuous ranked probability score of the total, in points of SPARCC; smaller is better
    crps_of_total : the same if the machine stated its total without doubt, the mean absolute difference
    brier, brier_of_the_mean : mean squared error of the probabilities of all items, and of their mean share
    bins : reliability of the probabilities, as `training.fit.calibrate.reliability` gives them
    """

    readings: int
    people: int
    covered: int
    crps: float
    crps_of_total: float
    brier: float | None
    brier_of_the_mean: float | None
    bins: Sequence[Mapping[str, Any]]


def certainty_figures(material: Material) -> Certainty | None:
    """Return the figures of calibration; None if no study with a reading has an interval."""
    crps: list[float] = []
    plain: list[float] = []
    covered, people = 0, set()
    for key, readings in material.by_study.items():
        study = material.studies[key]
        if study.interval_90 is None or study.calibration is None:
            continue
        distribution = score_likelihood(margins_of_score(study), study.calibration).total
        low, high = study.interval_90
        people.add(key.participant)
        for reading in readings:
            total = reading.total or 0.0
            covered += low <= total <= high
            crps.append(ranked_score(distribution, total))
            plain.append(abs(study.total - total))
    if not crps:
        return None
    p, y = _probabilities(material)
    return Certainty(
        readings=len(crps),
        people=len(people),
        covered=covered,
        crps=float(np.mean(crps)),
        crps_of_total=float(np.mean(plain)),
        brier=float(((p - y) ** 2).mean()) if p.size else None,
        brier_of_the_mean=float(y.mean() * (1 - y.mean())) if p.size else None,
        bins=reliability(p, y) if p.size else (),
    )


def margins_of_score(study: ScoredStudy) -> tuple[JointSliceMargins, ...]:
    """Return the margins of a score from its probabilities: each probability has one margin by the calibration.

    `score.json` gives probabilities to four digits, so a margin far from 0 is less exact than one near it.

    Raises
    ------
    ValueError : the study is not calibrated
    """
    if study.calibration is None:
        raise ValueError("expected a calibrated study, found none; look at its score.json")
    found = []
    for position in range(SLICES_SCORED):
        for side in Side:
            values = {
                item: _margin(
                    study.probability.get(ItemPlace(study.first + position, side, item)), study.calibration, line
                )
                for item, line in _lines(study.calibration).items()
            }
            edema = {quadrant: values[quadrant.value] for quadrant in Quadrant}
            found.append(JointSliceMargins(position, side, edema, values["intense"], values["deep"]))
    return tuple(found)


def _lines(calibration: Calibration) -> dict[str, Logistic]:
    edema = {quadrant.value: calibration.edema for quadrant in Quadrant}
    return {**edema, "intense": calibration.intense, "deep": calibration.deep}


def _margin(probability: float | None, calibration: Calibration, line: Logistic) -> float | None:
    if probability is None:
        return None
    return float(np.interp(probability, _curve(calibration.reading_sd, line), _MARGINS))


@lru_cache(maxsize=64)
def _curve(reading_sd: float, line: Logistic) -> FloatArray:
    """(steps,) mean probability of a point at each margin; cached, because every item of every study needs it."""
    offsets, weights = reading_offsets(reading_sd)
    return np.asarray(weights @ expit(line.intercept + line.slope * _MARGINS[None, :] + offsets[:, None]))


def _probabilities(material: Material) -> tuple[FloatArray, FloatArray]:
    """Return the probability of each item, and the point of each reading; items without either are left out."""
    p: list[float] = []
    y: list[int] = []
    for reading in _first_readings(material.items):
        probability = material.studies[StudyKey(reading.participant, reading.visit)].probability
        for place, point in reading.points.items():
            if point is not None and place in probability:
                p.append(probability[place])
                y.append(point)
    return np.array(p), np.array(y, dtype=float)


def _first_readings(items: Sequence[ItemReading]) -> list[ItemReading]:
    return [each for each in items if each.repeat == 1 and not each.adjudicator]
