"""Entry criteria of the trial, each met, not met or unknown, with the reason.

A participant is eligible only if every criterion, inclusion and exclusion, is met; a missing value is unknown, never
"not met". Source: [Registry]; the limits come from the protocol. Criteria without a column of their own are two rows
that the site answers, so no criterion is met by silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from sparcc_pipeline.trial.cut_off import at_least, at_most, below
from sparcc_pipeline.trial.instruments import InstrumentResult
from sparcc_pipeline.trial.protocol.definition import EligibilityLimits, MriSign, Protocol
from sparcc_pipeline.trial.reading import CountedScore, MachineScore, ScoreSource
from sparcc_pipeline.trial.records import Participant, Screening


class EntryState(Enum):
    """State of a criterion; the value is the name in tables."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class EntryCriterion:
    """One criterion: its name, the value that the protocol expects, the value found, and the state."""

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
        """Not met if one criterion is not met; else unknown if one is unknown; else met.

        Examples
        --------
        >>> age = EntryCriterion("age", "18-59 years", "42", EntryState.MET)
        >>> basdai = EntryCriterion("BASDAI", "4 or more", "no value", EntryState.UNKNOWN)
        >>> Eligibility("P001", (age, basdai)).state.value
        'unknown'
        >>> reasons_against([age, basdai])
        ['BASDAI: expected 4 or more, found no value: unknown']
        """
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
    """Return every criterion of the registry entry at the baseline visit. Source: [Registry].

    Parameters
    ----------
    basdai, patient_global : values at baseline
    score : the imaging score of the baseline that counts; the answer of its readings is the MRI sign by default
    machine : the machine's score of the baseline; its ASAS-positive sign counts only if the protocol chooses it

    Raises
    ------
    ConfigError : the protocol leaves the highest age or the lowest haemoglobin unset

    Examples
    --------
    A participant of 35 years with BASDAI 4.6, patient global 3 and an ASAS-positive MRI; no laboratory values:

    >>> from sparcc_pipeline.trial.instruments import basdai
    >>> from sparcc_pipeline.trial.protocol.definition import EligibilityLimits
    >>> from sparcc_pipeline.trial.records import Screening
    >>> limits = EligibilityLimits(18, 4, 4, MriSign.READING, 1.5, 1.5, 1.2, 60, 1.5, 100, 0.5, 2)
    >>> chosen = {"age_max_years": 59, "haemoglobin_min_g_l": 90}
    >>> protocol = Protocol("a.toml", "A", "", 1, (), (), "", 12, limits, None, None, None, chosen, {}, {})
    >>> score = CountedScore(12.0, ScoreSource.TWO_READINGS, asas_positive=True)
    >>> person = Participant("P001", screening=Screening(age_years=35))
    >>> entry = eligibility(person, basdai([4, 5, 6, 3, 8, 2]), 3, score, None, protocol)
    >>> entry.state.value
    'not met'
    >>> [criterion.reason for criterion in entry.criteria[:3]]  # doctest: +NORMALIZE_WHITESPACE
    ['age: expected 18-59 years, found 35: met',
     'BASDAI: expected 4 or more, found 4.6: met',
     'patient global: expected 4 or more, found 3: not met']
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
            *_exclusions(lab, limits),
        ),
    )


def _exclusions(lab: Screening, limits: EligibilityLimits) -> tuple[EntryCriterion, ...]:
    """Criteria of the exclusions, and the site's answers for all criteria that have no column of their own."""
    return (
        _at_least("lymphocytes", lab.lymphocytes_1e9_l, limits.lymphocytes_min_1e9_l, " x 10^9/L"),
        _heart_failure(lab.nyha_class, limits.nyha_max_class),
        _answer("no pregnancy or breast-feeding", lab.pregnancy, wanted=False),
        _answer("no malignancy", lab.malignancy, wanted=False),
        _answer("no tuberculosis", lab.tuberculosis, wanted=False),
        _answer("no live vaccine", lab.live_vaccine, wanted=False),
        _answer("every other inclusion criterion of the protocol", lab.other_inclusion_met, wanted=True),
        _answer("no other exclusion criterion of the protocol", lab.other_exclusion, wanted=False),
    )


def reasons_against(criteria: Sequence[EntryCriterion]) -> list[str]:
    """Return a phrase for each criterion that is not met or unknown."""
    return [criterion.reason for criterion in criteria if criterion.state is not EntryState.MET]


def _state(met: bool) -> EntryState:
    return EntryState.MET if met else EntryState.NOT_MET


def _between(name: str, value: float | None, lowest: int, highest: int) -> EntryCriterion:
    """Criterion of age, in completed years: 59.9 is 59."""
    expected = f"{lowest}-{highest} years"
    if value is None:
        return EntryCriterion(name, expected, "no value", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g}", _state(at_least(value, lowest) and below(value, highest + 1)))


def _at_least(name: str, value: float | None, lowest: float, unit: str) -> EntryCriterion:
    expected = f"{lowest:g}{unit} or more"
    if value is None:
        return EntryCriterion(name, expected, "no value", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g}{unit}", _state(at_least(value, lowest)))


def _at_most_uln(name: str, value: float | None, uln: float | None, most: float) -> EntryCriterion:
    """Criterion of a laboratory value: at most a multiple of the upper limit of normal."""
    expected = f"at most {most:g} times the upper limit of normal"
    if value is None or uln is None:
        found = "no value" if value is None else "no upper limit of normal"
        return EntryCriterion(name, expected, found, EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"{value:g} with a limit of {uln:g}", _state(at_most(value, most * uln)))


def _heart_failure(nyha_class: int | None, most: int) -> EntryCriterion:
    name, expected = "heart failure", f"NYHA class {most} at most"
    if nyha_class is None:
        return EntryCriterion(name, expected, "no value", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, f"class {nyha_class}", _state(nyha_class <= most))


def _answer(name: str, answer: bool | None, *, wanted: bool) -> EntryCriterion:
    """Criterion that the site answers with yes or no."""
    expected = "yes" if wanted else "absent"
    if answer is None:
        return EntryCriterion(name, expected, "no answer", EntryState.UNKNOWN)
    found = ("yes" if answer else "no") if wanted else ("present" if answer else "absent")
    return EntryCriterion(name, expected, found, _state(answer is wanted))


def _mri_sign(score: CountedScore, machine: MachineScore | None, protocol: Protocol) -> EntryCriterion:
    """Criterion of inflammation: an ASAS-positive MRI by the readings, or by the machine's score."""
    by_machine = score.source is ScoreSource.MACHINE
    name = "inflammation on MRI of the sacroiliac joints"
    if protocol.eligibility.mri_sign is MriSign.SCORE:
        expected, sign = "ASAS-positive by the score", None if machine is None else machine.asas_positive
    else:
        expected, sign = "ASAS-positive by the readings", None if by_machine else score.asas_positive
    if sign is None:
        return EntryCriterion(name, expected, "no answer", EntryState.UNKNOWN)
    return EntryCriterion(name, expected, "ASAS-positive" if sign else "ASAS-negative", _state(sign))
