"""Measure the agreement of a prediction with readers: bones, edema, quadrants, totals. Arrays in the project's axes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Quadrant, Side
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_signal
from sparcc_pipeline.sparcc.edema import edema_points
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import six_slices_from_user
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.labels import Person
from sparcc_pipeline.trial.agreement.kappa import cohen_kappa
from sparcc_pipeline.volume import BoolArray, TissueMaps, sacroiliac_bones

BONES_WITHIN_MM: Final = 25.0
EDEMA_WITHIN_MM: Final = 30.0

PLAIN_FACTORS: Final = tuple(np.round(np.arange(1.2, 3.01, 0.1), 2).tolist())
"""Multiples of normal marrow to try as the plain threshold."""

QuadrantKey = tuple[int, Side, Quadrant]
"""(slice_index, side, quadrant)."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The output of networks for a person they never saw."""

    person: Person
    tissue: TissueMaps
    joints: Joints

    def at(self, threshold: float) -> Prediction:
        """Return the same maps with another edema threshold."""
        return replace(self, tissue=replace(self.tissue, edema_threshold=threshold))


def dice(a: BoolArray, b: BoolArray) -> float:
    """Return the overlap of two masks, 0..1; 1 if both are empty."""
    size = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / size if size else 1.0


def labelled_slices(person: Person) -> slice:
    """Return the slices on which the joint lines are valid."""
    first, last = person.cartilaginous
    return slice(first, last + 1)


def bone_dice(prediction: Prediction) -> dict[str, float]:
    """Return the Dice of sacrum and ilia within BONES_WITHIN_MM of the joints, on the labelled slices."""
    person = prediction.person
    near = joint_distance_mm(joints_of(person)) <= BONES_WITHIN_MM
    where = near[labelled_slices(person)]
    truth, found = person.anatomy[labelled_slices(person)], prediction.tissue.anatomy[labelled_slices(person)]
    codes = {"sacrum": AnatomyLabel.SACRUM, **{f"{s.value} ilium": ILIUM_LABEL[s] for s in Side}}
    return {name: dice((truth == code) & where, (found == code) & where) for name, code in codes.items()}


@lru_cache(maxsize=16)
def edema_region(person: Person) -> BoolArray:
    """Return the labelled sacrum and ilia within EDEMA_WITHIN_MM of the joints, on the labelled slices."""
    bone = sacroiliac_bones(person.anatomy)
    return bone & (joint_distance_mm(joints_of(person)) <= EDEMA_WITHIN_MM)


@lru_cache(maxsize=16)
def readers(person: Person) -> NDArray[np.bool_]:
    """Return (4, slices, rows, columns) bool: the readings inside `edema_region`; all False without edema."""
    region = edema_region(person)
    if person.readings is None:
        return np.zeros((4, *region.shape), dtype=bool)
    return person.readings & region


def edema_dice(prediction: Prediction, threshold: float) -> list[float]:
    """Return the Dice of the predicted edema against each reading inside `edema_region`."""
    inside = edema_region(prediction.person)
    found = prediction.tissue.edema_probability[inside] >= np.float32(threshold)
    return [dice(found, reading[inside]) for reading in readers(prediction.person)]


def reader_dice(person: Person) -> float:
    """Return the mean Dice of the four pairs of readings by different readers."""
    drawn = readers(person)
    return float(np.mean([dice(drawn[a], drawn[b]) for a in (0, 1) for b in (2, 3)]))


@lru_cache(maxsize=16)
def plain_dice(person: Person) -> tuple[float, ...]:
    """Return the mean Dice of a plain threshold inside perfect bones and joints, for each of PLAIN_FACTORS."""
    anatomy = person.known_anatomy
    marrow = normal_marrow_signal(person.stir.signal, anatomy, joint_distance_mm(joints_of(person)))
    # Only pixels in the region count.
    inside = edema_region(person)
    signal, drawn = person.stir.signal[inside], [reading[inside] for reading in readers(person)]
    return tuple(float(np.mean([dice(signal > f * marrow, reading) for reading in drawn])) for f in PLAIN_FACTORS)


def quadrant_points(joints: Joints, edema: BoolArray, window: tuple[int, int]) -> dict[QuadrantKey, int]:
    """Return the point of every evaluable quadrant on the slices `window` (first, last)."""
    area = joints.geometry.pixel_area_mm2
    points: dict[QuadrantKey, int] = {}
    for joint in joints:
        if window[0] <= joint.slice_index <= window[1]:
            for quadrant, point in edema_points(joint, edema[joint.slice_index], area).items():
                if point is not None:
                    points[joint.slice_index, joint.side, quadrant] = point
    return points


def reader_points(person: Person) -> list[dict[QuadrantKey, int]]:
    """Return the points of each reading on the six slices, by the joints of the labels."""
    joints = joints_of(person)
    return [quadrant_points(joints, reading, person.six_slices) for reading in readers(person)]


def machine_points(prediction: Prediction) -> dict[QuadrantKey, int]:
    """Return the points of the prediction on the six slices of the person, by its own joints."""
    return quadrant_points(prediction.joints, prediction.tissue.edema, prediction.person.six_slices)


def pooled_kappa(pairs: Iterable[tuple[Mapping[QuadrantKey, int], Mapping[QuadrantKey, int]]]) -> float:
    """Return kappa over all quadrants that both of each pair evaluated."""
    a: list[int] = []
    b: list[int] = []
    for first, second in pairs:
        both = sorted(first.keys() & second.keys(), key=str)
        a += [first[key] for key in both]
        b += [second[key] for key in both]
    return cohen_kappa(a, b)


def reader_kappa(people: Sequence[Person]) -> float:
    """Return the mean quadrant kappa of the pairs of readings by different readers."""
    points = [reader_points(person) for person in people]
    pairs = [(a, b) for a, b in combinations(range(4), 2) if (a < 2) != (b < 2)]
    return float(np.mean([pooled_kappa((each[a], each[b]) for each in points) for a, b in pairs]))


def machine_kappa(predictions: Sequence[Prediction]) -> float:
    """Return the mean quadrant kappa of the prediction against each of the four readings."""
    machine = [machine_points(prediction) for prediction in predictions]
    human = [reader_points(prediction.person) for prediction in predictions]
    return float(np.mean([pooled_kappa((m, h[r]) for m, h in zip(machine, human, strict=True)) for r in range(4)]))


def empty_called(predictions: Sequence[Prediction]) -> tuple[int, int]:
    """Return (called, all) quadrants on the six slices that no reading marks."""
    called = empty = 0
    for prediction in predictions:
        drawn = np.asarray(readers(prediction.person).any(axis=0))
        human = quadrant_points(joints_of(prediction.person), drawn, prediction.person.six_slices)
        for key, point in machine_points(prediction).items():
            if human.get(key) == 0:
                empty += 1
                called += point
    return called, empty


@lru_cache(maxsize=32)
def score_on_window(prediction: Prediction) -> SparccScore:
    """Return the SPARCC score of the prediction on the six slices of the person."""
    six = six_slices_from_user(*prediction.person.six_slices, prediction.joints)
    return score_sparcc(prediction.person.stir, prediction.tissue, prediction.joints, six)


@lru_cache(maxsize=32)
def reader_scores(prediction: Prediction) -> tuple[SparccScore, ...]:
    """Return the SPARCC score of each reading by the labelled bones and joints, with the prediction's vessels."""
    person, joints = prediction.person, joints_of(prediction.person)
    anatomy = person.known_anatomy
    six = six_slices_from_user(*person.six_slices, joints)
    scores = []
    for reading in readers(person):
        tissue = replace(
            prediction.tissue, anatomy=anatomy.copy(), edema_probability=reading.astype(np.float32), edema_threshold=0.5
        )
        scores.append(score_sparcc(person.stir, tissue, joints, six))
    return tuple(scores)
