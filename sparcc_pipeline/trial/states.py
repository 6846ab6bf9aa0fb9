"""States of a value: disease activity and improvement by ASDAS, health by ASAS-HI."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sparcc_pipeline.trial.cut_off import above, at_least, at_most, below


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
"""Cut-offs of ASDAS. Source: [AsdasStates]."""

ASDAS_IMPORTANT_IMPROVEMENT: Final = 1.1
ASDAS_MAJOR_IMPROVEMENT: Final = 2.0
"""Decreases of ASDAS that are an improvement. Source: [AsdasStates]."""

ASAS_HI_GOOD_UP_TO: Final = 5
ASAS_HI_POOR_FROM: Final = 12
ASAS_HI_SMALLEST_DETECTABLE_CHANGE: Final = 3.0
"""Cut-offs and smallest detectable change of ASAS-HI. Source: [Kiltz2018]."""


def disease_activity(asdas: float) -> DiseaseActivity:
    """Return the state by ASDAS: < 1.3 inactive, < 2.1 low, 2.1-3.5 high, > 3.5 very high. Source: [AsdasStates].

    Examples
    --------
    >>> [disease_activity(asdas).value for asdas in (1.29, 1.3, 2.1, 3.5, 3.51)]
    ['inactive', 'low', 'high', 'high', 'very high']
    """
    if below(asdas, ASDAS_INACTIVE_BELOW):
        return DiseaseActivity.INACTIVE
    if below(asdas, ASDAS_LOW_BELOW):
        return DiseaseActivity.LOW
    return DiseaseActivity.VERY_HIGH if above(asdas, ASDAS_VERY_HIGH_ABOVE) else DiseaseActivity.HIGH


def asdas_improvement(baseline: float, follow_up: float) -> Improvement:
    """Return the improvement of ASDAS: a decrease of 1.1 is clinically important, of 2.0 major. Source: [AsdasStates].

    Examples
    --------
    >>> [asdas_improvement(4.1, asdas).value for asdas in (3.01, 3.0, 2.1)]
    ['none', 'clinically important', 'major']
    """
    fall = baseline - follow_up
    if at_least(fall, ASDAS_MAJOR_IMPROVEMENT):
        return Improvement.MAJOR
    return Improvement.IMPORTANT if at_least(fall, ASDAS_IMPORTANT_IMPROVEMENT) else Improvement.NONE


def health_state(asas_hi_sum: float) -> HealthState:
    """Return the state of health by ASAS-HI: 5 or less is good, 12 or more poor. Source: [Kiltz2018].

    Examples
    --------
    >>> [health_state(total).value for total in (5, 6, 12)]
    ['good', 'moderate', 'poor']
    """
    if at_most(asas_hi_sum, ASAS_HI_GOOD_UP_TO):
        return HealthState.GOOD
    return HealthState.POOR if at_least(asas_hi_sum, ASAS_HI_POOR_FROM) else HealthState.MODERATE
