"""What MRI shows of simulated participants, and what readers and machine see of it. There: `Points`, `see`.

A quadrant has edema where the activity of the participant at the visit exceeds the quadrant's own threshold; a
joint-slice has the points for intensity and depth where it exceeds the lowest threshold with edema by a distance. Who
looks sees that difference with an error, so that readings differ where the truth is near a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.simulation.assumptions import Activity
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """Points of (participants, visits): edema (..., 6 slices, 2 sides, 4 quadrants), intense, deep (..., 6, 2)."""

    edema: Bits
    intense: Bits
    deep: Bits

    @property
    def totals(self) -> NDArray[np.int64]:
        """SPARCC, (participants, visits)."""
        edema: NDArray[np.int64] = self.edema.sum(axis=(-3, -2, -1))
        return np.asarray(edema + self.intense.sum(axis=(-2, -1)) + self.deep.sum(axis=(-2, -1)))

    def score(self, participant: int, visit: int) -> SparccScore:
        """One of them as the score that the rules give."""
        joints = tuple(
            JointSliceScore(
                position,
                side,
                {q: int(self.edema[participant, visit, position, s, k]) for k, q in enumerate(Quadrant)},
                int(self.intense[participant, visit, position, s]),
                int(self.deep[participant, visit, position, s]),
                None,
                None,
            )
            for position in range(SLICES_SCORED)
            for s, side in enumerate(Side)
        )
        return SparccScore(SixSlices(0, "transitional slice"), joints, None)


def draw_thresholds(count: int, activity: Activity, generator: np.random.Generator) -> Floats:
    """Thresholds of `count` participants, (participants, 6 slices, 2 sides, 4 quadrants)."""
    sides, quadrants = len(Side), len(Quadrant)
    side = activity.side_sd * generator.standard_normal((count, 1, sides, 1))
    quadrant = activity.quadrant_sd * generator.standard_normal((count, 1, sides, quadrants))
    each = activity.slice_sd * generator.standard_normal((count, SLICES_SCORED, sides, quadrants))
    return side + quadrant + each


def see(
    level: Floats,
    thresholds: Floats,
    activity: Activity,
    generator: np.random.Generator,
    item_sd: float = 0.0,
    case_error: Floats | None = None,
) -> Points:
    """The points that someone gives; without errors the truth.

    Parameters
    ----------
    level : (participants, visits), activity on MRI
    thresholds : (participants, 6, 2, 4)
    item_sd : error of each item
    case_error : (participants, visits), error that all items of one reading share
    """
    seen = level if case_error is None else level + case_error
    margin = seen[:, :, None, None, None] - thresholds[:, None]
    largest = margin.max(axis=-1)

    def noise(shape: tuple[int, ...]) -> Floats:
        return item_sd * generator.standard_normal(shape) if item_sd else np.zeros(shape)

    edema = margin + noise(margin.shape) > 0
    any_edema = edema.any(axis=-1)
    intense = any_edema & (largest + noise(largest.shape) > activity.intense_from)
    return Points(edema, intense, any_edema & (largest + noise(largest.shape) > activity.deep_from))
