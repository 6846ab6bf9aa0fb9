"""Designs are measured as the program reads edema, and every figure is in the table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.imaging import edema as program
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_signal
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.training.data.labels import PEOPLE_WITH_LESIONS
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import random_spec
from sparcc_pipeline.training.fit.designs import DESIGNS, IN_LABELS, READERS, designs_markdown, find_edema

PHANTOM = make_phantom(random_spec(4, pixel_mm=0.95))
JOINTS = find_joints(PHANTOM.tissue.anatomy, PHANTOM.tissue.geometry)


def middle_slice(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that calls the brightness of the middle slice edema."""
    return batch[:, 1:2]


def other_side(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network that calls the brightness of the other side's middle slice edema."""
    return batch[:, 4:5]


def test_without_further_inputs_a_design_is_read_as_the_program_reads_edema() -> None:
    signal, anatomy = PHANTOM.volume.signal, PHANTOM.tissue.anatomy
    marrow = normal_marrow_signal(signal, anatomy, joint_distance_mm(JOINTS))

    found = find_edema(middle_slice, (), signal, anatomy, JOINTS)

    np.testing.assert_array_equal(found, program.find_edema(middle_slice, (), signal, anatomy, JOINTS, marrow))


def test_the_other_side_is_shown_mirrored() -> None:
    signal, anatomy = PHANTOM.volume.signal.copy(), PHANTOM.tissue.anatomy
    k = next(k for k in JOINTS.slices(Side.RIGHT) if JOINTS.at(k, Side.LEFT) is not None)
    left = JOINTS.at(k, Side.LEFT)
    assert left is not None
    ilium = anatomy[k] == 3
    bright = ilium & (left.surface_distance_mm < 12)
    signal[k][bright] *= 3

    found = find_edema(other_side, ("other",), signal, anatomy, JOINTS)[k]
    before = find_edema(other_side, ("other",), PHANTOM.volume.signal, anatomy, JOINTS)[k]

    raised = (found - before) > 0.3
    assert raised[anatomy[k] == 2].any(), "the right ilium shows the brightness of the left one"
    assert not raised[anatomy[k] == 3].any()


def test_a_design_changes_one_thing() -> None:
    assert DESIGNS["all-people"].edema.quadrant_weight == 0
    assert all(plan.edema_members == 1 for plan in DESIGNS.values()), "seeds are compared one by one"
    assert {name for name in DESIGNS if name.endswith("-seed-1")} == {
        f"{name}-seed-1" for name in DESIGNS if not name.endswith("-seed-1")
    }


def test_the_table_has_every_person_and_figure() -> None:
    row: dict[str, Any] = {
        "edema_dice": dict.fromkeys(PEOPLE_WITH_LESIONS, 0.25),
        "kappa": dict.fromkeys(PEOPLE_WITH_LESIONS, 0.5),
        "edema_dice_mean": 0.25,
        "quadrant_kappa": 0.5,
        "empty_quadrants": 200,
        "empty_quadrants_called": 7,
        "edema_points_difference": 1.5,
        "edema_points_without_edema": 1,
    }

    readers = {key: row[key] for key in ("edema_dice", "kappa", "edema_dice_mean", "quadrant_kappa")}

    text = designs_markdown({f"all-people, {IN_LABELS}": row, READERS: readers})

    lines = text.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].count("0.25 / 0.50") == len(PEOPLE_WITH_LESIONS)
    assert "7 of 200" in lines[2]
