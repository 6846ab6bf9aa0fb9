"""Measure how points and totals of the machine agree with the readers, and the readers with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.sparcc.edema import edema_points
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.training.measure.agreement import Prediction, reader_scores, score_on_window
from sparcc_pipeline.trial.agreement.kappa import kappa_of_table

ITEMS: Final = ("edema", "intensity", "depth")

READER_PAIRS: Final = ((0, 2), (0, 3), (1, 2), (1, 3))
"""Places in `labels.READINGS` of a reading of reader 1 and one of reader 2."""

ANY_DIFFERENCE: Final = 1 - np.eye(2)


def total_differences(machine: Mapping[str, int], readings: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return mean absolute differences of totals over people.

    Parameters
    ----------
    machine : total by person
    readings : totals of the four readings by person, reader 1 twice and then reader 2 twice

    Returns
    -------
    `machine` against the mean of the four readings; `readers`: the mean of one reader's two readings against that of
    the other's; `machine_reading`: against each reading; `reader_reading`: a reading against those of the other reader
    """
    totals = np.array([readings[name] for name in machine], dtype=float)
    found = np.array([machine[name] for name in machine], dtype=float)
    pairs = [np.abs(totals[:, a] - totals[:, b]) for a, b in READER_PAIRS]
    return {
        "machine": float(np.abs(found - totals.mean(axis=1)).mean()),
        "readers": float(np.abs(totals[:, :2].mean(axis=1) - totals[:, 2:].mean(axis=1)).mean()),
        "machine_reading": float(np.abs(found[:, None] - totals).mean()),
        "reader_reading": float(np.mean(pairs)),
    }


def item_agreement(predictions: Sequence[Prediction]) -> dict[str, dict[str, Any]]:
    """Return the agreement on edema, intensity and depth points: machine and each reading, reader and reader.

    The keys are the item, then "machine" or "readers" (see `agreement_of`). Points are counted on the six slices as
    read, each reading once.
    """
    machine: list[tuple[SparccScore, SparccScore]] = []
    readers: list[tuple[SparccScore, SparccScore]] = []
    for prediction in predictions:
        scores = reader_scores(prediction)
        machine += [(score_on_window(prediction), reading) for reading in scores]
        readers += [(scores[a], scores[b]) for a, b in READER_PAIRS]
    return {item: {"machine": agreement_of(machine, item), "readers": agreement_of(readers, item)} for item in ITEMS}


def agreement_of(pairs: Iterable[tuple[SparccScore, SparccScore]], item: str) -> dict[str, Any]:
    """Return how often both, one, or none of two scores of the same six slices gave a point of one of ITEMS.

    `kappa` is that of the counts as one table, None if chance explains all. `not_compared` counts the points that one
    of the two or both could not evaluate.
    """
    table, not_compared = np.zeros((2, 2), dtype=int), 0
    for first, second in pairs:
        for one, other in zip(first.joints, second.joints, strict=True):
            for a, b in zip(_points(one, item), _points(other, item), strict=True):
                if a is None or b is None:
                    not_compared += 1
                else:
                    table[a, b] += 1
    kappa = kappa_of_table(table, ANY_DIFFERENCE) if table.sum() else float("nan")
    return {
        "both": int(table[1, 1]),
        "first_only": int(table[1, 0]),
        "second_only": int(table[0, 1]),
        "neither": int(table[0, 0]),
        "not_compared": not_compared,
        "kappa": kappa if np.isfinite(kappa) else None,
    }


def _points(joint: JointSliceScore, item: str) -> list[int | None]:
    if item == "edema":
        return [joint.edema[quadrant] for quadrant in Quadrant]
    return [joint.intense if item == "intensity" else joint.deep]


def called_edema(prediction: Prediction) -> dict[str, Any]:
    """Return the number of quadrants called on the six slices as read, and those called on every slice with a joint."""
    first, last = prediction.person.six_slices
    area, edema = prediction.joints.geometry.pixel_area_mm2, prediction.tissue.edema
    slices, on_the_six = [], 0
    for joint in sorted(prediction.joints, key=lambda each: (each.slice_index, each.side.value)):
        points = edema_points(joint, edema[joint.slice_index], area)
        quadrants = [quadrant.value for quadrant, point in points.items() if point]
        if quadrants:
            slices.append({"slice": joint.slice_index, "side": joint.side.value, "quadrants": quadrants})
        on_the_six += len(quadrants) if first <= joint.slice_index <= last else 0
    return {"six_slices": [first, last], "quadrants_on_the_six": on_the_six, "slices": slices}
