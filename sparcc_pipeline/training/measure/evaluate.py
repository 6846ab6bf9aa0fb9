"""Leave one person out: measure each person with networks that never saw them, all at one threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from sparcc_pipeline.errors import SparccError, UnscorableError
from sparcc_pipeline.imaging.model.engines import TorchNetwork
from sparcc_pipeline.imaging.segmentation import ModelSegmenter
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.sparcc.uncertainty import Calibration
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.labels import PEOPLE, PEOPLE_WITH_LESIONS, Person
from sparcc_pipeline.training.fit.calibrate import fit_calibration, measure_calibration, read_items
from sparcc_pipeline.training.fit.run import PEOPLE_FOR_EDEMA, TrainingRun
from sparcc_pipeline.training.measure.agreement import (
    Prediction,
    bone_dice,
    edema_dice,
    empty_called,
    machine_kappa,
    plain_dice,
    reader_dice,
    reader_kappa,
    reader_scores,
    score_on_window,
)
from sparcc_pipeline.training.measure.evaluation_goals import goals_of
from sparcc_pipeline.training.measure.joint import LineDistances, line_distances, line_figures, pooled
from sparcc_pipeline.training.measure.points import called_edema, item_agreement, total_differences
from sparcc_pipeline.volume import Volume

EDEMA_THRESHOLD: Final = 0.3
"""Half of the Dice of reader on reader (0.61): for calibrated probabilities the threshold with the best Dice is half of
that Dice. Source: [Lipton2014]. The threshold is not fitted on these people: the best threshold of four people was not
good for a fifth (it ranged from 0.25 to 0.45)."""

THRESHOLDS: Final = (0.2, 0.25, EDEMA_THRESHOLD, 0.35, 0.4, 0.5, 0.6)
"""Further thresholds in the report, to compare the fixed one with."""

FEWEST_WITH_LESIONS: Final = 2
"""Fewest people with readers' lesions: some figures of each person are fitted on the others."""

WITH_T1: Final = "with_t1"
STIR_ALONE: Final = "stir_alone"
CONTRASTS: Final = (WITH_T1, STIR_ALONE)

Seen = Callable[[str, Prediction, Mapping[str, Any]], None]
"""Called with (contrast, prediction, the person's figures) for everyone who could be scored."""


def predict(run: TrainingRun, person: Person, *, with_t1: bool, threads: int = 2) -> Prediction:
    """Return the prediction of networks that never saw a person, on STIR alone or with T1."""
    # 2014 is in no training of edema, so the network of all people never saw it.
    left_out = person.name if person.name in PEOPLE_FOR_EDEMA else None
    segmenter = ModelSegmenter(
        TorchNetwork(run.bones(person.name), threads),
        TorchNetwork(run.edema(left_out), threads),
        EDEMA_THRESHOLD,
        {},
        edema_inputs=run.plan.edema.inputs,
    )
    t1 = Volume(person.t1, person.stir.geometry, person.stir.series) if with_t1 else None
    return Prediction(person, *segmenter.segment(person.stir, t1))


def evaluate(run: TrainingRun, report: Callable[[str], None], seen: Seen | None = None) -> dict[str, Any]:
    """Return all figures of the model card, ready for JSON; train the folds that the run does not hold yet.

    The figures are those of studies with T1; "stir_alone" holds the same without it. A person whose fold finds no joint
    has its reason in "failures" and is in no other figure. `report` is called with a line about each step.

    Raises
    ------
    UnscorableError : fewer than two people with readers' lesions could be scored
    """
    result: dict[str, dict[str, Any]] = {}
    for contrast in CONTRASTS:
        everybody, failures = _predict_all(run, report, contrast)
        result[contrast] = figures(everybody, failures, with_t1=contrast == WITH_T1)
        if seen is not None:
            for name, person in result[contrast]["people"].items():
                seen(contrast, everybody[name], person)
    return {**result[WITH_T1], STIR_ALONE: result[STIR_ALONE]}


def _predict_all(
    run: TrainingRun, report: Callable[[str], None], contrast: str
) -> tuple[dict[str, Prediction], dict[str, str]]:
    """Return the predictions of the folds for people who can be scored, and the reasons of those who cannot."""
    everybody: dict[str, Prediction] = {}
    failures: dict[str, str] = {}
    with_t1 = contrast == WITH_T1
    for name in PEOPLE:
        report(f"measuring {name} {'with T1' if with_t1 else 'on STIR alone'} with networks that never saw {name}")
        try:
            everybody[name] = predict(run, run.people[name], with_t1=with_t1)
        except SparccError as error:
            failures[name] = " ".join(str(error).split())
            report(f"{name} could not be scored: {failures[name]}")
    return everybody, failures


def figures(everybody: Mapping[str, Prediction], failures: Mapping[str, str], *, with_t1: bool) -> dict[str, Any]:
    """Return the figures of the people who could be scored, and the reasons of the others (see `evaluate`)."""
    lesions = [name for name in PEOPLE_WITH_LESIONS if name in everybody]
    if len(lesions) < FEWEST_WITH_LESIONS:
        raise UnscorableError(
            f"expected at least {FEWEST_WITH_LESIONS} people with readers' lesions who can be scored, found "
            f"{len(lesions)} ({'; '.join(failures.values())}); look at the networks of this run"
        )
    predictions = {name: everybody[name] for name in PEOPLE_FOR_EDEMA if name in everybody}
    plain = _plain([everybody[name].person for name in lesions])
    lines = {name: line_distances(prediction.person, prediction.joints) for name, prediction in everybody.items()}
    people = {name: _person(prediction, lines[name], plain.get(name)) for name, prediction in everybody.items()}
    calibrations = {name: _calibration(predictions, leaving_out=name) for name in predictions}
    result: dict[str, Any] = {
        "edema_threshold": EDEMA_THRESHOLD,
        "calibration": asdict(_calibration(predictions, leaving_out=None)),
        "certainty": measure_calibration(predictions, calibrations),
        "people": people,
        "failures": dict(failures),
        "joint_line": line_figures(pooled(lines.values())),
        "joint_line_of_the_labels": line_figures(pooled(_labels_line(each.person) for each in everybody.values())),
        "plain_dice_mean": float(np.mean(list(plain.values()))),
        **_agreement([everybody[name] for name in lesions], people),
        **_empty(list(predictions.values())),
        "thresholds": [_at_threshold(predictions, threshold) for threshold in THRESHOLDS],
    }
    result["goals"] = [asdict(goal) for goal in goals_of(result, with_t1=with_t1)]
    return result


def _labels_line(person: Person) -> LineDistances:
    """Return the distances for bones as labelled: the drawn lines are rough, the found ones smooth."""
    return line_distances(person, joints_of(person))


def _agreement(with_lesions: Sequence[Prediction], people: Mapping[str, Any]) -> dict[str, Any]:
    """Return agreement on edema, points and totals of people with readings: machine and readers, reader and reader."""
    names = [prediction.person.name for prediction in with_lesions]
    readings = {name: people[name]["reader_totals"] for name in names}
    as_read, own = ({name: people[name][key]["total"] for name in names} for key in ("score", "score_own_slices"))
    return {
        "edema_dice_mean": float(np.mean([people[name]["edema_dice_mean"] for name in names])),
        "reader_dice_mean": float(np.mean([people[name]["reader_dice"] for name in names])),
        "quadrant_kappa": _or_none(machine_kappa(with_lesions)),
        "reader_quadrant_kappa": _or_none(reader_kappa([prediction.person for prediction in with_lesions])),
        "total_differences": total_differences(as_read, readings),
        "total_differences_own_slices": total_differences(own, readings),
        "items": item_agreement(with_lesions),
    }


def _empty(predictions: Sequence[Prediction]) -> dict[str, int]:
    called, empty = empty_called(predictions)
    return {"empty_quadrants": empty, "empty_quadrants_called": called}


def _or_none(kappa: float) -> float | None:
    """Return None for NaN, which JSON lacks."""
    return kappa if np.isfinite(kappa) else None


def _calibration(predictions: Mapping[str, Prediction], leaving_out: str | None) -> Calibration:
    """Return the calibration from all people but one."""
    return fit_calibration([read_items(other) for name, other in predictions.items() if name != leaving_out])


def _at_threshold(predictions: Mapping[str, Prediction], threshold: float) -> dict[str, Any]:
    """Return edema Dice, quadrant kappa and empty quadrants called at this threshold."""
    measured = {name: prediction.at(threshold) for name, prediction in predictions.items()}
    lesions = [measured[name] for name in PEOPLE_WITH_LESIONS if name in measured]
    return {
        "threshold": threshold,
        "edema_dice_mean": float(np.mean([np.mean(edema_dice(each, threshold)) for each in lesions])),
        "quadrant_kappa": _or_none(machine_kappa(lesions)),
        **_empty(list(measured.values())),
    }


def _plain(people: Sequence[Person]) -> dict[str, float]:
    """Return the Dice of the plain threshold for each person, its factor chosen on the others."""
    table = {person.name: np.array(plain_dice(person)) for person in people}
    best = {
        name: int(np.argmax(np.mean([curve for other, curve in table.items() if other != name], axis=0)))
        for name in table
    }
    return {name: float(curve[best[name]]) for name, curve in table.items()}


def _person(prediction: Prediction, line: LineDistances, plain: float | None) -> dict[str, Any]:
    """Return the figures of one person."""
    person = prediction.person
    six = choose_six_slices(prediction.joints, prediction.tissue.ligamentous)
    own = score_sparcc(person.stir, prediction.tissue, prediction.joints, six)
    has_lesions = person.readings is not None
    per_reading = edema_dice(prediction, prediction.tissue.edema_threshold) if has_lesions else []
    readings = reader_scores(prediction) if has_lesions else ()
    return {
        "bone_dice": bone_dice(prediction),
        "joint_line": line_figures(line),
        "first_slice": six.first,
        "first_slice_read": person.six_slices[0],
        "edema_dice": per_reading,
        "edema_dice_mean": float(np.mean(per_reading)) if has_lesions else None,
        "reader_dice": reader_dice(person) if has_lesions else None,
        "plain_dice": plain,
        "score": _points(score_on_window(prediction)),
        "score_own_slices": _points(own),
        "reader_totals": [reading.total for reading in readings],
        "reader_scores": [_points(reading) for reading in readings],
        "called": called_edema(prediction),
    }


def _points(score: SparccScore) -> dict[str, int]:
    return {"edema": score.edema, "intensity": score.intensity, "depth": score.depth, "total": score.total}
