"""Place lines and outlines of the project's axes on the stored images. Source: [DicomPS3.3] C.18.6.1.2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from skimage import measure

from sparcc_pipeline.volume import BoolArray, FloatArray, Geometry, StorageOrder

TOLERANCE_PIXELS: Final = 0.5
"""An outline that was simplified is nowhere farther than this from the outline of the pixels."""


@dataclass(frozen=True)
class StoredPlane:
    """The slices of a source as they are stored.

    A position in the project's axes is (row_mm, column_mm) from the centre of the first pixel. A position in the stored
    image is (column, row), and 0 is the outer corner of the first pixel.

    Parameters
    ----------
    shape : (rows, columns) of the project's axes
    in_plane_mm : (between rows, between columns), of the project's axes
    flipped : rows, columns of the project's axes run the other way in the stored image
    transposed : rows of the project's axes are columns of the stored image
    """

    shape: tuple[int, int]
    in_plane_mm: tuple[float, float]
    flipped: tuple[bool, bool]
    transposed: bool

    @classmethod
    def of(cls, geometry: Geometry, storage: StorageOrder) -> Self:
        """Return the plane of a volume."""
        (_, rows, columns), (_, *flipped) = geometry.shape, storage.flipped
        turned = storage.source_axis[1] > storage.source_axis[2]
        return cls((rows, columns), geometry.in_plane_mm, (flipped[0], flipped[1]), turned)

    def place(self, points_mm: FloatArray) -> FloatArray:
        """Return (n, 2) float64 (column, row) in the stored image of (n, 2) positions (row_mm, column_mm)."""
        indices = points_mm / np.array(self.in_plane_mm)
        sizes = np.array(self.shape, dtype=float)
        indices = np.where(self.flipped, sizes - 1 - indices, indices)
        placed = np.clip(indices + 0.5, 0.0, sizes)
        return np.ascontiguousarray(placed if self.transposed else placed[:, ::-1])

    def outlines(self, mask: BoolArray) -> Iterator[FloatArray]:
        """Yield each outline of a (rows, columns) bool mask as (n, 2) positions (column, row), closed."""
        for contour in _contours(mask):
            yield self.place(contour * np.array(self.in_plane_mm))

    def outline(self, mask: BoolArray) -> FloatArray | None:
        """Return the outline of the largest part of a (rows, columns) bool mask, simplified; None if it is empty."""
        largest = max(_contours(mask), key=_area, default=None)
        if largest is None:
            return None
        return self.place(measure.approximate_polygon(largest, TOLERANCE_PIXELS) * np.array(self.in_plane_mm))

    def line(self, points_mm: FloatArray) -> FloatArray:
        """Return (n, 2) positions (column, row) of a line through (n, 2) positions (row_mm, column_mm), simplified."""
        pixels = points_mm / np.array(self.in_plane_mm)
        return self.place(measure.approximate_polygon(pixels, TOLERANCE_PIXELS) * np.array(self.in_plane_mm))

    def rectangle(self, low: tuple[float, float], high: tuple[float, float]) -> FloatArray:
        """Return (5, 2) positions (column, row) of a closed rectangle; corners are fractions of (rows, columns)."""
        corners = [low, (low[0], high[1]), high, (high[0], low[1]), low]
        indices = np.array(corners) * np.array(self.shape) - 0.5
        return self.place(indices * np.array(self.in_plane_mm))


def _contours(mask: BoolArray) -> list[FloatArray]:
    if not mask.any():
        return []
    return [contour - 1 for contour in measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5)]


def _area(contour: FloatArray) -> float:
    """Return the area within a closed contour, in pixels."""
    rows, columns = contour.T
    return abs(float(np.dot(rows[:-1], columns[1:]) - np.dot(rows[1:], columns[:-1]))) / 2
