"""Labels from the readers' files: sides, joints, and who may teach edema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.errors import InputError
from sparcc_pipeline.training.data.dataset import bone_stack, joints_of
from sparcc_pipeline.training.data.labels import (
    IGNORE,
    PEOPLE,
    PERSON_WITH_UNREAD_EDEMA,
    SOME_BONE,
    load_person,
    readings_in_bone,
    split_bones,
)
from sparcc_pipeline.training.data.pelves import PEOPLE_WITH_T1_ONLY, load_outlined, load_pelvis
from sparcc_pipeline.training.fit.run import PEOPLE_FOR_EDEMA


def test_a_joint_line_parts_sacrum_and_ilium() -> None:
    bone = np.zeros((3, 60, 100), dtype=bool)
    bone[:, 10:50, 10:90] = True
    rows = np.arange(10, 50, dtype=float)
    right = np.stack([rows, np.full(40, 30.0)], axis=1)
    left = np.stack([rows, np.full(40, 69.0)], axis=1)
    lines = {(k, side): line for k in range(3) for side, line in ((Side.RIGHT, right), (Side.LEFT, left))}

    anatomy = split_bones(bone, lines, (0, 2))

    assert (anatomy[1, 20, 15], anatomy[1, 20, 50], anatomy[1, 20, 85]) == (
        AnatomyLabel.RIGHT_ILIUM,
        AnatomyLabel.SACRUM,
        AnatomyLabel.LEFT_ILIUM,
    )
    assert ((anatomy > 0) == bone).all()


def test_who_may_teach_edema() -> None:
    assert PERSON_WITH_UNREAD_EDEMA in PEOPLE
    assert PERSON_WITH_UNREAD_EDEMA not in PEOPLE_FOR_EDEMA


def test_edema_without_a_reading_is_no_label(shared_data: Path) -> None:
    with pytest.raises(InputError, match="expected readings of 2014"):
        readings_in_bone(load_person(shared_data, "2014"))


@pytest.mark.parametrize("name", ["1013", "2015"])
def test_the_ilia_lie_on_their_own_side(shared_data: Path, name: str) -> None:
    person = load_person(shared_data, name)

    middle = slice(person.six_slices[0], person.six_slices[1] + 1)
    columns = {code: np.nonzero(person.anatomy[middle] == code)[2].mean() for code in (1, 2, 3)}

    assert columns[ILIUM_LABEL[Side.RIGHT]] < columns[AnatomyLabel.SACRUM] < columns[ILIUM_LABEL[Side.LEFT]]


def test_the_joint_of_the_labels_is_the_joint_that_was_drawn(shared_data: Path) -> None:
    person = load_person(shared_data, "1234")
    joints = joints_of(person)

    for k in range(person.six_slices[0], person.six_slices[1] + 1):
        for side in Side:
            joint = joints.at(k, side)
            assert joint is not None
            drawn = person.joint_lines[k, side] * person.stir.geometry.in_plane_mm
            gaps = np.linalg.norm(drawn[:, None] - joint.joint_line[None], axis=2).min(axis=1)
            assert np.median(gaps) < 1.0
            assert joint.height_mm == pytest.approx(np.linalg.norm(drawn[-1] - drawn[0]), abs=8.0)


def test_edema_to_learn_is_the_share_of_four_readings(shared_data: Path) -> None:
    person = load_person(shared_data, "1007")

    edema = readings_in_bone(person).mean(axis=0)

    assert set(np.unique(edema)) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert not edema[person.anatomy == AnatomyLabel.LUMBAR_VERTEBRA].any()


def test_slices_that_cannot_be_labelled_are_ignored(shared_data: Path) -> None:
    person = load_person(shared_data, "1016")

    behind = person.anatomy[person.cartilaginous[1] + 3 :]

    assert (behind == IGNORE).any()
    assert set(np.unique(behind)) <= {0, IGNORE}


def test_a_pelvis_has_its_joints_closed(shared_data: Path) -> None:
    file = sorted((shared_data / "pelvic_t1").glob("*_T1.nii.gz"))[0]
    pelvis = load_pelvis(shared_data, file.name.removesuffix("_T1.nii.gz"))

    signal, label = bone_stack(pelvis.signal, pelvis.anatomy, pelvis.spacing_mm[1:])

    assert signal.shape == label.shape
    sacrum = label == AnatomyLabel.SACRUM
    beside = np.zeros_like(sacrum)
    beside[:, :, 1:] |= sacrum[:, :, :-1]
    beside[:, :, :-1] |= sacrum[:, :, 1:]
    for side in Side:
        assert (beside & (label == ILIUM_LABEL[side])).sum() > 20


@pytest.mark.parametrize("name", PEOPLE_WITH_T1_ONLY)
def test_an_outline_is_bone_without_a_name(shared_data: Path, name: str) -> None:
    scan = load_outlined(shared_data, name)

    assert set(np.unique(scan.anatomy)) == {0, SOME_BONE}
    bone = scan.anatomy == SOME_BONE
    assert np.median(scan.signal[bone]) > np.median(scan.signal[~bone]), "marrow is bright on T1"
