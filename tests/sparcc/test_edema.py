"""Edema: the area that gives a point, and the quadrants that are not scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Level, Quadrant
from sparcc_pipeline.sparcc.edema import edema_points
from sparcc_pipeline.sparcc.joint import JointSlice

from .builders import straight_joint


def pixels_in(joint: JointSlice, quadrant: Quadrant, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Edema on `count` pixels of one quadrant."""
    edema = np.zeros(joint.quadrants[quadrant].shape, dtype=bool)
    edema[tuple(np.argwhere(joint.quadrants[quadrant])[:count].T)] = True
    return edema


@pytest.mark.parametrize("quadrant", Quadrant)
@pytest.mark.parametrize(("count", "point"), [(79, 0), (80, 1), (81, 1)])
def test_eight_square_millimetres_make_a_point_of_one_quadrant_only(quadrant: Quadrant, count: int, point: int) -> None:
    joint = straight_joint()

    found = edema_points(joint, pixels_in(joint, quadrant, count), pixel_area_mm2=0.1)

    assert found == {q: point if q is quadrant else 0 for q in Quadrant}


def test_area_is_not_added_over_quadrants() -> None:
    joint = straight_joint()
    edema = pixels_in(joint, Quadrant.UPPER_ILIAC, 5) | pixels_in(joint, Quadrant.UPPER_SACRAL, 5)

    assert not any(edema_points(joint, edema, pixel_area_mm2=1.0).values())


@pytest.mark.parametrize("levels", [(), (Level.UPPER,), (Level.LOWER,), tuple(Level)])
def test_edema_of_a_level_that_is_not_scored_is_not_zero(levels: tuple[Level, ...]) -> None:
    joint = straight_joint().at_levels(levels)
    everywhere = np.ones((60, 90), dtype=bool)

    found = edema_points(joint, everywhere, pixel_area_mm2=1.0)

    assert found == {q: 1 if q.level in levels else None for q in Quadrant}


def test_edema_outside_the_quadrants_makes_no_point() -> None:
    joint = straight_joint()
    nowhere = {q: np.zeros((60, 90), dtype=bool) for q in Quadrant}

    assert edema_points(replace(joint, quadrants=nowhere), np.ones((60, 90), dtype=bool), 1.0) == dict.fromkeys(
        Quadrant, 0
    )
