"""The NSAID index: intake of anti-inflammatory drugs, in percent of a full dose. Source: [Dougados2011]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial.cut_off import exact
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
"""Daily dose in mg with an index of 100. Source: [Dougados2011]."""


@dataclass(frozen=True)
class NsaidIntake:
    """One drug in the period before a visit: name, daily dose in mg, number of days taken."""

    drug: str
    dose_mg: float
    days: float


def nsaid_index(intakes: Sequence[NsaidIntake] | None, period_days: float | None) -> InstrumentResult:
    """Return the NSAID index: 100 * dose / equivalent * days taken / days in the period, summed over drugs.

    A drug outside the list has no equivalent dose, and none is guessed: the result has no value, and the reason gives
    the number of the drug. Source: [Dougados2011].

    Parameters
    ----------
    intakes : empty where no drug was taken, which is an index of 0 for any period; None where the intake is unknown
    period_days : length of the period in days

    Raises
    ------
    ClinicalValueError : a period of 0 days, a negative dose, or more days taken than the period has

    Examples
    --------
    Half a dose of naproxen on 14 of 28 days, and half a dose of celecoxib on all:

    >>> nsaid_index([NsaidIntake("naproxen", 500, 14), NsaidIntake("celecoxib", 200, 28)], 28).value
    75.0
    """
    if intakes is not None and not intakes:
        # Without a drug the index is 0, whatever the length of the period.
        return InstrumentResult(Instrument.NSAID_INDEX, 0.0)
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
    return InstrumentResult(Instrument.NSAID_INDEX, exact(math.fsum(items.values())), items)
