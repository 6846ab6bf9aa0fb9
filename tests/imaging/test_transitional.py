"""The transitional slice from the estimates of all slices of their own place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparcc_pipeline.imaging.slice_place import ligamentous_probability

SPACING_MM = 3.3


def transitional_slice(behind_cm: list[float], bone_pixels: list[float] | None = None) -> int:
    """First slice that is more likely than not to show the ligamentous part; the number of slices where none is."""
    pixels = np.full(len(behind_cm), 100.0) if bone_pixels is None else np.array(bone_pixels)
    shows = ligamentous_probability(np.array(behind_cm), pixels, SPACING_MM) >= 0.5
    return int(shows.argmax()) if shows.any() else len(shows)


@given(transitional=st.integers(3, 17))
def test_right_estimates_give_the_slice(transitional: int) -> None:
    assert transitional_slice([(k - transitional) * SPACING_MM / 10 for k in range(20)]) == transitional


def test_many_slices_behind_with_one_estimate_do_not_move_it() -> None:
    behind_cm = [(k - 10) * SPACING_MM / 10 if k < 12 else 0.4 for k in range(20)]

    assert transitional_slice(behind_cm) == 10


def test_one_slice_that_is_far_off_does_not_move_it() -> None:
    behind_cm = [(k - 10) * SPACING_MM / 10 for k in range(20)]
    behind_cm[2] = 1.5

    assert transitional_slice(behind_cm) == 10


def test_a_stack_that_ends_before_it_shows_none() -> None:
    assert transitional_slice([(k - 14) * SPACING_MM / 10 for k in range(12)]) == 12


def test_slices_without_bone_do_not_vote() -> None:
    behind_cm = [(k - 5) * SPACING_MM / 10 for k in range(10)] + [0.0] * 5

    assert transitional_slice(behind_cm, [100.0] * 10 + [0.0] * 5) == 5
    assert not ligamentous_probability(np.zeros(4), np.zeros(4), SPACING_MM).any()


def test_slices_that_are_all_very_far_away_do_not_vote() -> None:
    assert not ligamentous_probability(np.full(5, 40.0), np.full(5, 100.0), SPACING_MM).any()
