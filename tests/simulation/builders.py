"""Assumptions and protocols for tests of the simulation."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

from sparcc_pipeline.simulation.assumptions import Assumptions
from sparcc_pipeline.simulation.assumptions_file import assumptions_from
from sparcc_pipeline.trial.protocol.definition import Protocol
from sparcc_pipeline.trial.protocol.mapping import protocol_from

from ..trial.builders import content

ASSUMED = Path(__file__).resolve().parents[2] / "configs" / "simulation.toml"


def assumed(**changes: Any) -> dict[str, Any]:
    """The content of the shipped assumptions, with values changed by dotted name."""
    tables = copy.deepcopy(tomllib.loads(ASSUMED.read_text(encoding="utf-8")))
    for dotted, value in changes.items():
        group, _, key = dotted.partition("__")
        tables[group][key] = {"value": value, "source": "a test"}
    return tables


def assumptions(**changes: Any) -> Assumptions:
    return assumptions_from(assumed(**changes), "test.toml")


def protocol(taper: int, control: int, /, **choices: Any) -> Protocol:
    tables = content(**{**assumptions().choices, **choices})
    for arm, count in zip(tables["arms"], (taper, control), strict=True):
        arm["participants"] = count
    return protocol_from(tables, "test.toml")
