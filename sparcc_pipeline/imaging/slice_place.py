"""The transitional slice, from the vote of the slices on their place."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit

from sparcc_pipeline.volume import Float32Array, FloatArray

PLACE_REACH_CM: Final = 1.0
"""A slice this far from the transitional one, by its own estimate, still estimates well; farther ones less."""

LEAST_RISE: Final = 0.02
"""Weight of a slice whose estimate is that of its neighbours. Decision of this project."""

LIGAMENTOUS_SPREAD_MM: Final = 4.0
"""Width of the step of the ligamentous probability at the transitional slice: readings are good to one slice."""


def ligamentous_probability(behind_cm: FloatArray, bone_pixels: FloatArray, spacing_mm: float) -> Float32Array:
    """Return the probability (slices,) float32 that a slice shows the ligamentous part of the joints.

    Each slice estimates its own distance behind the transitional slice, which is one vote for the transitional slice.
    The result is a smooth step at the weighted median of the votes; 0 everywhere without bone.

    Parameters
    ----------
    behind_cm : (slices,) estimated distance behind the transitional slice, negative in front of it
    bone_pixels : (slices,) number of pixels of bone
    spacing_mm : distance of the slices
    """
    slices = np.flatnonzero(bone_pixels > 0)
    if not slices.size:
        return np.zeros(len(behind_cm), dtype=np.float32)
    behind = behind_cm[slices]
    vote = slices - 10 * behind / spacing_mm
    # Far behind the transitional slice, networks give many slices one estimate: their votes run along with the slices
    # and would outnumber the others. A true estimate grows by one spacing from slice to slice (a rise of 1).
    rise = 10 * np.gradient(behind, slices) / spacing_mm if len(slices) > 1 else np.ones(1)
    near = np.exp(-((behind / PLACE_REACH_CM) ** 2))
    weight = bone_pixels[slices] * near * (np.clip(rise, 0, 1) + LEAST_RISE)
    if not weight.any():
        return np.zeros(len(behind_cm), dtype=np.float32)
    # The weighted median: unlike a mean, one slice that is far off does not move it.
    order = np.argsort(vote)
    share = np.cumsum(weight[order]) / weight.sum()
    transitional = vote[order][np.searchsorted(share, 0.5)]
    index = np.arange(len(behind_cm))
    # The step is half a slice in front of the median: the slice nearest to the median is the first over 0.5.
    probability: Float32Array = expit((index - transitional + 0.5) * spacing_mm / LIGAMENTOUS_SPREAD_MM)
    return probability.astype(np.float32)
