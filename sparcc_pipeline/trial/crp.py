"""C-reactive protein (CRP): its units, its range, and values below detection."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial.cut_off import at_most, exact


class CrpUnit(Enum):
    """Units of CRP; the value is the name in messages."""

    MG_L = "mg/L"
    MG_DL = "mg/dL"


class BelowDetectionRule(Enum):
    """Values that count for a CRP below a detection limit over 2 mg/L; the value is the name in the protocol file."""

    MISSING = "missing"
    LOWEST = "lowest"
    HALF = "half"


ASDAS_LOWEST_CRP_MG_L: Final = 2.0
"""A lower CRP counts as this value. Source: [Asdas]."""

HIGHEST_CRP_MG_L: Final = 500.0
"""A higher CRP is an error, probably of the unit. No published value: decision of this project, ten times the values of
active axial spondyloarthritis; a raised value in the wrong unit (60 mg/L as mg/dL) exceeds it."""


def crp_in_mg_l(value: float, unit: CrpUnit) -> float:
    """Return CRP in mg/L.

    Raises
    ------
    ClinicalValueError : below 0 or over HIGHEST_CRP_MG_L, so probably in another unit

    Examples
    --------
    >>> crp_in_mg_l(1.2, CrpUnit.MG_DL)
    12.0
    """
    crp = exact(value * (10.0 if unit is CrpUnit.MG_DL else 1.0))
    if not 0 <= crp <= HIGHEST_CRP_MG_L:
        raise ClinicalValueError(
            f"expected a CRP of 0-{HIGHEST_CRP_MG_L:g} mg/L, found {value:g} {unit.value} ({crp:g} mg/L); "
            "check the value and the unit that the laboratory gave"
        )
    return crp


def crp_below_detection(limit_mg_l: float, rule: BelowDetectionRule) -> float | None:
    """Return the CRP that counts for a value below a limit of detection; None where it counts as missing.

    Up to a limit of 2 mg/L every rule gives the same ASDAS, because a lower CRP counts as 2. Over it the protocol
    chooses: missing, the lowest CRP of the formula (2), or half of the limit.

    Examples
    --------
    >>> crp_below_detection(1.0, BelowDetectionRule.MISSING), crp_below_detection(5.0, BelowDetectionRule.MISSING)
    (1.0, None)
    >>> crp_below_detection(5.0, BelowDetectionRule.LOWEST), crp_below_detection(5.0, BelowDetectionRule.HALF)
    (2.0, 2.5)
    """
    if at_most(limit_mg_l, ASDAS_LOWEST_CRP_MG_L):
        return limit_mg_l
    if rule is BelowDetectionRule.MISSING:
        return None
    return ASDAS_LOWEST_CRP_MG_L if rule is BelowDetectionRule.LOWEST else limit_mg_l / 2
