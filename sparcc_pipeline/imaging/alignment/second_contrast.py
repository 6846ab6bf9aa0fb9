"""A second contrast of the same study on the slices of the first, as the scanner placed both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.imaging.alignment.registration import resample
from sparcc_pipeline.rigid import RigidTransform, index_map
from sparcc_pipeline.volume import BoolArray, Float32Array, Geometry, Volume

LARGEST_TILT_DEGREES: Final = 8.0
"""Slices tilted farther against each other show different parts of the joints. Decision of this project."""

LARGEST_GAP: Final = 0.6
"""A slice is covered if a slice of the second contrast is within this share of that contrast's slice spacing."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """A second contrast on the voxels of the first.

    Parameters
    ----------
    signal : (slices, rows, columns) float32
    covered : (slices,) bool, the slices that the second contrast shows
    """

    signal: Float32Array
    covered: BoolArray


def resample_onto(second: Volume, onto: Geometry) -> Resampled | None:
    """Return the second contrast on the voxels of `onto`; None where the scanner's coordinates do not allow it.

    That is: no common frame of reference, slices tilted too far against each other, or no slice covered.
    """
    geometry = second.geometry
    if geometry.frame_of_reference_uid != onto.frame_of_reference_uid:
        return None
    cosine = abs(float(np.dot(geometry.directions[0], onto.directions[0])))
    if np.degrees(np.arccos(min(cosine, 1.0))) > LARGEST_TILT_DEGREES:
        return None
    same_place = RigidTransform()
    slices, rows, columns = onto.shape
    middle = np.array([[k, (rows - 1) / 2, (columns - 1) / 2, 1.0] for k in range(slices)])
    at = (middle @ index_map(onto, geometry, same_place).T)[:, :3]
    low, high = np.array([-LARGEST_GAP, 0.0, 0.0]), np.array(geometry.shape) - [1 - LARGEST_GAP, 1.0, 1.0]
    covered = np.asarray(((at >= low) & (at <= high)).all(axis=1))
    return Resampled(resample(second, same_place, onto, repeat_edge=True), covered) if covered.any() else None
