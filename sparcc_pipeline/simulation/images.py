"""MRI findings of simulated participants, and the points that readers and the machine give.

A quadrant has edema where the participant's activity at the visit exceeds the threshold of the quadrant. A joint-slice
has the points for intensity and depth where activity exceeds its lowest threshold by a distance. A reader sees these
differences with an error, so readings differ where the truth is near a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.simulation.assumptions import Activity
from sparcc_pipeline.sparcc.lesions import LESIONS_ON_A_SLICE
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED, SixSlices

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Points:
    """Points of all participants and visits.

    Parameters
    ----------
    edema : (participants, visits, 6 slices, 2 sides, 4 quadrants) bool
    intense, deep : (participants, visits, 6 slices, 2 sides) bool
    """

    edema: Bits
    intense: Bits
    deep: Bits

    @property
    def totals(self) -> NDArray[np.int64]:
        """(participants, visits) int: SPARCC totals."""
        edema: NDArray[np.int64] = self.edema.sum(axis=(-3, -2, -1))
        return np.asarray(edema + self.intense.sum(axis=(-2, -1)) + self.deep.sum(axis=(-2, -1)))

    @property
    def asas_positive(self) -> Bits:
        """(participants, visits) bool: the rule of `SparccScore.asas_positive` for all images at once."""
        upper, lower = self.edema[..., ::2], self.edema[..., 1::2]
        on_one_slice = (upper | lower).sum(axis=(-2, -1)) >= LESIONS_ON_A_SLICE
        on_two = (self.edema[:, :, 1:] & self.edema[:, :, :-1]).any(axis=(-3, -2, -1))
        return np.asarray(on_one_slice.any(axis=-1) | on_two)

    def score(self, participant: int, visit: int) -> SparccScore:
        """Return the points of one participant and visit as a score."""
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
    """Return random thresholds of `count` participants, (participants, 6 slices, 2 sides, 4 quadrants)."""
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
    item_sd: float | Floats = 0.0,
    case_error: Floats | None = None,
) -> Points:
    """Return the points of one reader or of the machine; without errors they are the truth.

    Parameters
    ----------
    level : (participants, visits), activity on MRI
    thresholds : (participants, 6 slices, 2 sides, 4 quadrants)
    item_sd : standard deviation of the error of each item; of all items, or (participants, visits)
    case_error : (participants, visits), error that is common to all items of one reading
    """
    seen = level if case_error is None else level + case_error
    margin = seen[:, :, None, None, None] - thresholds[:, None]
    largest = margin.max(axis=-1)

    def noise(shape: tuple[int, ...]) -> Floats:
        sd = np.broadcast_to(np.asarray(item_sd, dtype=float), level.shape)
        return np.asarray(sd.reshape(*level.shape, *(1,) * (len(shape) - 2)) * generator.standard_normal(shape))

    edema = margin + noise(margin.shape) > 0
    any_edema = edema.any(axis=-1)
    intense = any_edema & (largest + noise(largest.shape) > activity.intense_from)
    return Points(edema, intense, any_edema & (largest + noise(largest.shape) > activity.deep_from))
