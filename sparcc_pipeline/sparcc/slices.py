"""The six consecutive slices: the transitional slice is the most posterior, the other five lie anterior to it.

Source: clinical reference section 2 ("Anchor of the six"; order of the slices, doi 10.1186/s13075-015-0729-8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.errors import TooFewSlicesError
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.volume import Float32Array

SLICES_SCORED: Final = 6
"""Consecutive slices that SPARCC scores. Source: spa-imaging.org, "Grading sacroiliitis"; Maksymowych 2005."""

CHOSEN_BY_BASELINE: Final = "baseline"

_CERTAIN: Final = 1e-4


@dataclass(frozen=True)
class SixSlices:
    """The six slices that are scored; `first` is the 0-based index of the most anterior one.

    `chosen_by` is "transitional slice", "user" or "baseline" (the slices that show what was scored at baseline).
    """

    first: int
    chosen_by: str
    warnings: tuple[Message, ...] = ()

    @property
    def indices(self) -> tuple[int, ...]:
        """The six slice indices, anterior to posterior."""
        return tuple(range(self.first, self.first + SLICES_SCORED))

    @property
    def transitional_slice(self) -> int:
        """Index of the most posterior of the six."""
        return self.first + SLICES_SCORED - 1


def find_transitional_slice(ligamentous: Float32Array, visible: tuple[int, ...]) -> int:
    """First slice, going posteriorly, in which the ligamentous part of the joint shows.

    Parameters
    ----------
    ligamentous : (slices,) probability that the ligamentous part shows
    visible : indices of the slices on which a joint is visible

    The slice is the most likely place of a single step from "not yet" to "shows", so that one doubtful slice
    cannot move it far.
    """
    first, last = visible[0], visible[-1]
    p = np.clip(ligamentous[first : last + 1].astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    not_yet = np.concatenate([[0.0], np.cumsum(np.log(1 - p))])
    shows = np.concatenate([np.cumsum(np.log(p)[::-1])[::-1], [0.0]])
    return min(first + int(np.argmax(not_yet + shows)), last)


def choose_six_slices(joints: Joints, ligamentous: Float32Array) -> SixSlices:
    """The six consecutive slices that end with the transitional slice.

    Where the stack begins too late for five slices anterior to it, the six begin with its first slice and a warning
    says so.

    Raises
    ------
    TooFewSlicesError : fewer than six slices in the stack
    """
    count = joints.geometry.shape[0]
    if count < SLICES_SCORED:
        raise TooFewSlicesError(
            f"expected at least {SLICES_SCORED} slices, found {count}; SPARCC cannot be scored on this series"
        )
    visible = tuple(sorted(set(joints.slices(Side.RIGHT)) | set(joints.slices(Side.LEFT))))
    transitional = find_transitional_slice(ligamentous, visible)
    first = transitional - SLICES_SCORED + 1
    if first >= 0:
        return SixSlices(first, "transitional slice")
    return SixSlices(
        0,
        "transitional slice",
        (
            Message(
                "the transitional slice is slice {slice} and only {slice} slices lie anterior to it: "
                "the six begin with the first slice of the series",
                slice=transitional,
            ),
        ),
    )


def six_slices_from_user(first: int, last: int, joints: Joints) -> SixSlices:
    """The six slices `first`..`last` (0-based, inclusive) that a user asked for.

    Raises
    ------
    TooFewSlicesError : not exactly six, or outside the stack
    """
    count = joints.geometry.shape[0]
    if last - first + 1 != SLICES_SCORED or first < 0 or last >= count:
        raise TooFewSlicesError(
            f"expected {SLICES_SCORED} consecutive slices between 0 and {count - 1}, found {first}-{last}; "
            "slice_index is 0-based from the most anterior slice"
        )
    return SixSlices(first, "user")
