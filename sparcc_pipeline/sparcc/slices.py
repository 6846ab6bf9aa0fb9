"""The six consecutive slices that are scored; the transitional slice is the most posterior of them.

Source: number of slices [SpaImaging]; order of the slices [SliceOrder2015]; the transitional slice as the last of the
six is a documented default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sparcc_pipeline.anatomy import Side
from sparcc_pipeline.errors import TooFewSlicesError
from sparcc_pipeline.message import Message
from sparcc_pipeline.sparcc.joint import Joints
from sparcc_pipeline.volume import Float32Array, slice_number

SLICES_SCORED: Final = 6
"""Consecutive slices that SPARCC scores. Source: [SpaImaging]; [Maksymowych2005]."""

CHOSEN_BY_BASELINE: Final = "baseline"

_CERTAIN: Final = 1e-4
"""Probabilities are kept this far from 0 and 1, so that no single slice can decide alone."""


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
    """Return the first slice, going posteriorly, that shows the ligamentous part of the joint.

    Every slice between the first and the last visible one votes. The result is the most likely position of a single
    step from "not yet" to "shows", so one doubtful slice cannot move it far. Where no slice shows the ligamentous part,
    it is the last visible slice. Decision of this project.

    Parameters
    ----------
    ligamentous : (slices,) float32, probability that the ligamentous part shows
    visible : indices of the slices on which a joint is visible, in order

    Examples
    --------
    Slice 2 is doubtful; slices 4 and 5 show the ligamentous part:

    >>> find_transitional_slice(np.array([0.1, 0.1, 0.6, 0.2, 0.9, 0.9], dtype=np.float32), (0, 1, 2, 3, 4, 5))
    4
    """
    first, last = visible[0], visible[-1]
    p = np.clip(ligamentous[first : last + 1].astype(np.float64), _CERTAIN, 1 - _CERTAIN)
    # For a step before the n-th slice: `not_yet[n]` is the log-likelihood of all slices anterior to it, `shows[n]` that
    # of it and all slices posterior to it. The last entry is a step behind the last slice: the part never shows.
    not_yet = np.concatenate([[0.0], np.cumsum(np.log(1 - p))])
    shows = np.concatenate([np.cumsum(np.log(p)[::-1])[::-1], [0.0]])
    return min(first + int(np.argmax(not_yet + shows)), last)


def choose_six_slices(joints: Joints, ligamentous: Float32Array) -> SixSlices:
    """Return the six consecutive slices that end with the transitional slice.

    Where fewer than five slices are anterior to it, the six begin with the first slice of the stack, with a warning.
    `ligamentous` is (slices,) float32, the probability that the ligamentous part shows.

    Raises
    ------
    TooFewSlicesError : fewer than six slices in the stack

    Examples
    --------
    A stack of ten slices; the ligamentous part shows from slice 7 on:

    >>> from sparcc_pipeline.sparcc.joint import find_joint_slice
    >>> from sparcc_pipeline.volume import Geometry
    >>> coronal = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
    >>> stack = Geometry((10, 60, 80), (0.0, 0.0, 0.0), coronal, (4.0, 1.0, 1.0))
    >>> anatomy = np.zeros((60, 80), dtype=np.uint8)
    >>> anatomy[10:50, 20:39], anatomy[10:50, 42:60] = 1, 3
    >>> joints = Joints(stack, {(k, Side.LEFT): find_joint_slice(anatomy, stack, k, Side.LEFT) for k in range(10)})
    >>> choose_six_slices(joints, np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1], dtype=np.float32)).indices
    (2, 3, 4, 5, 6, 7)
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
                "the transitional slice is slice {slice} and only {anterior} slices lie anterior to it: the six "
                "begin with the first slice of the series; check that the series shows the front of the joints",
                slice=slice_number(transitional),
                anterior=transitional,
            ),
        ),
    )


def six_slices_from_user(first: int, last: int, joints: Joints) -> SixSlices:
    """Return the six slices `first`..`last` (0-based, inclusive) that the user chose.

    Raises
    ------
    TooFewSlicesError : not exactly six, or outside the stack
    """
    count = joints.geometry.shape[0]
    if last - first + 1 != SLICES_SCORED or first < 0 or last >= count:
        raise TooFewSlicesError(
            f"expected {SLICES_SCORED} consecutive slices between 1 and {count}, found {slice_number(first)}-"
            f"{slice_number(last)}; slice 1 is the most anterior one"
        )
    return SixSlices(first, "user")


def first_of_six(middle: float) -> int:
    """Return the first of the six slices that are centred on `middle`, a slice coordinate; it may be outside a stack.

    Examples
    --------
    >>> first_of_six(6.4)
    4
    >>> first_of_six(1.0)
    -1
    """
    return int(np.floor(middle - (SLICES_SCORED - 1) / 2 + 0.5))


def first_in_stack(middle: float, slices: int) -> int:
    """Return the first of the six slices of a stack of `slices` that are nearest to being centred on `middle`.

    Examples
    --------
    >>> first_in_stack(1.0, 10)
    0
    """
    return min(max(first_of_six(middle), 0), slices - SLICES_SCORED)
