"""The score of whole stacks whose points are known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.anatomy import AnatomyLabel, Bone, Quadrant, Side
from sparcc_pipeline.sparcc.joint import find_joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore, score_sparcc
from sparcc_pipeline.sparcc.slices import six_slices_from_user

from .builders import EDEMA, VESSEL, Anatomy, Lesion, points, score_of

SPACINGS = [(4.0, 1.0, 1.0), (4.0, 0.6, 0.6), (4.0, 1.2, 0.5)]
DEFAULT = Anatomy()  # slices 1-6 are scored


def joint_score(score: SparccScore, slice_index: int, side: Side) -> JointSliceScore:
    return next(j for j in score.joints if score.slices.indices[j.slice] == slice_index and j.side is side)


def test_no_edema_scores_nothing_and_is_fully_evaluable() -> None:
    score = DEFAULT.score()

    assert score.total == 0
    assert score.evaluable_maximum == 72
    assert score.warnings == ()
    assert score.slices.indices == (1, 2, 3, 4, 5, 6)
    assert [(j.slice, j.side) for j in score.joints] == [(k, s) for k in range(6) for s in (Side.RIGHT, Side.LEFT)]


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 20.0])
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    ("bone", "top_mm", "quadrant"),
    [
        (Bone.ILIUM, 4.0, "upper_iliac"),
        (Bone.ILIUM, 26.0, "lower_iliac"),
        (Bone.SACRUM, 4.0, "upper_sacral"),
        (Bone.SACRUM, 26.0, "lower_sacral"),
    ],
)
def test_a_lesion_scores_in_its_own_quadrant(
    spacing_mm: tuple[float, float, float], tilt_degrees: float, side: Side, bone: Bone, top_mm: float, quadrant: str
) -> None:
    lesion = Lesion(4, side, bone, to_mm=6.0, top_mm=top_mm, bottom_mm=top_mm + 9)
    score = Anatomy(spacing_mm=spacing_mm, tilt_degrees=tilt_degrees, lesions=(lesion,)).score()

    assert points(score) == {(3, side.value, quadrant): 1}


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("tilt_degrees", [0.0, 20.0])
@pytest.mark.parametrize("bone", Bone)
@pytest.mark.parametrize(("to_mm", "deep"), [(9.0, 0), (11.0, 1)])
def test_depth_is_measured_from_the_joint_that_was_found(
    spacing_mm: tuple[float, float, float], tilt_degrees: float, bone: Bone, to_mm: float, deep: int
) -> None:
    lesion = Lesion(4, Side.RIGHT, bone, to_mm=to_mm, soft_mm=4.0)
    joint = joint_score(
        Anatomy(spacing_mm=spacing_mm, tilt_degrees=tilt_degrees, lesions=(lesion,)).score(), 4, Side.RIGHT
    )

    assert joint.deep == deep
    assert joint.depth_mm == pytest.approx(to_mm, abs=0.9)
    assert sum(p or 0 for p in joint.edema.values()) == 1


def test_a_lesion_that_begins_away_from_the_surface_scores_edema_but_no_depth() -> None:
    joint = joint_score(
        DEFAULT.with_lesions(Lesion(4, Side.LEFT, Bone.ILIUM, to_mm=16.0, from_mm=5.0)).score(), 4, Side.LEFT
    )

    assert joint.edema[Quadrant.UPPER_ILIAC] == 1
    assert (joint.deep, joint.depth_mm) == (0, 0.0)


def test_two_bands_with_a_gap_are_not_one_deep_lesion() -> None:
    joint = joint_score(
        DEFAULT.with_lesions(
            Lesion(4, Side.LEFT, Bone.ILIUM, to_mm=6.0), Lesion(4, Side.LEFT, Bone.ILIUM, to_mm=16.0, from_mm=9.0)
        ).score(),
        4,
        Side.LEFT,
    )

    assert joint.edema[Quadrant.UPPER_ILIAC] == 1
    assert joint.deep == 0


@pytest.mark.parametrize(("signal", "intense"), [(EDEMA, 0), (VESSEL - 1, 0), (VESSEL, 1), (VESSEL + 1, 1)])
def test_intense_edema(signal: float, intense: int) -> None:
    lesion = Lesion(4, Side.LEFT, Bone.SACRUM, to_mm=6.0, signal=signal)
    score = DEFAULT.with_lesions(lesion).score()

    assert joint_score(score, 4, Side.LEFT).intense == intense
    assert (score.edema, score.intensity, score.total) == (1, intense, 1 + intense)
    assert score.reference_signal is not None
    assert score.reference_signal.value == VESSEL


def test_intense_and_deep_count_once_a_joint_slice() -> None:
    every = [
        Lesion(4, Side.LEFT, bone, to_mm=14.0, top_mm=top, bottom_mm=top + 12, signal=VESSEL + 100)
        for bone in Bone
        for top in (4.0, 24.0)
    ]
    score = DEFAULT.with_lesions(*every).score()

    assert (score.edema, score.intensity, score.depth, score.total) == (4, 1, 1, 6)


def test_without_vessels_intensity_is_not_evaluable_where_there_is_edema() -> None:
    score = replace(DEFAULT, vessels=False, lesions=(Lesion(4, Side.LEFT, Bone.SACRUM, to_mm=6.0),)).score()

    assert joint_score(score, 4, Side.LEFT).intense is None
    assert joint_score(score, 4, Side.RIGHT).intense == 0
    assert score.evaluable_maximum == 71
    assert score.reference_signal is None
    assert score.warnings == (
        "no presacral vessel, cerebrospinal fluid or disc could be measured: intensity is not evaluable where there is "
        "edema; read intensity by eye",
    )


def test_edema_too_small_for_a_point_is_neither_intense_nor_deep() -> None:
    # 7 mm2: 14 mm deep and half a millimetre high.
    lesion = Lesion(4, Side.LEFT, Bone.ILIUM, to_mm=14.0, top_mm=10.0, bottom_mm=10.6, signal=VESSEL + 100)
    anatomy = Anatomy(spacing_mm=(4.0, 0.5, 0.5), lesions=(lesion,))
    assert 5.0 < anatomy.tissue().edema.sum() * 0.25 < 8.0

    assert points(anatomy.score()) == {}


def test_a_joint_that_is_not_visible_is_not_zero() -> None:
    score = replace(DEFAULT, absent=((3, Side.LEFT),)).score()
    unseen = joint_score(score, 3, Side.LEFT)

    assert set(unseen.edema.values()) == {None}
    assert (unseen.intense, unseen.deep, unseen.height_mm, unseen.depth_mm) == (None, None, None, None)
    assert score.evaluable_maximum == 66
    assert joint_score(score, 3, Side.RIGHT).evaluable == 6
    assert score.warnings == (
        "the left joint is not visible on slices 4: not evaluable there; check these slices by eye",
    )


@pytest.mark.parametrize(("height_mm", "evaluable"), [(7.0, 0), (24.0, 4), (33.0, 6)])
def test_a_short_joint(height_mm: float, evaluable: int) -> None:
    lesion = Lesion(3, Side.LEFT, Bone.ILIUM, to_mm=6.0, top_mm=0.0, bottom_mm=30.0)
    score = replace(DEFAULT, heights_mm={(3, Side.LEFT): height_mm}, lesions=(lesion,)).score()
    joint = joint_score(score, 3, Side.LEFT)

    assert joint.evaluable == evaluable
    assert score.evaluable_maximum == 66 + evaluable
    assert joint.height_mm is not None
    if evaluable == 0:
        assert (joint.intense, joint.deep, joint.points) == (None, None, 0)
    else:
        assert joint.edema[Quadrant.UPPER_ILIAC] == 1
        assert joint.edema[Quadrant.LOWER_ILIAC] == (None if evaluable == 4 else 1)


@pytest.mark.parametrize(
    ("slices", "scored", "not_scored"),
    [
        # Slice 3 is in front of the slices that show 3 cm, then behind them.
        (range(0, 4), Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC),
        (range(3, 8), Quadrant.LOWER_ILIAC, Quadrant.UPPER_ILIAC),
    ],
)
def test_all_of_a_short_joint_counts(slices: range, scored: Quadrant, not_scored: Quadrant) -> None:
    # A deep and intense lesion in the lower half of a joint of 24 mm: three points, wherever the slice lies.
    lower = Lesion(3, Side.LEFT, Bone.ILIUM, to_mm=15.0, top_mm=14.0, bottom_mm=30.0, signal=VESSEL + 100)
    heights = {(k, Side.LEFT): 24.0 for k in slices}
    score = replace(DEFAULT, heights_mm=heights, lesions=(lower,)).score()
    joint = joint_score(score, 3, Side.LEFT)

    assert (joint.edema[scored], joint.edema[not_scored], joint.deep, joint.intense) == (1, None, 1, 1)
    assert joint.points == 3
    assert score.evaluable_maximum == 72 - 2 * len(set(slices) & set(score.slices.indices))


@pytest.mark.parametrize("slice_index", [0, 7])
def test_edema_outside_the_six_scores_nothing_but_is_reported(slice_index: int) -> None:
    score = DEFAULT.with_lesions(Lesion(slice_index, Side.LEFT, Bone.ILIUM, to_mm=14.0, signal=2 * VESSEL)).score()

    assert score.total == 0
    assert score.warnings == ()
    assert score.notes == (
        f"edema beside the joint on slices {slice_index + 1}, outside the six scored slices: not part of the score",
    )


def test_all_slices_with_edema_outside_the_six_are_named_once() -> None:
    lesions = [Lesion(k, side, Bone.ILIUM, to_mm=6.0) for k in (0, 4, 7) for side in Side]
    score = DEFAULT.with_lesions(*lesions).score()

    assert score.edema == 2
    assert "on slices 1, 8, outside" in score.notes[0]


def test_much_edema_outside_the_six_is_a_warning_that_names_what_to_do() -> None:
    lesions = [Lesion(k, side, bone, to_mm=14.0) for k in (0, 7) for side in Side for bone in Bone]
    score = DEFAULT.with_lesions(*lesions).score()

    assert score.notes == ()
    assert "(on slices 1, 8)" in score.warnings[0]
    assert "--slices" in score.warnings[0]


def test_a_stack_that_begins_too_late_is_scored_with_a_warning() -> None:
    score = replace(DEFAULT, transitional=3, lesions=(Lesion(0, Side.LEFT, Bone.ILIUM, to_mm=6.0),)).score()

    assert score.slices.indices == (0, 1, 2, 3, 4, 5)
    assert points(score) == {(0, "left", "upper_iliac"): 1}
    assert "only 3 slices lie anterior to it" in score.warnings[0]


def test_slices_of_the_user_are_scored_in_their_own_order() -> None:
    anatomy = DEFAULT.with_lesions(Lesion(2, Side.RIGHT, Bone.ILIUM, to_mm=6.0))
    tissue = anatomy.tissue()
    joints = find_joints(tissue.anatomy, tissue.geometry)

    score = score_sparcc(anatomy.stir(), tissue, joints, six_slices_from_user(2, 7, joints))

    assert points(score) == {(0, "right", "upper_iliac"): 1}


LUMBAR = replace(DEFAULT, lumbar_mm=(-8.0, 5.0, 16.0))


def test_edema_of_the_lumbar_vertebra_or_beside_it_does_not_score() -> None:
    tissue = LUMBAR.tissue()
    rows, columns = np.indices(tissue.anatomy.shape[1:])
    aside = np.abs(columns - (tissue.anatomy.shape[2] - 1) / 2)
    # The vertebra and 4 mm of the sacral end-plate under it, over the whole width of the disc.
    end_plate = (rows >= 2) & (rows - LUMBAR.top_mm <= 9.0) & (aside <= 16.0)
    probability = tissue.edema_probability.copy()
    probability[4] = np.where(end_plate & (tissue.anatomy[4] > 0), 0.9, 0.0)
    with_edema = replace(tissue, edema_probability=probability)

    assert with_edema.edema[4].sum() > 200
    assert set(np.unique(tissue.anatomy[4][with_edema.edema[4]])) == {
        AnatomyLabel.SACRUM,
        AnatomyLabel.LUMBAR_VERTEBRA,
    }
    assert score_of(with_edema, LUMBAR.stir()).total == 0
    # Without the vertebra the same edema is beside the joint.
    without = np.where(tissue.anatomy == AnatomyLabel.LUMBAR_VERTEBRA, AnatomyLabel.SACRUM, tissue.anatomy)
    plain = replace(with_edema, anatomy=without.astype(np.uint8))
    assert score_of(plain, LUMBAR.stir()).edema == 2


def test_sacral_edema_at_the_joint_scores_beside_a_lumbar_vertebra() -> None:
    lesion = Lesion(4, Side.LEFT, Bone.SACRUM, to_mm=6.0, top_mm=6.0, bottom_mm=16.0)

    assert points(LUMBAR.with_lesions(lesion).score()) == {(3, "left", "upper_sacral"): 1}


def test_fluid_in_the_joint_space_scores_nothing() -> None:
    anatomy = Anatomy(spacing_mm=(4.0, 0.5, 0.5), width_mm=0.0, slices=8)
    fluid = [Lesion(4, Side.LEFT, bone, to_mm=1.2, top_mm=1.0, bottom_mm=39.0, signal=3 * VESSEL) for bone in Bone]
    with_fluid = anatomy.with_lesions(*fluid)

    assert with_fluid.tissue().edema[4].sum() * 0.25 > 80.0
    assert with_fluid.score().total == 0
