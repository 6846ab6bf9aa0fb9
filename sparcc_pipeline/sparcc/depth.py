"""Depth: one point for each joint and slice where edema reaches 1 cm from the articular surface, 0-12.

Source: [SpaImaging]; [Maksymowych2005]: homogeneous raised signal 1 cm or more from the articular surface. Measuring
perpendicular to the joint line, from a lesion in contact with it, is a documented default.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import Bone
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.sparcc.joint_line import LINE_STEP_MM
from sparcc_pipeline.volume import Float32Array

DEPTH_THRESHOLD_MM: Final = 10.0
"""Edema is deep from this distance on. Source: [SpaImaging]; [Maksymowych2005]."""

CONTACT_MM: Final = 3.0
"""A lesion that begins within this distance of the joint line is in contact with the articular surface: half a joint
space and the cortex. Decision of this project."""

SMALLEST_WIDTH_MM: Final = 2.0
"""The depth must be reached over this length of the joint line, so that one noisy pixel gives no point. Decision
of this project."""

_STEP_MM: Final = 0.1
_DEEPEST_MM: Final = 30.0


def edema_depth_mm(
    joint: JointSlice, probability: Float32Array, threshold: float, in_plane_mm: tuple[float, float]
) -> float:
    """Return the depth of the deepest edema of one joint-slice, mm from the articular surface; 0 without contact.

    Parameters
    ----------
    probability : (rows, columns) float32, edema probability inside the quadrants that have a point, 0 elsewhere
    threshold : probability at the border of a lesion; the border is found between pixels by linear interpolation

    Examples
    --------
    The joint line of this left joint is at column 40, the edema in the ilium reaches column 52:

    >>> from sparcc_pipeline.anatomy import AnatomyLabel, Side
    >>> from sparcc_pipeline.sparcc.joint import find_joint_slice
    >>> from sparcc_pipeline.volume import Geometry
    >>> coronal = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
    >>> stack = Geometry((1, 60, 80), (0.0, 0.0, 0.0), coronal, (4.0, 1.0, 1.0))
    >>> anatomy = np.zeros((60, 80), dtype=np.uint8)
    >>> anatomy[10:50, 20:39] = AnatomyLabel.SACRUM
    >>> anatomy[10:50, 42:60] = AnatomyLabel.LEFT_ILIUM
    >>> joint = find_joint_slice(anatomy, stack, 0, Side.LEFT)
    >>> probability = np.zeros((60, 80), dtype=np.float32)
    >>> probability[15:25, 42:53] = 0.9
    >>> depth = edema_depth_mm(joint, probability, 0.5, (1.0, 1.0))
    >>> round(depth, 1), depth_point(depth)
    (12.4, 1)
    """
    along = np.arange(0.0, _DEEPEST_MM + _STEP_MM, _STEP_MM)
    width = max(int(round(SMALLEST_WIDTH_MM / LINE_STEP_MM)), 1)
    deepest = 0.0
    for bone in Bone:
        rays = joint.joint_line[:, None, :] + along[None, :, None] * joint.normals_into(bone)[:, None, :]
        at = np.moveaxis(rays, -1, 0) / np.array(in_plane_mm)[:, None, None]
        raised = ndimage.map_coordinates(probability, at, order=1, mode="constant", cval=0.0) >= threshold
        # The depth that counts is reached by all neighbouring rays over SMALLEST_WIDTH_MM, hence the minimum filter.
        sustained = ndimage.minimum_filter1d(_unbroken_depth_mm(raised), size=width, mode="constant", cval=0.0)
        deepest = max(deepest, float(sustained.max(initial=0.0)))
    return deepest


def _unbroken_depth_mm(
    raised: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(rays,) mm that raised signal (rays, steps) reaches without a gap from a start within `CONTACT_MM`."""
    start = raised.argmax(axis=1)
    touches = raised.any(axis=1) & (start * _STEP_MM <= CONTACT_MM)
    after_start = np.arange(raised.shape[1])[None, :] >= start[:, None]
    ends = (~raised & after_start).argmax(axis=1)
    ends = np.where((~raised & after_start).any(axis=1), ends, raised.shape[1])
    return np.where(touches, (ends - 1) * _STEP_MM, 0.0)


def depth_point(depth_mm: float) -> int:
    """Return 1 where edema is deep, else 0.

    Examples
    --------
    >>> depth_point(9.9), depth_point(10.0)
    (0, 1)
    """
    return int(depth_mm >= DEPTH_THRESHOLD_MM)
