"""Edema: one point a quadrant, 0-48.

Source: clinical reference section 2 (spa-imaging.org, "Grading sacroiliitis"; Maksymowych 2005, art.21445).
"""

from __future__ import annotations

from typing import Final

from sparcc_pipeline.anatomy import Level, Quadrant
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import BoolArray

UPPER_ONLY_BELOW_MM: Final = 30.0
"""Visible joint shorter than this: only the upper quadrants are scored. Source: spa-imaging.org."""

NOT_SCORED_UP_TO_MM: Final = 10.0
"""Visible joint of this height or less: the joint is not scored on this slice. Source: spa-imaging.org."""

SMALLEST_EDEMA_MM2: Final = 8.0
"""Smallest area of edema in a quadrant that makes a point. No published value: a project decision, the area at which
the agreement of the readers was measured (quadrant kappa 0.58)."""


def evaluable_quadrants(height_mm: float) -> tuple[Quadrant, ...]:
    """Quadrants that may be scored at this visible joint height."""
    if height_mm <= NOT_SCORED_UP_TO_MM:
        return ()
    if height_mm < UPPER_ONLY_BELOW_MM:
        return tuple(q for q in Quadrant if q.level is Level.UPPER)
    return tuple(Quadrant)


def edema_points(joint: JointSlice, edema: BoolArray, pixel_area_mm2: float) -> dict[Quadrant, int | None]:
    """1 where a quadrant holds edema, 0 where it does not, None where it is not evaluable.

    Parameters
    ----------
    edema : (rows, columns) bool, edema on the slice of `joint`
    """
    evaluable = evaluable_quadrants(joint.height_mm)
    return {
        quadrant: int((edema & joint.quadrants[quadrant]).sum() * pixel_area_mm2 >= SMALLEST_EDEMA_MM2)
        if quadrant in evaluable
        else None
        for quadrant in Quadrant
    }
