"""Measurements behind each point: the values that the rules compare with their limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.sparcc.intensity import SMALLEST_INTENSE_MM2, edema_signal
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.volume import Float32Array, TissueMaps, Volume


@dataclass(frozen=True)
class Explanation:
    """Measurements of one joint-slice; its height and depth are in the score.

    Parameters
    ----------
    edema_mm2 : area of edema in each quadrant (a point from SMALLEST_EDEMA_MM2 on); None where not evaluable
    marrow : signal of normal sacral marrow at the height of the edema, or of the quadrant where it has no edema; None
        where not evaluable or unknown
    over_marrow : median signal of the edema as a multiple of normal marrow at the same height; None without edema
    over_reference : smoothed signal that SMALLEST_INTENSE_MM2 of the scored edema reaches, as a multiple of the
        reference signal (intense from 1 on); None without scored edema or without reference
    """

    edema_mm2: Mapping[Quadrant, float | None]
    marrow: Mapping[Quadrant, float | None]
    over_marrow: Mapping[Quadrant, float | None]
    over_reference: float | None


def explain(stir: Volume, tissue: TissueMaps, joints: Joints, score: SparccScore) -> tuple[Explanation, ...]:
    """Return the measurements of each joint-slice of `score`, in the order of the score."""
    return tuple(_joint_slice(stir, tissue, joints, score, joint) for joint in score.joints)


def _joint_slice(
    stir: Volume, tissue: TissueMaps, joints: Joints, score: SparccScore, scored: JointSliceScore
) -> Explanation:
    k = score.slices.indices[scored.slice]
    joint = joints.at(k, scored.side)
    area: dict[Quadrant, float | None] = dict.fromkeys(Quadrant)
    marrow: dict[Quadrant, float | None] = dict.fromkeys(Quadrant)
    ratio: dict[Quadrant, float | None] = dict.fromkeys(Quadrant)
    if joint is None:
        return Explanation(area, marrow, ratio, None)
    signal, pixel_area, normal = stir.signal[k], stir.geometry.pixel_area_mm2, marrow_on_slice(tissue, k)
    counted = np.zeros(signal.shape, dtype=bool)
    for quadrant, point in scored.edema.items():
        if point is None:
            continue
        edema = tissue.edema[k] & joint.quadrants[quadrant]
        area[quadrant] = float(edema.sum() * pixel_area)
        if normal is not None:
            at = np.nonzero(edema if edema.any() else joint.quadrants[quadrant])[0]
            marrow[quadrant] = float(np.median(normal[at])) if at.size else None
            if edema.any():
                ratio[quadrant] = float(np.median(signal[edema] / normal[at]))
        if point:
            counted |= edema
    reference = score.reference_signal
    over = None
    if reference is not None and reference.value > 0 and counted.any():
        smooth = edema_signal(joint, tissue.edema_probability[k], signal, stir.geometry)
        brightest = np.sort(smooth[counted])[::-1]
        needed = min(max(ceil(SMALLEST_INTENSE_MM2 / pixel_area - 1e-9), 1), brightest.size)
        over = float(brightest[needed - 1]) / reference.value
    return Explanation(area, marrow, ratio, over)


def marrow_on_slice(tissue: TissueMaps, slice_index: int) -> Float32Array | None:
    """Return the signal of normal marrow at each height of one slice, (rows,) float32; None where unknown.

    Where heights are not known, it is the signal of the whole study.
    """
    if tissue.marrow_at_height is not None:
        row: Float32Array = tissue.marrow_at_height[slice_index]
        return row
    if not tissue.normal_marrow:
        return None
    return np.full(tissue.geometry.shape[1], tissue.normal_marrow, dtype=np.float32)
