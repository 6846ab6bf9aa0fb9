"""The references of a score on its pictures: of intensity, and normal marrow with its signal at each height."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Level
from sparcc_pipeline.app.study.score import Scored
from sparcc_pipeline.imaging.model.normalize import joint_distance_mm, normal_marrow_region
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.explanation import marrow_on_slice
from sparcc_pipeline.sparcc.intensity import CSF, DISC, VESSELS
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import BoolArray, FloatArray

REFERENCE: Final = "#F0E442"
MARROW: Final = "#CC79A7"

REFERENCE_MARKS: Final = {
    VESSELS: Message("reference vessels"),
    CSF: Message("reference CSF"),
    DISC: Message("reference disc"),
}
"""The tissue outlined on the pictures, by kind of reference signal."""


def reference_legend(results: Iterable[Scored]) -> list[tuple[str, Message]]:
    """Return colours and meanings of every kind of reference in these results, and of the reference marrow."""
    kinds = {scored.score.reference_signal.kind for scored in results if scored.score.reference_signal is not None}
    tissues = [(REFERENCE, words) for kind, words in REFERENCE_MARKS.items() if kind in kinds]
    return [*tissues, (MARROW, Message("reference marrow, signal at its height"))]


def reference_marrow(scored: Scored) -> BoolArray:
    """Return (slices, rows, columns) bool: the marrow whose median signal counts as normal."""
    return normal_marrow_region(scored.tissue.anatomy, joint_distance_mm(scored.joints))


def marrow_values(scored: Scored, joints: Iterable[JointSlice]) -> Iterator[tuple[FloatArray, str]]:
    """Yield place and text of normal marrow at the heights of the upper and lower quadrants of one slice.

    A place is (1, 2) (row_mm, column_mm), midway between the joints; the text is the signal in units of the images.
    """
    found = list(joints)
    if not found:
        return
    row_mm = scored.study.stir.geometry.in_plane_mm[0]
    marrow = marrow_on_slice(scored.tissue, found[0].slice_index)
    if marrow is None:
        return
    for level in Level:
        quarter = 1 if level is Level.UPPER else 3
        places = np.array([joint.joint_line[quarter * len(joint.joint_line) // 4] for joint in found])
        middle = places.mean(axis=0)[None]
        row = min(max(round(float(middle[0, 0]) / row_mm), 0), len(marrow) - 1)
        yield middle, f"{marrow[row]:.3g}"
