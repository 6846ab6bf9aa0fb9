"""Normal marrow at each height: its values, and their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcc_pipeline.imaging.marrow_height import BAND_MM, HALF_TRUSTED_MM3, marrow_by_height
from sparcc_pipeline.volume import BoolArray, Geometry

SHAPE = (7, 120, 60)
SPACING = (4.0, 1.0, 1.0)
GEOMETRY = Geometry(SHAPE, (0.0, 0.0, 0.0), ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)), SPACING)
MARROW = 200.0
ROWS = np.arange(SHAPE[1])[None, :, None]


def region(columns: int = 40) -> BoolArray:
    """Marrow on slices 2-4, rows 20-99."""
    inside = np.zeros(SHAPE, dtype=bool)
    inside[2:5, 20:100, 10 : 10 + columns] = True
    return inside


@given(level=st.floats(0.3, 3.0), noise=st.floats(0.0, 0.2), seed=st.integers(0, 99))
def test_it_is_between_the_value_of_the_study_and_that_of_the_band(level: float, noise: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    signal = (MARROW * level * random.uniform(1 - noise, 1 + noise, SHAPE)).astype(np.float32)
    found = marrow_by_height(signal, region(), GEOMETRY, MARROW)

    assert found.shape == SHAPE[:2]
    low, high = sorted((MARROW, float(np.median(signal[region()]))))
    assert low * (1 - noise) - 0.01 <= found.min() and found.max() <= high * (1 + noise) + 0.01


@given(factor=st.floats(0.01, 1000.0))
def test_the_units_of_the_scanner_do_not_matter(factor: float) -> None:
    signal = (MARROW * (1 + 0.3 * np.sin(ROWS / 20)) * np.ones(SHAPE)).astype(np.float32)
    found = marrow_by_height(signal, region(), GEOMETRY, MARROW)

    scaled = marrow_by_height((signal * np.float32(factor)), region(), GEOMETRY, MARROW * factor)
    np.testing.assert_allclose(scaled, found * factor, rtol=1e-3)


@given(slope=st.floats(-0.004, 0.004))
def test_it_follows_a_slow_slope(slope: float) -> None:
    signal = (MARROW * np.exp(slope * (ROWS - 60)) * np.ones(SHAPE)).astype(np.float32)
    found = marrow_by_height(signal, region(), GEOMETRY, MARROW)

    trust = 1 - HALF_TRUSTED_MM3 / (BAND_MM * 40 * 3 * 4.0 + HALF_TRUSTED_MM3)
    expected = MARROW * np.exp(trust * slope * (np.arange(35, 85) - 60))
    np.testing.assert_allclose(found[3, 35:85], expected, rtol=0.02)


def test_without_marrow_it_is_the_value_of_the_study() -> None:
    signal = np.full(SHAPE, 3 * MARROW, dtype=np.float32)
    found = marrow_by_height(signal, region(), GEOMETRY, MARROW)

    # Neighbouring slices use the marrow of slices 2-4; slices farther away have none.
    assert (found[[0, 6]] == np.float32(MARROW)).all()
    assert (found[[1, 5], 60] > 2 * MARROW).all()
    assert (marrow_by_height(signal, region(0), GEOMETRY, MARROW) == np.float32(MARROW)).all()


def test_little_marrow_moves_it_little() -> None:
    signal = np.full(SHAPE, 2 * MARROW, dtype=np.float32)
    much, little = (marrow_by_height(signal, region(n), GEOMETRY, MARROW)[3, 60] for n in (40, 1))

    assert little < 1.15 * MARROW < 1.7 * MARROW < much


def test_a_lesion_in_a_band_does_not_move_it() -> None:
    signal = np.full(SHAPE, MARROW, dtype=np.float32)
    signal[2:5, 50:70, 10:26] = 4 * MARROW
    found = marrow_by_height(signal, region(), GEOMETRY, MARROW)

    assert found == pytest.approx(np.full(SHAPE[:2], MARROW), rel=1e-3)
