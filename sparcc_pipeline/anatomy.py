"""Names of the anatomy: sides, bones, levels, quadrants.

Sides are the patient's. A quadrant is one bone at one level of one joint on one slice.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final


class Side(Enum):
    """The patient's side."""

    RIGHT = "right"
    LEFT = "left"


class Level(Enum):
    """Above or below the middle of the visible joint on one slice."""

    UPPER = "upper"
    LOWER = "lower"


class Bone(Enum):
    """The two bones that meet at the sacroiliac joint."""

    ILIUM = "iliac"
    SACRUM = "sacral"


class Quadrant(Enum):
    """One of the four quadrants of a joint on one slice; the value is the name in `score.json`."""

    UPPER_ILIAC = "upper_iliac"
    LOWER_ILIAC = "lower_iliac"
    UPPER_SACRAL = "upper_sacral"
    LOWER_SACRAL = "lower_sacral"

    @property
    def level(self) -> Level:
        """Upper or lower half of the joint."""
        return Level(self.value.split("_")[0])

    @property
    def bone(self) -> Bone:
        """Iliac or sacral side of the joint."""
        return Bone(self.value.split("_")[1])


class AnatomyLabel(IntEnum):
    """Codes of the anatomy map; `anatomy.nii.gz` holds the first four."""

    BACKGROUND = 0
    SACRUM = 1
    RIGHT_ILIUM = 2
    LEFT_ILIUM = 3
    LUMBAR_VERTEBRA = 4


ILIUM_LABEL: Final = {Side.RIGHT: AnatomyLabel.RIGHT_ILIUM, Side.LEFT: AnatomyLabel.LEFT_ILIUM}
