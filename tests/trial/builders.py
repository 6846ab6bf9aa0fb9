"""Protocols, visits and readings for tests."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from
from sparcc_pipeline.trial.reading import Reading
from sparcc_pipeline.trial.records import ClinicalVisit

SHIPPED = Path(__file__).resolve().parents[2] / "configs" / "protocols" / "chictr2600118800.toml"

MADE: dict[str, str | int] = {
    "age_max_years": 59,
    "first_step": "5_mg_every_other_day",
    "observation_weeks": 12,
    "second_step": "15_mg_every_third_day",
    "haemoglobin_min_g_l": 90,
    "low_disease_activity": "asdas_low",
    "dual_clinical": "asdas_inactive",
    "dual_imaging": "below_cut_off",
}


def content(**choices: str | int) -> dict[str, Any]:
    """The content of the shipped file, with these choices made."""
    tables = copy.deepcopy(tomllib.loads(SHIPPED.read_text(encoding="utf-8")))
    tables["choices"] = {key: {"value": value, "source": "a test"} for key, value in choices.items()}
    return tables


def protocol(changes: dict[str, Any] | None = None, /, **choices: Any) -> Protocol:
    """The shipped protocol with all choices made, and `changes` of single settings by dotted name."""
    tables = content(**{**MADE, **choices})
    for dotted, value in (changes or {}).items():
        table, key = dotted.split(".")
        tables[table][key] = {"value": value, "source": "a test"}
    return protocol_from(tables, "test.toml")


def visit(
    participant: str = "P001", name: str = "W0", day: int | None = 0, item: float = 2.0, **more: Any
) -> ClinicalVisit:
    """A complete visit, every 0-10 item being `item`."""
    given: dict[str, Any] = {
        "basdai": (item,) * 6,
        "patient_global": item,
        "crp_mg_l": 1.0,
        "esr_mm_h": 4.0,
        "basfi": (item,) * 10,
        "asas_hi": (1.0,) * 5 + (0.0,) * 12,
        "asqol": (1.0,) * 3 + (0.0,) * 15,
        "nsaids": (),
        "nsaid_period_days": 28.0,
        "rescue": False,
    }
    return ClinicalVisit(participant, name, day, **{**given, **more})


def readings(
    *totals: float | None, participant: str = "P001", name: str = "W0", third: float | None = None
) -> list[Reading]:
    """Locked readings of one visit by readers R1, R2, ... and, if given, a third by ADJ."""
    made = [
        Reading(participant, name, f"R{n}", total, locked=True, asas_positive=total is not None and total >= 2)
        for n, total in enumerate(totals, 1)
    ]
    if third is not None:
        made.append(Reading(participant, name, "ADJ", third, locked=True, adjudicator=True, asas_positive=third >= 2))
    return made
