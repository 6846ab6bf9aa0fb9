"""The part of a slice that a picture shows, and a pen that draws on it in mm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw
from skimage import measure

from sparcc_pipeline.app.report.pictures.marks import Point
from sparcc_pipeline.volume import BoolArray, FloatArray

SUPERSAMPLING: Final = 3
"""Lines are drawn this many times larger and then reduced, so that they are smooth."""


@dataclass(frozen=True)
class View:
    """The part of a slice that is shown, and its scale.

    `first` and `last` are the (row, column) pixels at its corners, inclusive.
    """

    first: tuple[int, int]
    last: tuple[int, int]
    in_plane_mm: tuple[float, float]
    pixels_per_mm: float

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of one panel in picture pixels."""
        height, width = (
            round((end - start + 1) * spacing * self.pixels_per_mm)
            for start, end, spacing in zip(self.first, self.last, self.in_plane_mm, strict=True)
        )
        return width, height

    def place(self, points_mm: FloatArray) -> list[Point]:
        """Return the picture (x, y) of (n, 2) points (row_mm, column_mm), in mm from the centre of the first pixel."""
        corner = (np.array(self.first) - 0.5) * self.in_plane_mm
        placed = (points_mm - corner) * self.pixels_per_mm
        return [(float(column), float(row)) for row, column in placed]


class Pen:
    """Draws smooth lines, given in mm or as masks, on a transparent layer of one panel."""

    def __init__(self, view: View) -> None:
        self._view = view
        width, height = view.size
        self._layer = Image.new("RGBA", (width * SUPERSAMPLING, height * SUPERSAMPLING), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self._layer)

    def line(self, points_mm: FloatArray, colour: str, width: float, opacity: int = 255) -> None:
        """Draw a line through (n, 2) points (row_mm, column_mm)."""
        places = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in self._view.place(points_mm)]
        fill = (*_rgb(colour), opacity)
        self._draw.line(places, fill=fill, width=max(round(width * SUPERSAMPLING), 1), joint="curve")

    def outline(self, mask: BoolArray, colour: str, width: float, opacity: int = 255) -> None:
        """Draw the outline of a (rows, columns) bool mask."""
        if mask.any():
            for contour in measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
                self.line((contour - 1) * self._view.in_plane_mm, colour, width, opacity)

    def layer(self) -> Image.Image:
        """Return the layer at the size of the panel."""
        return self._layer.resize(self._view.size, Image.Resampling.BOX)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
