"""Make presentation states: marks over the source images, for viewers that support them.

Coordinates refer to the stored image, so findings are converted from the project's axes to the stored order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom import ModalityLUTTransformation
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    SoftcopyVOILUTTransformation,
    TextObject,
)
from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.dicom.output.result_header import RESEARCH_ONLY, Kind, ResultHeader
from sparcc_pipeline.dicom.output.stored_plane import StoredPlane
from sparcc_pipeline.sparcc.intensity import CSF, DISC, VESSELS, reference_region
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.volume import BoolArray, FloatArray, StorageOrder, TissueMaps

LAYERS: Final = {
    "JOINT": "#56B4E9",
    "QUADRANTS": "#FFFFFF",
    "EDEMA": "#E69F00",
    "VESSELS": "#F0E442",
    "CSF": "#F0E442",
    "DISC": "#F0E442",
    "POINTS": "#FFFFFF",
}
"""Graphic layers and their colors, the same as in the pictures, in the order of drawing."""

REFERENCE_LAYERS: Final = {VESSELS: "VESSELS", CSF: "CSF", DISC: "DISC"}
"""The layer of each kind of reference signal; a state has only one of them."""

CONTENT_TIME: Final = ("content_date", "content_time")
"""Arguments that a presentation state does not take; it has a time of creation instead."""

BELOW_JOINT_MM: Final = 8.0
"""Distance from the joint line down to the text of intensity and depth."""


@dataclass(frozen=True)
class Marked:
    """The findings to draw, and the window: the signal shown as black and as white."""

    score: SparccScore
    tissue: TissueMaps
    joints: Joints
    storage: StorageOrder
    window: tuple[float, float]


def make_presentation_states(header: ResultHeader, marked: Marked) -> Iterator[Dataset]:
    """Yield one presentation state for the six slices, or several if their rescale differs.

    A presentation state has one modality LUT, and Philips rescales each image separately.
    """
    groups: dict[tuple[float, float], list[int]] = defaultdict(list)
    for index in marked.score.slices.indices:
        groups[header.source.images[index].rescale].append(index)
    for number, (rescale, indices) in enumerate(groups.items(), start=1):
        yield _state(header, marked, indices, rescale, number)


def _state(
    header: ResultHeader, marked: Marked, indices: list[int], rescale: tuple[float, float], number: int
) -> Dataset:
    datasets, multiframe = header.source.datasets(), header.source.is_multiframe
    reference = marked.score.reference_signal
    others = set(REFERENCE_LAYERS.values()) - ({REFERENCE_LAYERS[reference.kind]} if reference else set())
    used = {name: color for name, color in LAYERS.items() if name not in others}
    layers = {
        name: GraphicLayer(name, order, display_color=CIELabColor.from_string(color))
        for order, (name, color) in enumerate(used.items(), start=1)
    }
    annotations = []
    for index in indices:
        image = header.source.images[index]
        for name, graphics, texts in _drawn(marked, index):
            if graphics or texts:
                annotations.append(
                    GraphicAnnotation(
                        referenced_images=datasets if multiframe else [datasets[index]],
                        referenced_frame_number=image.frame_number,
                        graphic_layer=layers[name],
                        graphic_objects=graphics or None,
                        text_objects=texts or None,
                    )
                )
    black, white = marked.window
    slope, intercept = rescale
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=datasets if multiframe else [datasets[index] for index in indices],
        content_label="SPARCC",
        content_description=RESEARCH_ONLY,
        content_creator_name="sparcc-pipeline^",
        graphic_annotations=annotations or None,
        graphic_layers=list(layers.values()) if annotations else None,
        modality_lut_transformation=None
        if rescale == (1.0, 0.0)
        else ModalityLUTTransformation(intercept, slope, "US"),
        voi_lut_transformations=[
            SoftcopyVOILUTTransformation(window_center=(black + white) / 2, window_width=max(white - black, 1.0))
        ],
        **{name: value for name, value in header.common(Kind.PRESENTATION, number).items() if name not in CONTENT_TIME},
    )
    made = header.origin.created_at
    state.PresentationCreationDate, state.PresentationCreationTime = DA(made.date()), TM(made.time())
    if multiframe:
        frames = [f for i in indices if (f := header.source.images[i].frame_number) is not None]
        for series in state.ReferencedSeriesSequence:
            for reference in series.ReferencedImageSequence:
                reference.ReferencedFrameNumber = frames
    return state


def _drawn(marked: Marked, index: int) -> Iterator[tuple[str, list[GraphicObject], list[TextObject]]]:
    """Yield layer, lines and texts of one slice."""
    pen = _Pen(StoredPlane.of(marked.tissue.geometry, marked.storage))
    position = marked.score.slices.indices.index(index)
    scores = {joint.side: joint for joint in marked.score.joints if joint.slice == position}
    found = [joint for side in Side if (joint := marked.joints.at(index, side)) is not None]
    yield "JOINT", [pen.line(joint.joint_line) for joint in found], []
    yield "QUADRANTS", [line for joint in found for mask in joint.quadrants.values() for line in pen.outlines(mask)], []
    yield "EDEMA", list(pen.outlines(marked.tissue.edema[index])), []
    if marked.score.reference_signal is not None:
        region = reference_region(marked.tissue, marked.score.reference_signal)
        yield REFERENCE_LAYERS[marked.score.reference_signal.kind], list(pen.outlines(region[index])), []
    yield "POINTS", [], [text for joint in found for text in _points(pen, joint, scores[joint.side])]


def _points(pen: _Pen, joint: JointSlice, score: JointSliceScore) -> Iterator[TextObject]:
    """Yield the point of each quadrant, at its center, and intensity and depth, below the joint."""
    for quadrant, mask in joint.quadrants.items():
        if mask.any():
            yield pen.text(_shown(score.edema[quadrant]), np.argwhere(mask).mean(axis=0) * pen.in_plane_mm)
    below = joint.joint_line[-1] + np.array([BELOW_JOINT_MM, 0.0])
    yield pen.text(f"I {_shown(score.intense)}  D {_shown(score.deep)}", below)


def _shown(point: int | None) -> str:
    return "-" if point is None else str(point)


class _Pen:
    """Draw from positions in the project's axes, (row_mm, column_mm), in pixels of the stored image."""

    def __init__(self, plane: StoredPlane) -> None:
        self._plane = plane
        self.in_plane_mm = np.array(plane.in_plane_mm)

    def line(self, points_mm: FloatArray) -> GraphicObject:
        return GraphicObject("POLYLINE", self._plane.place(points_mm), units="PIXEL")

    def outlines(self, mask: BoolArray) -> Iterator[GraphicObject]:
        for outline in self._plane.outlines(mask):
            yield GraphicObject("POLYLINE", outline, units="PIXEL")

    def text(self, text: str, at_mm: FloatArray) -> TextObject:
        column, row = self._plane.place(at_mm[None])[0]
        anchor = (float(column), float(row))
        return TextObject(text, units="PIXEL", anchor_point=anchor, anchor_point_visible=False)
