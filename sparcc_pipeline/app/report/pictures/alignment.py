"""Pictures of an alignment: a checkerboard of both visits, and the bones of the follow-up on the baseline.

Only these pictures show a follow-up that is resampled onto the baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image
from scipy import ndimage

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel
from sparcc_pipeline.app.report.language import Language
from sparcc_pipeline.app.report.pictures.marks import RESEARCH_USE
from sparcc_pipeline.app.report.pictures.overlay import (
    GAP_PIXELS,
    JOINT_LINE,
    PIXELS_PER_MM,
    display_window,
    panel,
    view_of,
)
from sparcc_pipeline.app.report.pictures.sheet import Cell, Entry, sheet, with_scale
from sparcc_pipeline.app.report.pictures.view import Pen, View
from sparcc_pipeline.app.study.compare import Compared
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.imaging.alignment.registration import resample
from sparcc_pipeline.message import Message
from sparcc_pipeline.rigid import RigidTransform, index_map
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import FloatArray, Geometry, slice_number

SACRUM: Final = "#F0E442"
ILIUM: Final = "#CC79A7"
"""Outlines of the bones of the follow-up, in colours that no annotation uses."""

LARGEST_ROW_PIXELS: Final = 1530

SQUARE_MM: Final = 15.0
ALIGNMENT_SLICES: Final = (1, 4)
"""Places, within the six, of the slices that show the alignment: one anterior, one posterior."""


class AlignmentPictures:
    """A follow-up aligned with two slices of the baseline."""

    def __init__(self, baseline: Scored, follow_up: Compared, words: Language) -> None:
        self._baseline, self._follow_up, self._words = baseline, follow_up, words
        self._slices = [baseline.score.slices.indices[place] for place in ALIGNMENT_SLICES]
        self._view, self._window = fitted(view_of(baseline), 2), display_window(baseline)
        self._to_follow_up = map_between(baseline, follow_up)

    def checkerboard(self) -> Image.Image:
        """Return a checkerboard with alternating squares of both visits."""
        moving = self._follow_up.scored
        signal = resample(moving.study.stir, transform_of(self._follow_up), geometry_of(self._baseline))
        window = display_window(moving)
        width, height = self._view.size
        rows, columns = np.indices((height, width)) // (SQUARE_MM * self._view.pixels_per_mm)
        theirs = Image.fromarray(((rows + columns) % 2 == 1).astype(np.uint8) * 255)
        pictures = [
            Image.composite(panel(signal[index], self._view, *window), self._gray(index), theirs)
            for index in self._slices
        ]
        name = self._words.say(self._follow_up.visit.name).lower()
        return self._sheet(
            pictures, [(None, Message("Alternating squares: baseline (upper left), {visit}", visit=name))]
        )

    def edges(self) -> Image.Image:
        """Return the baseline with the bones and joint lines of the follow-up."""
        moving, to_follow_up = self._follow_up.scored, self._to_follow_up
        shape = geometry_of(self._baseline).shape
        anatomy = ndimage.affine_transform(
            moving.tissue.anatomy, to_follow_up[:3, :3], to_follow_up[:3, 3], output_shape=shape, order=0
        )
        pictures = []
        for index in self._slices:
            pen = Pen(self._view)
            pen.outline(anatomy[index] == AnatomyLabel.SACRUM, SACRUM, 1.6)
            for label in ILIUM_LABEL.values():
                pen.outline(anatomy[index] == label, ILIUM, 1.6)
            for joint in moving.joints:
                for piece in self._on_slice(joint, index):
                    pen.line(piece, JOINT_LINE, 2.2)
            gray = self._gray(index).convert("RGBA")
            pictures.append(Image.alpha_composite(gray, pen.layer()).convert("RGB"))
        name = self._follow_up.visit.name
        return self._sheet(
            pictures,
            [
                (SACRUM, Message("{visit}: sacrum", visit=name)),
                (ILIUM, Message("ilium")),
                (JOINT_LINE, Message("joint")),
            ],
        )

    def _on_slice(self, joint: JointSlice, slice_index: int) -> list[FloatArray]:
        """Return the pieces of a joint line of the follow-up on a baseline slice, each (n, 2) (row_mm, column_mm).

        A place shows the nearest slice of the follow-up, as with nearest-neighbour labels.
        """
        here, baseline = geometry_of(self._follow_up.scored), geometry_of(self._baseline)
        in_plane = joint.joint_line / np.array(here.in_plane_mm)
        line_mm = here.to_mm(np.column_stack([np.full(len(in_plane), joint.slice_index), in_plane]))
        there = baseline.to_index(transform_of(self._follow_up).inverse().apply(line_mm))
        there[:, 0] = slice_index
        nearest = np.rint(apply(self._to_follow_up, there)[:, 0]) == joint.slice_index
        points = there[:, 1:] * baseline.in_plane_mm
        runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(nearest)) + 1)
        return [points[run] for run in runs if nearest[run[0]] and len(run) > 1]

    def _gray(self, slice_index: int) -> Image.Image:
        return panel(self._baseline.study.stir.signal[slice_index], self._view, *self._window)

    def _sheet(self, pictures: Sequence[Image.Image], legend: Sequence[Entry]) -> Image.Image:
        cells = [
            Cell(
                with_scale(picture, self._view),
                Message("{visit}, slice {slice}", visit=Message("Baseline"), slice=slice_number(index)),
            )
            for picture, index in zip(pictures, self._slices, strict=True)
        ]
        return sheet(cells, 1, [(None, RESEARCH_USE), *legend], self._words)


def fitted(view: View, columns: int) -> View:
    """Return the same part of the slice at a scale at which `columns` of it fit into the widest row."""
    shown_mm = (view.last[1] - view.first[1] + 1) * view.in_plane_mm[1]
    widest = (LARGEST_ROW_PIXELS - (columns - 1) * GAP_PIXELS) // columns
    return replace(view, pixels_per_mm=min(PIXELS_PER_MM, widest / shown_mm))


def map_between(baseline: Scored, follow_up: Compared) -> FloatArray:
    """Return the (4, 4) homogeneous matrix from (slice, row, column) of the baseline to those of the follow-up."""
    return index_map(geometry_of(baseline), geometry_of(follow_up.scored), transform_of(follow_up))


def apply(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Return (n, 3) points transformed by a (4, 4) homogeneous matrix."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def transform_of(follow_up: Compared) -> RigidTransform:
    """Return the motion from the baseline to a follow-up."""
    return follow_up.alignment.registration.transform


def geometry_of(scored: Scored) -> Geometry:
    """Return the geometry of the STIR volume."""
    return scored.study.stir.geometry
