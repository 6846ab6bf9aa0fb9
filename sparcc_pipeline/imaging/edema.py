"""Edema probability in a patch around each joint, from the joint-centred network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import ILIUM_LABEL, AnatomyLabel, Side
from sparcc_pipeline.each_slice import ForEachSlice, one_by_one
from sparcc_pipeline.imaging.model.engines import Network
from sparcc_pipeline.imaging.model.normalize import JointCrop, edema_input, marrow_log_ratio
from sparcc_pipeline.sparcc.joint import QUADRANT_REACH_MM, Joints
from sparcc_pipeline.volume import BoolArray, Float32Array, LabelArray

CROP_PIXELS: Final = 160
"""Side of the patch around a joint: 96 mm, which shows the joint and 30 mm on both sides of it."""


def find_edema(
    network: Network,
    inputs: Sequence[str],
    signal: Float32Array,
    anatomy: LabelArray,
    joints: Joints,
    marrow: float,
    t1_log_ratio: Float32Array | None = None,
    for_each: ForEachSlice = one_by_one,
) -> Float32Array:
    """Return the edema probability (slices, rows, columns) float32: 0 away from the joints and outside their bones.

    Parameters
    ----------
    inputs, t1_log_ratio : inputs of the network besides the STIR, see `normalize.edema_input`
    signal : (slices, rows, columns) STIR
    anatomy : (slices, rows, columns) codes of `AnatomyLabel`
    marrow : normal marrow signal, in the units of `signal`
    for_each : runs the work on each slice, perhaps on several threads
    """
    in_plane, shape = joints.geometry.in_plane_mm, (signal.shape[1], signal.shape[2])
    ratio = marrow_log_ratio(signal, marrow)
    probability = np.zeros(signal.shape, dtype=np.float32)

    def fill(k: int) -> None:
        for joint in (found for side in Side if (found := joints.at(k, side)) is not None):
            crop = JointCrop(joint, in_plane, CROP_PIXELS)
            patch = network(edema_input(ratio, anatomy, joint, crop, inputs, t1_log_ratio)[None])[0, 0]
            marrow_here = _marrow_beside(joint.surface_distance_mm, anatomy[k], ILIUM_LABEL[joint.side])
            native = np.where(marrow_here, crop.put_back(patch, shape), np.float32(0))
            np.maximum(probability[k], native, out=probability[k])

    for_each(fill, range(len(probability)))
    return probability


def _marrow_beside(distance_mm: Float32Array, anatomy: LabelArray, ilium: AnatomyLabel) -> BoolArray:
    """(rows, columns) bool: sacrum and one ilium within reach of their joint."""
    return np.isin(anatomy, [AnatomyLabel.SACRUM, ilium]) & (distance_mm <= QUADRANT_REACH_MM)
