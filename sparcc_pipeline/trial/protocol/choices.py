"""Choices that a trial must make, because the registry entry contradicts itself or gives no value.

No choice has a default: a run that needs an unset choice stops and lists its options. Source: [Registry].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

ChoiceValue = str | int
"""Type of the value of a choice in a protocol file."""


class ClinicalDefinition(Enum):
    """Definitions of the clinical half; the value is the name in the protocol file."""

    ASDAS_INACTIVE = "asdas_inactive"
    ASDAS_LOW = "asdas_low"


class ImagingDefinition(Enum):
    """Definitions of the imaging half; the value is the name in the protocol file."""

    BELOW = "below_cut_off"
    UP_TO = "up_to_cut_off"


@dataclass(frozen=True)
class Option:
    """One interpretation of the registry entry: value in the protocol file, meaning, and place in the entry."""

    value: ChoiceValue
    text: str
    source: str


@dataclass(frozen=True)
class Choice:
    """One choice: key in the protocol file, what is chosen, and the options."""

    key: str
    what: str
    options: tuple[Option, ...]

    @property
    def readings(self) -> str:
        """All options as one text, each with value, meaning and place."""
        return "; ".join(f"{_toml(o.value)} ({o.text}; {o.source})" for o in self.options)


_CHINESE: Final = "registry entry, Chinese text"
_ENGLISH: Final = "registry entry, English text"
_SILENT: Final = "the registry entry gives no definition"

CHOICES: Final = (
    Choice(
        "age_max_years",
        "highest age at entry",
        (
            Option(59, "18-59 years", "registry entry, both texts, first place"),
            Option(60, "18-60 years", "registry entry, both texts, further down (item 5)"),
        ),
    ),
    Choice(
        "first_step",
        "dose of the first step",
        (
            Option("5_mg_every_other_day", "5 mg every other day", "registry entry, both texts"),
            Option("15_mg_every_other_day", "15 mg every other day", "the marketed tablet is 15 mg"),
        ),
    ),
    Choice(
        "observation_weeks",
        "weeks of observation after the first step",
        (Option(24, "24 weeks", _CHINESE), Option(12, "12 weeks", _ENGLISH)),
    ),
    Choice(
        "second_step",
        "dose of the second step",
        (
            Option("15_mg_every_third_day", "15 mg, with two days between doses", _CHINESE),
            Option("15_mg_every_other_day", "15 mg every two days", _ENGLISH),
        ),
    ),
    Choice(
        "haemoglobin_min_g_l",
        "lowest haemoglobin at entry, g/L",
        (
            Option(90, "at least 90 g/L", "registry entry, inclusion"),
            Option(80, "not under 8 g/dL", "registry entry, exclusion"),
        ),
    ),
    Choice(
        "low_disease_activity",
        "low disease activity, on which the first step depends",
        (
            Option(ClinicalDefinition.ASDAS_LOW.value, "low by ASDAS, < 2.1", _SILENT),
            Option(ClinicalDefinition.ASDAS_INACTIVE.value, "inactive by ASDAS, < 1.3", _SILENT),
        ),
    ),
    Choice(
        "dual_clinical",
        "clinical half of the dual target",
        (
            Option(ClinicalDefinition.ASDAS_INACTIVE.value, "inactive by ASDAS, < 1.3", _SILENT),
            Option(ClinicalDefinition.ASDAS_LOW.value, "low by ASDAS, < 2.1", _SILENT),
        ),
    ),
    Choice(
        "dual_imaging",
        "imaging half of the dual target",
        (
            Option(ImagingDefinition.BELOW.value, "SPARCC < 2", f"{_SILENT}; RAPID-axSpA"),
            Option(ImagingDefinition.UP_TO.value, "SPARCC <= 2", _SILENT),
        ),
    ),
)
"""All choices, in the order of the registry entry."""


def _toml(value: ChoiceValue) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
