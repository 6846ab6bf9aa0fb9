"""Edema: the heights that decide which quadrants are scored, and the area that gives a point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcc_pipeline.anatomy import Level, Quadrant
from sparcc_pipeline.sparcc.edema import edema_points, evaluable_quadrants
from sparcc_pipeline.sparcc.joint import JointSlice

from .builders import straight_joint

UPPER = {Quadrant.UPPER_ILIAC, Quadrant.UPPER_SACRAL}


@pytest.mark.parametrize(
    ("height_mm", "scored"),
    [
        (0.0, set()),
        (9.5, set()),
        (10.0, set()),
        (10.1, UPPER),
        (29.0, UPPER),
        (29.9, UPPER),
        (30.0, set(Quadrant)),
        (31.0, set(Quadrant)),
    ],
)
def test_the_height_decides_which_quadrants_are_scored(height_mm: float, scored: set[Quadrant]) -> None:
    assert set(evaluable_quadrants(height_mm)) == scored


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


@pytest.mark.parametrize("height_mm", [9.5, 20.0])
def test_edema_where_nothing_is_scored_is_not_zero(height_mm: float) -> None:
    joint = replace(straight_joint(), height_mm=height_mm)
    everywhere = np.ones((60, 90), dtype=bool)

    found = edema_points(joint, everywhere, pixel_area_mm2=1.0)

    assert all(found[q] is None for q in Quadrant if q.level is Level.LOWER)
    assert all(found[q] == (None if height_mm < 10 else 1) for q in UPPER)


def test_edema_outside_the_quadrants_makes_no_point() -> None:
    joint = straight_joint()
    nowhere = {q: np.zeros((60, 90), dtype=bool) for q in Quadrant}

    assert edema_points(replace(joint, quadrants=nowhere), np.ones((60, 90), dtype=bool), 1.0) == dict.fromkeys(
        Quadrant, 0
    )
