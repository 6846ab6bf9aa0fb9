"""Change of the score from baseline: total, parts, and each item of each joint-slice. Lower is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sparcc_pipeline.anatomy import Quadrant, Side
from sparcc_pipeline.sparcc.follow_up.alignment import MatchedSlice
from sparcc_pipeline.sparcc.score import JointSliceScore, SparccScore
from sparcc_pipeline.sparcc.slices import SLICES_SCORED

SMALLEST_IMPORTANT_CHANGE: Final = 2.5
"""Change of the total that matters to a patient. Source: [Maksymowych2012]."""

SMALLEST_DETECTABLE_CHANGE: Final = 3.4
"""Change of the mean of two readers beyond their measurement error over three months. Source: [Space]."""

MACHINE_DETECTABLE_CHANGE: Final = 6.4
"""Change of the machine's total beyond its own error on second scans. Source: docs/figures.md, model 1.2.0."""

DETECTABLE_CHANGE: Final = "smallest_detectable_change"
"""Key under which the metadata of a model hold its own value; `MACHINE_DETECTABLE_CHANGE` counts without it."""

ITEMS: Final = SLICES_SCORED * len(Side) * (len(Quadrant) + 2)
"""Items of a score: four quadrants, intensity and depth of two joints on six slices, 72."""

_Z_OF_INTERVAL_90: Final = 1.6449


@dataclass(frozen=True)
class JointSliceChange:
    """Change of one joint on one baseline slice: each item is -1, 0 or 1, or None where a visit is not evaluable.

    `slice` is 0-5 within the six of the baseline.
    """

    slice: int
    side: Side
    edema: Mapping[Quadrant, int | None]
    intense: int | None
    deep: int | None

    @property
    def points(self) -> int:
        """Sum over the items that are evaluable at both visits."""
        return sum(item or 0 for item in self.items)

    @property
    def items(self) -> tuple[int | None, ...]:
        """The six items: four quadrants, intensity, depth."""
        return (*self.edema.values(), self.intense, self.deep)


@dataclass(frozen=True)
class ScoreChange:
    """Change of the machine's score: follow-up minus baseline.

    Parameters
    ----------
    total, edema, intensity, depth : differences of the sums
    joints : the twelve joint-slices of the baseline

    Examples
    --------
    A total that falls by 3 is an important change, but within the error of the machine:

    >>> change = ScoreChange(total=-3, edema=-2, intensity=-1, depth=0, joints=())
    >>> change.direction, change.important, change.detectable
    ('better', True, False)
    """

    total: int
    edema: int
    intensity: int
    depth: int
    joints: tuple[JointSliceChange, ...]

    @property
    def common_total(self) -> int:
        """Change over the items that are evaluable at both visits."""
        return sum(joint.points for joint in self.joints)

    @property
    def common_items(self) -> int:
        """Number of items in `common_total`, at most ITEMS."""
        return sum(item is not None for joint in self.joints for item in joint.items)

    @property
    def direction(self) -> str:
        """ "better", "worse" or "unchanged": a lower total is better."""
        return "better" if self.total < 0 else "worse" if self.total > 0 else "unchanged"

    @property
    def important(self) -> bool:
        """True if the total changed by at least SMALLEST_IMPORTANT_CHANGE."""
        return abs(self.total) >= SMALLEST_IMPORTANT_CHANGE

    @property
    def detectable(self) -> bool:
        """True if the total changed by at least MACHINE_DETECTABLE_CHANGE: both scores are the machine's."""
        return abs(self.total) >= MACHINE_DETECTABLE_CHANGE


def score_change(baseline: SparccScore, follow_up: SparccScore, matched: Sequence[MatchedSlice]) -> ScoreChange:
    """Return the change between two scores; `matched` holds the match of each of the six baseline slices."""
    before = {(joint.slice, joint.side): joint for joint in baseline.joints}
    after = {(joint.slice, joint.side): joint for joint in follow_up.joints}
    first = follow_up.slices.first
    joints = tuple(
        _joint_change(before[position, side], None if m.follow_up is None else after[m.follow_up - first, side])
        for position, m in enumerate(matched)
        for side in Side
    )
    return ScoreChange(
        total=follow_up.total - baseline.total,
        edema=follow_up.edema - baseline.edema,
        intensity=follow_up.intensity - baseline.intensity,
        depth=follow_up.depth - baseline.depth,
        joints=joints,
    )


def probability_of_change(baseline_90: tuple[float, float], follow_up_90: tuple[float, float], change: float) -> float:
    """Return the probability that the true total changed in the direction of `change`.

    The errors of both scores follow from their 90 % intervals; they are taken as normal and independent. 0.5 for no
    change.

    Examples
    --------
    From 20 (17-23) to 15 (12-18):

    >>> round(probability_of_change((17, 23), (12, 18), -5), 3)
    0.974
    """
    spread = [(high - low) / (2 * _Z_OF_INTERVAL_90) for low, high in (baseline_90, follow_up_90)]
    together = math.hypot(*spread)
    if together == 0:
        return 1.0 if change else 0.5
    return 0.5 * (1 + math.erf(abs(change) / together / math.sqrt(2)))


def _joint_change(before: JointSliceScore, after: JointSliceScore | None) -> JointSliceChange:
    def difference(a: int | None, b: int | None) -> int | None:
        return None if a is None or b is None else b - a

    if after is None:
        return JointSliceChange(before.slice, before.side, dict.fromkeys(Quadrant), None, None)
    return JointSliceChange(
        before.slice,
        before.side,
        {quadrant: difference(before.edema[quadrant], after.edema[quadrant]) for quadrant in Quadrant},
        difference(before.intense, after.intense),
        difference(before.deep, after.deep),
    )
