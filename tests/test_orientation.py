"""Planes of slices, and stacks brought into the project's axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sparcc_pipeline.errors import GeometryError, NotSemicoronalError, TooFewSlicesError
from sparcc_pipeline.orientation import (
    Plane,
    StoredStack,
    left_right_obliquity_degrees,
    place_stack,
    signed_tilt_degrees,
    slice_plane,
)


def normal_of(tilt_degrees: float, turn_degrees: float = 0.0) -> np.ndarray:
    """Normal of slices tilted about left-right, then turned away from it."""
    tilt, turn = np.radians([tilt_degrees, turn_degrees])
    return np.array([np.sin(turn), np.cos(turn) * np.cos(tilt), np.cos(turn) * np.sin(tilt)])


@pytest.mark.parametrize(
    ("tilt", "turn", "plane"),
    [
        (0, 0, Plane.SEMICORONAL),  # straight coronal
        (27, 0, Plane.SEMICORONAL),  # the least and the most tilted of the real studies
        (52, 5, Plane.SEMICORONAL),
        (70, 0, Plane.SEMICORONAL),
        (71, 0, Plane.AXIAL),
        (90, 0, Plane.AXIAL),
        (-90, 0, Plane.AXIAL),
        (-30, 0, Plane.SEMICORONAL),
        (-38, 0, Plane.OBLIQUE),  # across the most tilted sacrum
        (-63, 0, Plane.AXIAL),  # across the least tilted sacrum
        (30, 19, Plane.SEMICORONAL),
        (30, 21, Plane.OBLIQUE),
        (0, 90, Plane.SAGITTAL),
        (0, 60, Plane.SAGITTAL),
    ],
)
@pytest.mark.parametrize("sense", [1, -1])
def test_plane(tilt: float, turn: float, plane: Plane, sense: int) -> None:
    # A thousandth inside the limit, so that rounding does not decide.
    normal = sense * normal_of(tilt * 0.9999, turn)
    assert slice_plane(normal) is plane
    if turn < 90 and abs(tilt) < 90:
        assert signed_tilt_degrees(normal) == pytest.approx(tilt, abs=0.02)
    assert left_right_obliquity_degrees(normal) == pytest.approx(turn)


def stack(directions: np.ndarray, shape: tuple[int, int, int] = (8, 5, 4), slice_axis: int = 0) -> StoredStack:
    return StoredStack(shape, directions, (3.0, 0.5, 0.6), (1.0, 2.0, 3.0), slice_axis)


BASE = np.array([normal_of(40), [0, np.sin(np.radians(40)), -np.cos(np.radians(40))], [1, 0, 0]])


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_every_order_of_axes_keeps_every_voxel_in_place(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    directions = np.array([BASE[a] * s for a, s in zip(axes, signs, strict=True)])
    stored = stack(directions, (8, 9, 10), slice_axis=axes.index(0))
    geometry, order = place_stack(stored)
    index = np.indices(stored.shape).reshape(3, -1)
    steps = directions * np.array(stored.spacing_mm)[:, None]
    places = (np.array(stored.origin_mm)[:, None] + steps.T @ index).reshape(3, *stored.shape)
    own = np.indices(geometry.shape).reshape(3, -1)
    found = (geometry.affine @ np.vstack([own, np.ones(own.shape[1])]))[:3].reshape(3, *geometry.shape)
    for component in range(3):
        assert_allclose(order.from_source(places[component]), found[component], atol=1e-9)


def test_refusals() -> None:
    with pytest.raises(TooFewSlicesError, match="at least 6 slices, found 5"):
        place_stack(stack(BASE, (5, 5, 4)))
    with pytest.raises(GeometryError, match="sheared"):
        place_stack(stack(np.array([BASE[0], BASE[1], [0.98, 0.2, 0.0]])))
    with pytest.raises(NotSemicoronalError, match="axial"):
        place_stack(stack(np.array([[0, 0, 1.0], [0, 1, 0], [1, 0, 0]])))


@pytest.mark.parametrize(("degrees", "accepted"), [(29, True), (31, False), (44, False)])
def test_a_stack_turned_in_its_plane(degrees: float, accepted: bool) -> None:
    turn = np.radians(degrees)
    down, left = BASE[1], BASE[2]
    turned = np.array([BASE[0], np.cos(turn) * down - np.sin(turn) * left, np.cos(turn) * left + np.sin(turn) * down])
    if accepted:
        geometry, _ = place_stack(stack(turned))
        assert_allclose(geometry.directions, turned)
    else:
        with pytest.raises(NotSemicoronalError, match=f"turned by {degrees} degrees"):
            place_stack(stack(turned))
