"""The places on the source images that the groups of a report were measured on, so that viewers go there and draw them.

Each number of a group is inferred from its place. OHIF shows no report with a group that has no place on an image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.dicom.output.stored_plane import StoredPlane
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.score import SparccScore
from sparcc_pipeline.volume import BoolArray, FloatArray

SIDE_COLUMNS: Final = {Side.RIGHT: (0.25, 0.5), Side.LEFT: (0.5, 0.75)}
SIDE_ROWS: Final = (0.25, 0.75)
"""Part of an image, as fractions, that stands for a joint without an outline: beside the middle, on its side."""

ABOVE_JOINTS_MM: Final = 15.0
"""Distance of the line of the totals from the joints, so that their words do not cover those of a joint."""


@dataclass(frozen=True, eq=False)
class Region:
    """A line or a closed outline on one source image: `points` is (n, 2) float64 (column, row), as stored."""

    slice_index: int
    points: FloatArray


class Regions(ABC):
    """The regions of a score or a reading.

    Parameters
    ----------
    plane : the source's images as stored
    """

    def __init__(self, plane: StoredPlane) -> None:
        self.plane = plane

    @abstractmethod
    def joint(self, slice_index: int, side: Side) -> Region:
        """Return the place of one joint on one slice."""

    @abstractmethod
    def quadrant(self, slice_index: int, side: Side, quadrant: Quadrant) -> Region | None:
        """Return the outline of a quadrant, or None if it has none."""

    @abstractmethod
    def upper_end(self, slice_index: int, side: Side) -> FloatArray:
        """Return the upper end (2,) (row_mm, column_mm) of the place of one joint."""

    def total(self, score: SparccScore) -> Region:
        """Return a line over the joints of the slice with the most points, where viewers open the report.

        Viewers write the totals at its right end, which is in the middle, so that the words have room.
        """
        given: Counter[int] = Counter()
        for joint in score.joints:
            given[joint.slice] += joint.points
        index = score.slices.indices[given.most_common(1)[0][0]]
        right, left = (self.upper_end(index, side) - (ABOVE_JOINTS_MM, 0.0) for side in (Side.RIGHT, Side.LEFT))
        return Region(index, self.plane.place(np.array([right, (right + left) / 2])))

    def side(self, slice_index: int, side: Side) -> Region:
        """Return the part of an image that stands for a joint without an outline."""
        (left, right), (top, bottom) = SIDE_COLUMNS[side], SIDE_ROWS
        return Region(slice_index, self.plane.rectangle((top, left), (bottom, right)))


class ScoreRegions(Regions):
    """The joint lines and quadrants that a score was measured on; where no joint is visible, that side of the image."""

    def __init__(self, plane: StoredPlane, joints: Joints) -> None:
        super().__init__(plane)
        self._joints = joints

    def joint(self, slice_index: int, side: Side) -> Region:
        """Return the joint line."""
        found = self._joints.at(slice_index, side)
        return self.side(slice_index, side) if found is None else Region(slice_index, self._line(found))

    def quadrant(self, slice_index: int, side: Side, quadrant: Quadrant) -> Region | None:
        """Return the outline of the quadrant's largest part."""
        found = self._joints.at(slice_index, side)
        outline = None if found is None else self.plane.outline(found.quadrants[quadrant])
        return None if outline is None else Region(slice_index, outline)

    def upper_end(self, slice_index: int, side: Side) -> FloatArray:
        """Return the upper end of the joint line."""
        found = self._joints.at(slice_index, side)
        return _upper_middle(self.plane, side) if found is None else found.joint_line[0]

    def _line(self, joint: JointSlice) -> FloatArray:
        return self.plane.line(joint.joint_line)


class ReadingRegions(Regions):
    """The sides of the images that a person read: a reading outlines nothing."""

    def joint(self, slice_index: int, side: Side) -> Region:
        """Return the part of the image on that side."""
        return self.side(slice_index, side)

    def quadrant(self, slice_index: int, side: Side, quadrant: Quadrant) -> None:
        """Return None."""

    def upper_end(self, slice_index: int, side: Side) -> FloatArray:
        """Return the middle of the upper border of that side."""
        return _upper_middle(self.plane, side)


def segment_regions(plane: StoredPlane, segments: Sequence[BoolArray]) -> list[Region]:
    """Return the outline of each segment where it is large; of an empty one, the border of an image.

    Each has a slice of its own if there are enough, because viewers write the volumes beside the outlines.

    Parameters
    ----------
    segments : (slices, rows, columns) bool for each
    """
    areas = [voxels.sum(axis=(1, 2)) for voxels in segments]
    chosen: dict[int, int] = {}
    # A segment of few slices has the least choice.
    for number in sorted(range(len(segments)), key=lambda number: np.count_nonzero(areas[number]) or np.inf):
        free = areas[number].astype(float)
        free[list(set(chosen.values()))] = 0
        chosen[number] = int((free if free.any() else areas[number]).argmax())
    return [_segment_region(plane, chosen[number], voxels) for number, voxels in enumerate(segments)]


def _segment_region(plane: StoredPlane, index: int, voxels: BoolArray) -> Region:
    outline = plane.outline(voxels[index])
    return Region(index, plane.rectangle((0.0, 0.0), (1.0, 1.0)) if outline is None else outline)


def _upper_middle(plane: StoredPlane, side: Side) -> FloatArray:
    """Return (row_mm, column_mm) of the middle of the upper border of one side."""
    sizes_mm = np.array(plane.shape) * plane.in_plane_mm
    middle: FloatArray = np.array((SIDE_ROWS[0], sum(SIDE_COLUMNS[side]) / 2)) * sizes_mm
    return middle
