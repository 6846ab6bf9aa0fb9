"""Designs of the edema network, compared on one protocol.

Each person is measured with edema networks that never saw that person. The bones and joints are those of the labels,
so that the reading of edema alone is compared, or those that an installed model finds (`FoundBones`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.imaging.edema import CROP_PIXELS
from sparcc_pipeline.imaging.model.engines import Network, TorchNetwork
from sparcc_pipeline.imaging.model.normalize import (
    JointCrop,
    joint_distance_mm,
    marrow_log_ratio,
    neighbours,
    normal_marrow_signal,
)
from sparcc_pipeline.imaging.segmentation import ModelSegmenter
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints, JointSlice, find_joints
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.edema_samples import OTHER_SIDE
from sparcc_pipeline.training.data.labels import PEOPLE_WITH_LESIONS, PERSON_WITHOUT_EDEMA, Person, load_person
from sparcc_pipeline.training.fit.edema import EdemaPlan
from sparcc_pipeline.training.fit.run import PEOPLE_FOR_EDEMA, OnStep, TrainingPlan, TrainingRun
from sparcc_pipeline.training.measure.agreement import (
    Prediction,
    edema_dice,
    empty_called,
    machine_kappa,
    machine_points,
    reader_dice,
    reader_kappa,
    reader_points,
)
from sparcc_pipeline.training.measure.evaluate import EDEMA_THRESHOLD
from sparcc_pipeline.volume import Float32Array, LabelArray, TissueMaps, Volume

_ALL_PEOPLE: Final = EdemaPlan()
_QUADRANTS: Final = replace(_ALL_PEOPLE, quadrant_weight=0.5)
_OTHER_SIDE: Final = replace(_QUADRANTS, inputs=("other",))
_READINGS: Final = replace(_QUADRANTS, separate_readings=True)
_FAINT: Final = replace(_QUADRANTS, faint_share=0.2)
_FAINT_OTHER_SIDE: Final = replace(_OTHER_SIDE, faint_share=0.2)
_ACQUISITIONS: Final = replace(_QUADRANTS, acquisition_share=0.5)


def _one(edema: EdemaPlan, seed: int = 0) -> TrainingPlan:
    return TrainingPlan(edema=edema, edema_members=1, seed=seed)


DESIGNS: Final[dict[str, TrainingPlan]] = {
    "all-people": _one(_ALL_PEOPLE),
    "quadrant-loss": _one(_QUADRANTS),
    "other-side": _one(_OTHER_SIDE),
    "readings": _one(_READINGS),
    "faint": _one(_FAINT),
    "faint-other-side": _one(_FAINT_OTHER_SIDE),
    "acquisitions": _one(_ACQUISITIONS),
    "all-people-seed-1": _one(_ALL_PEOPLE, seed=1),
    "quadrant-loss-seed-1": _one(_QUADRANTS, seed=1),
    "other-side-seed-1": _one(_OTHER_SIDE, seed=1),
    "readings-seed-1": _one(_READINGS, seed=1),
    "faint-seed-1": _one(_FAINT, seed=1),
    "faint-other-side-seed-1": _one(_FAINT_OTHER_SIDE, seed=1),
    "acquisitions-seed-1": _one(_ACQUISITIONS, seed=1),
}
"""Name -> plan: the plan of model 1.2.0 with all people; the quadrant loss besides; then one change more in each."""

THRESHOLDS: Final = (0.2, EDEMA_THRESHOLD, 0.4)

IN_LABELS: Final = "labels"

READERS: Final = "reader and reader"
"""Row of the table with the agreement of readers."""

Bones = tuple[LabelArray, Joints]


class FoundBones:
    """Bones and joints by the networks of an installed model, found once for each person.

    The model may have learned from these people: designs are compared in its bones, no design is measured by them.
    """

    def __init__(self, segmenter: ModelSegmenter, *, with_t1: bool) -> None:
        self._segmenter, self._with_t1 = segmenter, with_t1
        self._found: dict[str, Bones] = {}

    def __call__(self, person: Person) -> Bones:
        """Return the anatomy (slices, rows, columns) of `AnatomyLabel` codes, and the joints."""
        if person.name not in self._found:
            stir = person.stir
            t1 = Volume(person.t1, stir.geometry, stir.series) if self._with_t1 else None
            anatomy = self._segmenter.find_bones(stir, t1).anatomy
            self._found[person.name] = anatomy, find_joints(anatomy, stir.geometry)
        return self._found[person.name]


def labelled_bones(person: Person) -> Bones:
    """Return anatomy and joints as they are labelled."""
    return person.known_anatomy, joints_of(person)


def compare_designs(
    folder: Path,
    data: Path,
    names: Iterable[str],
    on_step: OnStep | None = None,
    segmenter: ModelSegmenter | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the figures of each design, by "design, bones"; networks that `folder` holds are not trained again.

    With a segmenter, the designs are also compared in the bones that it finds with T1 and on STIR alone. The figures of
    a design are written to `folder` as soon as its networks are there.

    Raises
    ------
    InputError : the data is absent
    ConfigError : `folder` holds networks of another plan or of other data
    """
    bones: dict[str, Any] = {IN_LABELS: labelled_bones}
    if segmenter is not None:
        bones["found with T1"] = FoundBones(segmenter, with_t1=True)
        bones["found on STIR alone"] = FoundBones(segmenter, with_t1=False)
    rows: dict[str, dict[str, Any]] = {
        READERS: reader_figures([load_person(data, name) for name in PEOPLE_WITH_LESIONS])
    }
    for name in names:
        run = TrainingRun(folder / name, data, DESIGNS[name], on_step)
        for where, bones_of in bones.items():
            predictions = {
                person: predict_in_bones(run, run.people[person], bones_of(run.people[person]))
                for person in PEOPLE_FOR_EDEMA
            }
            rows[f"{name}, {where}"] = design_figures(predictions)
        (folder / name / "figures.json").write_text(json.dumps({k: rows[k] for k in rows if k.startswith(f"{name}, ")}))
    return rows


def predict_in_bones(run: TrainingRun, person: Person, bones: Bones) -> Prediction:
    """Return edema by networks that never saw a person, in the given bones and joints."""
    anatomy, joints = bones
    nothing = np.zeros(anatomy.shape, dtype=np.float32)
    network = TorchNetwork(run.edema(person.name), None)
    tissue = TissueMaps(
        geometry=person.stir.geometry,
        anatomy=anatomy,
        edema_probability=find_edema(network, run.plan.edema.inputs, person.stir.signal, anatomy, joints),
        edema_threshold=EDEMA_THRESHOLD,
        vessel=nothing > 0,
        ligamentous=nothing[:, 0, 0],
    )
    return Prediction(person, tissue, joints)


def find_edema(
    network: Network, inputs: Sequence[str], signal: Float32Array, anatomy: LabelArray, joints: Joints
) -> Float32Array:
    """Return (slices, rows, columns) float32 edema probability, as `imaging.edema` does, for the inputs of a design."""
    in_plane, shape = joints.geometry.in_plane_mm, (signal.shape[1], signal.shape[2])
    ratio = marrow_log_ratio(signal, normal_marrow_signal(signal, anatomy, joint_distance_mm(joints)))
    probability = np.zeros(signal.shape, dtype=np.float32)
    for joint in joints:
        k = joint.slice_index
        crop = JointCrop(joint, in_plane, CROP_PIXELS)
        shown = np.stack(list(_shown(inputs, ratio, joints, joint)))
        beside = np.isin(anatomy[k], [AnatomyLabel.SACRUM, ILIUM_LABEL[joint.side]])
        beside &= joint.surface_distance_mm <= QUADRANT_REACH_MM
        native = np.where(beside, crop.put_back(network(shown[None])[0, 0], shape), np.float32(0))
        np.maximum(probability[k], native, out=probability[k])
    return probability


def _shown(inputs: Sequence[str], ratio: Float32Array, joints: Joints, joint: JointSlice) -> Iterator[Float32Array]:
    """Yield the channels of one joint-slice: three slices, and those of the other side's joint for "other"."""
    k, in_plane = joint.slice_index, joints.geometry.in_plane_mm
    crop = JointCrop(joint, in_plane, CROP_PIXELS)
    yield from (crop.take(image) for image in neighbours(ratio, k))
    if "other" in inputs:
        other = joints.at(k, OTHER_SIDE[joint.side])
        if other is None:
            yield from np.zeros((3, CROP_PIXELS, CROP_PIXELS), dtype=np.float32)
        else:
            crop = JointCrop(other, in_plane, CROP_PIXELS)
            yield from (crop.take(image) for image in neighbours(ratio, k))


def reader_figures(people: Sequence[Person]) -> dict[str, Any]:
    """Return edema Dice and quadrant kappa of reader and reader, by person and over all."""
    dice = {person.name: reader_dice(person) for person in people}
    return {
        "edema_dice": dice,
        "edema_dice_mean": float(np.mean(list(dice.values()))),
        "kappa": {person.name: reader_kappa([person]) for person in people},
        "quadrant_kappa": reader_kappa(people),
    }


def design_figures(predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Return edema Dice and quadrant kappa by person and over all, empty quadrants called, difference of the points."""
    lesions = [predictions[name] for name in PEOPLE_WITH_LESIONS]
    dice = {each.person.name: float(np.mean(edema_dice(each, each.tissue.edema_threshold))) for each in lesions}
    called, empty = empty_called(list(predictions.values()))
    points = {name: sum(machine_points(prediction).values()) for name, prediction in predictions.items()}
    read = {each.person.name: np.mean([sum(r.values()) for r in reader_points(each.person)]) for each in lesions}
    return {
        "edema_dice": dice,
        "edema_dice_mean": float(np.mean(list(dice.values()))),
        "kappa": {each.person.name: machine_kappa([each]) for each in lesions},
        "quadrant_kappa": machine_kappa(lesions),
        "thresholds": [_at_threshold(predictions, threshold) for threshold in THRESHOLDS],
        "empty_quadrants": empty,
        "empty_quadrants_called": called,
        "points": points,
        "edema_points_difference": float(np.mean([abs(points[name] - read[name]) for name in read])),
        "edema_points_without_edema": points[PERSON_WITHOUT_EDEMA],
    }


def _at_threshold(predictions: Mapping[str, Prediction], threshold: float) -> dict[str, float]:
    """Return Dice, kappa and empty quadrants called, were this the threshold of edema."""
    measured = {name: prediction.at(threshold) for name, prediction in predictions.items()}
    lesions = [measured[name] for name in PEOPLE_WITH_LESIONS]
    return {
        "threshold": threshold,
        "edema_dice_mean": float(np.mean([np.mean(edema_dice(each, threshold)) for each in lesions])),
        "quadrant_kappa": machine_kappa(lesions),
        "empty_quadrants_called": empty_called(list(measured.values()))[0],
    }


def designs_markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the comparison as a Markdown table: a person's cell holds edema Dice / quadrant kappa."""
    people = " | ".join(PEOPLE_WITH_LESIONS)
    lines = [
        f"| design, bones | edema Dice | quadrant kappa | {people} | empty quadrants called | edema points, mean "
        f"difference from the readers | edema points of {PERSON_WITHOUT_EDEMA} |",
        f"|---|---|---|{'---|' * len(PEOPLE_WITH_LESIONS)}---|---|---|",
    ]
    for name, row in rows.items():
        each = " | ".join(f"{row['edema_dice'][p]:.2f} / {row['kappa'][p]:.2f}" for p in PEOPLE_WITH_LESIONS)
        cells = [name, f"{row['edema_dice_mean']:.3f}", f"{row['quadrant_kappa']:.3f}", each]
        if "empty_quadrants" in row:
            cells.append(f"{row['empty_quadrants_called']} of {row['empty_quadrants']}")
            cells += [f"{row['edema_points_difference']:.1f}", str(row["edema_points_without_edema"])]
        else:
            cells += ["", "", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
