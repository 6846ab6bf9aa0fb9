"""Refit threshold, calibration lines and spread on a site's own readings, measured on people left out.

Contents: `Recalibration`, `recalibrate`, `Fitted`. The margin of an item is the distance of its threshold from the
model's in log odds, so the points at every other threshold follow from the margins: no image is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.app.validation.figures.agreement import SEED
from sparcc_pipeline.app.validation.figures.certainty import margins_of_score
from sparcc_pipeline.app.validation.material.pairing import Material
from sparcc_pipeline.app.validation.material.scores import ScoredStudy
from sparcc_pipeline.app.validation.material.studies import StudyKey
from sparcc_pipeline.errors import UnscorableError
from sparcc_pipeline.sparcc.margins import LARGEST_MARGIN, JointSliceMargins
from sparcc_pipeline.sparcc.uncertainty import Calibration, Logistic, ranked_score, score_likelihood
from sparcc_pipeline.training.fit.calibrate import ReadItems, fit_calibration
from sparcc_pipeline.trial.agreement.measures import Estimate, bootstrap
from sparcc_pipeline.trial.items import ItemReading

FEWEST_PEOPLE: Final = 10
"""Fewest people with readings of items: two in each fold (decision of this project)."""

FOLDS: Final = 5
SHIFTS: Final = tuple(np.round(np.arange(-2.0, 2.01, 0.1), 2).tolist())
"""Shifts of the threshold that are tried, in log odds: from 0.3 they reach 0.05 and 0.76."""


@dataclass(frozen=True)
class Fitted:
    """A threshold, and calibrations of studies with T1 (True) and on STIR alone (False) at this threshold."""

    threshold: float
    calibrations: Mapping[bool, Calibration | None]


@dataclass(frozen=True)
class Recalibration:
    """A fit on all people, and figures of people left out, before and after.

    Parameters
    ----------
    difference, crps : mean over people (before, after): absolute difference of totals; CRPS of the distribution
    gain_difference, gain_crps : before minus after, with 95 % intervals over people
    """

    fitted: Fitted
    people: int
    readings: int
    difference: tuple[float, float]
    crps: tuple[float, float]
    gain_difference: Estimate
    gain_crps: Estimate
    new_threshold: bool
    new_calibration: bool


@dataclass(frozen=True)
class _Case:
    """One study: its margins at the model's threshold, and the readings of it."""

    person: str
    study: ScoredStudy
    margins: tuple[JointSliceMargins, ...]
    readings: tuple[ItemReading, ...]
    totals: tuple[float, ...]


def recalibrate(material: Material, base: Fitted) -> Recalibration:
    """Return the refit of threshold and calibration; each part only where it helps people left out.

    Parameters
    ----------
    base : threshold and calibrations of the model that scored the studies

    Raises
    ------
    UnscorableError : too few people, or neither part helps
    """
    cases = _cases(material)
    people = sorted({case.person for case in cases})
    if len(people) < FEWEST_PEOPLE:
        raise UnscorableError(
            f"expected items of readings of at least {FEWEST_PEOPLE} people, found {len(people)}; give more readings, "
            "and keep the model as it is"
        )
    order = np.random.default_rng(SEED).permutation(len(people))
    fold = {people[index]: place % FOLDS for place, index in enumerate(order)}
    left_out: list[tuple[str, float, float, float, float]] = []
    for number in range(FOLDS):
        inside = [case for case in cases if fold[case.person] != number]
        shift = float(logit(_threshold(inside, base)) - logit(base.threshold))
        # Calibrated at the threshold of the model, because a shift of all margins changes no probability.
        refitted = _calibrated(inside, base, base.threshold)
        for case in (case for case in cases if fold[case.person] == number):
            before, after = _differences(case, 0.0), _differences(case, shift)
            left_out.append((case.person, before, after, _crps(case, base), _crps(case, refitted)))
    return _decided(cases, base, left_out)


def _decided(
    cases: Sequence[_Case], base: Fitted, left_out: Sequence[tuple[str, float, float, float, float]]
) -> Recalibration:
    names = [row[0] for row in left_out]
    table = np.array([row[1:] for row in left_out])
    gains = np.column_stack([table[:, 0] - table[:, 1], table[:, 2] - table[:, 3]])
    intervals = bootstrap(lambda rows: gains[rows].mean(axis=0).tolist(), names, SEED)
    difference, crps = (
        Estimate(float(gain), *(interval or (None, None)))
        for gain, interval in zip(gains.mean(axis=0), intervals, strict=True)
    )
    new_threshold, new_calibration = _helps(difference), _helps(crps)
    if not new_threshold and not new_calibration:
        raise UnscorableError(
            "expected a recalibration that helps people left out, found a mean gain of "
            f"{_shown(difference)} points of the total and {_shown(crps)} of its CRPS; keep the model as it is"
        )
    threshold = _threshold(cases, base) if new_threshold else base.threshold
    fitted = _calibrated(cases, base, threshold) if new_calibration else Fitted(threshold, _carried(base, threshold))
    before = table.mean(axis=0)
    return Recalibration(
        fitted,
        len(set(names)),
        sum(len(case.readings) for case in cases),
        (float(before[0]), float(before[1])),
        (float(before[2]), float(before[3])),
        difference,
        crps,
        new_threshold,
        new_calibration,
    )


def _helps(gain: Estimate) -> bool:
    return gain.low is not None and gain.low > 0


def _shown(gain: Estimate) -> str:
    ends = "" if gain.low is None else f" (95 % interval {gain.low:+.2f} to {gain.high:+.2f})"
    return f"{gain.value:+.2f}{ends}"


def _cases(material: Material) -> list[_Case]:
    items: dict[StudyKey, list[ItemReading]] = defaultdict(list)
    for reading in material.items:
        if reading.repeat == 1 and not reading.adjudicator:
            items[StudyKey(reading.participant, reading.visit)].append(reading)
    found = []
    for key, readings in items.items():
        study = material.studies[key]
        totals = tuple(each.total for each in material.by_study.get(key, ()) if each.total is not None)
        if study.calibration is not None and totals:
            found.append(_Case(key.participant, study, margins_of_score(study), tuple(readings), totals))
    return found


def _threshold(cases: Sequence[_Case], base: Fitted) -> float:
    """Return the threshold with the smallest difference of totals, each person with the same weight."""
    people = [case.person for case in cases]
    weight = 1 / np.array([people.count(person) for person in people])
    apart = [np.average([_differences(case, each) for case in cases], weights=weight) for each in SHIFTS]
    best = min(apart)
    # Of equally good shifts the smallest: a threshold moves only where it must.
    shift = min((each for each, found in zip(SHIFTS, apart, strict=True) if found <= best + 1e-9), key=abs)
    return float(expit(logit(base.threshold) + shift))


def _calibrated(cases: Sequence[_Case], base: Fitted, threshold: float) -> Fitted:
    """Return the calibrations at a threshold; with too few people of a contrast those of the model are carried over."""
    calibrations = _carried(base, threshold)
    shift = float(logit(threshold) - logit(base.threshold))
    for with_t1 in (True, False):
        by_person: dict[str, list[ReadItems]] = defaultdict(list)
        for case in (case for case in cases if case.study.with_t1 is with_t1):
            by_person[case.person] += [_paired(_moved(case.margins, shift), case, reading) for reading in case.readings]
        if len(by_person) >= FEWEST_PEOPLE - FEWEST_PEOPLE // FOLDS:
            calibrations[with_t1] = fit_calibration(list(by_person.values()))
    return Fitted(threshold, calibrations)


def _carried(base: Fitted, threshold: float) -> dict[bool, Calibration | None]:
    """Return the base calibrations for another threshold: the probabilities stay, so the intercepts move."""
    shift = float(logit(threshold) - logit(base.threshold))

    def line(found: Logistic) -> Logistic:
        return Logistic(found.intercept + found.slope * shift, found.slope)

    return {
        with_t1: None
        if found is None
        else Calibration(line(found.edema), line(found.intense), line(found.deep), found.reading_sd)
        for with_t1, found in base.calibrations.items()
    }


def _differences(case: _Case, shift: float) -> float:
    """Return the mean absolute difference of the machine's total at a shifted threshold and each reading's."""
    total = sum(margin >= shift for margin in _known(case.margins))
    return float(np.mean([abs(total - each) for each in case.totals]))


def _crps(case: _Case, fitted: Fitted) -> float:
    calibration = fitted.calibrations[case.study.with_t1]
    if calibration is None:
        return float("nan")
    distribution = score_likelihood(case.margins, calibration).total
    return float(np.mean([ranked_score(distribution, total) for total in case.totals]))


def _moved(margins: Sequence[JointSliceMargins], shift: float) -> tuple[JointSliceMargins, ...]:
    def moved(margin: float | None) -> float | None:
        return None if margin is None else float(np.clip(margin - shift, -LARGEST_MARGIN, LARGEST_MARGIN))

    return tuple(
        JointSliceMargins(
            each.slice,
            each.side,
            {quadrant: moved(margin) for quadrant, margin in each.edema.items()},
            moved(each.intense),
            moved(each.deep),
        )
        for each in margins
    )


def _known(margins: Sequence[JointSliceMargins]) -> list[float]:
    values = [value for each in margins for value in (*each.edema.values(), each.intense, each.deep)]
    return [value for value in values if value is not None]


def _paired(margins: Sequence[JointSliceMargins], case: _Case, reading: ItemReading) -> ReadItems:
    """Return the points of a reading with the margins of the same places; places of other slices are left out."""
    points = {(place.slice_index, place.side, place.item): point for place, point in reading.points.items()}
    rows: list[tuple[int, float, int]] = []
    for each in margins:
        index = case.study.first + each.slice
        values = [(0, quadrant.value, each.edema[quadrant]) for quadrant in Quadrant]
        values += [(1, "intense", each.intense), (2, "deep", each.deep)]
        for kind, item, margin in values:
            point = points.get((index, each.side, item))
            if margin is not None and point is not None:
                rows.append((kind, margin, point))
    kind_column, margin_column, given = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return ReadItems(kind_column.astype(int), margin_column, given)
