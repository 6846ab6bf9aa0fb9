"""Designs of the edema network, compared on one protocol.

Each person is measured with networks that never saw that person, inside bones and joints as they are labelled: what is
compared is the reading of edema alone, so the figures are ceilings. What another seed changes is in the table too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparcc_pipeline.imaging.edema import find_edema
from sparcc_pipeline.imaging.model.engines import TorchNetwork
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, marrow_log_ratio, normal_marrow_signal
from sparcc_pipeline.training.data.dataset import joints_of
from sparcc_pipeline.training.data.labels import PEOPLE_WITH_LESIONS, PERSON_WITHOUT_EDEMA, Person
from sparcc_pipeline.training.fit.edema import EdemaPlan
from sparcc_pipeline.training.fit.run import PEOPLE_FOR_EDEMA, Told, TrainingPlan, TrainingRun
from sparcc_pipeline.training.measure.agreement import (
    Prediction,
    edema_dice,
    empty_called,
    machine_kappa,
    machine_points,
    reader_points,
)
from sparcc_pipeline.training.measure.evaluate import EDEMA_THRESHOLD
from sparcc_pipeline.volume import TissueMaps

_NONE_BESIDE: Final = EdemaPlan(beside_share=0.0)
_TRANSPLANTS: Final = replace(_NONE_BESIDE, transplant_share=0.35)
_T1: Final = replace(_TRANSPLANTS, inputs=("joint", "t1"))

DESIGNS: Final[dict[str, TrainingPlan]] = {
    "none-beside": TrainingPlan(edema=_NONE_BESIDE, edema_members=1),
    "none-beside-seed-1": TrainingPlan(edema=_NONE_BESIDE, edema_members=1, seed=1),
    "none-beside-two-seeds": TrainingPlan(edema=_NONE_BESIDE),
    "transplants": TrainingPlan(edema=_TRANSPLANTS, edema_members=1),
    "t1": TrainingPlan(edema=_T1, edema_members=1),
    "seed-0": TrainingPlan(edema_members=1),
    "seed-1": TrainingPlan(edema_members=1, seed=1),
    "model": TrainingPlan(),
}
"""Name -> plan: no simulated lesion on a neighbouring slice alone, by one seed, another and both; besides it lesions
transplanted from other joints; besides them bone, joint and T1 shown; the model's plan by one seed, another and both.
The losers stay in the table."""


def compare_designs(
    folder: Path, data: Path, names: Iterable[str], told: Told | None = None
) -> dict[str, dict[str, Any]]:
    """The figures of each design; networks that `folder` holds already are not trained again.

    Raises
    ------
    InputError : the data is not there
    ConfigError : `folder` was begun with another plan or with other data
    """
    rows = {}
    for name in names:
        run = TrainingRun(folder / name, data, DESIGNS[name], told)
        for with_t1 in (False, True) if "t1" in run.plan.edema.inputs else (False,):
            predictions = {}
            for person in PEOPLE_FOR_EDEMA:
                predictions[person] = predict_in_labels(run, run.people[person], with_t1=with_t1)
            rows[f"{name}, study with T1" if with_t1 else name] = design_figures(predictions)
    return rows


def predict_in_labels(run: TrainingRun, person: Person, *, with_t1: bool = False) -> Prediction:
    """Edema by networks that never saw a person, in the bones and joints that are labelled."""
    joints, anatomy = joints_of(person), person.known_anatomy
    from_joint = joint_distance_mm(joints)
    t1 = marrow_log_ratio(person.t1, normal_marrow_signal(person.t1, anatomy, from_joint)) if with_t1 else None
    nothing = np.zeros(anatomy.shape, dtype=np.float32)
    tissue = TissueMaps(
        geometry=person.stir.geometry,
        anatomy=anatomy,
        edema_probability=find_edema(
            TorchNetwork(run.edema(person.name), 2),
            run.plan.edema.inputs,
            person.stir.signal,
            anatomy,
            joints,
            normal_marrow_signal(person.stir.signal, anatomy, from_joint),
            t1,
        ),
        edema_threshold=EDEMA_THRESHOLD,
        vessel=nothing > 0,
        ligamentous=nothing[:, 0, 0],
    )
    return Prediction(person, tissue, joints)


def design_figures(predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Edema Dice, quadrant kappa, empty quadrants called, difference of the edema points from the readers' mean."""
    lesions = [predictions[name] for name in PEOPLE_WITH_LESIONS]
    people = {each.person.name: float(np.mean(edema_dice(each, each.tissue.edema_threshold))) for each in lesions}
    called, empty = empty_called(list(predictions.values()))
    points = {name: sum(machine_points(prediction).values()) for name, prediction in predictions.items()}
    read = {each.person.name: np.mean([sum(r.values()) for r in reader_points(each.person)]) for each in lesions}
    return {
        "edema_dice": people,
        "edema_dice_mean": float(np.mean(list(people.values()))),
        "quadrant_kappa": machine_kappa(lesions),
        "empty_quadrants": empty,
        "empty_quadrants_called": called,
        "edema_points_difference": float(np.mean([abs(points[name] - read[name]) for name in read])),
        "edema_points_without_edema": points[PERSON_WITHOUT_EDEMA],
    }


def designs_markdown(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The comparison as a Markdown table, in the order it was asked for."""
    people = " | ".join(PEOPLE_WITH_LESIONS)
    lines = [
        f"| design | edema Dice | {people} | quadrant kappa | empty quadrants called | edema points, mean difference "
        f"from the readers | edema points of {PERSON_WITHOUT_EDEMA} |",
        f"|---|---|{'---|' * len(PEOPLE_WITH_LESIONS)}---|---|---|---|",
    ]
    for name, row in rows.items():
        each = " | ".join(f"{row['edema_dice'][person]:.2f}" for person in PEOPLE_WITH_LESIONS)
        lines.append(
            f"| {name} | {row['edema_dice_mean']:.3f} | {each} | {row['quadrant_kappa']:.3f} | "
            f"{row['empty_quadrants_called']} of {row['empty_quadrants']} | {row['edema_points_difference']:.1f} | "
            f"{row['edema_points_without_edema']} |"
        )
    return "\n".join(lines) + "\n"
