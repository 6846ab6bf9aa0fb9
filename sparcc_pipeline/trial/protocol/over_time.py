"""Choices of a protocol about several visits: confirmed target, sustained target, flare. Each has cut-offs by name.

A file without these keys keeps the rules of earlier versions: the target at one visit, sustained at two, a flare as a
rise of ASDAS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from sparcc_pipeline.errors import ConfigError


class Confirmation(Enum):
    """Conditions under which the dual target counts as met; the value is the name in the protocol file."""

    SINGLE_VISIT = "single_visit"
    TWO_VISITS = "two_visits"
    SECOND_SCAN = "second_scan"


class SustainedDefinition(Enum):
    """Definitions of a sustained target; the value is the name in the protocol file."""

    TWO_VISITS = "two_visits"
    C_OPTIMISE = "c_optimise"


class FlareDefinition(Enum):
    """Definitions of a flare; the value is the name in the protocol file."""

    ASDAS_RISE = "asdas_rise"
    C_OPTIMISE = "c_optimise"
    BASDAI = "basdai"
    MRI_LESIONS = "mri_lesions"
    DANISH_TAPER = "danish_taper"


class CountsFrom(Enum):
    """The earlier visit from which a rise or a period counts; the value is the name in the protocol file."""

    PREVIOUS = "previous"
    LOWEST = "lowest"
    BASELINE = "baseline"
    START_OF_TAPER = "start_of_taper"


SUSTAINED_FROM: Final = (CountsFrom.BASELINE, CountsFrom.START_OF_TAPER)
"""Visits from which the weeks of a sustained target can count."""


@dataclass(frozen=True)
class SustainedRules:
    """The definition of a sustained target.

    Parameters
    ----------
    first_week, second_week, last_week : weeks of C-OPTIMISE: ASDAS inactive at the first or the second, and at the last
    counts_from : visit from which these weeks count
    """

    definition: SustainedDefinition = SustainedDefinition.TWO_VISITS
    first_week: int = 32
    second_week: int = 36
    last_week: int = 48
    counts_from: CountsFrom = CountsFrom.BASELINE


@dataclass(frozen=True)
class FlareRules:
    """The definition of a flare, and its cut-offs.

    Parameters
    ----------
    asdas_rise : smallest rise of ASDAS
    asdas_high : ASDAS from which two consecutive visits are a flare (C-OPTIMISE)
    asdas_very_high : ASDAS over which one visit is a flare (C-OPTIMISE)
    basdai_from, basdai_rise : BASDAI and its rise, both needed
    mri_lesions : smallest number of new or worsened lesions
    """

    definition: FlareDefinition = FlareDefinition.ASDAS_RISE
    counts_from: CountsFrom = CountsFrom.PREVIOUS
    asdas_rise: float = 0.9
    asdas_high: float = 2.1
    asdas_very_high: float = 3.5
    basdai_from: float = 4.0
    basdai_rise: float = 2.0
    mri_lesions: int = 2


def require_over_time(
    sustained: SustainedRules, flare: FlareRules, weeks: tuple[int, ...], start_of_taper: int, file: str
) -> None:
    """Check the choices against the planned visits.

    Parameters
    ----------
    weeks : weeks of the planned visits
    start_of_taper : first week in which the protocol allows a step

    Raises
    ------
    ConfigError : a definition needs a visit that is not planned, or a visit from which it cannot count
    """
    if flare.definition is FlareDefinition.C_OPTIMISE and flare.counts_from is CountsFrom.PREVIOUS:
        raise ConfigError(
            f"expected another value than 'previous' for target.flare_compared_with in {file}: 'c_optimise' counts "
            "visits from one on; choose 'baseline', 'start_of_taper' or 'lowest'"
        )
    if sustained.counts_from not in SUSTAINED_FROM:
        raise ConfigError(
            f"expected 'baseline' or 'start_of_taper' for target.sustained_from in {file}, found "
            f"{sustained.counts_from.value!r}; change it"
        )
    if sustained.definition is SustainedDefinition.C_OPTIMISE:
        begin = sustained_begin(sustained, start_of_taper)
        early = {begin + sustained.first_week, begin + sustained.second_week} & set(weeks)
        if not early or begin + sustained.last_week not in weeks:
            raise ConfigError(
                f"expected planned visits at week {begin + sustained.first_week} or {begin + sustained.second_week}, "
                f"and at week {begin + sustained.last_week}, for target.sustained = 'c_optimise' in {file}, found "
                f"weeks {', '.join(map(str, weeks))}; plan them, or change the weeks"
            )


def sustained_begin(rules: SustainedRules, start_of_taper: int) -> int:
    """Return the week from which the weeks of a sustained target count."""
    return 0 if rules.counts_from is CountsFrom.BASELINE else start_of_taper
