"""Phantoms: their known score, the rules at their borders, and what cannot be drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel, Quadrant, Side
from sparcc_pipeline.errors import ConfigError
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import choose_six_slices
from sparcc_pipeline.training.data.phantom import make_phantom
from sparcc_pipeline.training.data.phantom_spec import KnownScore, Lesion, PhantomSpec, known_score, random_spec

PLAIN = PhantomSpec(shape=(12, 204, 204), spacing_mm=(4.0, 0.9, 0.9), noise=0.0, bias=0.0)
"""Slices 4-9 are the six; every joint there is higher than 30 mm."""


def scored(spec: PhantomSpec) -> SparccScore:
    """The score of the phantom by `sparcc/`, from the tissue it was drawn from."""
    phantom = make_phantom(spec)
    joints = find_joints(phantom.tissue.anatomy, phantom.tissue.geometry)
    return score_sparcc(phantom.volume, phantom.tissue, joints, choose_six_slices(joints, phantom.tissue.ligamentous))


def at(score: SparccScore, slice_index: int, side: Side) -> JointSliceScore:
    (joint,) = (j for j in score.joints if score.slices.indices[j.slice] == slice_index and j.side is side)
    return joint


def points(score: SparccScore | KnownScore) -> list[tuple[object, ...]]:
    """All 72 items in one order."""
    if isinstance(score, KnownScore):
        return [(p, s, *e.values(), score.intense[p, s], score.deep[p, s]) for (p, s), e in score.edema.items()]
    return [(j.slice, j.side, *j.edema.values(), j.intense, j.deep) for j in score.joints]


@pytest.mark.parametrize("seed", range(8))
def test_the_rules_find_the_known_score(seed: int) -> None:
    spec = random_spec(seed)

    score = scored(spec)

    assert score.slices.first == known_score(spec).first_slice
    assert points(score) == points(known_score(spec))


def test_a_phantom_without_lesions_scores_0_of_all() -> None:
    score = scored(PLAIN)

    assert (score.total, score.evaluable_maximum) == (0, 72)


def test_random_phantoms_differ_and_some_are_full_of_edema() -> None:
    totals = [known_score(random_spec(seed)).total for seed in range(12)]

    assert min(totals) == 0
    assert max(totals) >= 15
    assert any(known_score(random_spec(seed)).deep[p, s] for seed in range(12) for p in range(6) for s in Side)


@pytest.mark.parametrize("angle", [8.0, 22.0])
@pytest.mark.parametrize("quadrant", list(Quadrant))
@pytest.mark.parametrize(("depth_mm", "deep"), [(9.9, 0), (10.1, 1)])
def test_depth_at_its_border(depth_mm: float, deep: int, quadrant: Quadrant, angle: float) -> None:
    lesion = Lesion(7, Side.LEFT, quadrant, depth_mm=depth_mm, length_mm=12.0)

    found = at(scored(replace(PLAIN, joint_angle_degrees=angle, lesions=(lesion,))), 7, Side.LEFT)

    assert found.edema[quadrant] == 1
    assert found.deep == deep
    assert found.depth_mm == pytest.approx(depth_mm, abs=0.1)


def test_a_deep_lesion_that_begins_away_from_the_joint_is_not_deep() -> None:
    lesion = Lesion(7, Side.LEFT, Quadrant.UPPER_SACRAL, start_mm=4.5, depth_mm=14.0)

    found = at(scored(replace(PLAIN, lesions=(lesion,))), 7, Side.LEFT)

    assert (found.edema[Quadrant.UPPER_SACRAL], found.deep) == (1, 0)


@pytest.mark.parametrize(("signal", "intense"), [(0.97, 0), (1.03, 1)])
def test_intensity_at_its_border(signal: float, intense: int) -> None:
    lesion = Lesion(6, Side.RIGHT, Quadrant.LOWER_ILIAC, signal=signal)

    score = scored(replace(PLAIN, lesions=(lesion,)))

    assert at(score, 6, Side.RIGHT).intense == intense
    assert score.edema == 1


@pytest.mark.parametrize(
    ("height_mm", "scored_quadrants"), [(31.0, 4), (29.0, 2), (11.0, 2), (9.0, 0)], ids=lambda v: str(v)
)
@pytest.mark.parametrize("behind", [False, True])
def test_joint_height_at_its_borders(height_mm: float, scored_quadrants: int, behind: bool) -> None:
    heights = [40.0] * 12
    for k in range(5, 12) if behind else range(6):
        heights[k] = height_mm
    lower = Lesion(5, Side.RIGHT, Quadrant.LOWER_SACRAL, length_mm=4.0)

    score = scored(replace(PLAIN, heights_mm=tuple(heights), lesions=(lower,)))

    found = at(score, 5, Side.RIGHT)
    assert found.height_mm == pytest.approx(height_mm, abs=1.0)
    assert sum(point is not None for point in found.edema.values()) == scored_quadrants
    assert score.edema == (1 if scored_quadrants else 0)


def test_edema_in_l5_alone_scores_nothing() -> None:
    spec = replace(PLAIN, lumbar_edema=True)

    phantom = make_phantom(spec)

    bright = phantom.tissue.edema & (phantom.tissue.anatomy == AnatomyLabel.LUMBAR_VERTEBRA)
    assert bright.sum() > 100
    assert scored(spec).total == 0


def test_edema_outside_the_six_scores_nothing_and_is_reported() -> None:
    lesion = Lesion(11, Side.LEFT, Quadrant.UPPER_SACRAL)

    score = scored(replace(PLAIN, lesions=(lesion,)))

    assert score.total == 0
    assert any("12" in str(note) and "outside the six" in str(note) for note in score.notes)


def test_noise_and_gain_leave_the_known_score() -> None:
    lesion = Lesion(7, Side.LEFT, Quadrant.UPPER_ILIAC, depth_mm=12.0, signal=1.4)
    spec = replace(PLAIN, lesions=(lesion,))

    noisy = replace(spec, noise=0.1, bias=0.1, gain=3.7, seed=5)

    assert points(scored(noisy)) == points(scored(spec)) == points(known_score(spec))


def test_right_lesions_lie_on_the_patients_right() -> None:
    phantom = make_phantom(replace(PLAIN, lesions=(Lesion(7, Side.RIGHT, Quadrant.UPPER_ILIAC),)))

    voxel = np.argwhere(phantom.tissue.edema).mean(axis=0)
    x, *_ = (phantom.volume.geometry.affine @ [*voxel, 1.0])[:3]

    assert x < -30.0, "LPS: the patient's right is negative"


@pytest.mark.parametrize(
    "spec",
    [
        replace(PLAIN, transitional_slice=3),
        replace(PLAIN, heights_mm=(40.0,)),
        replace(PLAIN, shape=(12, 128, 128)),
        replace(PLAIN, lesions=(Lesion(7, Side.LEFT, Quadrant.UPPER_ILIAC, length_mm=30.0),)),
        replace(PLAIN, lesions=(Lesion(0, Side.LEFT, Quadrant.UPPER_ILIAC),)),
    ],
)
def test_what_cannot_be_drawn_is_refused(spec: PhantomSpec) -> None:
    with pytest.raises(ConfigError, match="expected .* found"):
        make_phantom(spec)
