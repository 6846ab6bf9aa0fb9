"""The NSAID index: what was taken of anti-inflammatory drugs, in percent of a full dose of diclofenac.

There: `nsaid_index`, `NsaidIntake`, `NSAID_EQUIVALENT_MG`. Source: clinical reference, section 4; Dougados 2011, PMID
20829199.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial.instruments import Instrument, InstrumentResult, without_value

NSAID_EQUIVALENT_MG: Final[Mapping[str, float]] = MappingProxyType(
    {
        "diclofenac": 150.0,
        "naproxen": 1000.0,
        "aceclofenac": 200.0,
        "celecoxib": 400.0,
        "etodolac": 600.0,
        "etoricoxib": 90.0,
        "flurbiprofen": 200.0,
        "ibuprofen": 2400.0,
        "indometacin": 150.0,
        "ketoprofen": 200.0,
        "meloxicam": 15.0,
        "phenylbutazone": 400.0,
        "piroxicam": 20.0,
        "tenoxicam": 20.0,
    }
)
"""Daily dose that counts as 100. Source: Dougados 2011, PMID 20829199."""


@dataclass(frozen=True)
class NsaidIntake:
    """One drug in the period before a visit: name, daily dose in mg, days on which it was taken."""

    drug: str
    dose_mg: float
    days: float


def nsaid_index(intakes: Sequence[NsaidIntake] | None, period_days: float | None) -> InstrumentResult:
    """NSAID index: 100 * dose / equivalent * days taken / days in the period, summed over drugs.

    A drug outside the list has no equivalent and is never guessed: no value, and the reason names it.

    Parameters
    ----------
    intakes : None where it is not known what was taken; empty where nothing was
    period_days : length of the period in days

    Raises
    ------
    ClinicalValueError : a period of 0 days, a negative dose, or more days taken than the period has
    """
    absent = tuple(
        name for name, value in (("nsaid_intakes", intakes), ("nsaid_period_days", period_days)) if value is None
    )
    if intakes is None or period_days is None:
        return without_value(Instrument.NSAID_INDEX, {}, absent)
    if not 0 < period_days < math.inf:
        raise ClinicalValueError(f"expected a period of at least a day, found {period_days:g} days; correct it")
    items: dict[str, float] = {}
    unknown = []
    for number, intake in enumerate(intakes, start=1):
        if not 0 <= intake.dose_mg < math.inf or not 0 <= intake.days <= period_days:
            raise ClinicalValueError(
                f"expected a dose of 0 mg or more on 0-{period_days:g} days, found {intake.dose_mg:g} mg on "
                f"{intake.days:g} days; correct drug {number}"
            )
        equivalent = NSAID_EQUIVALENT_MG.get(intake.drug.strip().lower())
        if equivalent is None:
            unknown.append(str(number))
        else:
            items[f"nsaid_{number}"] = 100 * intake.dose_mg / equivalent * intake.days / period_days
    if unknown:
        reason = f"drug {', '.join(unknown)} is not in the list of Dougados 2011: it has no equivalent dose"
        return InstrumentResult(Instrument.NSAID_INDEX, None, items, (), reason)
    return InstrumentResult(Instrument.NSAID_INDEX, math.fsum(items.values()), items)
