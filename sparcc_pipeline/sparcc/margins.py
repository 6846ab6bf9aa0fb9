"""Margin of each item of a score: its distance from the limit at which the point is given.

The margin is the logit of the highest threshold of edema probability at which the point is given, minus the logit of
the model's threshold. Above 0 the point is given, below 0 it is not; near 0 a small change of the image changes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.special import logit

from sparcc_pipeline.anatomy import Bone, Quadrant, Side
from sparcc_pipeline.sparcc.depth import CONTACT_MM, DEPTH_THRESHOLD_MM, SMALLEST_WIDTH_MM
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2
from sparcc_pipeline.sparcc.intensity import SMALLEST_INTENSE_MM2, edema_signal
from sparcc_pipeline.sparcc.joint import Joints, JointSlice
from sparcc_pipeline.sparcc.joint_line import LINE_STEP_MM
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.volume import BoolArray, Float32Array, FloatArray, TissueMaps, Volume

LARGEST_MARGIN: Final = 8.0
"""Margins are limited to this; an item that no threshold gives has minus this margin."""

_DEPTH_STEP_MM: Final = 0.25


@dataclass(frozen=True)
class JointSliceMargins:
    """Margins of the six items of one joint-slice (logits); None where the item is not evaluable."""

    slice: int
    side: Side
    edema: Mapping[Quadrant, float | None]
    intense: float | None
    deep: float | None


def item_margins(
    stir: Volume, tissue: TissueMaps, joints: Joints, score: SparccScore, reference: float | None = None
) -> tuple[JointSliceMargins, ...]:
    """Return the margins of all items of `score`, in the order of its joint-slices.

    `reference` is the signal from which edema is intense, that of the score if None.
    """
    if reference is None and score.reference_signal is not None:
        reference = score.reference_signal.value
    return tuple(
        _joint_slice(
            stir,
            tissue,
            joints.at(score.slices.indices[scored.slice], scored.side),
            scored,
            reference,
        )
        for scored in score.joints
    )


def _joint_slice(
    stir: Volume, tissue: TissueMaps, joint: JointSlice | None, scored: JointSliceScore, reference: float | None
) -> JointSliceMargins:
    evaluable = [quadrant for quadrant, point in scored.edema.items() if point is not None]
    if joint is None or not evaluable:
        return JointSliceMargins(scored.slice, scored.side, dict.fromkeys(Quadrant), None, None)
    k, pixel_area = joint.slice_index, stir.geometry.pixel_area_mm2
    probability, zero = tissue.edema_probability[k], float(logit(tissue.edema_threshold))
    shown = np.logical_or.reduce([joint.quadrants[quadrant] for quadrant in evaluable])
    edema = {
        quadrant: _margin(_reached(probability, joint.quadrants[quadrant], SMALLEST_EDEMA_MM2 / pixel_area), zero)
        if quadrant in evaluable
        else None
        for quadrant in Quadrant
    }
    intense = None
    if reference is not None:
        bright = shown & (edema_signal(joint, probability, stir.signal[k], stir.geometry) >= reference)
        intense = _margin(_reached(probability, bright, SMALLEST_INTENSE_MM2 / pixel_area), zero)
    deep = _margin(_deep(joint, np.where(shown, probability, np.float32(0)), stir.geometry.in_plane_mm), zero)
    return JointSliceMargins(scored.slice, scored.side, edema, intense, deep)


def _margin(probability: float, zero: float) -> float:
    """The logit of a probability minus `zero`, limited to LARGEST_MARGIN."""
    return float(np.clip(logit(probability) - zero, -LARGEST_MARGIN, LARGEST_MARGIN))


def _reached(probability: Float32Array, where: BoolArray, pixels: float) -> float:
    """The highest threshold that at least `pixels` pixels of `where` reach; 0 where `where` has fewer pixels."""
    needed = max(ceil(pixels - 1e-9), 1)
    values = probability[where]
    return float(np.partition(values, -needed)[-needed]) if values.size >= needed else 0.0


def _deep(joint: JointSlice, probability: Float32Array, in_plane_mm: tuple[float, float]) -> float:
    """The highest threshold at which edema in contact with the joint reaches DEPTH_THRESHOLD_MM without a gap.

    A lesion may begin anywhere up to CONTACT_MM, so every point of a ray from there to the threshold depth counts. The
    weakest of them decides.
    """
    along = np.arange(CONTACT_MM, DEPTH_THRESHOLD_MM + _DEPTH_STEP_MM / 2, _DEPTH_STEP_MM)
    width = max(int(round(SMALLEST_WIDTH_MM / LINE_STEP_MM)), 1)
    best = 0.0
    for bone in Bone:
        rays: FloatArray = joint.joint_line[:, None, :] + along[None, :, None] * joint.normals_into(bone)[:, None, :]
        at = np.moveaxis(rays, -1, 0) / np.array(in_plane_mm)[:, None, None]
        weakest = ndimage.map_coordinates(probability, at, order=1, mode="constant", cval=0.0).min(axis=1)
        sustained = ndimage.minimum_filter1d(weakest, size=width, mode="constant", cval=0.0)
        best = max(best, float(sustained.max(initial=0.0)))
    return best
