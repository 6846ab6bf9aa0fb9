"""Geometry, storage order, volumes and tissue maps: every object that exists is valid."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparcc_pipeline.errors import GeometryError
from sparcc_pipeline.volume import Geometry, SeriesRef, StorageOrder, TissueMaps, Volume, same_geometry

TILT = math.radians(40)
GEOMETRY = Geometry(
    shape=(8, 10, 12),
    origin_mm=(-60.0, -30.0, 20.0),
    directions=(
        (0.0, math.cos(TILT), math.sin(TILT)),
        (0.0, math.sin(TILT), -math.cos(TILT)),
        (1.0, 0.0, 0.0),
    ),
    spacing_mm=(4.0, 0.6, 0.7),
    frame_of_reference_uid="1.2.3",
)


def maps(**changed: object) -> TissueMaps:
    """Empty tissue maps of `GEOMETRY`."""
    fields: dict[str, object] = {
        "geometry": GEOMETRY,
        "anatomy": np.zeros(GEOMETRY.shape, dtype=np.uint8),
        "edema_probability": np.zeros(GEOMETRY.shape, dtype=np.float32),
        "edema_threshold": 0.3,
        "vessel": np.zeros(GEOMETRY.shape, dtype=bool),
        "ligamentous": np.zeros(GEOMETRY.shape[0], dtype=np.float32),
    }
    return TissueMaps(**(fields | changed))  # type: ignore[arg-type]


def test_the_affine_gives_the_place_of_a_voxel() -> None:
    index = np.array([2, 3, 5, 1])
    steps = zip(index[:3], GEOMETRY.spacing_mm, GEOMETRY.directions, strict=True)
    expected = np.array(GEOMETRY.origin_mm) + sum(i * mm * np.array(d) for i, mm, d in steps)

    assert_allclose((GEOMETRY.affine @ index)[:3], expected)
    assert_allclose(GEOMETRY.affine[3], [0, 0, 0, 1])


def test_measures_in_the_plane() -> None:
    assert GEOMETRY.in_plane_mm == (0.6, 0.7)
    assert GEOMETRY.pixel_area_mm2 == pytest.approx(0.42)
    assert GEOMETRY.tilt_degrees == pytest.approx(40.0)


def test_slice_positions_grow_posteriorly_by_the_spacing() -> None:
    positions = [GEOMETRY.slice_position_mm(k) for k in range(8)]

    assert_allclose(np.diff(positions), 4.0)
    centre = (GEOMETRY.affine @ [3, 4, 5, 1])[:3]
    assert positions[3] == pytest.approx(float(np.dot(centre, GEOMETRY.directions[0])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (0, 10, 12)}, "positive sizes"),
        ({"spacing_mm": (4.0, 0.0, 0.7)}, "PixelSpacing"),
        ({"spacing_mm": (4.0, -0.6, 0.7)}, "PixelSpacing"),
        ({"spacing_mm": (math.nan, 0.6, 0.7)}, "PixelSpacing"),
        ({"spacing_mm": (math.inf, 0.6, 0.7)}, "PixelSpacing"),
        ({"directions": (*GEOMETRY.directions[:2], (0.98, 0.2, 0.0))}, "perpendicular"),
        ({"directions": (*GEOMETRY.directions[:2], (1.01, 0.0, 0.0))}, "perpendicular"),
    ],
)
def test_an_impossible_geometry_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        replace(GEOMETRY, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", range(3))
def test_an_axis_that_runs_backwards_is_refused(axis: int) -> None:
    directions = [d if a != axis else tuple(-c for c in d) for a, d in enumerate(GEOMETRY.directions)]

    with pytest.raises(GeometryError, match="anterior to posterior"):
        replace(GEOMETRY, directions=tuple(directions))  # type: ignore[arg-type]


def test_rounded_directions_of_real_headers_are_accepted() -> None:
    rounded = tuple(tuple(round(c, 3) for c in d) for d in GEOMETRY.directions)

    assert replace(GEOMETRY, directions=rounded).tilt_degrees == pytest.approx(40, abs=0.1)  # type: ignore[arg-type]


def test_same_geometry_compares_every_corner() -> None:
    # 0.1 mm more a slice is 0.7 mm at the far end.
    stretched = replace(GEOMETRY, spacing_mm=(4.1, 0.6, 0.7))

    assert same_geometry(GEOMETRY, GEOMETRY, 0.0)
    assert same_geometry(GEOMETRY, stretched, 0.71)
    assert not same_geometry(GEOMETRY, stretched, 0.69)


@pytest.mark.parametrize(
    "change", [{"frame_of_reference_uid": "1.2.4"}, {"frame_of_reference_uid": None}, {"shape": (8, 10, 13)}]
)
def test_another_frame_or_shape_is_another_geometry(change: dict[str, object]) -> None:
    assert not same_geometry(GEOMETRY, replace(GEOMETRY, **change), 1e6)  # type: ignore[arg-type]


@pytest.mark.parametrize("source_axis", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flipped", list(itertools.product((False, True), repeat=3)))
def test_every_storage_order_takes_the_axis_it_names(
    source_axis: tuple[int, int, int], flipped: tuple[bool, bool, bool]
) -> None:
    stored = np.arange(24).reshape(2, 3, 4)
    own = StorageOrder(source_axis, flipped).from_source(stored)

    assert own.shape == tuple(stored.shape[a] for a in source_axis)
    assert_array_equal(StorageOrder(source_axis, flipped).to_source(own), stored)
    for axis in range(3):
        step = np.take(own, 1, axis) - np.take(own, 0, axis)
        expected = (12, 4, 1)[source_axis[axis]] * (-1 if flipped[axis] else 1)
        assert np.all(step == expected)


def test_a_volume_is_float32_of_its_geometry_and_read_only() -> None:
    volume = Volume(np.zeros(GEOMETRY.shape, dtype=np.int16), GEOMETRY, SeriesRef(None, None))

    assert volume.signal.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        volume.signal[0, 0, 0] = 1
    with pytest.raises(GeometryError, match="expected an array of shape"):
        Volume(np.zeros((8, 10, 13), dtype=np.float32), GEOMETRY, SeriesRef(None, None))


def test_a_volume_does_not_change_with_the_array_it_was_cut_from() -> None:
    larger = np.zeros((9, 10, 12), dtype=np.float32)
    volume = Volume(larger[:8], GEOMETRY, SeriesRef(None, None))
    larger[:] = 7

    assert volume.signal.max() == 0


def test_tissue_maps_are_read_only() -> None:
    tissue = maps()

    for name in ("anatomy", "edema_probability", "vessel", "ligamentous"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(tissue, name)[...] = 1


@pytest.mark.parametrize("name", ["anatomy", "edema_probability", "vessel"])
def test_tissue_maps_of_another_shape_are_refused(name: str) -> None:
    with pytest.raises(GeometryError, match=f"expected {name} of shape"):
        maps(**{name: np.zeros((8, 10, 13))})


def test_one_ligamentous_probability_a_slice() -> None:
    with pytest.raises(GeometryError, match="one ligamentous probability a slice"):
        maps(ligamentous=np.zeros(7, dtype=np.float32))


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="edema_threshold"):
        maps(edema_threshold=threshold)


def test_a_probability_at_the_threshold_is_edema() -> None:
    probability = np.zeros(GEOMETRY.shape, dtype=np.float32)
    # 0.3 is no float32 number: the comparison must not depend on its rounding.
    probability[0, 0, :3] = (np.nextafter(np.float32(0.3), np.float32(0)), 0.3, 0.31)

    assert_array_equal(maps(edema_probability=probability).edema[0, 0, :4], [False, True, True, False])
