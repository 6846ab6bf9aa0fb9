"""Active lesions: the ASAS-positive MRI, and the data-driven definite active lesion, each with its probability.

A lesion is a connected piece of edema of one bone. One that crosses the middle of the joint is one lesion, not two.
Edema of one quadrant, or of one undivided bone, on consecutive slices is one lesion on both: decision of this project.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Final

import numpy as np
from scipy import ndimage

from sparcc_pipeline.anatomy import Bone, Quadrant, Side
from sparcc_pipeline.sparcc.edema import SMALLEST_EDEMA_MM2
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import BoolArray, Float32Array

LESIONS_ON_A_SLICE: Final = 2
"""Lesions on one slice that make an MRI positive. Source: [AsasMri]."""

DEFINITE_QUADRANTS: Final = 4
"""Quadrants with edema, anywhere, that make a definite active lesion. Source: [AsasDataDriven]."""

DEFINITE_SLICES: Final = 3
"""Consecutive slices with edema of one quadrant that make a definite active lesion. Source: [AsasDataDriven]."""

Place = tuple[Side, Quadrant]

OnSlice = Mapping[Place, float]
"""Probability of the point of each evaluable quadrant of one slice; a point that is known is 0 or 1."""


@dataclass(frozen=True)
class EdemaPieces:
    """What the points of a score do not show about its lesions; empty where only points are known.

    Parameters
    ----------
    apart : (slice within the six, side, bone) where edema of the upper and of the lower quadrant are two pieces
    several : (slice within the six, side, quadrant) with two pieces or more, each large enough for a point
    """

    apart: frozenset[tuple[int, Side, Bone]] = frozenset()
    several: frozenset[tuple[int, Side, Quadrant]] = frozenset()


def edema_pieces(
    joint: JointSlice, position: int, probability: Float32Array, threshold: float, pixel_area_mm2: float
) -> EdemaPieces:
    """Return the pieces of edema of one joint on one slice; `position` is its place within the six.

    Upper and lower edema are apart if no piece reaches both at `threshold`, or at the highest lower one at which both
    quadrants would have a point.

    Parameters
    ----------
    probability : (rows, columns) float32, edema probability on the slice of `joint`
    """
    apart, several = set(), set()
    pixels = max(int(np.ceil(SMALLEST_EDEMA_MM2 / pixel_area_mm2 - 1e-9)), 1)
    for bone in Bone:
        places = [quadrant for quadrant in joint.evaluable if quadrant.bone is bone]
        masks = [joint.quadrants[quadrant] for quadrant in places]
        for quadrant, mask in zip(places, masks, strict=True):
            sizes = np.bincount(_pieces(mask & (probability >= np.float32(threshold))).ravel())[1:]
            if (sizes >= pixels).sum() >= LESIONS_ON_A_SLICE:
                several.add((position, joint.side, quadrant))
        if len(places) == 2 and _are_apart(masks, probability, threshold, pixels):
            apart.add((position, joint.side, bone))
    return EdemaPieces(frozenset(apart), frozenset(several))


def _pieces(edema: BoolArray) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """(rows, columns) number of the connected piece of each pixel, 0 outside; pixels that touch at a corner connect."""
    return np.asarray(ndimage.label(edema, np.ones((3, 3), dtype=bool))[0])


def _are_apart(masks: Sequence[BoolArray], probability: Float32Array, threshold: float, pixels: int) -> bool:
    """True if no piece of edema reaches both quadrants of a bone, at the threshold where both have a point."""
    for mask in masks:
        values = probability[mask]
        if values.size < pixels:
            return True
        threshold = min(threshold, float(np.partition(values, -pixels)[-pixels]))
    if threshold <= 0:
        return True
    # The two masks touch along the middle of the joint, so a piece that crosses it is in both.
    pieces = _pieces((masks[0] | masks[1]) & (probability >= np.float32(threshold)))
    upper, lower = (set(np.unique(pieces[mask])) - {0} for mask in masks)
    return not upper & lower


POINTS_ONLY: Final = EdemaPieces()
"""The pieces of a score of which only the points are known."""


def joined_pieces(pieces: Sequence[EdemaPieces]) -> EdemaPieces:
    """Return the pieces of several joint-slices as one."""
    return EdemaPieces(
        frozenset(chain.from_iterable(each.apart for each in pieces)),
        frozenset(chain.from_iterable(each.several for each in pieces)),
    )


def probability_asas_positive(slices: Sequence[OnSlice], pieces: EdemaPieces) -> float:
    """Return the probability of two lesions on one slice, or of one lesion on two consecutive slices.

    Source: [AsasMri]. The points are independent. Points that are known give 0 or 1.

    Examples
    --------
    One quadrant on two consecutive slices; upper and lower ilium on one slice, in one piece and then in two:

    >>> upper, lower = (Side.LEFT, Quadrant.UPPER_ILIAC), (Side.LEFT, Quadrant.LOWER_ILIAC)
    >>> probability_asas_positive([{upper: 1, lower: 0}, {upper: 1, lower: 0}], EdemaPieces())
    1.0
    >>> probability_asas_positive([{upper: 1, lower: 1}, {upper: 0, lower: 0}], EdemaPieces())
    0.0
    >>> in_two = EdemaPieces(apart=frozenset({(0, Side.LEFT, Bone.ILIUM)}))
    >>> probability_asas_positive([{upper: 1, lower: 1}, {upper: 0, lower: 0}], in_two)
    1.0
    >>> round(probability_asas_positive([{upper: 0.5, lower: 0}, {upper: 0.5, lower: 0}], EdemaPieces()), 3)
    0.25
    """
    # A negative MRI has at most one lesion on each slice, so few patterns of points are possible. They are followed
    # from slice to slice: the probability of each pattern, with no positive sign so far.
    negative: dict[frozenset[Place], float] = {frozenset(): 1.0}
    before: OnSlice = {}
    for position, points in enumerate(slices):
        found = {}
        for pattern in _at_most_one_lesion(position, points, pieces):
            reached = sum(p for earlier, p in negative.items() if not _continues(earlier, pattern, before, points))
            own = np.prod([p if place in pattern else 1 - p for place, p in points.items()])
            found[pattern] = reached * float(own)
        negative, before = found, points
    return min(max(1.0 - sum(negative.values()), 0.0), 1.0)


def _at_most_one_lesion(position: int, points: OnSlice, pieces: EdemaPieces) -> Iterator[frozenset[Place]]:
    """Yield the sets of quadrants whose edema is no lesion or one lesion on this slice."""
    yield frozenset()
    for side, bone in product(Side, Bone):
        places = [
            place
            for place in points
            if (place[0], place[1].bone) == (side, bone) and (position, *place) not in pieces.several
        ]
        yield from (frozenset({place}) for place in places)
        if (position, side, bone) not in pieces.apart:
            yield from (frozenset(pair) for pair in combinations(places, 2))


def _continues(earlier: frozenset[Place], later: frozenset[Place], before: OnSlice, now: OnSlice) -> bool:
    """True if a lesion of one slice is on the next slice too."""
    return any(
        first == second or (_same_bone(first, second) and not (_divided(first, before) and _divided(second, now)))
        for first, second in product(earlier, later)
    )


def _same_bone(first: Place, second: Place) -> bool:
    return (first[0], first[1].bone) == (second[0], second[1].bone)


def _divided(place: Place, points: OnSlice) -> bool:
    """True where both levels of the bone of a quadrant are evaluable."""
    return sum(_same_bone(place, other) for other in points) == 2


def probability_definite_lesion(slices: Sequence[OnSlice]) -> float:
    """Return the probability of DEFINITE_QUADRANTS with edema, or of one quadrant on DEFINITE_SLICES in a row.

    Source: [AsasDataDriven]. The points are independent. Points that are known give 0 or 1.

    Examples
    --------
    One quadrant on three consecutive slices, then on two of three:

    >>> place = (Side.LEFT, Quadrant.UPPER_ILIAC)
    >>> probability_definite_lesion([{place: 1}, {place: 1}, {place: 1}])
    1.0
    >>> probability_definite_lesion([{place: 1}, {place: 0}, {place: 1}])
    0.0
    """
    each = np.array([p for points in slices for p in points.values()])
    count = np.zeros(DEFINITE_QUADRANTS)
    count[0] = 1.0
    for p in each:
        count[1:] = count[1:] * (1 - p) + count[:-1] * p
        count[0] *= 1 - p
    # Fewer quadrants than DEFINITE_QUADRANTS hold a row of DEFINITE_SLICES only if they are that row and no other.
    rows = [range(k, k + DEFINITE_SLICES) for k in range(len(slices) - DEFINITE_SLICES + 1)]
    only_a_row = sum(
        _probability_of_nothing_but(row, place, slices)
        for row in rows
        for place in set.intersection(*(set(slices[k]) for k in row))
    )
    return min(max(1.0 - (float(count.sum()) - only_a_row), 0.0), 1.0)


def _probability_of_nothing_but(row: range, place: Place, slices: Sequence[OnSlice]) -> float:
    """Probability that one quadrant has edema on the slices of `row`, and no other quadrant on any slice."""
    points = [(p, k in row and at == place) for k, on_slice in enumerate(slices) for at, p in on_slice.items()]
    return float(np.prod([p if has_edema else 1 - p for p, has_edema in points]))
