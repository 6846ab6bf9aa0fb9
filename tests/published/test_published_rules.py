"""The numbers of the published method, typed again from their sources and not read from the code.

Sources by key of docs/references.md: SPARCC [SpaImaging], [Maksymowych2005]; ASAS-positive MRI [AsasMri].
"""

from __future__ import annotations

import pytest

from sparcc_pipeline.anatomy import Bone, Level, Quadrant, Side
from sparcc_pipeline.orientation import MIN_SLICES
from sparcc_pipeline.sparcc.depth import DEPTH_THRESHOLD_MM
from sparcc_pipeline.sparcc.joint_height import NOT_SCORED_UP_TO_MM, UNDIVIDED_BELOW_MM, scored_levels
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices

from ..sparcc.builders import VESSEL, Anatomy, Lesion

MAXIMUM_EDEMA_A_SLICE = 8
MAXIMUM_EDEMA = 48
MAXIMUM_INTENSITY = 12
MAXIMUM_DEPTH = 12
MAXIMUM_TOTAL = 72
Place = tuple[int, Side, Quadrant]


@pytest.fixture(scope="module")
def most() -> SparccScore:
    """Every quadrant of every slice full of edema, deep and brighter than the vessels."""
    lesions = [
        Lesion(k, side, bone, to_mm=15.0, top_mm=1.0, bottom_mm=39.0, signal=2 * VESSEL)
        for k in range(8)
        for side in Side
        for bone in Bone
    ]
    return Anatomy(lesions=tuple(lesions)).score()


def test_the_largest_score(most: SparccScore) -> None:
    assert most.edema == MAXIMUM_EDEMA
    assert most.intensity == MAXIMUM_INTENSITY
    assert most.depth == MAXIMUM_DEPTH
    assert most.total == most.evaluable_maximum == MAXIMUM_TOTAL


def test_the_largest_score_of_one_slice(most: SparccScore) -> None:
    for position in range(6):
        on_slice = [joint for joint in most.joints if joint.slice == position]
        assert sum(sum(p or 0 for p in joint.edema.values()) for joint in on_slice) == MAXIMUM_EDEMA_A_SLICE
        assert sum(joint.intense or 0 for joint in on_slice) == 2
        assert sum(joint.deep or 0 for joint in on_slice) == 2


def test_six_consecutive_slices(most: SparccScore) -> None:
    assert SLICES_SCORED == MIN_SLICES == 6
    assert most.slices.indices == tuple(range(most.slices.first, most.slices.first + 6))


def test_one_centimetre_from_the_articular_surface_is_deep() -> None:
    assert DEPTH_THRESHOLD_MM == 10.0


def test_heights_of_one_and_three_centimetres() -> None:
    assert (NOT_SCORED_UP_TO_MM, UNDIVIDED_BELOW_MM) == (10.0, 30.0)
    # In front: up to 1 cm nothing, over 1 cm and under 3 cm all of it upper, from 3 cm on both levels.
    in_front = scored_levels([10.0, 10.01, 29.99, 30.0])
    assert in_front == ((), (Level.UPPER,), (Level.UPPER,), (Level.UPPER, Level.LOWER))
    # Behind the last slice that shows 3 cm: all of it lower.
    behind = scored_levels([30.0, 29.99, 10.01, 10.0])
    assert behind == ((Level.UPPER, Level.LOWER), (Level.LOWER,), (Level.LOWER,), ())


def test_four_quadrants_a_joint() -> None:
    assert {(q.bone.value, q.level.value) for q in Quadrant} == {
        ("iliac", "upper"),
        ("iliac", "lower"),
        ("sacral", "upper"),
        ("sacral", "lower"),
    }


def score_with(*lesions: Place) -> SparccScore:
    """A score with edema in these quadrants, all else evaluable and 0."""
    return SparccScore(
        SixSlices(0, "user"),
        tuple(
            JointSliceScore(k, side, {q: int((k, side, q) in lesions) for q in Quadrant}, 0, 0, 40.0, 0.0)
            for k in range(6)
            for side in Side
        ),
        None,
    )


UPPER_ILIAC, LOWER_SACRAL = Quadrant.UPPER_ILIAC, Quadrant.LOWER_SACRAL


@pytest.mark.parametrize(
    ("lesions", "positive"),
    [
        ([], False),
        ([(2, Side.LEFT, UPPER_ILIAC)], False),
        # Two lesions on one slice, of one joint or of both.
        ([(2, Side.LEFT, UPPER_ILIAC), (2, Side.LEFT, LOWER_SACRAL)], True),
        ([(2, Side.LEFT, UPPER_ILIAC), (2, Side.RIGHT, UPPER_ILIAC)], True),
        # One lesion on two consecutive slices.
        ([(2, Side.LEFT, UPPER_ILIAC), (3, Side.LEFT, UPPER_ILIAC)], True),
        ([(0, Side.RIGHT, LOWER_SACRAL), (1, Side.RIGHT, LOWER_SACRAL)], True),
        ([(4, Side.RIGHT, LOWER_SACRAL), (5, Side.RIGHT, LOWER_SACRAL)], True),
        # The same place on slices that are not consecutive.
        ([(1, Side.LEFT, UPPER_ILIAC), (3, Side.LEFT, UPPER_ILIAC)], False),
        ([(0, Side.LEFT, UPPER_ILIAC), (5, Side.LEFT, UPPER_ILIAC)], False),
    ],
)
def test_asas_positive(lesions: list[Place], positive: bool) -> None:
    assert score_with(*lesions).asas_positive is positive


def test_two_different_lesions_on_consecutive_slices_are_not_one_lesion_on_two_slices() -> None:
    # Edema of the right ilium on one slice and of the left sacrum on the next: two lesions, on one slice each.
    assert not score_with((2, Side.RIGHT, UPPER_ILIAC), (3, Side.LEFT, LOWER_SACRAL)).asas_positive


def test_points_that_are_not_evaluable_are_no_lesions() -> None:
    unseen = tuple(
        JointSliceScore(k, side, dict.fromkeys(Quadrant), None, None, None, None) for k in range(6) for side in Side
    )
    score = SparccScore(SixSlices(0, "user"), unseen, None)

    assert not score.asas_positive
    assert (score.total, score.evaluable_maximum) == (0, 0)
