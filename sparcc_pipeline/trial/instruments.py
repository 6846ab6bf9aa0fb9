"""Questionnaires and indices of a visit. Each function returns an `InstrumentResult` with the items that it used.

A missing item gives no value, and the result names it. A higher value is worse. The NSAID index is in `nsaid.py`,
states and improvements are in `states.py`.

The item texts of ASAS-HI and ASQoL belong to their owners, so answers are kept by item number, without wording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from sparcc_pipeline.errors import ClinicalValueError
from sparcc_pipeline.trial.crp import ASDAS_LOWEST_CRP_MG_L, HIGHEST_CRP_MG_L
from sparcc_pipeline.trial.cut_off import exact


class Instrument(Enum):
    """Instruments of a visit; the value is the name in tables."""

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


LARGEST_ITEM: Final = 10.0
"""Items of ASDAS, BASDAI and BASFI run from 0 to 10."""

BASDAI_ITEMS: Final = 6
BASFI_ITEMS: Final = 10
ASAS_HI_ITEMS: Final = 17
ASQOL_ITEMS: Final = 18

HIGHEST_ESR_MM_H: Final = 200.0
"""A higher ESR is an error: the tube of the Westergren method is 200 mm long. Decision of this project."""


@dataclass(frozen=True)
class InstrumentResult:
    """One instrument at one visit.

    Parameters
    ----------
    value : None where an item is missing and no rule replaces it
    items : the used items, by name
    missing : names of the missing items
    reason : why there is no value, or the rule that replaced missing items; None for a complete result
    """

    instrument: Instrument
    value: float | None
    items: Mapping[str, float] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    reason: str | None = None


def asdas_crp(
    back_pain: float | None,
    stiffness_duration: float | None,
    patient_global: float | None,
    peripheral: float | None,
    crp_mg_l: float | None,
) -> InstrumentResult:
    """Return ASDAS-CRP from items of 0-10 and CRP in mg/L. Source: [Asdas].

    Back pain is BASDAI item 2, peripheral item 3, stiffness duration item 6.

    Raises
    ------
    ClinicalValueError : an item or the CRP is out of range

    Examples
    --------
    >>> round(asdas_crp(back_pain=6, stiffness_duration=5, patient_global=6, peripheral=3, crp_mg_l=12).value, 3)
    3.38
    >>> asdas_crp(6, 5, 6, 3, None).reason
    'missing: crp_mg_l'
    """
    items = _asdas_items(back_pain, stiffness_duration, patient_global, peripheral)
    items["crp_mg_l"] = _in_range("crp_mg_l", crp_mg_l, HIGHEST_CRP_MG_L)
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
    """Return ASDAS-ESR; items, source and errors as in `asdas_crp`, ESR in mm/h.

    Examples
    --------
    >>> round(asdas_esr(back_pain=6, stiffness_duration=5, patient_global=6, peripheral=3, esr_mm_h=30).value, 2)
    3.36
    """
    items = _asdas_items(back_pain, stiffness_duration, patient_global, peripheral)
    items["esr_mm_h"] = _in_range("esr_mm_h", esr_mm_h, HIGHEST_ESR_MM_H)
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
    """Return BASDAI, 0-10, from its six items: (q1 + q2 + q3 + q4 + (q5 + q6) / 2) / 5. Source: [Garrett1994].

    Raises
    ------
    ClinicalValueError : not six items, or one out of range

    Examples
    --------
    >>> basdai([4, 5, 6, 3, 8, 2]).value
    4.6
    """
    answers = _numbered("basdai", items, BASDAI_ITEMS, LARGEST_ITEM)
    return _complete(
        Instrument.BASDAI,
        answers,
        lambda v: (sum(v[f"basdai_{n}"] for n in (1, 2, 3, 4)) + (v["basdai_5"] + v["basdai_6"]) / 2) / 5,
    )


def basfi(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """Return BASFI, 0-10, the mean of ten items. Source: [Calin1994].

    With items missing, up to `allow_missing`, it is the mean of the others. Chosen by the protocol.

    Raises
    ------
    ClinicalValueError : not ten items, or one out of range

    Examples
    --------
    >>> basfi([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).value
    4.5
    >>> basfi([None, 1, 2, 3, 4, 5, 6, 7, 8, 9], allow_missing=2).value
    5.0
    """
    answers = _numbered("basfi", items, BASFI_ITEMS, LARGEST_ITEM)
    return _of_answered(Instrument.BASFI, answers, allow_missing, scale=1.0)


def asas_hi(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """Return ASAS-HI, 0-17, the sum of 17 yes/no items (1 or 0). Source: [Kiltz2015].

    With items missing, up to `allow_missing`, the sum is 17 times the mean of the others. Chosen by the protocol.

    Raises
    ------
    ClinicalValueError : not 17 items, or one that is neither 0 nor 1

    Examples
    --------
    >>> asas_hi([1, 0] * 8 + [1]).value
    9.0
    """
    answers = _yes_no("asas_hi", items, ASAS_HI_ITEMS)
    return _of_answered(Instrument.ASAS_HI, answers, allow_missing, scale=ASAS_HI_ITEMS)


def asqol(items: Sequence[float | None], allow_missing: int = 0) -> InstrumentResult:
    """Return ASQoL, 0-18, the sum of 18 yes/no items (1 or 0); else as `asas_hi`. Source: [Doward2003].

    Examples
    --------
    >>> asqol([1] * 7 + [0] * 11).value
    7.0
    """
    answers = _yes_no("asqol", items, ASQOL_ITEMS)
    return _of_answered(Instrument.ASQOL, answers, allow_missing, scale=ASQOL_ITEMS)


_Items = dict[str, float | None]
_Formula = Callable[[Mapping[str, float]], float]


def _asdas_items(*values: float | None) -> _Items:
    names = ("back_pain", "stiffness_duration", "patient_global", "peripheral")
    return {name: _in_range(name, value, LARGEST_ITEM) for name, value in zip(names, values, strict=True)}


def _in_range(name: str, value: float | None, largest: float) -> float | None:
    """The item; an error if it is out of range."""
    if value is not None and not 0 <= value <= largest:
        raise ClinicalValueError(f"expected {name} in 0-{largest:g}, found {value:g}; correct it or leave it empty")
    return value


def _numbered(name: str, items: Sequence[float | None], count: int, largest: float) -> _Items:
    if len(items) != count:
        raise ClinicalValueError(f"expected {count} items of {name}, found {len(items)}; give missing ones as missing")
    return {f"{name}_{n}": _in_range(f"{name}_{n}", item, largest) for n, item in enumerate(items, 1)}


def _yes_no(name: str, items: Sequence[float | None], count: int) -> _Items:
    answers = _numbered(name, items, count, 1.0)
    for key, value in answers.items():
        if value not in (0, 1, None):
            raise ClinicalValueError(f"expected {key} to be 0 or 1, found {value:g}; correct it or leave it empty")
    return answers


def _complete(instrument: Instrument, items: _Items, formula: _Formula) -> InstrumentResult:
    """Result of a formula that needs every item."""
    used, missing = _used_and_missing(items)
    if missing:
        return without_value(instrument, used, missing)
    return InstrumentResult(instrument, exact(formula(used)), used)


def _of_answered(instrument: Instrument, items: _Items, allow_missing: int, scale: float) -> InstrumentResult:
    """Result that is the mean of the answered items times `scale`, with up to `allow_missing` missing."""
    used, missing = _used_and_missing(items)
    if len(missing) > allow_missing or not used:
        return without_value(instrument, used, missing)
    rule = f"{len(missing)} missing, replaced by the mean of the answered items" if missing else None
    value = exact(scale * math.fsum(used.values()) / len(used))
    return InstrumentResult(instrument, value, used, missing, rule)


def _used_and_missing(items: _Items) -> tuple[dict[str, float], tuple[str, ...]]:
    used = {name: float(value) for name, value in items.items() if value is not None}
    return used, tuple(name for name in items if name not in used)


def without_value(instrument: Instrument, used: Mapping[str, float], missing: tuple[str, ...]) -> InstrumentResult:
    """Return the result where items are missing and no rule replaces them."""
    return InstrumentResult(instrument, None, used, missing, f"missing: {', '.join(missing)}")
