"""The questionnaires and indices of a visit: pure functions, each result with the items it used.

There: `asdas_crp`, `asdas_esr`, `basdai`, `basfi`, `asas_hi`, `asqol`, `crp_in_mg_l`; the NSAID index is in `nsaid.py`,
states and improvements in `states.py`. All give an `InstrumentResult`; a missing item gives no value and is named.
Higher is worse in all. Source of every formula: clinical reference, section 4.

Item texts of ASAS-HI and ASQoL belong to their owners: answers are kept by item number, no wording is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sparcc_pipeline.errors import ClinicalValueError


class Instrument(Enum):
    """What is measured at a visit; the value is its name in tables."""

    ASDAS_CRP = "asdas_crp"
    ASDAS_ESR = "asdas_esr"
    BASDAI = "basdai"
    BASFI = "basfi"
    ASAS_HI = "asas_hi"
    ASQOL = "asqol"
    NSAID_INDEX = "nsaid_index"


class AsdasForm(Enum):
    """The two forms of ASDAS, never mixed within a participant."""

    CRP = "crp"
    ESR = "esr"

    @property
    def instrument(self) -> Instrument:
        """The instrument of this form."""
        return Instrument.ASDAS_CRP if self is AsdasForm.CRP else Instrument.ASDAS_ESR


class CrpUnit(Enum):
    """Units in which a laboratory gives CRP; the value is the name in messages."""

    MG_L = "mg/L"
    MG_DL = "mg/dL"


LARGEST_ITEM: Final = 10.0
"""Items of ASDAS, BASDAI and BASFI run from 0 to 10."""

BASDAI_ITEMS: Final = 6
BASFI_ITEMS: Final = 10
ASAS_HI_ITEMS: Final = 17
ASQOL_ITEMS: Final = 18

ASDAS_LOWEST_CRP_MG_L: Final = 2.0
"""CRP below this counts as this. Source: clinical reference, section 4 (PMC11843021 table 2)."""

HIGHEST_CRP_MG_L: Final = 500.0
"""Above this a CRP is taken for a wrong unit or a slip. No published value: a project decision, ten times what is seen
in active axial spondyloarthritis; the smallest tenfold error of an ordinary raised value (60 mg/L as mg/dL) exceeds it.
"""

HIGHEST_ESR_MM_H: Final = 200.0
"""Above this an ESR is a slip: the tube of the Westergren method is 200 mm long."""


@dataclass(frozen=True)
class InstrumentResult:
    """One instrument at one visit.

    Parameters
    ----------
    value : None where an item is missing that no rule replaces
    items : the items that were used, by name
    missing : names of the items that are missing
    reason : why there is no value, or which rule stood in for what is missing; None for a complete result
    """

    instrument: Instrument
    value: float | None
    items: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    reason: str | None = None


def crp_in_mg_l(value: float, unit: CrpUnit) -> float:
    """CRP in mg/L from a value whose unit is named.

    Raises
    ------
    ClinicalValueError : below 0 or over HIGHEST_CRP_MG_L, so probably in another unit
    """
    crp = value * (10.0 if unit is CrpUnit.MG_DL else 1.0)
    if not 0 <= crp <= HIGHEST_CRP_MG_L:
        raise ClinicalValueError(
            f"expected a CRP of 0-{HIGHEST_CRP_MG_L:g} mg/L, found {value:g} {unit.value} ({crp:g} mg/L); "
            "check the value and the unit that the laboratory gave"
        )
    return crp


def asdas_crp(
    back_pain: float | None,
    stiffness_duration: float | None,
    patient_global: float | None,
    peripheral: float | None,
    crp_mg_l: float | None,
) -> InstrumentResult:
    """ASDAS-CRP. Back pain is BASDAI item 2, peripheral item 3, stiffness duration item 6, all 0-10; CRP in mg/L.

    Source: clinical reference, section 4 (Ann Rheum Dis markup 238393, PMC11843021 table 2).

    Raises
    ------
    ClinicalValueError : an item or the CRP is out of range
    """
    items = _asdas_items(back_pain, stiffness_duration, patient_global, peripheral)
    items |= _present("crp_mg_l", crp_mg_l, HIGHEST_CRP_MG_L)
    return _complete(
        Instrument.ASDAS_CRP,
        items,
        lambda v: (
            0.121 * v["back_pain"]
            + 0.058 * v["stiffness_duration"]
            + 0.110 * v["patient_global"]
            + 0.073 * v["peripheral"]
            + 0.579 * math.log(max(v["crp_mg_l"], ASDAS_LOWEST_CRP_MG_L) + 1)
        ),
    )


def asdas_esr(
    back_pain: float | None,
    stiffness_duration: float | None,
    patient_global: float | None,
    peripheral: float | None,
    esr_mm_h: float | None,
) -> InstrumentResult:
    """ASDAS-ESR; items as in `asdas_crp`, ESR in mm/h. Source and errors: as there."""
    items = _asdas_items(back_pain, stiffness_duration, patient_global, peripheral)
    items |= _present("esr_mm_h", esr_mm_h, HIGHEST_ESR_MM_H)
    return _complete(
        Instrument.ASDAS_ESR,
        items,
        lambda v: (
            0.079 * v["back_pain"]
            + 0.069 * v["stiffness_duration"]
            + 0.113 * v["patient_global"]
            + 0.086 * v["peripheral"]
            + 0.293 * math.sqrt(v["esr_mm_h"])
        ),
    )


def basdai(items: Sequence[float | None]) -> InstrumentResult:
    """BASDAI from its six items, 0-10: (q1 + q2 + q3 + q4 + (q5 + q6) / 2) / 5.

    Raises
    ------
    ClinicalValueError : not six items, or one out of range
    """
    answers = _numbered("basdai", items, BASDAI_ITEMS, LARGEST_ITEM)
    return _complete(
        Instrument.BASDAI,
        answers,
        lambda v: (sum(v[f"basdai_{n}"] for n in (1, 2, 3, 4)) + (v["basdai_5"] + v["basdai_6"]) / 2) / 5,
    )


def basfi(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """BASFI: mean of ten items, 0-10.

    Parameters
    ----------
    allow_missing : so many items may be missing, and the mean is that of the others; the protocol's choice

    Raises
    ------
    ClinicalValueError : not ten items, or one out of range
    """
    answers = _numbered("basfi", items, BASFI_ITEMS, LARGEST_ITEM)
    return _of_answered(Instrument.BASFI, answers, allow_missing, scale=1.0)


def asas_hi(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """ASAS-HI: sum of 17 yes/no items (1 or 0), 0-17.

    Parameters
    ----------
    allow_missing : so many items may be missing, and the sum is 17 times the mean of the others; the protocol's choice

    Raises
    ------
    ClinicalValueError : not 17 items, or one that is neither 0 nor 1
    """
    answers = _yes_no("asas_hi", items, ASAS_HI_ITEMS)
    return _of_answered(Instrument.ASAS_HI, answers, allow_missing, scale=ASAS_HI_ITEMS)


def asqol(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """ASQoL: sum of 18 yes/no items (1 or 0), 0-18; otherwise as `asas_hi`."""
    answers = _yes_no("asqol", items, ASQOL_ITEMS)
    return _of_answered(Instrument.ASQOL, answers, allow_missing, scale=ASQOL_ITEMS)


_Items = dict[str, float | None]
_Formula = Callable[[Mapping[str, float]], float]


def _asdas_items(
    back_pain: float | None, stiffness_duration: float | None, patient_global: float | None, peripheral: float | None
) -> _Items:
    named = {
        "back_pain": back_pain,
        "stiffness_duration": stiffness_duration,
        "patient_global": patient_global,
        "peripheral": peripheral,
    }
    return {key: item for name, value in named.items() for key, item in _present(name, value, LARGEST_ITEM).items()}


def _present(name: str, value: float | None, largest: float) -> _Items:
    """The item under its name, if it is in range or missing."""
    if value is not None and not 0 <= value <= largest:
        raise ClinicalValueError(f"expected {name} in 0-{largest:g}, found {value:g}; correct it or leave it empty")
    return {name: value}


def _numbered(name: str, items: Sequence[float | None], count: int, largest: float) -> _Items:
    if len(items) != count:
        raise ClinicalValueError(f"expected {count} items of {name}, found {len(items)}; give missing ones as missing")
    return {k: v for n, item in enumerate(items, 1) for k, v in _present(f"{name}_{n}", item, largest).items()}


def _yes_no(name: str, items: Sequence[float | None], count: int) -> _Items:
    answers = _numbered(name, items, count, 1.0)
    for key, value in answers.items():
        if value not in (0, 1, None):
            raise ClinicalValueError(f"expected {key} to be 0 or 1, found {value:g}; correct it or leave it empty")
    return answers


def _complete(instrument: Instrument, items: _Items, formula: _Formula) -> InstrumentResult:
    """The formula on complete items; no value if one is missing."""
    missing = tuple(name for name, value in items.items() if value is None)
    used = {name: float(value) for name, value in items.items() if value is not None}
    if missing:
        return without_value(instrument, used, missing)
    return InstrumentResult(instrument, formula(used), used)


def _of_answered(instrument: Instrument, items: _Items, allow_missing: int, scale: float) -> InstrumentResult:
    """Mean of the answered items times `scale`, if no more are missing than is allowed."""
    missing = tuple(name for name, value in items.items() if value is None)
    used = {name: float(value) for name, value in items.items() if value is not None}
    if len(missing) > allow_missing or not used:
        return without_value(instrument, used, missing)
    rule = f"{len(missing)} missing, the mean of the answered items stands for them" if missing else None
    return InstrumentResult(instrument, scale * math.fsum(used.values()) / len(used), used, missing, rule)


def without_value(instrument: Instrument, used: Mapping[str, float], missing: tuple[str, ...]) -> InstrumentResult:
    """The result where items are missing that no rule replaces."""
    return InstrumentResult(instrument, None, used, missing, f"missing: {', '.join(missing)}")
