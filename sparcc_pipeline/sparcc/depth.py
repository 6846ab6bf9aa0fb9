"""Depth: one point a joint and slice where edema reaches 1 cm from the articular surface, 0-12.

Source: clinical reference section 2: homogeneous raised signal >= 1 cm from the articular surface, measured
perpendicular to the joint line, from a lesion in contact with it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import Bone
from sparcc_pipeline.sparcc.joint import LINE_STEP_MM, JointSlice
from sparcc_pipeline.volume import Float32Array

DEPTH_THRESHOLD_MM: Final = 10.0
"""Edema is deep from this distance on. Source: spa-imaging.org, "Grading sacroiliitis"; Maksymowych 2005."""

CONTACT_MM: Final = 3.0
"""A lesion that begins within this of the joint line is in contact with the articular surface: half a joint space
and the cortex (project decision)."""

SMALLEST_WIDTH_MM: Final = 2.0
"""The depth must be reached over this length of the joint line: wider than one noisy pixel (project decision)."""

_STEP_MM: Final = 0.1
_DEEPEST_MM: Final = 30.0


def edema_depth_mm(
    joint: JointSlice, probability: Float32Array, threshold: float, in_plane_mm: tuple[float, float]
) -> float:
    """Depth of the deepest edema of one joint-slice, mm from the articular surface; 0 without edema in contact.

    Parameters
    ----------
    probability : (rows, columns) float32, edema probability inside the quadrants that have a point, 0 elsewhere
    threshold : probability that bounds a lesion; the border is found between pixels by linear interpolation
    """
    along = np.arange(0.0, _DEEPEST_MM + _STEP_MM, _STEP_MM)
    width = max(int(round(SMALLEST_WIDTH_MM / LINE_STEP_MM)), 1)
    deepest = 0.0
    for bone in Bone:
        rays = joint.joint_line[:, None, :] + along[None, :, None] * joint.normals_into(bone)[:, None, :]
        at = np.moveaxis(rays, -1, 0) / np.array(in_plane_mm)[:, None, None]
        raised = ndimage.map_coordinates(probability, at, order=1, mode="constant", cval=0.0) >= threshold
        # Every ray of a stretch of SMALLEST_WIDTH_MM must reach the depth that counts.
        sustained = ndimage.minimum_filter1d(_unbroken_depth_mm(raised), size=width, mode="constant", cval=0.0)
        deepest = max(deepest, float(sustained.max(initial=0.0)))
    return deepest


def _unbroken_depth_mm(
    raised: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """For each ray (axis 0), how far raised signal reaches unbroken (axis 1) from a start within `CONTACT_MM`."""
    start = raised.argmax(axis=1)
    touches = raised.any(axis=1) & (start * _STEP_MM <= CONTACT_MM)
    after_start = np.arange(raised.shape[1])[None, :] >= start[:, None]
    ends = (~raised & after_start).argmax(axis=1)
    ends = np.where((~raised & after_start).any(axis=1), ends, raised.shape[1])
    return np.where(touches, (ends - 1) * _STEP_MM, 0.0)


def depth_point(depth_mm: float) -> int:
    """1 where edema is deep."""
    return int(depth_mm >= DEPTH_THRESHOLD_MM)
