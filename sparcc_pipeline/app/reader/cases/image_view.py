"""Convert volumes to image views: sizes, windows, linked slices, joints as lines and polygons.

Contents: `view_images`, `index_map`. A view holds nothing of a header: no UID, no date, no absolute position (T1 is
placed relative to STIR).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.app.reader.cases.picture_store import as_uint16
from sparcc_pipeline.app.reader.readings.views import ImagesView, JointView, Polygon, SeriesPair, SeriesView
from sparcc_pipeline.rigid import RigidTransform, index_map
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices
from sparcc_pipeline.volume import BoolArray, FloatArray, Geometry, Volume

WINDOW_PERCENT: Final = (1.0, 99.5)
"""Percentiles of the signal that the first window shows black and white."""

LARGEST_GAP: Final = 0.6
"""Slices of two series are not linked if they are farther apart than this share of the spacing (as in
`imaging/alignment/second_contrast.py`)."""

POLYGON_TOLERANCE: Final = 0.4
"""Largest difference between a drawn quadrant and its mask, pixels."""

SMALLEST_POLYGON: Final = 12.0
"""Smallest area of a drawn piece of a quadrant, pixels."""


def view_images(stir: Volume, t1: Volume | None, joints: Joints | None, slices: SixSlices | None) -> ImagesView:
    """Return the image view of one time point; without joints, propose the six slices in the middle."""
    count = stir.geometry.shape[0]
    found = [] if joints is None else sorted(joints, key=lambda joint: (joint.slice_index, joint.side.value == "left"))
    to_stir = None if t1 is None else index_between(t1.geometry, stir.geometry)
    first = slices.first if slices is not None else max((count - SLICES_SCORED) // 2, 0)
    return ImagesView(
        series=SeriesPair(
            stir=_series(stir, np.eye(4)),
            t1=None if t1 is None else _series(t1, to_stir),
        ),
        stir_to_t1=None if t1 is None else _linked(stir.geometry, t1.geometry),
        t1_to_stir=None if t1 is None else _linked(t1.geometry, stir.geometry),
        proposed_first=first,
        centre=_centre(found, stir.geometry, first),
        joints=[_joint(joint, stir.geometry) for joint in found],
    )


def index_between(source: Geometry, onto: Geometry) -> FloatArray | None:
    """Return the (4, 4) matrix from an index of `source` to a fractional index of `onto`.

    None without a common frame of reference.
    """
    return index_map(source, onto, RigidTransform()) if _one_frame(source, onto) else None


def _one_frame(first: Geometry, second: Geometry) -> bool:
    """Return whether the scanner placed both in one frame of reference."""
    return first.frame_of_reference_uid is not None and first.frame_of_reference_uid == second.frame_of_reference_uid


def _series(volume: Volume, to_stir: FloatArray | None) -> SeriesView:
    pixels = as_uint16(volume.signal)
    low, high = (int(np.percentile(pixels, percent)) for percent in WINDOW_PERCENT)
    slices, rows, columns = volume.geometry.shape
    spacing = volume.geometry.spacing_mm
    return SeriesView(
        slices=slices,
        rows=rows,
        columns=columns,
        spacing_mm=(round(spacing[0], 4), round(spacing[1], 4), round(spacing[2], 4)),
        window=(low, max(high, low + 1)),
        range=(int(pixels.min()), int(pixels.max())),
        to_stir=None if to_stir is None else np.round(to_stir, 6).tolist(),
    )


def _linked(source: Geometry, other: Geometry) -> list[int | None] | None:
    """Return, for each slice of `source`, the slice of `other` at the middle of its image, or None if there is none.

    None as a whole without a common frame of reference.
    """
    if not _one_frame(source, other):
        return None
    slices, rows, columns = other.shape
    middle = source.to_index(other.to_mm(np.array([slices / 2, (rows - 1) / 2, (columns - 1) / 2])))
    places = np.tile(middle, (source.shape[0], 1))
    places[:, 0] = np.arange(source.shape[0])
    found: list[int | None] = []
    for at in other.to_index(source.to_mm(places))[:, 0].tolist():
        nearest = min(max(round(at), 0), slices - 1)
        found.append(nearest if abs(at - nearest) <= LARGEST_GAP else None)
    return found


def _centre(joints: list[JointSlice], geometry: Geometry, first: int) -> tuple[float, float, float]:
    """Return the middle between both joints on the proposed slices, or the middle of the image."""
    middles = [
        np.mean([joint.joint_line.mean(axis=0) for joint in joints if joint.side is side], axis=0)
        for side in Side
        if any(joint.side is side for joint in joints)
    ]
    row, column = (
        np.mean(middles, axis=0) / geometry.in_plane_mm
        if middles
        else ((geometry.shape[1] - 1) / 2, (geometry.shape[2] - 1) / 2)
    )
    return first + (SLICES_SCORED - 1) / 2, round(float(row), 2), round(float(column), 2)


def _joint(joint: JointSlice, geometry: Geometry) -> JointView:
    return JointView(
        slice_index=joint.slice_index,
        joint="right" if joint.side is Side.RIGHT else "left",
        height_mm=round(joint.height_mm, 1),
        line=_points(joint.joint_line / np.array(geometry.in_plane_mm)),
        quadrants={quadrant.value: _polygons(mask) for quadrant, mask in joint.quadrants.items()},
    )


def _polygons(mask: BoolArray) -> list[Polygon]:
    """Return the simplified outlines of a mask, in pixels."""
    if not mask.any():
        return []
    outlines = measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    return [_points(outline - 1) for outline in outlines if _area(outline) >= SMALLEST_POLYGON]


def _points(line: NDArray[Any]) -> Polygon:
    simple = measure.approximate_polygon(line, POLYGON_TOLERANCE)
    return [(round(float(row), 1), round(float(column), 1)) for row, column in simple]


def _area(outline: NDArray[Any]) -> float:
    rows, columns = outline.T
    return float(abs(np.dot(rows, np.roll(columns, 1)) - np.dot(columns, np.roll(rows, 1))) / 2)
