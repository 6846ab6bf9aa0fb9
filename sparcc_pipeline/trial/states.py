"""What a value means: disease activity and improvement by ASDAS, health by ASAS-HI.

There: `disease_activity`, `asdas_improvement`, `health_state`. Source: clinical reference, sections 3 and 4.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class DiseaseActivity(Enum):
    """States of disease activity by ASDAS."""

    INACTIVE = "inactive"
    LOW = "low"
    HIGH = "high"
    VERY_HIGH = "very high"


class Improvement(Enum):
    """Improvement of ASDAS since baseline."""

    MAJOR = "major"
    IMPORTANT = "clinically important"
    NONE = "none"


class HealthState(Enum):
    """States of health by ASAS-HI."""

    GOOD = "good"
    MODERATE = "moderate"
    POOR = "poor"


ASDAS_INACTIVE_BELOW: Final = 1.3
ASDAS_LOW_BELOW: Final = 2.1
ASDAS_VERY_HIGH_ABOVE: Final = 3.5
"""States of ASDAS. Source: Ann Rheum Dis 70/1/47, 77/10/1539."""

ASDAS_IMPORTANT_IMPROVEMENT: Final = 1.1
ASDAS_MAJOR_IMPROVEMENT: Final = 2.0
"""Falls of ASDAS. Source: Ann Rheum Dis 70/1/47, 77/10/1539."""

ASAS_HI_GOOD_UP_TO: Final = 5
ASAS_HI_POOR_FROM: Final = 12
ASAS_HI_SMALLEST_DETECTABLE_CHANGE: Final = 3.0
"""Clinical reference, section 4."""

_ROUNDING: Final = 9
"""Decimals that a difference is rounded to before it meets a limit: 4.1 - 3.0 is to count as 1.1."""


def disease_activity(asdas: float) -> DiseaseActivity:
    """State of disease activity: < 1.3 inactive, < 2.1 low, 2.1-3.5 high, > 3.5 very high."""
    if asdas < ASDAS_INACTIVE_BELOW:
        return DiseaseActivity.INACTIVE
    if asdas < ASDAS_LOW_BELOW:
        return DiseaseActivity.LOW
    return DiseaseActivity.VERY_HIGH if asdas > ASDAS_VERY_HIGH_ABOVE else DiseaseActivity.HIGH


def asdas_improvement(baseline: float, follow_up: float) -> Improvement:
    """Improvement of ASDAS: a fall of 1.1 is clinically important, of 2.0 major."""
    fall = round(baseline - follow_up, _ROUNDING)
    if fall >= ASDAS_MAJOR_IMPROVEMENT:
        return Improvement.MAJOR
    return Improvement.IMPORTANT if fall >= ASDAS_IMPORTANT_IMPROVEMENT else Improvement.NONE


def health_state(asas_hi_sum: float) -> HealthState:
    """State of health by ASAS-HI: 5 or less good, 12 or more poor."""
    if asas_hi_sum <= ASAS_HI_GOOD_UP_TO:
        return HealthState.GOOD
    return HealthState.POOR if asas_hi_sum >= ASAS_HI_POOR_FROM else HealthState.MODERATE


def reaches(rise: float, limit: float) -> bool:
    """True if a difference of two values is at least the limit, without the error of binary fractions."""
    return round(rise, _ROUNDING) >= limit
