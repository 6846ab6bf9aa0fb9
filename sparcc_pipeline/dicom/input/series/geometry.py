"""Place of slices along their normal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from sparcc_pipeline.dicom.input.headers import Frame
from sparcc_pipeline.volume import UNIT_TOLERANCE, FloatArray

SAME_POSITION_FRACTION: Final = 0.05
"""Two slices closer than this part of the slice spacing lie at one position."""

MISSING_SLICE_FRACTION: Final = 1.5
"""A gap wider than this many slice spacings has lost a slice."""


def frame_normal(frame: Frame) -> FloatArray | None:
    """Return the unit LPS normal of a slice (row direction x column direction); None if the header states none."""
    if frame.orientation is None:
        return None
    along_row, along_column = frame.orientation[:3], frame.orientation[3:]
    lengths = math.hypot(*along_row), math.hypot(*along_column)
    if min(lengths) < UNIT_TOLERANCE:
        return None
    a, b = (tuple(v / length for v in way) for way, length in zip((along_row, along_column), lengths, strict=True))
    normal = np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    length = math.hypot(*normal)
    return normal / length if length > 1 - UNIT_TOLERANCE else None


def positions_along(frames: Sequence[Frame], normal: FloatArray) -> FloatArray:
    """Return the signed distance of each placed slice from the origin along `normal`, mm."""
    return np.array([frame.position_mm for frame in frames], dtype=float) @ normal
