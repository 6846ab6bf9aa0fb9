"""Lesions by connected edema, the ASAS sign, the definite active lesion, and their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Bone, Quadrant, Side
from sparcc_pipeline.sparcc.lesions import (
    POINTS_ONLY,
    EdemaPieces,
    OnSlice,
    edema_pieces,
    probability_asas_positive,
    probability_definite_lesion,
)
from sparcc_pipeline.volume import Float32Array

from .builders import Anatomy, Lesion, straight_joint

UPPER, LOWER = Quadrant.UPPER_ILIAC, Quadrant.LOWER_ILIAC
LEFT = (3, Side.LEFT, Bone.ILIUM)
ANATOMY = Anatomy(spacing_mm=(4.0, 0.8, 0.8))


def edema(*lesions: Lesion) -> Anatomy:
    return replace(ANATOMY, lesions=lesions)


def left_iliac(slice_index: int, top_mm: float, bottom_mm: float, to_mm: float = 6.0) -> Lesion:
    return Lesion(slice_index, Side.LEFT, Bone.ILIUM, to_mm=to_mm, top_mm=top_mm, bottom_mm=bottom_mm)


@pytest.mark.parametrize(
    ("lesions", "edema_points", "positive"),
    [
        # One that crosses the middle of the joint (at 20 mm) gives two points and is one lesion.
        ([left_iliac(3, 12, 28)], 2, False),
        # One above the middle and one below it: two lesions.
        ([left_iliac(3, 4, 14), left_iliac(3, 26, 36)], 2, True),
        # Two in one quadrant: one point, two lesions.
        ([left_iliac(3, 2, 8), left_iliac(3, 12, 18)], 1, True),
        # Two bones, two joints.
        ([left_iliac(3, 4, 14), Lesion(3, Side.LEFT, Bone.SACRUM, to_mm=6.0)], 2, True),
        ([left_iliac(3, 4, 14), Lesion(3, Side.RIGHT, Bone.ILIUM, to_mm=6.0)], 2, True),
        # One on two consecutive slices, and on slices that are not consecutive.
        ([left_iliac(3, 4, 14), left_iliac(4, 4, 14)], 2, True),
        ([left_iliac(2, 4, 14), left_iliac(4, 4, 14)], 2, False),
        # The upper quadrant of one slice and the lower one of the next: two lesions, each on one slice.
        ([left_iliac(3, 4, 14), left_iliac(4, 26, 36)], 2, False),
        # One that crosses the middle, and its lower half on the next slice.
        ([left_iliac(3, 12, 28), left_iliac(4, 22, 34)], 3, True),
    ],
)
def test_the_asas_sign_counts_connected_edema(lesions: list[Lesion], edema_points: int, positive: bool) -> None:
    score = edema(*lesions).score()

    assert (score.edema, score.asas_positive) == (edema_points, positive)


@pytest.mark.parametrize(
    ("lesions", "definite"),
    [
        # Three quadrants of one slice, then four anywhere.
        ([left_iliac(3, 12, 28), Lesion(3, Side.RIGHT, Bone.ILIUM, to_mm=6.0)], False),
        (
            [left_iliac(3, 12, 28), Lesion(1, Side.RIGHT, Bone.ILIUM, 6.0), Lesion(5, Side.RIGHT, Bone.SACRUM, 6.0)],
            True,
        ),
        # One quadrant on two and on three consecutive slices, and on three with a gap.
        ([left_iliac(k, 4, 14) for k in (2, 3)], False),
        ([left_iliac(k, 4, 14) for k in (2, 3, 4)], True),
        ([left_iliac(k, 4, 14) for k in (1, 2, 4)], False),
    ],
)
def test_a_definite_active_lesion(lesions: list[Lesion], definite: bool) -> None:
    assert edema(*lesions).score().definite_lesion is definite


def test_in_an_undivided_joint_edema_of_one_bone_is_one_place() -> None:
    # Slices 1-3 are short, so all of them is upper; slice 4 is full and shows the lower part of the lesion.
    heights = {(k, Side.LEFT): 24.0 for k in range(4)}
    lesions = (left_iliac(3, 14, 22), left_iliac(4, 22, 34))

    assert replace(ANATOMY, heights_mm=heights, lesions=lesions).score().asas_positive


def pieces_of(probability: Float32Array) -> EdemaPieces:
    return edema_pieces(straight_joint(), 3, probability, 0.5, 1.0)


def test_edema_that_would_join_below_the_threshold_is_one_piece() -> None:
    joint = straight_joint()
    # The joint runs from row 9 to row 50 at column 44; its middle is at row 29.5.
    probability = np.zeros((60, 90), dtype=np.float32)
    probability[15:25, 48:55] = 0.9
    probability[25:40, 48:55] = 0.3
    assert joint.quadrants[LOWER][35, 50]
    assert LEFT not in pieces_of(probability).apart

    probability[26:30] = 0.0
    assert LEFT in pieces_of(probability).apart


def test_a_second_piece_too_small_for_a_point_is_no_lesion() -> None:
    probability = np.zeros((60, 90), dtype=np.float32)
    probability[12:16, 48:54] = 0.9
    probability[22:24, 48:51] = 0.9
    assert not pieces_of(probability).several

    probability[22:25, 48:51] = 0.9
    assert pieces_of(probability).several == {(3, Side.LEFT, UPPER)}


PLACES = [(Side.LEFT, UPPER), (Side.LEFT, LOWER), (Side.RIGHT, Quadrant.UPPER_SACRAL)]
APART = EdemaPieces(apart=frozenset({(1, Side.LEFT, Bone.ILIUM)}))
SEVERAL = EdemaPieces(several=frozenset({(2, Side.RIGHT, Quadrant.UPPER_SACRAL)}))


def every_outcome(slices: Sequence[OnSlice]) -> list[tuple[float, list[OnSlice]]]:
    """Every set of points with its probability."""
    keys = [(k, place) for k, on_slice in enumerate(slices) for place in on_slice]
    outcomes: list[tuple[float, list[OnSlice]]] = []
    for values in product((0, 1), repeat=len(keys)):
        known: list[dict[tuple[Side, Quadrant], float]] = [{} for _ in slices]
        chance = 1.0
        for (k, place), value in zip(keys, values, strict=True):
            known[k][place] = value
            chance *= slices[k][place] if value else 1 - slices[k][place]
        outcomes.append((chance, list(known)))
    return outcomes


@pytest.mark.parametrize("pieces", [POINTS_ONLY, APART, SEVERAL], ids=["joined", "apart", "several"])
def test_probabilities_are_those_of_all_outcomes(pieces: EdemaPieces) -> None:
    random = np.random.default_rng(0)
    slices = [{place: float(random.uniform(0.05, 0.6)) for place in PLACES} for _ in range(4)]
    del slices[3][PLACES[1]]
    outcomes = every_outcome(slices)

    asas = sum(p for p, known in outcomes if probability_asas_positive(known, pieces) > 0)
    definite = sum(p for p, known in outcomes if probability_definite_lesion(known) > 0)

    assert {probability_asas_positive(known, pieces) for _, known in outcomes} == {0.0, 1.0}
    assert probability_asas_positive(slices, pieces) == pytest.approx(asas)
    assert probability_definite_lesion(slices) == pytest.approx(definite)
    assert 0.05 < definite < asas < 0.95
