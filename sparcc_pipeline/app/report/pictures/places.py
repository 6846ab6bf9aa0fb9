"""The places of the twelve points of a slice on its panel."""

from __future__ import annotations

from typing import Final

from sparcc_pipeline.anatomy import Bone, Level, Quadrant
from sparcc_pipeline.app.report.pictures.marks import Point
from sparcc_pipeline.app.report.pictures.view import View
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import FloatArray

LABEL_DISTANCE_MM: Final = {Bone.ILIUM: 24.0, Bone.SACRUM: 25.0}
"""Distance of a point from the joint, in each bone."""


def item_places(joint: JointSlice, view: View) -> dict[str, Point]:
    """Return the (x, y) on a panel of the point of each item, by its key in `score.json`."""
    places = {}
    for quadrant in Quadrant:
        (x, y), *_ = view.place(_label_place(joint, quadrant)[None])
        places[quadrant.value] = _inside((x, y), view)
    (x, y), *_ = view.place(joint.joint_line[-1][None] + [[6.0, 0.0]])
    for step, item in enumerate(("intense", "deep")):
        places[item] = _inside((x + (2 * step - 1) * 21, y), view)
    return places


def _label_place(joint: JointSlice, quadrant: Quadrant) -> FloatArray:
    """Return the (row_mm, column_mm) beside the middle of a quadrant's half of the joint, away from the joint."""
    count = len(joint.joint_line)
    at = count // 4 if quadrant.level is Level.UPPER else (3 * count) // 4
    place: FloatArray = joint.joint_line[at] + LABEL_DISTANCE_MM[quadrant.bone] * joint.normals_into(quadrant.bone)[at]
    return place


def _inside(at: Point, view: View) -> Point:
    width, height = view.size
    return min(max(at[0], 24), width - 24), min(max(at[1], 14), height - 14)
