"""The SPARCC score of structural lesions (SSS) on T1: fat, erosion, backfill, ankylosis on five slices.

Contents: `Lesion`, `StructuralScore`. Fat and erosion are scored in quadrants, 0-40 each; backfill and ankylosis in the
upper and lower half of a joint, 0-20 each. The four are never summed. Source: [SparccSss2015].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STRUCTURAL_SLICES: Final = 5
"""Consecutive semicoronal slices through the cartilaginous part."""

QUADRANTS: Final = ("upper_iliac", "lower_iliac", "upper_sacral", "lower_sacral")
HALVES: Final = ("upper", "lower")


class Lesion(StrEnum):
    """The four kinds of structural lesions."""

    FAT = "fat"
    EROSION = "erosion"
    BACKFILL = "backfill"
    ANKYLOSIS = "ankylosis"

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of a joint that have a point on each slice: four quadrants, or two halves."""
        return QUADRANTS if self in (Lesion.FAT, Lesion.EROSION) else HALVES

    @property
    def largest(self) -> int:
        """Largest total.

        Examples
        --------
        >>> [lesion.largest for lesion in Lesion]
        [40, 40, 20, 20]
        """
        return len(self.parts) * 2 * STRUCTURAL_SLICES


@dataclass(frozen=True)
class StructuralScore:
    """Points of one time point, `points[lesion]` in any order; None stands for a part that is not evaluable.

    Raises
    ------
    ValueError : a lesion has another number of points than parts
    """

    points: Mapping[Lesion, tuple[int | None, ...]]

    def __post_init__(self) -> None:
        for lesion in Lesion:
            if len(self.points[lesion]) != lesion.largest:
                raise ValueError(f"expected {lesion.largest} points of {lesion}, found {len(self.points[lesion])}")

    def maximum(self, lesion: Lesion) -> int:
        """Return the number of evaluable parts."""
        return sum(point is not None for point in self.points[lesion])

    def total(self, lesion: Lesion) -> int | None:
        """Return the points of a lesion; None, never 0, if no part is evaluable.

        Examples
        --------
        >>> points = {lesion: (1, None) + (0,) * (lesion.largest - 2) for lesion in Lesion}
        >>> score = StructuralScore(points)
        >>> score.total(Lesion.FAT), score.maximum(Lesion.FAT)
        (1, 39)
        """
        return sum(point or 0 for point in self.points[lesion]) if self.maximum(lesion) else None
