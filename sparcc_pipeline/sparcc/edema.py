"""Edema: one point for each quadrant, 0-48. Source: [SpaImaging]; [Maksymowych2005]."""

from __future__ import annotations

from typing import Final

from sparcc_pipeline.anatomy import Quadrant
from sparcc_pipeline.sparcc.joint import JointSlice
from sparcc_pipeline.volume import BoolArray

SMALLEST_EDEMA_MM2: Final = 8.0
"""Smallest area of edema in a quadrant that gives a point. No published value: decision of this project, the area at
which the agreement of the readers was measured (quadrant kappa 0.58)."""


def edema_points(joint: JointSlice, edema: BoolArray, pixel_area_mm2: float) -> dict[Quadrant, int | None]:
    """Return 1 for each quadrant with edema, 0 for one without, None for one that is not evaluable.

    Parameters
    ----------
    edema : (rows, columns) bool, edema on the slice of `joint`

    Examples
    --------
    >>> import numpy as np
    >>> from sparcc_pipeline.anatomy import AnatomyLabel, Side
    >>> from sparcc_pipeline.sparcc.joint import find_joint_slice
    >>> from sparcc_pipeline.volume import Geometry
    >>> coronal = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))
    >>> stack = Geometry((1, 60, 80), (0.0, 0.0, 0.0), coronal, (4.0, 1.0, 1.0))
    >>> anatomy = np.zeros((60, 80), dtype=np.uint8)
    >>> anatomy[10:50, 20:39] = AnatomyLabel.SACRUM
    >>> anatomy[10:50, 42:60] = AnatomyLabel.LEFT_ILIUM
    >>> joint = find_joint_slice(anatomy, stack, 0, Side.LEFT)
    >>> edema = np.zeros((60, 80), dtype=bool)
    >>> edema[15:18, 43:46] = True  # 9 mm2, upper left ilium
    >>> edema[40:42, 43:46] = True  # 6 mm2, lower left ilium: too small
    >>> {quadrant.value: point for quadrant, point in edema_points(joint, edema, 1.0).items()}
    {'upper_iliac': 1, 'lower_iliac': 0, 'upper_sacral': 0, 'lower_sacral': 0}
    """
    return {
        quadrant: int((edema & joint.quadrants[quadrant]).sum() * pixel_area_mm2 >= SMALLEST_EDEMA_MM2)
        if quadrant in joint.evaluable
        else None
        for quadrant in Quadrant
    }
