"""Entry criteria of the trial, each met, not met or unknown, with the reason.

There: `eligibility`, `Eligibility`, `EntryCriterion`, `EntryState`. A participant is eligible only if every criterion
is met; a missing value is unknown and never "not met". Source: clinical reference, section 1 (registry entry
ChiCTR2600118800); the limits come from the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.instruments import InstrumentResult
from sparcc_pipeline.trial.protocol.definition import MriSign, Protocol
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource
from sparcc_pipeline.trial.records import Participant


class EntryState(Enum):
    """State of a criterion; the value is its name in tables."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class EntryCriterion:
    """One criterion: its name, what the protocol expects, what was found, and whether that is met."""

    name: str
    expected: str
    found: str
    state: EntryState

    @property
    def reason(self) -> str:
        """The criterion as one phrase."""
        return f"{self.name}: expected {self.expected}, found {self.found}: {self.state.value}"


@dataclass(frozen=True)
class Eligibility:
    """All criteria of one participant."""

    participant: str
    criteria: tuple[EntryCriterion, ...]

    @property
    def state(self) -> EntryState:
        """Not met if one is not met; else unknown if one is unknown; else met."""
        states = {criterion.state for criterion in self.criteria}
        for state in (EntryState.NOT_MET, EntryState.UNKNOWN):
            if state in states:
                return state
        return EntryState.MET


def eligibility(
    participant: Participant,
    basdai: InstrumentResult,
    patient_global: float | None,
    score: CountedScore,
    machine: MachineScore | None,
    protocol: Protocol,
) -> Eligibility:
    """Every criterion of the registry entry at the baseline visit.

    Parameters
    ----------
    basdai, patient_global : at baseline
    score : the imaging score of the baseline that counts; its readings' answer is the MRI sign by default
    machine : the machine's score of the baseline; its ASAS-positive sign counts only if the protocol says so

    Raises
    ------
    ConfigError : the protocol leaves the highest age or the lowest haemoglobin unset
    """
    protocol.require("age_max_years", "haemoglobin_min_g_l")
    limits, lab = protocol.eligibility, participant.screening
    return Eligibility(
        participant.participant,
        (
            _between("age", lab.age_years, limits.age_min_years, protocol.age_max_years),
            _at_least("BASDAI", basdai.value, limits.basdai_min, ""),
            _at_least("patient global", patient_global, limits.patient_global_min, ""),
            _mri_sign(score, machine, protocol),
            _at_most_uln("ALT", lab.alt_u_l, lab.alt_uln_u_l, limits.alt_max_uln),
            _at_most_uln("AST", lab.ast_u_l, lab.ast_uln_u_l, limits.ast_max_uln),
            _at_most_uln("bilirubin", lab.bilirubin_umol_l, lab.bilirubin_uln_umol_l, limits.bilirubin_max_uln),
            _at_least("eGFR", lab.egfr_ml_min, limits.egfr_min_ml_min, " mL/min"),
            _at_least("haemoglobin", lab.haemoglobin_g_l, protocol.haemoglobin_min_g_l, " g/L"),
            _at_least("neutrophils", lab.neutrophils_1e9_l, limits.neutrophils_min_1e9_l, " x 10^9/L"),
            _at_least("platelets", lab.platelets_1e9_l, limits.platelets_min_1e9_l, " x 10^9/L"),
        ),
    )


def reasons_against(criteria: Sequence[EntryCriterion]) -> list[str]:
    """Every criterion that is not met or unknown, as a phrase."""
    return [criterion.reason for criterion in criteria if criterion.state is not EntryState.MET]


def _state(met: bool) -> EntryState:
    return EntryState.MET if met else EntryState.NOT_MET


def _between(name: str, value: float | None, lowest: int, highest: int) -> EntryCriterion:
    """Age counts in completed years: 59.9 is 59."""
    expected = f"{lowest}-{highest} years"
    if value is None:
        return EntryCriterion(name, expected, "no value", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g}", _state(lowest <= value < highest + 1))


def _at_least(name: str, value: float | None, lowest: float, unit: str) -> EntryCriterion:
    expected = f"{lowest:g}{unit} or more"
    if value is None:
        return EntryCriterion(name, expected, "no value", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g}{unit}", _state(value >= lowest))


def _at_most_uln(name: str, value: float | None, uln: float | None, most: float) -> EntryCriterion:
    """A value against a multiple of the laboratory's upper limit of normal."""
    expected = f"at most {most:g} times the upper limit of normal"
    if value is None or uln is None:
        found = "no value" if value is None else "no upper limit of normal"
        return EntryCriterion(name, expected, found, EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g} with a limit of {uln:g}", _state(value <= round(most * uln, 9)))


def _mri_sign(score: CountedScore, machine: MachineScore | None, protocol: Protocol) -> EntryCriterion:
    """The objective sign of active inflammation: an ASAS-positive MRI by the readings, or by the machine's score."""
    by_machine = score.source is ScoreSource.MACHINE
    name = "inflammation on MRI of the sacroiliac joints"
    if protocol.eligibility.mri_sign is MriSign.SCORE:
        expected, sign = "ASAS-positive by the score", None if machine is None else machine.asas_positive
    else:
        expected, sign = "ASAS-positive by the readings", None if by_machine else score.asas_positive
    if sign is None:
        return EntryCriterion(name, expected, "no answer", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, "ASAS-positive" if sign else "ASAS-negative", _state(sign))
